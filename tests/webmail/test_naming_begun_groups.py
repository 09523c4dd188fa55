"""A group that is named as it is begun: the name goes out with the first message, or not at all."""

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
from tests.webmail.conftest import hand_over, seal
from tests.webmail.test_pages import assert_nothing_inline, html_of
from webmail import conversations, pending, threads
from webmail.group_page import name_group
from webmail.models import Conversation, Draft, Message, PendingMessage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

NAME = "Sunday walk"
TEXT = "Who comes along?"
EVENT = f"You named this group “{NAME}”"


@pytest.fixture
def dids(alice: Account, bob: Account, carol: Account, settings: Settings) -> list[str]:
    """Of those who are chosen."""
    settings.UNDO_SECONDS = 10
    # All of this is done by pages.
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()
    return [bob.did, carol.did]


def begin(browser: Client, dids: list[str], *, status: int = 302, **more: object) -> str:
    """The page that comes, or its address."""
    form = {"do": "send", "to": dids, "text": TEXT, "token": str(uuid4()), "group_name": NAME, **more}
    answer = browser.post(reverse("new-conversation"), form)
    assert answer.status_code == status, answer.content.decode()[:2000]
    return answer.headers["Location"] if status == 302 else answer.content.decode()


def the_one() -> PendingMessage:
    return PendingMessage.objects.get(goes_with=None)


def said(account: Account) -> list[str]:
    (conversation,) = Conversation.objects.filter(account=account)
    found = threads.thread(account, conversation).entries
    return [each.event or each.segments[0].text for each in found]


def titles(account: Account) -> list[str]:
    return [row.title for row in conversations.list_conversations(account).rows]


def test_the_name_goes_out_behind_the_first_message(
    alice: Account, at_alices: Client, dids: list[str]
) -> None:
    begin(at_alices, dids, group_name=f"  {NAME} ")
    row = the_one()
    assert pending.release(row.pk, now=row.release_at - timedelta(seconds=1)) is None
    assert not Message.objects.exists()
    for _twice in range(2):
        pending.release(row.pk, now=row.release_at)
    assert said(alice) == [TEXT, EVENT]
    assert titles(alice) == [NAME]


def test_taken_back_neither_goes_out_and_the_page_has_both_again(
    alice: Account, at_alices: Client, dids: list[str]
) -> None:
    begin(at_alices, dids)
    row = the_one()
    answer = at_alices.post(reverse("pending-undo", args=[row.pk]), headers={"HX-Request": "true"})
    again = answer.headers["HX-Redirect"]
    html = html_of(at_alices, again)
    assert_nothing_inline(html)
    assert re.findall(r'name="to" value="([^"]+)"', html) == dids
    assert f'name="group_name" value="{NAME}"' in html
    assert f"{TEXT}</textarea>" in html
    assert pending.release(row.pk, now=row.release_at) is None
    assert not PendingMessage.objects.exists()
    assert not Message.objects.exists()
    # Sent from there, the draft is gone.
    (draft_id,) = parse_qs(urlsplit(again).query)["draft"]
    begin(at_alices, dids, draft=draft_id, revision=Draft.objects.get().revision)
    assert not Draft.objects.exists()
    row = the_one()
    pending.release(row.pk, now=row.release_at)
    assert said(alice) == [TEXT, EVENT]


def test_a_message_without_a_name_is_taken_back_to_the_composer(at_alices: Client, dids: list[str]) -> None:
    begin(at_alices, dids, group_name=" \u200b ")
    assert PendingMessage.objects.count() == 1
    answer = at_alices.post(reverse("pending-undo", args=[the_one().pk]))
    assert answer.headers["Location"] == reverse(
        "conversation", args=[Conversation.objects.get().conversation_id]
    )


def test_what_is_thrown_away_takes_the_name_with_it(at_alices: Client, dids: list[str]) -> None:
    begin(at_alices, dids, at=(timezone.now() + timedelta(days=1)).isoformat())
    at_alices.post(reverse("pending-discard", args=[the_one().pk]))
    assert not PendingMessage.objects.exists()
    assert not Message.objects.exists()


