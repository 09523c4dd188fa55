"""The addresses of the pages."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from webmail.views import conversation, events, inbox, kept_aside, message, new_conversation, theme


class HexId(StringConverter):
    """An id of a conversation or message; no database need be asked for anything else."""

    regex = "[0-9a-f]{2,128}"


register_converter(HexId, "hex")

urlpatterns = [
    path("", inbox.inbox, name="inbox"),
    path("list/", inbox.rows, name="conversation-list"),
    path("new/", new_conversation.new, name="new-conversation"),
    path("new/find/", new_conversation.find, name="find-person"),
    path("new/people/", new_conversation.people, name="choose-people"),
    path("c/<hex:conversation_id>/", conversation.conversation, name="conversation"),
    path("c/<hex:conversation_id>/older/", conversation.older, name="conversation-older"),
    path("c/<hex:conversation_id>/news/", conversation.whats_new, name="conversation-news"),
    path("c/<hex:conversation_id>/send/", conversation.send_to, name="conversation-send"),
    path("m/<hex:message_id>/", message.message, name="message"),
    path("m/<hex:message_id>/retry/", message.retry, name="message-retry"),
    path("m/<hex:message_id>/check/", message.check, name="message-check"),
    path("kept-aside/", kept_aside.kept, name="kept-aside"),
    path("kept-aside/<int:arrival_id>/retry/", kept_aside.retry, name="kept-aside-retry"),
    path("events/", events.stream, name="events"),
    path("theme/", theme.choose, name="theme"),
]
