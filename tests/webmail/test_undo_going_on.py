"""Adding people, and going on without somebody, may be taken back for a moment, with all that follows."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.agent import kept_client
from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.conftest import Write
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.test_locked import lock_account, unlock_in
from tests.webmail.test_pages import assert_nothing_inline, html_of
from webmail import keeping_back, pending, threads
from webmail.draft_content import DraftContent
from webmail.group_page import name_group
from webmail.models import Conversation, Draft, Message, PendingMessage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

TEXT = "Just the two of us"
TOLD = "I go on in a narrower conversation, without "


@pytest.fixture
def group(alice: Account, bob: Account, carol: Account, write: Write, settings: Settings) -> Conversation:
    settings.UNDO_SECONDS = 10
    # All of this is done by pages.
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()
    return write(alice, [bob, carol], "where to?").conversation


def go_on(browser: Client, group: Conversation, bob: Account, **more: object) -> PendingMessage | None:
    form = {
        "do": "send",
        "from": group.conversation_id,
        "to": [bob.did],
        "text": TEXT,
        "token": str(uuid4()),
        "tell": "1",
        **more,
    }
    answer = browser.post(reverse("new-conversation"), form)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return PendingMessage.objects.first()


def said_in(conversation: Conversation) -> list[str]:
    found = threads.thread(conversation.account, conversation).entries
    return [each.event or each.segments[0].text for each in found]


def test_none_of_it_goes_out_while_it_can_be_taken_back(
    at_alices: Client, group: Conversation, bob: Account
) -> None:
    row = go_on(at_alices, group, bob)
    assert row is not None
    page = html_of(at_alices, reverse("conversation", args=[row.conversation.conversation_id]))
    assert page.count("Sending in a moment") == 2
    assert pending.release(row.pk, now=row.release_at - timedelta(seconds=1)) is None
    assert Message.objects.count() == 1
    for _twice in range(2):
        pending.release(row.pk, now=row.release_at)
    assert said_in(row.conversation) == [TEXT]
    assert said_in(group)[-1].startswith(TOLD)
    assert Message.objects.count() == 3


def test_taken_back_it_is_the_draft_of_a_new_conversation_with_the_same_people(
    at_alices: Client, group: Conversation, bob: Account
) -> None:
    row = go_on(at_alices, group, bob)
    assert row is not None
    answer = at_alices.post(reverse("pending-undo", args=[row.pk]), headers={"HX-Request": "true"})
    again = answer.headers["HX-Redirect"]
    html = html_of(at_alices, again)
    assert_nothing_inline(html)
    assert "Go on with other people" in html
    assert f"{TEXT}</textarea>" in html
    assert f'name="from" value="{group.conversation_id}"' in html
    assert re.findall(r'name="to" value="([^"]+)"', html) == [bob.did]
    assert pending.release(row.pk, now=row.release_at) is None
    assert Message.objects.count() == 1
    # Kept as it is typed, it still goes on from there; sent, the draft is gone.
    (draft_id,) = parse_qs(urlsplit(again).query)["draft"]
    known = Draft.objects.get().revision
    fields = {"draft": draft_id, "text": TEXT, "to": bob.did, "from": group.conversation_id}
    kept = at_alices.post(reverse("draft-keep-new"), {**fields, "revision": known})
    assert kept.status_code == 200
    assert f'name="from" value="{group.conversation_id}"' in html_of(at_alices, again)
    row = go_on(at_alices, group, bob, draft=draft_id, revision=kept.json()["revision"])
    assert row is not None
    assert not Draft.objects.exists()
    pending.release(row.pk, now=row.release_at)
    assert said_in(group)[-1].startswith(TOLD)


def test_at_a_time_of_its_own_all_of_it_goes_out(
    at_alices: Client, group: Conversation, bob: Account
) -> None:
    row = go_on(at_alices, group, bob, at=(timezone.now() + timedelta(days=1)).isoformat())
    assert row is not None
    assert said_in(group) == ["where to?"]
    pending.change_time(group.account, row.pk, None, now=timezone.now())
    assert said_in(group)[-1].startswith(TOLD)


def test_where_it_goes_on_is_told_for_the_time_that_was_chosen_meanwhile(
    at_alices: Client, group: Conversation, bob: Account
) -> None:
    row = go_on(at_alices, group, bob, at=(timezone.now() + timedelta(days=1)).isoformat())
    assert row is not None
    disappear = reverse("conversation-disappear", args=[group.conversation_id])
    assert at_alices.post(disappear, {"seconds": 3600}).status_code == 302
    assert pending.release(row.pk, now=row.release_at) is not None
    assert said_in(group)[-1].startswith(TOLD)
    assert Message.objects.filter(conversation=group).latest("pk").expires_after == 3600
    assert Message.objects.get(conversation=row.conversation).expires_after == 0


def test_who_is_not_told_hears_nothing(at_alices: Client, group: Conversation, bob: Account) -> None:
    row = go_on(at_alices, group, bob, tell="")
    assert row is not None
    assert pending.release(row.pk, now=row.release_at) is not None
    assert said_in(group) == ["where to?"]


def test_who_switched_undo_off_goes_on_at_once(at_alices: Client, group: Conversation, bob: Account) -> None:
    at_alices.post(reverse("undo-send"), {"seconds": 0})
    assert go_on(at_alices, group, bob) is None
    assert said_in(group)[-1].startswith(TOLD)
    assert Message.objects.count() == 3


def test_it_goes_out_complete_while_the_keys_are_locked(agent_process: AgentProcess) -> None:
    alice = new_account("alice")
    bob, carol, dan = (peer(name, display_name=name.capitalize()).did for name in ("bob", "carol", "dan"))
    group = received(alice, bob, "Hello", others=(carol,)).conversation
    name_group(alice, group, "Sunday walk", str(uuid4()))
    row = keeping_back.hold(
        alice,
        [bob, carol, dan],
        DraftContent("Dan comes too", people=(bob, carol, dan), told="We go on."),
        str(uuid4()),
        held_for=timedelta(seconds=10),
        former=Conversation.objects.get(pk=group.pk),
        now=timezone.now(),
    )
    assert PendingMessage.objects.count() == 3
    assert len(pending.due(row.release_at)) == 1
    lock_account(alice, kept_client())
    assert pending.release(row.pk, now=row.release_at) is not None
    assert not PendingMessage.objects.exists()
    unlock_in(browser_of(alice))
    alice.refresh_from_db()
    there = Conversation.objects.get(pk=row.conversation.pk)
    sent = Message.objects.filter(direction="out").values_list("conversation_id", flat=True)
    assert sorted(sent) == sorted([group.pk, group.pk, there.pk, there.pk])
    assert there.named_by_id is not None
