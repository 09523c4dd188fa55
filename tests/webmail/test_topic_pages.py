"""The pages of topics: marks in the thread, the list, one topic alone, and writing in it."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.agent import kept_client
from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.test_locked import lock_account
from tests.webmail.test_pages import HOSTILE, Page, assert_nothing_inline, html_of
from webmail import outgoing, pending, threads
from webmail.models import Conversation, Draft, Message, PendingMessage
from webmail.read_marks import mark_read

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

NAME = "Where we go in June"
WRITER = "a" * 32


@pytest.fixture
def alice(db: None, agent_process: AgentProcess, settings: Settings) -> Account:
    settings.UNDO_SECONDS = 0
    return new_account("alice", display_name="Alice")


@pytest.fixture
def first(alice: Account) -> Message:
    return received(alice, peer("bob", display_name="Bob").did, f"{NAME}\nThe sea?")


@pytest.fixture
def answer(alice: Account, first: Message) -> Message:
    return outgoing.send(alice, [first.sender_did], "the lake", str(uuid4()), topic=first.message_id)


def topic_page(first: Message) -> str:
    return reverse("topic", args=[first.conversation.conversation_id, first.message_id])


def thread_page(message: Message) -> str:
    return reverse("conversation", args=[message.conversation.conversation_id])


def topics_page(message: Message) -> str:
    return reverse("topics", args=[message.conversation.conversation_id])


def send(client: Client, first: Message, text: str, **fields: str) -> str:
    """Sends as a form without script does; where that leads."""
    address = reverse("conversation-send", args=[first.conversation.conversation_id])
    sent = client.post(address, {"text": text, "token": str(uuid4()), **fields})
    assert sent.status_code == 302, sent.content
    return sent.headers["Location"]


def test_messages_show_their_topic(at_alices: Client, first: Message, answer: Message) -> None:
    page = assert_nothing_inline(html_of(at_alices, thread_page(first)))
    links = [attributes for tag, attributes in page.tags if tag == "a"]
    marks = [each["href"] for each in links if each.get("class") == "msg__topic"]
    assert marks == [topic_page(first)] * 2
    assert f"Topic: {NAME} the lake" in page.words
    assert "A topic began with this" in page.words


def test_one_topic_alone(alice: Account, at_alices: Client, first: Message, answer: Message) -> None:
    received(alice, first.sender_did, "something else")
    page = assert_nothing_inline(html_of(at_alices, topic_page(first)))
    assert f"{NAME} Topic · All topics · Bob" in page.words
    html = html_of(at_alices, topic_page(first))
    ids = re.findall(r'<li class="msg[^>]* id="m([0-9a-f]{64})"', html)
    assert ids == [first.message_id, answer.message_id]
    assert f'name="page" value="{first.message_id}"' in html
    assert f"news/?topic={first.message_id}" in html
    assert len(re.findall(r'<li class="msg', html_of(at_alices, thread_page(first)))) == 3


def test_hostile_and_long_names_stay_text(alice: Account, at_alices: Client) -> None:
    bob = peer("bob").did
    for name in (HOSTILE, "x" * 500, "\u202e\u05e9\u05dc\u05d5\u05dd"):
        first = received(alice, bob, name)
        outgoing.send(alice, [bob], "answer", str(uuid4()), topic=first.message_id)
    for address in (topics_page(first), thread_page(first), topic_page(first)):
        assert_nothing_inline(html_of(at_alices, address))
    html = html_of(at_alices, topics_page(first))
    assert f"<bdi>{'x' * 100}</bdi>" in html
    assert "x" * 101 not in html.partition('id="topics-title"')[2]
    assert "<bdi>\u202e\u05e9\u05dc\u05d5\u05dd</bdi>" in html


def test_a_topic_of_many_messages_is_paged(alice: Account, at_alices: Client, first: Message) -> None:
    for number in range(52):
        message = received(alice, first.sender_did, f"n{number:02}.")
        Message.objects.filter(pk=message.pk).update(topic=first.message_id)
        if number % 10 == 0:
            received(alice, first.sender_did, "between")
    Message.objects.filter(pk=first.pk).update(topic=first.message_id)
    mark_read(alice, first.conversation)
    html = html_of(at_alices, topic_page(first))
    assert html.count('<li class="msg') == 50
    older = re.search(r'<a href="([^"]+)" data-older hx-get="([^"]+)"', html)
    assert older
    assert older[1].startswith(topic_page(first))
    rest = html_of(at_alices, older[1])
    part = html_of(at_alices, older[2].replace("&amp;", "&"), **{"HX-Request": "true"})
    for page in (rest, part):
        assert page.count('<li class="msg') == 3
        assert "between" not in re.sub(r'(?s)<ul class="convos.*?</ul>', "", page)


def test_without_topics_the_list_says_what_they_are(at_alices: Client, first: Message) -> None:
    page = assert_nothing_inline(html_of(at_alices, topics_page(first)))
    assert "No topics yet" in page.words
    assert "msg__topic" not in html_of(at_alices, thread_page(first))


def test_the_list_names_counts_and_leads_on(at_alices: Client, first: Message, answer: Message) -> None:
    page = assert_nothing_inline(html_of(at_alices, topics_page(first)))
    assert f"{NAME} " in page.words
    assert "2 messages" in page.words
    assert topic_page(first) in [attributes.get("href") for tag, attributes in page.tags if tag == "a"]


def test_writing_in_a_topic_without_script(alice: Account, at_alices: Client, first: Message) -> None:
    """Of a message that nobody answered in yet as well: that is how a topic begins with it."""
    key = first.message_id
    assert "A topic began with this" not in html_of(at_alices, topic_page(first))
    where = send(at_alices, first, "the lake", topic=key, page=key)
    assert where.startswith(f"{topic_page(first)}#m")
    assert Message.objects.get(account=alice, direction="out").topic == key
    # From elsewhere one comes back to where one was.
    assert send(at_alices, first, "both", topic=key).startswith(f"{thread_page(first)}#m")
    first.refresh_from_db()
    assert first.topic == key
    refused = at_alices.post(
        reverse("conversation-send", args=[first.conversation.conversation_id]),
        {"text": "", "token": str(uuid4()), "topic": key, "page": key},
    )
    assert refused.status_code == 422
    assert f'name="page" value="{key}"' in refused.content.decode()


def test_sending_may_begin_a_topic(alice: Account, at_alices: Client, first: Message) -> None:
    where = send(at_alices, first, "Bread\nwho brings it?", begins="topic")
    begun = Message.objects.get(account=alice, direction="out")
    assert where == f"{topic_page(begun)}#m{begun.message_id}"
    # It is an ordinary message to everybody until somebody answers in it.
    assert begun.topic is None
    assert "Bread" in Page(html_of(at_alices, topic_page(begun))).words
    address = reverse("conversation-send", args=[first.conversation.conversation_id])
    fields = {"text": "Salt", "token": str(uuid4()), "begins": "topic"}
    answer = at_alices.post(address, fields, headers={"HX-Request": "true"})
    begun = Message.objects.filter(account=alice).latest("pk")
    assert f'"topic-begun": {{"address": "{topic_page(begun)}"}}' in answer.headers["HX-Trigger"]


def test_a_topic_begins_with_what_may_still_be_taken_back(
    alice: Account, at_alices: Client, first: Message, settings: Settings
) -> None:
    settings.UNDO_SECONDS = 10
    where = send(at_alices, first, "Bread", begins="topic")
    row = PendingMessage.objects.get()
    page = where.partition("#")[0]
    assert page == reverse("topic", args=[first.conversation.conversation_id, row.message_id])
    html = html_of(at_alices, page)
    assert "Bread" in html
    assert 'id="p' in html
    send(at_alices, first, "Salt", topic=row.message_id, page=row.message_id)
    salt = PendingMessage.objects.latest("pk")
    assert salt.topic == row.message_id
    for each in (row, salt):
        assert pending.release(each.pk, now=each.release_at)
    assert set(Message.objects.filter(direction="out").values_list("topic", flat=True)) == {row.message_id}
    # Its page has nothing to write in once it was taken back.
    again = send(at_alices, first, "Wine", begins="topic").partition("#")[0]
    undo = reverse("pending-undo", args=[PendingMessage.objects.get().pk])
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{again}"}
    assert at_alices.post(undo, headers=headers).headers["HX-Redirect"] == thread_page(first)
    assert at_alices.get(again).status_code == 404


def test_a_draft_and_what_was_taken_back_keep_their_topic(
    alice: Account, at_alices: Client, first: Message, answer: Message, settings: Settings
) -> None:
    settings.UNDO_SECONDS = 10
    key, conversation = first.message_id, first.conversation.conversation_id
    chosen = f'<input type="hidden" name="topic" value="{key}">'
    send(at_alices, first, "both", topic=key, page=key)
    at_alices.post(reverse("pending-undo", args=[PendingMessage.objects.get().pk]))
    html = html_of(at_alices, thread_page(first))
    assert "both</textarea>" in html
    assert chosen in html
    assert f"<bdi>{NAME}</bdi>" in html
    Draft.objects.all().delete()
    fields = {"text": "none", "topic": key, "writer": WRITER, "revision": "0"}
    assert at_alices.post(reverse("draft-keep", args=[conversation]), fields).status_code == 200
    told = at_alices.get(reverse("draft-news", args=[conversation]), {"writer": "b", "revision": "0"}).json()
    assert (told["topic"], chosen in told["about"], NAME in told["about"]) == (key, True, True)
    assert chosen in html_of(at_alices, thread_page(first))


def test_a_reply_to_a_message_of_a_topic_belongs_to_it(
    at_alices: Client, first: Message, answer: Message
) -> None:
    chosen = f'name="topic" value="{first.message_id}"'
    for message, inside in ((answer, True), (first, False)):
        address = reverse("message-reply", args=[message.message_id])
        for headers in ({}, {"HX-Request": "true"}):
            assert (chosen in html_of(at_alices, address, **headers)) == inside


def test_the_menu_of_a_message_leads_to_its_topic(
    at_alices: Client, alice: Account, first: Message, answer: Message
) -> None:
    other = received(alice, first.sender_did, "something else")
    for message, topic in ((answer, first), (first, first), (other, other)):
        menu = html_of(at_alices, reverse("message-menu", args=[message.message_id]))
        assert f'href="{topic_page(topic)}"' in menu


def test_news_of_a_topic_are_of_it_alone(
    alice: Account, at_alices: Client, first: Message, answer: Message
) -> None:
    html = html_of(at_alices, topic_page(first))
    shown = [value for value in re.findall(r'name="shown" value="([^"]+)"', html) if ":" in value]
    assert len(shown) == 2
    address = reverse("conversation-news", args=[first.conversation.conversation_id])
    other = received(alice, first.sender_did, "something else")
    inside = received(alice, first.sender_did, "the sea")
    Message.objects.filter(pk=inside.pk).update(topic=first.message_id)
    asked = {"shown": shown, "seen": "1", "topic": first.message_id}
    news = at_alices.get(address, asked, headers={"HX-Request": "true"}).content.decode()
    assert "the sea" in news
    assert "something else" not in news
    # Only what its page shows counts as read.
    unread = Message.objects.filter(account=alice, unread=True)
    assert [message.pk for message in unread] == [other.pk]
    assert Conversation.objects.get(account=alice).unread_count == 1
    # Another first line is another name.
    edit = received(alice, first.sender_did, "In July")
    Message.objects.filter(pk=edit.pk).update(shown=False, unread=False, replaces=first.message_id)
    news = at_alices.get(address, asked, headers={"HX-Request": "true"}).content.decode()
    assert '<h1 id="thread-title" hx-swap-oob="true"><bdi>In July</bdi></h1>' in news


def test_actions_on_the_page_of_a_topic_show_the_message_as_it_stands_there(
    alice: Account, at_alices: Client, first: Message, answer: Message
) -> None:
    outgoing.send(alice, [first.sender_did], "of Alice too", str(uuid4()))
    inside = outgoing.send(alice, [first.sender_did], "at four?", str(uuid4()), topic=first.message_id)
    received(alice, first.sender_did, "of Bob")
    entry = threads.entry(alice, inside.message_id, topic=first.message_id)
    assert entry.topic is not None
    assert entry.topic.name == NAME
    html = html_of(
        at_alices,
        reverse("message-entry", args=[inside.message_id]),
        **{"HX-Request": "true", "HX-Current-URL": f"http://testserver{topic_page(first)}"},
    )
    assert f'href="{topic_page(first)}"' in html


def test_topics_are_nobody_elses(at_alices: Client, first: Message, answer: Message) -> None:
    at_mallorys = browser_of(new_account("mallory"))
    for address in (topics_page(first), topic_page(first)):
        assert at_mallorys.get(address).status_code == 404
    unknown = reverse("topic", args=[first.conversation.conversation_id, "01" * 32])
    assert at_alices.get(unknown).status_code == 404


def test_what_one_let_go_of_is_in_no_topic(at_alices: Client, first: Message, answer: Message) -> None:
    at_alices.post(reverse("message-delete", args=[answer.message_id]))
    assert "No topics yet" in html_of(at_alices, topics_page(first))
    at_alices.post(reverse("message-delete", args=[first.message_id]))
    assert at_alices.get(topic_page(first)).status_code == 404


def test_while_keys_are_locked_topics_are_shut(
    alice: Account, at_alices: Client, first: Message, answer: Message
) -> None:
    lock_account(alice, kept_client())
    for address in (topics_page(first), topic_page(first)):
        page = assert_nothing_inline(html_of(at_alices, address))
        assert "This conversation is locked" in page.words
        assert NAME not in page.words


def test_who_is_signed_out_meanwhile_still_answers_in_the_topic() -> None:
    fields = {"text": "the sea", "topic": "01" * 32, "page": "01" * 32}
    answer = Client().post(reverse("conversation-send", args=["ab" * 32]), fields)
    assert answer.status_code == 401
    for name in ("topic", "page"):
        assert f'<input type="hidden" name="{name}" value="{fields[name]}">' in answer.content.decode()
