"""What people learn of the messages that they sent, and what strangers do not."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import Account
from crypto_agent.atsms import content
from crypto_agent.client import AgentLocked, NewMessage, Receipt
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.other_client import OtherClient
from webmail import (
    acknowledging,
    blocking,
    contacts,
    conversations,
    events,
    exported_settings,
    news,
    outgoing,
    progress,
    queues,
    read_marks,
    rebuild,
    receipt_choices,
    tasks,
    threads,
    trust,
    waiting,
)
from webmail.message_info import message_info
from webmail.models import Acknowledgement, Conversation, Delivery, GraphEntry, Message, ReceiptChoice
from webmail.models import Receipt as ReceiptRow
from webmail.people import people_of

pytestmark = pytest.mark.django_db


def conversation_of(account: Account) -> Conversation:
    return Conversation.objects.get(account=account)


def tell(account: Account) -> list[Message]:
    """What the account's worker does when the wait is over; the receipts that it stored."""
    before = set(Message.objects.filter(account=account).values_list("pk", flat=True))
    Acknowledgement.objects.filter(message__account=account).update(due_at=timezone.now())
    acknowledging.send_due(conversation_of(account).pk, now=timezone.now())
    return list(Message.objects.filter(account=account).exclude(pk__in=before))


def bring(sender: Account, recipient: Account, messages: list[Message]) -> None:
    for message in messages:
        hand_over(recipient, seal(message)[recipient.did])


def words(account: Account, message: Message) -> tuple[int, str]:
    row = Message.objects.get(account=account, message_id=message.message_id)
    Delivery.objects.filter(message=row).update(state=Delivery.State.ACCEPTED)
    progress.prefetch([row])
    state = progress.of_message(row, people_of(row.conversation.participants))
    return state.steps, state.words


@pytest.fixture
def agreed(alice: Account, bob: Account, write: Write) -> Message:
    """A message of alice in a conversation in which bob has written."""
    bring(bob, alice, [write(bob, [alice], "hello")])
    message = write(alice, [bob], "hello back")
    bring(alice, bob, [message])
    return message


def test_whoever_opened_a_message_says_so_once_for_several(
    alice: Account, bob: Account, write: Write, agreed: Message
) -> None:
    more = write(alice, [bob], "one more thing")
    bring(alice, bob, [more])
    assert Acknowledgement.objects.filter(message__account=bob).count() == 2
    assert words(alice, agreed) == (3, "Their server has it")

    (receipt,) = tell(bob)
    assert not receipt.shown
    assert not Acknowledgement.objects.filter(message__account=bob).exists()
    bring(bob, alice, [receipt])
    for message in (agreed, more):
        assert words(alice, message) == (4, "Opened on their device")
    (way,) = message_info(alice, agreed.message_id).deliveries
    (copy,) = way.copies
    assert copy.opened_at == way.opened_at is not None
    assert copy.fingerprint == bob.devices.get().fingerprint
    assert copy.read_at is None

    # A receipt is never answered, here or there.
    assert tell(bob) == []
    assert tell(alice) == []
    assert not Acknowledgement.objects.filter(message__message_id=receipt.message_id).exists()


