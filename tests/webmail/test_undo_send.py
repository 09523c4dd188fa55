"""Undo send: each person chooses for how long what they send may be taken back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.test_pages import assert_nothing_inline, html_of
from webmail import consent, exported_settings, keeping_back, pending
from webmail.conversations import others_in
from webmail.draft_content import DraftContent
from webmail.models import Conversation, Message, PendingMessage, UndoChoice, WhoMayWrite

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]


@pytest.fixture
def alice(db: None, agent_process: AgentProcess, settings: Settings, tmp_path: Path) -> Account:
    settings.BLOB_DIR = tmp_path / "blobs"
    settings.UNDO_SECONDS = 10
    return new_account("alice")


@pytest.fixture
def with_bob(alice: Account) -> Conversation:
    return received(alice, peer("bob", display_name="Bob").did, "Hello").conversation


def send(browser: Client, conversation: Conversation, text: str) -> None:
    path = reverse("conversation-send", args=[conversation.conversation_id])
    answer = browser.post(path, {"text": text, "token": str(uuid4())})
    assert answer.status_code == 302, answer.content


def choose(browser: Client, seconds: object) -> str:
    answer = browser.post(reverse("undo-send"), {"seconds": seconds}, follow=True)
    html = answer.content.decode()
    assert_nothing_inline(html)
    return html


@pytest.mark.parametrize("seconds", [5, 10, 20, 30])
def test_a_message_waits_as_long_as_its_sender_chose(
    alice: Account, with_bob: Conversation, seconds: int
) -> None:
    browser = browser_of(alice)
    html = choose(browser, seconds)
    assert "That holds for what you send from now on." in html
    assert f'value="{seconds}" checked' in html
    before = timezone.now()
    send(browser, with_bob, "Path by the weir")
    (row,) = PendingMessage.objects.all()
    held = row.release_at - keeping_back.MARGIN - before
    assert timedelta(seconds=seconds) <= held < timedelta(seconds=seconds + 4)
    # Shortly before the time is over it is still held, and can be taken back; then it goes.
    assert pending.release(row.pk, now=row.release_at - timedelta(milliseconds=1)) is None
    page = html_of(browser, reverse("conversation", args=[with_bob.conversation_id]))
    assert f'action="{reverse("pending-undo", args=[row.pk])}"' in page
    assert pending.release(row.pk, now=row.release_at) is not None


def test_the_offer_to_undo_goes_when_the_chosen_time_is_over(alice: Account, with_bob: Conversation) -> None:
    """The page does not count: what the database holds is offered, and no longer."""
    browser = browser_of(alice)
    choose(browser, 30)
    send(browser, with_bob, "Path by the weir")
    page = reverse("conversation", args=[with_bob.conversation_id])

    def toast() -> bool:
        return 'class="toast"' in html_of(browser, page)

    for passed, offered in ((20, True), (28, True), (31, False)):
        PendingMessage.objects.update(release_at=timezone.now() + timedelta(seconds=31 - passed))
        assert toast() is offered, passed


def test_what_is_held_can_be_discarded_while_the_agent_is_away(
    alice: Account, with_bob: Conversation, agent_process: AgentProcess
) -> None:
    """Undoing needs the agent, and meanwhile the message would go out."""
    browser = browser_of(alice)
    choose(browser, 30)
    send(browser, with_bob, "Path by the weir")
    (row,) = PendingMessage.objects.all()
    address = reverse("pending-discard", args=[row.pk])
    page = html_of(browser, reverse("conversation", args=[with_bob.conversation_id]))
    assert f'<form action="{address}" method="post"' in page
    agent_process.stop()
    try:
        part = {"conversation": with_bob.conversation_id}
        answer = browser.post(address, part, headers={"HX-Request": "true"})
    finally:
        agent_process.start()
    assert answer.status_code == 200
    assert "Path by the weir" not in answer.content.decode()
    assert not PendingMessage.objects.exists()
    assert not Message.objects.filter(direction=Message.Direction.OUT).exists()


def test_who_switched_it_off_sends_at_once(alice: Account, with_bob: Conversation) -> None:
    browser = browser_of(alice)
    choose(browser, 0)
    send(browser, with_bob, "Path by the weir")
    assert not PendingMessage.objects.exists()
    assert Message.objects.filter(account=alice, direction=Message.Direction.OUT).count() == 1


def test_the_installation_s_time_is_for_who_did_not_choose(
    alice: Account, with_bob: Conversation, settings: Settings
) -> None:
    browser = browser_of(alice)
    assert 'value="10" checked' in html_of(browser, reverse("undo-send"))
    settings.UNDO_SECONDS = 7
    html = html_of(browser, reverse("undo-send"))
    assert 'value="7" checked' in html
    assert keeping_back.undo_time(alice) == timedelta(seconds=7)
    choose(browser, 20)
    assert 'value="7"' not in html_of(browser, reverse("undo-send"))
    settings.UNDO_SECONDS = 0
    assert keeping_back.undo_time(alice) == timedelta(seconds=20)
    assert keeping_back.undo_time(new_account("bob")) == timedelta()


@pytest.mark.parametrize("wrong", ["", "-5", "15", "3600", "5.0", "\u0665", "x" * 5000])
def test_nothing_else_can_be_chosen(alice: Account, wrong: str) -> None:
    answer = browser_of(alice).post(reverse("undo-send"), {"seconds": wrong})
    assert answer.status_code == 422
    assert "Nothing was changed." in answer.content.decode()
    assert not UndoChoice.objects.exists()


def test_the_choice_goes_along_in_an_export(alice: Account) -> None:
    assert [each for each in exported_settings.settings_of(alice) if each["kind"] == "undo-send"] == []
    choose(browser_of(alice), 30)
    (exported,) = [each for each in exported_settings.settings_of(alice) if each["kind"] == "undo-send"]
    there = new_account("bob")
    for data in (
        [{"kind": "undo-send", "seconds": wrong} for wrong in (True, "30", 31, -1, 30.0, None)],
        [exported],
        # What was chosen there meanwhile stays.
        [{"kind": "undo-send", "seconds": 5}],
    ):
        exported_settings.take_settings(there, json.dumps(data).encode())
        chosen = UndoChoice.objects.filter(account=there).values_list("seconds", flat=True).first()
        assert chosen == (30 if UndoChoice.objects.filter(account=there).exists() else None)
    assert keeping_back.undo_time(there) == timedelta(seconds=30)


def test_the_menu_leads_there_by_the_settings(alice: Account) -> None:
    browser = browser_of(alice)
    assert f'href="{reverse("settings")}"' in html_of(browser, reverse("inbox"))
    assert f'href="{reverse("undo-send")}"' in html_of(browser, reverse("settings"))


@pytest.mark.parametrize("way", ["taken back", "discarded", "scheduled and discarded"])
def test_who_is_written_to_counts_as_accepted_when_it_goes_out(
    alice: Account, with_bob: Conversation, way: str
) -> None:
    now = timezone.now()
    (bob,) = others_in(alice, with_bob)
    consent.choose(alice, WhoMayWrite.WRITTEN_TO)
    request = Conversation.Standing.REQUEST
    Conversation.objects.filter(pk=with_bob.pk).update(standing=request, started_by=bob)

    def written() -> PendingMessage:
        content, token = DraftContent("Path by the weir"), str(uuid4())
        if way.startswith("scheduled"):
            return keeping_back.schedule(alice, [bob], content, token, now + timedelta(days=1), now=now)
        return keeping_back.hold(alice, [bob], content, token, held_for=timedelta(seconds=10), now=now)

    row = written()
    # Where it may be taken back, it is in sight.
    assert consent.may_be_told(row.conversation)
    if way == "taken back":
        pending.take_back(alice, row.pk, now=now)
    else:
        pending.discard(alice, row.pk)
    assert not consent.may_begin(alice, bob)
    assert consent.accepted_among(alice, [bob]) == set()
    row = written()
    assert pending.release(row.pk, now=row.release_at) is not None
    assert consent.may_begin(alice, bob)
