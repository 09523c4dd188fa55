"""The addresses of the pages."""

from django.urls import path

from webmail.views import conversation, events, inbox, kept_aside, message, new_conversation, theme

urlpatterns = [
    path("", inbox.inbox, name="inbox"),
    path("list/", inbox.rows, name="conversation-list"),
    path("new/", new_conversation.new, name="new-conversation"),
    path("new/find/", new_conversation.find, name="find-person"),
    path("new/people/", new_conversation.people, name="choose-people"),
    path("c/<str:conversation_id>/", conversation.conversation, name="conversation"),
    path("c/<str:conversation_id>/older/", conversation.older, name="conversation-older"),
    path("c/<str:conversation_id>/news/", conversation.whats_new, name="conversation-news"),
    path("c/<str:conversation_id>/send/", conversation.send_to, name="conversation-send"),
    path("m/<str:message_id>/", message.message, name="message"),
    path("m/<str:message_id>/retry/", message.retry, name="message-retry"),
    path("m/<str:message_id>/check/", message.check, name="message-check"),
    path("kept-aside/", kept_aside.kept, name="kept-aside"),
    path("kept-aside/<int:arrival_id>/retry/", kept_aside.retry, name="kept-aside-retry"),
    path("events/", events.stream, name="events"),
    path("theme/", theme.choose, name="theme"),
]