def test_the_way_of_a_receipt_sends_no_page_to_look_again(
    bob: Account,
    agreed: Message,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    looking: list[int] = []
    monkeypatch.setattr(queues, "give", lambda _task, _key, **_more: None)
    monkeypatch.setattr(events, "conversation_changed", lambda account, *_names: looking.append(account))
    with django_capture_on_commit_callbacks(execute=True):
        (receipt,) = tell(bob)
    tasks.seal(receipt.pk)
    assert Delivery.objects.get(message=receipt).state == Delivery.State.ACCEPTED
    assert looking == []


def test_nothing_is_told_before_the_wait_is_over(bob: Account, agreed: Message) -> None:
    row = Acknowledgement.objects.get(message__account=bob)
    opened_at = row.due_at - timedelta(seconds=acknowledging.LONGEST_WAIT)
    assert timezone.now() + timedelta(seconds=1) < row.due_at
    assert acknowledging.send_due(conversation_of(bob).pk, now=opened_at) == 0
    assert acknowledging.due(row.due_at) == []
    assert acknowledging.due(row.due_at + timedelta(seconds=1)) == [(conversation_of(bob).pk, bob.pk)]


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_the_wait_is_two_seconds_at_least(bob: Account, agreed: Message, chance: float) -> None:
    Acknowledgement.objects.all().delete()
    now = timezone.now()
    message = Message.objects.get(account=bob, message_id=agreed.message_id)
    acknowledging.note_opened([message], now=now, chance=chance)
    wait = Acknowledgement.objects.get().due_at - now
    assert timedelta(seconds=2) <= wait <= timedelta(seconds=5)


def test_a_worker_that_dies_between_tells_it_once(
    alice: Account, bob: Account, agreed: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(acknowledging.outgoing, "store_composed", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tell(bob)
    (batch,) = Acknowledgement.objects.filter(message__account=bob).values_list("batch", flat=True)
    assert batch
    (receipt,) = tell(bob)
    # And one that dies after it was stored, before that was noted.
    message = Message.objects.get(account=bob, message_id=agreed.message_id)
    Acknowledgement.objects.create(
        message=message, status="delivered", due_at=timezone.now(), batch=receipt.token
    )
    assert tell(bob) == []
    assert not Acknowledgement.objects.filter(message__account=bob).exists()


def test_a_stranger_learns_nothing(alice: Account, bob: Account, write: Write) -> None:
    first = write(alice, [bob], "you do not know me")
    bring(alice, bob, [first])
    read_marks.mark_read(bob, conversation_of(bob))
    receipt_choices.choose(bob, receipt_choices.READ, True)
    assert not Acknowledgement.objects.exists()
    assert tell(bob) == []
    # Neither of many reactions, edits and receipts to ids that nobody has.
    quiet = [NewMessage(reaction="x", in_reply_to=os.urandom(32).hex()) for _ in range(3)]
    quiet += [NewMessage("changed", replaces=os.urandom(32).hex())]
    quiet += [NewMessage(receipt=Receipt("read", [os.urandom(32).hex()]))]
    bring(alice, bob, [outgoing.send_message(alice, [bob.did], each, str(uuid4())) for each in quiet])
    assert not Acknowledgement.objects.exists()
    assert tell(bob) == []
    assert not Message.objects.filter(account=bob, direction="out").exists()


def test_whoever_is_blocked_learns_nothing_in_a_group_either(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    group = [bob, carol]
    message = write(alice, group, "all of us")
    envelopes = seal(message)
    for somebody in group:
        hand_over(somebody, envelopes[somebody.did])
    written = write(bob, [alice, carol], "from bob")
    from_carol = write(carol, [alice, bob], "from carol")
    bring(bob, alice, [written])
    bring(carol, alice, [from_carol])
    assert Acknowledgement.objects.filter(message__account=alice).count() == 2
    blocking.block(alice, bob.did, timezone.now())
    (receipt,) = tell(alice)
    assert set(seal(receipt)) == {carol.did}
    assert [each.recipient_did for each in receipt.deliveries.all()] == [carol.did]
    bring(alice, carol, [receipt])
    assert [each.recipient_did for each in ReceiptRow.objects.filter(message__account=carol)] == [alice.did]
    # What she writes herself goes to everybody in the group.
    assert set(seal(write(alice, group, "still all of us"))) == {bob.did, carol.did}


def test_a_stranger_in_somebody_elses_group_learns_nothing(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    bring(alice, bob, [write(alice, [bob], "you first")])
    from_bob = write(bob, [alice, carol], "a group of mine")
    bring(bob, alice, [from_bob])
    from_carol = write(carol, [alice, bob], "I am in it too")
    bring(carol, alice, [from_carol])
    group = Conversation.objects.get(account=alice, conversation_id=from_bob.conversation.conversation_id)

    def told() -> list[Message]:
        before = set(Message.objects.filter(account=alice).values_list("pk", flat=True))
        Acknowledgement.objects.filter(message__account=alice).update(due_at=timezone.now())
        acknowledging.send_due(group.pk, now=timezone.now())
        return list(Message.objects.filter(account=alice).exclude(pk__in=before))

    waiting_for = Acknowledgement.objects.filter(message__account=alice)
    assert [row.message.message_id for row in waiting_for] == [from_bob.message_id]
    # Nor does one whose word waited when it was decided that they are none of those accepted.
    stranger = Message.objects.get(account=alice, message_id=from_carol.message_id)
    Acknowledgement.objects.create(
        message=stranger, status=Acknowledgement.Status.DELIVERED, due_at=timezone.now()
    )
    (receipt,) = told()
    assert set(seal(receipt)) == {bob.did}
    assert [each.recipient_did for each in receipt.deliveries.all()] == [bob.did]
    bring(alice, bob, [receipt])
    assert [each.message.message_id for each in ReceiptRow.objects.all()] == [from_bob.message_id]
    assert not waiting_for.all().exists()

    # Whoever writes to all of them has accepted her.
    bring(alice, carol, [write(alice, [bob, carol], "hello both")])
    bring(carol, alice, [write(carol, [alice, bob], "and again")])
    (receipt,) = told()
    assert set(seal(receipt)) == {bob.did, carol.did}


def seen(account: Account, message: Message) -> str:
    """The words under a message in its thread, which are those of the list and of news as well."""
    Delivery.objects.filter(message=message).update(state=Delivery.State.ACCEPTED)
    (entry,) = [each for each in threads.thread(account, message.conversation).entries if each.own]
    (row,) = conversations.list_conversations(account).rows
    (told,) = news.news(account, message.conversation, {message.message_id[: news.PREFIX]: "other"}).states
    assert entry.state is not None
    assert told.state == entry.state
    assert (row.steps, row.state_words) == (entry.state.steps, entry.state.words)
    return entry.state.words


@pytest.mark.parametrize("by_record", [False, True])
def test_whoever_is_blocked_does_not_count_among_those_who_opened_it(
    alice: Account, bob: Account, carol: Account, write: Write, by_record: bool
) -> None:
    message, now = write(alice, [bob, carol], "all of us"), timezone.now()

    def says(did: str) -> None:
        ReceiptRow.objects.create(
            message=message, recipient_did=did, fingerprint="ab" * 32, opened_at=now, read_at=now
        )

    says(bob.did)
    assert seen(alice, message) == "Read by 1 of 2"
    if by_record:
        GraphEntry.objects.create(account=alice, did=bob.did, kind="block", since=now)
    else:
        blocking.block(alice, bob.did, now)
    assert seen(alice, message) == "Their server has it"
    says(carol.did)
    assert seen(alice, message) == f"Read by {carol.name}"
    if by_record:
        GraphEntry.objects.all().delete()
    else:
        blocking.unblock(alice, bob.did)
    assert seen(alice, message) == "Read by everybody"


def test_what_one_who_is_blocked_opened_alone_is_not_said(
    alice: Account, bob: Account, agreed: Message
) -> None:
    bring(bob, alice, tell(bob))
    assert words(alice, agreed) == (4, "Opened on their device")
    blocking.block(alice, bob.did, timezone.now())
    assert words(alice, agreed) == (3, "Their server has it")
    # A server that gave up says nothing of one whose device has it.
    Delivery.objects.filter(message=agreed).update(state=Delivery.State.FAILED)
    assert progress.of_message(agreed, people_of([bob.did])).failure is None


def test_what_waited_to_be_told_to_whoever_is_blocked_meanwhile_is_dropped(
    alice: Account, bob: Account, agreed: Message
) -> None:
    blocking.block(bob, alice.did, timezone.now())
    assert tell(bob) == []
    assert not Acknowledgement.objects.filter(message__account=bob).exists()


def test_reactions_edits_and_receipts_are_not_acknowledged_to_anybody(
    alice: Account, bob: Account, agreed: Message
) -> None:
    Acknowledgement.objects.all().delete()
    quiet = [
        NewMessage(reaction="x", in_reply_to=agreed.message_id),
        NewMessage("changed", replaces=agreed.message_id),
        NewMessage(receipt=Receipt("read", [agreed.message_id])),
        NewMessage(takes_back=True, replaces=agreed.message_id),
    ]
    bring(alice, bob, [outgoing.send_message(alice, [bob.did], each, str(uuid4())) for each in quiet])
    assert not Acknowledgement.objects.exists()


def test_it_can_be_switched_off(alice: Account, bob: Account, write: Write, agreed: Message) -> None:
    receipt_choices.choose(bob, receipt_choices.DELIVERED, False)
    assert tell(bob) == []
    bring(alice, bob, [write(alice, [bob], "and now")])
    assert tell(bob) == []


def test_having_read_is_told_only_where_it_was_chosen(
    alice: Account, bob: Account, write: Write, agreed: Message
) -> None:
    read_marks.mark_read(bob, conversation_of(bob))
    assert [row.status for row in Acknowledgement.objects.filter(message__account=bob)] == ["delivered"]
    bring(bob, alice, tell(bob))

    receipt_choices.choose(bob, receipt_choices.READ, True, conversation_of(bob))
    seen = write(alice, [bob], "see this")
    bring(alice, bob, [seen])
    read_marks.mark_read(bob, conversation_of(bob))
    # Told in one: whoever has read it has opened it.
    (receipt,) = tell(bob)
    # Whoever does not tell does not learn.
    bring(bob, alice, [receipt])
    assert words(alice, seen) == (4, "Opened on their device")

    receipt_choices.choose(alice, receipt_choices.READ, True)
    again = write(alice, [bob], "and this")
    bring(alice, bob, [again])
    read_marks.mark_read(bob, conversation_of(bob))
    bring(bob, alice, tell(bob))
    steps, said = words(alice, again)
    assert (steps, said.partition(" by ")[0]) == (4, "Read")
    receipt_choices.choose(alice, receipt_choices.READ, False)
    assert words(alice, again) == (4, "Opened on their device")


def test_having_read_is_told_of_what_a_page_showed_alone(
    alice: Account, bob: Account, write: Write, agreed: Message
) -> None:
    for account in (alice, bob):
        receipt_choices.choose(account, receipt_choices.READ, True)
    read_marks.mark_read(bob, conversation_of(bob))
    bring(bob, alice, tell(bob))
    shown, further = write(alice, [bob], "in sight"), write(alice, [bob], "further down")
    bring(alice, bob, [shown, further])
    read_marks.mark_read(bob, conversation_of(bob), shown={shown.message_id[: news.PREFIX]})
    bring(bob, alice, tell(bob))
    assert words(alice, shown)[1].startswith("Read")
    assert words(alice, further) == (4, "Opened on their device")
    assert conversation_of(bob).unread_count == 1


def test_only_a_recipient_can_say_so_and_only_of_this_conversation(
    alice: Account, bob: Account, carol: Account, write: Write, agreed: Message
) -> None:
    to_both = write(alice, [bob, carol], "for both")
    ids = [agreed.message_id, to_both.message_id, *(os.urandom(32).hex() for _ in range(900))]
    contacts.accept(carol, {alice.did: timezone.now()})
    forged = outgoing.send_message(
        carol, [alice.did], NewMessage(receipt=Receipt("delivered", ids)), str(uuid4())
    )
    bring(carol, alice, [forged])
    assert not ReceiptRow.objects.exists()
    # Bob may, but not here.
    elsewhere = outgoing.send_message(
        bob, [alice.did, carol.did], NewMessage(receipt=Receipt("delivered", ids)), str(uuid4())
    )
    bring(bob, alice, [elsewhere])
    assert [row.message for row in ReceiptRow.objects.all()] == [to_both]
    assert words(alice, agreed) == (3, "Their server has it")
    assert words(alice, to_both) == (3, "Opened on the device of 1 of 2")
    # Carol cannot say it of bob, nor bob of what he wrote himself.
    theirs = Message.objects.get(account=alice, sender_did=bob.did, shown=True)
    own = outgoing.send_message(
        bob, [alice.did], NewMessage(receipt=Receipt("read", [theirs.message_id])), str(uuid4())
    )
    bring(bob, alice, [own])
    assert ReceiptRow.objects.count() == 1


def test_a_receipt_counts_only_when_its_signature_was_checked(
    alice: Account, bob: Account, agreed: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    (receipt,) = tell(bob)
    unchecked = trust.Verdict(Message.Trust.UNCHECKED, "signer-unreachable")
    with monkeypatch.context() as away:
        away.setattr(trust, "check", lambda *_: unchecked)
        bring(bob, alice, [receipt])
    assert not ReceiptRow.objects.exists()
    trust.recheck(Message.objects.get(account=alice, message_id=receipt.message_id))
    assert words(alice, agreed) == (4, "Opened on their device")


def test_a_state_never_goes_back(alice: Account, bob: Account, agreed: Message) -> None:
    receipt_choices.choose(alice, receipt_choices.READ, True)
    read, delivered = (
        outgoing.send_message(
            bob, [alice.did], NewMessage(receipt=Receipt(status, [agreed.message_id])), str(uuid4())
        )
        for status in ("read", "delivered")
    )
    bring(bob, alice, [read])
    first = words(alice, agreed)
    assert first[0] == 4
    assert first[1].startswith("Read by")
    bring(bob, alice, [delivered])
    assert words(alice, agreed) == first
    # Nor does a late report of a server undo it.
    Delivery.objects.filter(message=agreed).update(state=Delivery.State.FAILED, failure_code="gone")
    row = Message.objects.get(pk=agreed.pk)
    progress.prefetch([row])
    assert progress.of_message(row, people_of([bob.did])).failure is None


def test_another_program_says_it_for_its_own_device(alice: Account, bob: Account, agreed: Message) -> None:
    phone = OtherClient.of(bob)
    phone.publish()
    try:
        part = content.InlinePart(6, {"status": "delivered", "ids": [bytes.fromhex(agreed.message_id)]})
        hand_over(alice, phone.write([alice], [part])[:1])
    finally:
        phone.withdraw()
    assert words(alice, agreed) == (4, "Opened on their device")
    (way,) = message_info(alice, agreed.message_id).deliveries
    assert {copy.fingerprint: bool(copy.opened_at) for copy in way.copies} == {
        phone.fingerprint: True,
        bob.devices.get().fingerprint: False,
    }


def test_a_restored_index_knows_what_was_opened(alice: Account, bob: Account, agreed: Message) -> None:
    bring(bob, alice, tell(bob))
    Conversation.objects.filter(account=alice).delete()
    assert not ReceiptRow.objects.exists()
    rebuild.rebuild(alice)
    entries = threads.thread(alice, conversation_of(alice)).entries
    assert [entry.state.words for entry in entries if entry.state] == ["Opened on their device"]
    (way,) = message_info(alice, agreed.message_id).deliveries
    assert (way.recipient.did, way.steps, way.words) == (bob.did, 4, "Opened on their device")
    # And nobody is told anything again.
    rebuild.rebuild(bob)
    assert tell(bob) == []


def test_choices_go_along_with_an_account(alice: Account, agreed: Message) -> None:
    receipt_choices.choose(alice, receipt_choices.READ, True)
    receipt_choices.choose(alice, receipt_choices.READ, False, conversation_of(alice))
    exported = list(exported_settings.settings_of(alice))
    ReceiptChoice.objects.all().delete()
    odd = [{"kind": "receipts", "conversation": 1, "status": "read", "tells": True}, {"kind": "receipts"}]
    exported_settings.take_settings(alice, json.dumps([*exported, *odd]).encode())
    assert receipt_choices.tells(alice, receipt_choices.READ)
    assert not receipt_choices.tells(alice, receipt_choices.READ, conversation_of(alice))
    assert ReceiptChoice.objects.count() == 2


def test_locked_keys_tell_when_they_open(
    bob: Account, agreed: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Locked:
        def compose_receipt(self, *_: object, **__: object) -> None:
            raise AgentLocked("AccountLocked", "locked")

    Acknowledgement.objects.update(due_at=timezone.now() - timedelta(hours=1))
    with monkeypatch.context() as locked:
        locked.setattr(acknowledging, "agent", Locked)
        tasks.acknowledge(conversation_of(bob).pk)
    bob.refresh_from_db()
    assert bob.waits_since
    assert Acknowledgement.objects.filter(message__account=bob).exists()
    given: list[tuple[str, int]] = []
    monkeypatch.setattr(waiting.queues, "give", lambda task, key, **_: given.append((task, key)))
    waiting._enqueue(bob.pk)
    assert ("webmail.tasks.acknowledge", conversation_of(bob).pk) in given
    tasks.acknowledge(conversation_of(bob).pk)
    assert not Acknowledgement.objects.filter(message__account=bob).exists()
