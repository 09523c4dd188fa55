"""What waits to be passed on goes out as it was taken, but not once its writer took it back."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from crypto_agent.client import AgentClient, AgentUnavailable, NewMessage
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.test_pages import assert_nothing_inline
from webmail import changing, forgetting, forwarding, pending, threads
from webmail.models import Message, PendingMessage
from webmail.outgoing import CannotSend, send_message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

TEXT = "The ferry goes at nine."
SAYS = "This was taken back meanwhile, so it is not forwarded."


@pytest.fixture(autouse=True)
def held_for_ten_seconds(settings: Settings) -> None:
    settings.UNDO_SECONDS = 10


@pytest.fixture
def bobs(alice: Account, bob: Account, write: Write) -> Message:
    """As alice has it."""
    sent = write(bob, [alice], TEXT)
    hand_over(alice, seal(sent)[alice.did])
    return Message.objects.get(account=alice, message_id=sent.message_id)


def forwarded(account: Account, message: Message, to: Account) -> PendingMessage:
    row = forwarding.forward_to(account, message.message_id, [to.did], str(uuid4()), now=timezone.now())
    assert isinstance(row, PendingMessage)
    return row


def changes(writer: Account, reader: Account, new: NewMessage) -> None:
    hand_over(reader, seal(send_message(writer, [reader.did], new, str(uuid4())))[reader.did])


def texts_to(account: Account, row: PendingMessage) -> list[str]:
    return [entry.text for entry in threads.thread(account, row.conversation).entries]


def test_what_its_writer_takes_back_stays_says_so_and_can_be_discarded(
    alice: Account, bob: Account, carol: Account, bobs: Message, at_alices: Client
) -> None:
    row = forwarded(alice, bobs, carol)
    changes(bob, alice, NewMessage(takes_back=True, replaces=bobs.message_id))
    assert pending.release(row.pk, now=row.release_at) is None
    assert texts_to(alice, row) == []
    for page in (reverse("conversation", args=[row.conversation.conversation_id]), reverse("scheduled")):
        html = at_alices.get(page).content.decode()
        assert_nothing_inline(html)
        assert SAYS in html
        assert reverse("pending-discard", args=[row.pk]) in html
        assert reverse("pending-send", args=[row.pk]) not in html
    with pytest.raises(CannotSend, match="taken-back"):
        pending.change_time(alice, row.pk, None, now=timezone.now())
    row.refresh_from_db()
    assert pending.release(row.pk, now=row.release_at) is None
    at_alices.post(reverse("pending-discard", args=[row.pk]))
    assert not PendingMessage.objects.exists()
    assert texts_to(alice, row) == []


def test_an_edit_meanwhile_changes_nothing(
    alice: Account, bob: Account, carol: Account, bobs: Message
) -> None:
    row = forwarded(alice, bobs, carol)
    changes(bob, alice, NewMessage("At ten.", replaces=bobs.message_id))
    assert pending.release(row.pk, now=row.release_at) is not None
    assert texts_to(alice, row) == [TEXT]


def let_go(account: Account, message: Message) -> None:
    now = timezone.now()
    forgetting.forget(account, message.message_id, now=now)
    assert not forgetting.erase(account, now=now)
    assert bytes(Message.objects.get(account=account, replaces=message.message_id).sealed) == b""


def test_what_was_edited_and_then_deleted_here_goes_out(
    alice: Account, bob: Account, carol: Account, bobs: Message
) -> None:
    changes(bob, alice, NewMessage("At ten.", replaces=bobs.message_id))
    row = forwarded(alice, bobs, carol)
    let_go(alice, bobs)
    assert pending.release(row.pk, now=row.release_at) is not None
    assert texts_to(alice, row) == ["At ten."]


def test_what_its_writer_took_back_stays_though_it_was_deleted_here(
    alice: Account, bob: Account, carol: Account, bobs: Message, at_alices: Client
) -> None:
    row = forwarded(alice, bobs, carol)
    changes(bob, alice, NewMessage(takes_back=True, replaces=bobs.message_id))
    let_go(alice, bobs)
    assert pending.release(row.pk, now=row.release_at) is None
    assert texts_to(alice, row) == []
    assert SAYS in at_alices.get(reverse("scheduled")).content.decode()


def test_another_conversation_s_word_takes_nothing_back(
    alice: Account, bob: Account, carol: Account, bobs: Message
) -> None:
    row = forwarded(alice, bobs, carol)
    changes(carol, alice, NewMessage(takes_back=True, replaces=bobs.message_id))
    assert pending.release(row.pk, now=row.release_at) is not None


def test_whoever_takes_back_what_nobody_has_takes_back_what_passes_it_on(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    own, other = write(alice, [bob], TEXT), write(alice, [bob], "Another one")
    row, stays = forwarded(alice, own, carol), forwarded(alice, other, carol)
    assert not changing.take_back(alice, own.message_id, str(uuid4()))
    assert pending.release(row.pk, now=row.release_at) is None
    assert pending.release(stays.pk, now=stays.release_at) is not None
    assert texts_to(alice, row) == ["Another one"]


def test_while_nobody_can_tell_it_waits(
    alice: Account, bob: Account, carol: Account, bobs: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of the agent for what nobody changed."""
    other = forwarded(alice, bobs, carol)
    changed = forwarded(alice, bobs, bob)

    def away(*_any: object, **_more: object) -> None:
        raise AgentUnavailable("AgentUnavailable", "no answer in time")

    with monkeypatch.context() as sealed:
        sealed.setattr(AgentClient, "read", away)
        assert pending.release(other.pk, now=other.release_at) is not None
    changes(bob, alice, NewMessage("At ten.", replaces=bobs.message_id))
    with monkeypatch.context() as sealed:
        sealed.setattr(AgentClient, "read", away)
        assert pending.release(changed.pk, now=changed.release_at) is None
        with pytest.raises(CannotSend, match="unreadable"):
            pending.change_time(alice, changed.pk, None, now=timezone.now())
    changed.refresh_from_db()
    assert changed.kind == PendingMessage.Kind.HELD
    assert pending.release(changed.pk, now=changed.release_at) is not None
