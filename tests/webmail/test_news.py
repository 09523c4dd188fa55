"""An open page catches up with exactly what it does not show."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import new_account, peer, received
from webmail import read_marks
from webmail.models import Delivery, Message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice")


class OpenPage:
    """What a browser keeps of a conversation page: which messages it shows, with their marks."""

    def __init__(self, client: Client, conversation_id: str) -> None:
        self.client = client
        self.conversation_id = conversation_id
        html = client.get(reverse("conversation", args=[conversation_id])).content.decode()
        self.shown = dict(re.findall(r'name="shown" value="([0-9a-f]{16}):([^"]*)"', html))

    def news(self, *, seen: bool = True) -> str:
        parameters = {
            "shown": [f"{prefix}:{mark}" for prefix, mark in self.shown.items()],
            "seen": "1" if seen else "",
        }
        answer = self.client.get(
            reverse("conversation-news", args=[self.conversation_id]),
            parameters,
            headers={"HX-Request": "true"},
        )
        self.status = answer.status_code
        self.refresh = answer.headers.get("HX-Refresh") == "true"
        events = json.loads(answer.headers.get("HX-Trigger", "{}"))
        #: Of messages that leave the page, the beginnings of their ids.
        self.gone = events.get("gone", {}).get("ids", [])
        html = answer.content.decode()
        self.shown |= dict(re.findall(r'name="shown" value="([0-9a-f]{16}):([^"]*)"', html))
        return html


def test_nothing_new_is_no_content_and_needs_no_agent(
    alice: Account, at_alices: Client, agent_process: AgentProcess
) -> None:
    message = received(alice, peer("bob").did, "hello")
    page = OpenPage(at_alices, message.conversation.conversation_id)
    agent_process.stop()
    try:
        assert page.news() == ""
    finally:
        agent_process.start()
    assert page.status == 204
    assert not page.refresh


def test_later_messages_come_once_in_order(alice: Account, at_alices: Client) -> None:
    bob = peer("bob")
    start = timezone.now() - timedelta(minutes=10)
    message = received(alice, bob.did, "zero", at=start)
    page = OpenPage(at_alices, message.conversation.conversation_id)
    for number, text in enumerate(("one", "two"), start=1):
        received(alice, bob.did, text, at=start + timedelta(minutes=number))
    html = page.news()
    assert html.index(">one</p>") < html.index(">two</p>")
    assert "zero" not in html
    assert page.news() == ""


def test_a_message_that_comes_late_finds_its_place(alice: Account, at_alices: Client) -> None:
    bob = peer("bob")
    start = timezone.now() - timedelta(minutes=10)
    received(alice, bob.did, "first", at=start)
    last = received(alice, bob.did, "last", at=start + timedelta(minutes=2))
    page = OpenPage(at_alices, last.conversation.conversation_id)
    received(alice, bob.did, "between", at=start + timedelta(minutes=1))
    html = page.news()
    assert f'hx-swap-oob="beforebegin:#m{last.message_id}"' in html
    assert "between" in html
    assert page.news() == ""


def test_a_message_that_comes_late_on_the_day_before_has_the_page_load_again(
    alice: Account, at_alices: Client
) -> None:
    bob = peer("bob")
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    received(alice, bob.did, "the evening before", at=midnight - timedelta(minutes=5))
    last = received(alice, bob.did, "just after midnight", at=midnight + timedelta(seconds=5))
    page = OpenPage(at_alices, last.conversation.conversation_id)
    received(alice, bob.did, "just before midnight", at=midnight - timedelta(seconds=5))
    assert page.news() == ""
    assert page.refresh
    page = OpenPage(at_alices, last.conversation.conversation_id)
    assert page.news() == ""
    assert not page.refresh


def test_a_state_is_told_when_it_changes(alice: Account, at_alices: Client) -> None:
    first = received(alice, peer("bob").did, "hello")
    conversation_id = first.conversation.conversation_id
    at_alices.post(
        reverse("conversation-send", args=[conversation_id]),
        {"text": "hello back", "token": "b8e6b3f2-0d5c-4b63-9a4c-3f1f7e6b9f13"},
    )
    sent = Message.objects.get(direction=Message.Direction.OUT)
    page = OpenPage(at_alices, conversation_id)
    assert page.news() == ""
    for state, words in (
        (Delivery.State.SEALED, "Sealed"),
        (Delivery.State.ACCEPTED, "Their server has it"),
        (Delivery.State.FAILED, "Not delivered"),
    ):
        sent.deliveries.update(state=state, failure_code="no-route")
        html = page.news()
        assert f'id="s{sent.message_id}" hx-swap-oob="true"' in html
        assert words in html
        assert "hello back" not in html
        assert page.news() == ""


def test_a_checked_message_takes_the_place_of_the_closed_one(alice: Account, at_alices: Client) -> None:
    message = received(alice, peer("bob").did, "it is me", trust=Message.Trust.UNCHECKED)
    page = OpenPage(at_alices, message.conversation.conversation_id)
    Message.objects.update(trust=Message.Trust.SIGNED)
    html = page.news()
    assert f'id="m{message.message_id}" hx-swap-oob="true"' in html
    assert "it is me" in html
    assert page.news() == ""


def test_only_a_page_that_is_looked_at_counts_as_read(alice: Account, at_alices: Client) -> None:
    bob = peer("bob")
    page = OpenPage(at_alices, received(alice, bob.did, "hello").conversation.conversation_id)
    received(alice, bob.did, "again")
    page.news(seen=False)
    assert Message.objects.filter(unread=True).count() == 2
    page.news(seen=True)
    assert not Message.objects.filter(unread=True).exists()


def test_a_page_that_missed_too_much_is_loaded_again(alice: Account, at_alices: Client) -> None:
    bob = peer("bob")
    start = timezone.now() - timedelta(hours=2)
    page = OpenPage(at_alices, received(alice, bob.did, "hello", at=start).conversation.conversation_id)
    for number in range(51):
        received(alice, bob.did, f"{number}", at=start + timedelta(minutes=number + 1))
    page.news()
    assert page.refresh


@pytest.mark.parametrize("shown", ["", "x", ":", "zz:9", "0" * 16 + ":u", "\x00:\x00"])
def test_a_page_cannot_ask_anything_that_breaks(alice: Account, at_alices: Client, shown: str) -> None:
    message = received(alice, peer("bob").did, "hello")
    address = reverse("conversation-news", args=[message.conversation.conversation_id])
    assert at_alices.get(address, {"shown": shown}).status_code in (200, 204)


@pytest.mark.parametrize("part", ["", "middle"])
def test_what_the_agent_did_not_open_is_not_read(
    alice: Account, at_alices: Client, agent_process: AgentProcess, part: str
) -> None:
    message = received(alice, peer("bob").did, "gone in an hour")
    Message.objects.update(expires_after=3600)
    address = reverse("conversation-news", args=[message.conversation.conversation_id])
    agent_process.stop()
    try:
        page = OpenPage(at_alices, message.conversation.conversation_id)
        page.news()
        shown = [f"{prefix}:{mark}" for prefix, mark in page.shown.items()]
        parameters = {"shown": shown, "seen": "1", "part": part}
        at_alices.get(address, parameters, headers={"HX-Request": "true"})
    finally:
        agent_process.start()
    message.refresh_from_db()
    assert (message.unread, message.expires_at) == (True, None)


def test_what_the_agent_opens_again_comes_to_the_page_and_is_read_then(
    alice: Account, at_alices: Client, agent_process: AgentProcess
) -> None:
    message = received(alice, peer("bob").did, "open at last")
    agent_process.stop()
    try:
        page = OpenPage(at_alices, message.conversation.conversation_id)
        assert page.news() == ""
    finally:
        agent_process.start()
    assert ">open at last</p>" in page.news()
    assert page.news() == ""
    message.refresh_from_db()
    assert not message.unread


def test_without_script_what_the_agent_did_not_open_is_not_named_as_read(
    alice: Account, at_alices: Client, agent_process: AgentProcess
) -> None:
    message = received(alice, peer("bob").did, "not open")
    address = reverse("conversation", args=[message.conversation.conversation_id])
    seen = reverse("conversation-seen", args=[message.conversation.conversation_id])
    agent_process.stop()
    try:
        assert f'<form class="event" action="{seen}"' not in at_alices.get(address).content.decode()
    finally:
        agent_process.start()
    assert f'<form class="event" action="{seen}"' in at_alices.get(address).content.decode()


def test_what_disappears_is_read_when_its_signature_was_checked(alice: Account, at_alices: Client) -> None:
    message = received(alice, peer("bob").did, "gone in an hour", trust=Message.Trust.UNCHECKED)
    Message.objects.update(expires_after=3600)
    page = OpenPage(at_alices, message.conversation.conversation_id)
    page.news()
    assert read_marks.mark_read(alice, message.conversation) is False
    message.refresh_from_db()
    assert (message.unread, message.expires_at) == (True, None)
    Message.objects.update(trust=Message.Trust.SIGNED)
    assert "gone in an hour" in page.news()
    message.refresh_from_db()
    assert not message.unread
    assert message.expires_at is not None