def test_at_a_time_of_its_own_the_name_goes_out_with_it(
    alice: Account, at_alices: Client, dids: list[str]
) -> None:
    begin(at_alices, dids, at=(timezone.now() + timedelta(days=1)).isoformat())
    pending.change_time(alice, the_one().pk, None, now=timezone.now())
    assert said(alice) == [TEXT, EVENT]


def test_who_switched_undo_off_names_it_at_once_for_everybody(
    alice: Account, bob: Account, carol: Account, at_alices: Client, dids: list[str], settings: Settings
) -> None:
    at_alices.post(reverse("undo-send"), {"seconds": 0})
    token = str(uuid4())
    pages = {begin(at_alices, dids, token=token) for _twice in range(2)}
    assert len(pages) == 1
    assert said(alice) == [TEXT, EVENT]
    assert Message.objects.count() == 2
    settings.AGENT_CALLER = "worker"
    kept_client.cache_clear()
    for message in Message.objects.filter(account=alice).order_by("pk"):
        envelopes = seal(message)
        for recipient in (bob, carol):
            hand_over(recipient, envelopes[recipient.did])
    for recipient in (bob, carol):
        assert said(recipient)[0] == TEXT
        assert said(recipient)[1].endswith(f"named this group “{NAME}”")


def test_two_people_go_by_their_names_and_a_group_keeps_the_one_it_has(
    alice: Account, at_alices: Client, dids: list[str]
) -> None:
    begin(at_alices, dids[:1])
    assert PendingMessage.objects.count() == 1
    PendingMessage.objects.all().delete()
    Conversation.objects.all().delete()
    at_alices.post(reverse("undo-send"), {"seconds": 0})
    begin(at_alices, dids, group_name="")
    assert len(said(alice)) == 1
    # It is there and has no name yet.
    assert "data-may-be-named" in chips(at_alices, dids)
    name_group(alice, Conversation.objects.get(), "Pub quiz", str(uuid4()))
    assert "data-may-be-named" not in chips(at_alices, dids)
    begin(at_alices, dids)
    assert titles(alice) == ["Pub quiz"]


def chips(browser: Client, dids: list[str]) -> str:
    """What comes as somebody is removed or chosen; the field of the name is shown by it."""
    answer = browser.post(reverse("choose-people"), {"to": dids}, headers={"HX-Request": "true"})
    found = re.search("<ul class=.chips.[^>]*>", answer.content.decode())
    assert found is not None
    return found[0]


def test_the_page_offers_it_to_two_and_keeps_what_is_typed(at_alices: Client, dids: list[str]) -> None:
    assert "data-may-be-named" in chips(at_alices, dids)
    assert "data-may-be-named" not in chips(at_alices, dids[:1])
    assert "data-may-be-named" not in chips(at_alices, [])
    # Without script each button posts all of the form.
    html = begin(at_alices, dids, status=200, do="add")
    assert '<ul class="chips" id="chips" data-may-be-named' in html
    assert f'name="group_name" value="{NAME}"' in html
    too_long = begin(at_alices, dids, status=422, group_name="x" * 101)
    assert "A name can have up to 100 characters." in too_long
    assert f'value="{"x" * 101}"' in too_long
    assert not PendingMessage.objects.exists()


def test_a_conversation_that_goes_on_under_its_name_has_no_field_for_one(
    alice: Account, at_alices: Client, dids: list[str]
) -> None:
    at_alices.post(reverse("undo-send"), {"seconds": 0})
    begin(at_alices, dids, group_name="")
    page = f"{reverse('new-conversation')}?from={Conversation.objects.get().conversation_id}"
    assert 'name="group_name"' in html_of(at_alices, page)
    name_group(alice, Conversation.objects.get(), NAME, str(uuid4()))
    html = html_of(at_alices, page)
    assert "of the same name" in html
    assert 'name="group_name"' not in html


def test_a_draft_has_the_name(at_alices: Client, dids: list[str]) -> None:
    draft_id = uuid4().hex
    fields = {"draft": draft_id, "to": dids, "text": "", "group_name": NAME, "writer": draft_id}
    assert at_alices.post(reverse("draft-keep-new"), fields).status_code == 200
    html = html_of(at_alices, f"{reverse('new-conversation')}?draft={draft_id}")
    assert f'name="group_name" value="{NAME}"' in html
