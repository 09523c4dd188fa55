"""From a text in one account to a message in another's conversation, step by step, and each step twice."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, Peer
from accounts.peers import PeerDevice
from tests.webmail.conftest import Write, hand_over, seal
from webmail import archive, conversations, intake, kept_aside, outgoing, sealing, threads, trust
from webmail.mailbox import ARCHIVE, INBOX, QUARANTINE, open_mailbox
from webmail.mailbox.envelope_mail import mail_with_envelope
from webmail.models import Arrival, Conversation, Delivery, Message

pytestmark = pytest.mark.django_db


def texts(account: Account) -> list[list[str]]:
    """What each of the account's conversations says, newest conversation first."""
    found = []
    for row in conversations.list_conversations(account).rows:
        thread = threads.thread(account, conversations.find(account, row.id))
        found.append(["".join(part.text for part in entry.segments) for entry in thread.entries])
    return found


def folder(account: Account, name: str) -> list[int]:
    with open_mailbox(account.did) as mailbox:
        return mailbox.uids_after(name, 0)


def test_a_message_arrives_signed_and_rests_in_both_archives(
    alice: Account, bob: Account, write: Write
) -> None:
    text = "line one\nline two \U0001f98a https://a.example"
    message = write(alice, [bob], text)
    envelopes = seal(message)
    assert list(envelopes) == [bob.did]
    assert len(envelopes[bob.did]) == 1

    hand_over(bob, envelopes[bob.did])

    assert texts(bob) == texts(alice) == [[text]]
    received = Message.objects.get(account=bob)
    assert received.message_id == message.message_id
    assert received.trust == Message.Trust.SIGNED
    assert received.sender_did == alice.did
    assert received.unread
    assert (folder(bob, INBOX), len(folder(bob, ARCHIVE)), len(folder(alice, ARCHIVE))) == ([], 1, 1)
    assert Arrival.objects.get(account=bob).state == Arrival.State.DONE


def test_a_group_of_three_is_one_conversation_for_each(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    envelopes = seal(write(alice, [bob, carol], "to both"))
    hand_over(bob, envelopes[bob.did])
    hand_over(carol, envelopes[carol.did])
    reply = seal(write(bob, [alice, carol], "from bob"))
    hand_over(alice, reply[alice.did])
    hand_over(carol, reply[carol.did])

    assert texts(carol) == texts(alice) == [["to both", "from bob"]]
    assert Conversation.objects.get(account=carol).unread_count == 2


def test_the_same_page_sent_twice_is_one_message(alice: Account, bob: Account) -> None:
    token = "6f2b6e3e-3a0c-4a3d-9d5e-0f4f6f3f5b1a"
    first = outgoing.send(alice, [bob.did], "once", token)
    again = outgoing.send(alice, [bob.did], "once", token)
    assert first == again
    assert Delivery.objects.count() == 1


def test_the_same_envelope_by_two_carriers_is_shown_once(alice: Account, bob: Account, write: Write) -> None:
    envelope = seal(write(alice, [bob], "twice on the way"))[bob.did][0]
    raw = mail_with_envelope(envelope)
    with open_mailbox(bob.did) as mailbox:
        mailbox.append(INBOX, raw)
        mailbox.append(INBOX, raw)
    intake.pull(bob)
    hand_over(bob, [envelope])

    assert texts(bob) == [["twice on the way"]]
    assert folder(bob, INBOX) == []
    assert len(folder(bob, ARCHIVE)) == 1
    assert Conversation.objects.get(account=bob).unread_count == 1


def test_sealed_twice_it_is_shown_once(alice: Account, bob: Account, write: Write) -> None:
    message = write(alice, [bob], "sealed again")
    first = seal(message)[bob.did]
    Delivery.objects.update(state=Delivery.State.QUEUED)
    second = seal(message)[bob.did]
    assert first != second
    hand_over(bob, [*first, *second])
    assert texts(bob) == [["sealed again"]]
    assert Arrival.objects.filter(account=bob, state=Arrival.State.DONE).count() == 2


def test_a_pull_that_stopped_half_way_is_finished_by_the_next(
    alice: Account, bob: Account, write: Write
) -> None:
    hand_over(bob, seal(write(alice, [bob], "stopped"))[bob.did])
    # As if the worker died after storing and before archiving, and after archiving and before noting it.
    for archived in (None, timezone.now()):
        Message.objects.filter(account=bob).update(archived_at=archived)
        Arrival.objects.filter(account=bob).update(state=Arrival.State.OPENED)
        intake.pull(bob)
        assert Arrival.objects.get(account=bob).state == Arrival.State.DONE
        assert len(folder(bob, ARCHIVE)) == 1
    assert texts(bob) == [["stopped"]]


def test_what_is_for_another_key_is_kept_aside_with_its_reason(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    envelope = seal(write(alice, [bob], "for bob alone"))[bob.did][0]
    hand_over(carol, [envelope])

    aside = kept_aside.kept_aside(carol)
    assert [each.code for each in aside] == ["cannot-open"]
    assert texts(carol) == []
    assert folder(carol, INBOX) == []
    assert len(folder(carol, QUARANTINE)) == 1
    assert kept_aside.retry(carol, aside[0].id).trying
    assert [each.trying for each in kept_aside.kept_aside(carol)] == [True]
    intake.pull(carol)
    assert [(each.code, each.trying) for each in kept_aside.kept_aside(carol)] == [("cannot-open", False)]
    assert len(folder(carol, QUARANTINE)) == 1
    hand_over(carol, [envelope])
    assert len(kept_aside.kept_aside(carol)) == 1
    assert folder(carol, INBOX) == []


def test_ordinary_mail_stays_where_other_programs_find_it(bob: Account) -> None:
    with open_mailbox(bob.did) as mailbox:
        mailbox.append(INBOX, b"From: x@a.example\r\nSubject: hello\r\n\r\nplain\r\n")
    intake.pull(bob)
    intake.pull(bob)
    assert [each.code for each in kept_aside.kept_aside(bob)] == ["ordinary-mail"]
    assert len(folder(bob, INBOX)) == 1
    assert kept_aside.count(bob) == 0


def test_a_signer_whose_server_is_away_is_checked_later(
    alice: Account, bob: Account, write: Write, settings: Settings
) -> None:
    envelopes = seal(write(alice, [bob], "check me"))[bob.did]
    Peer.objects.all().delete()
    plc = settings.PLC_URL
    settings.PLC_URL = "http://localhost:1"
    cache.clear()
    hand_over(bob, envelopes)

    message = Message.objects.get(account=bob)
    assert message.trust == Message.Trust.UNCHECKED
    entry = threads.entry(bob, message.message_id)
    assert entry.shut
    assert entry.segments == []
    assert len(folder(bob, ARCHIVE)) == 1

    settings.PLC_URL = plc
    later = timezone.now() + timedelta(minutes=2)
    assert trust.take_due(later) == [message.pk]
    # It is in hand now; if it was lost there, it is found again.
    assert trust.take_due(later) == []
    assert trust.take_due(later + trust.IN_HAND) == [message.pk]
    trust.recheck(message)
    assert texts(bob) == [["check me"]]
    assert len(folder(bob, ARCHIVE)) == 1
    assert trust.take_due(timezone.now() + timedelta(days=1)) == []


def test_notes_to_oneself_need_no_delivery(alice: Account, write: Write) -> None:
    message = write(alice, [alice], "remember")
    assert how_far(alice, message) == ("Sealing", "Sealing")
    sealing.seal_message(message.pk)
    assert how_far(alice, message) == ("Kept in your archive", "Kept in your archive")
    assert texts(alice) == [["remember"]]
    assert Delivery.objects.count() == 0
    assert len(folder(alice, ARCHIVE)) == 1
    assert conversations.list_conversations(alice).rows[0].title == "Notes to self"


def how_far(account: Account, note: Message) -> tuple[str, str]:
    """What the list, and the thread, say of the way of a note to oneself. Neither shows drops."""
    (row,) = conversations.list_conversations(account).rows
    state = threads.entry(account, note.message_id).state
    assert state is not None
    assert row.alone
    assert state.alone
    return row.state_words, state.words


@pytest.mark.parametrize(
    ("recipients", "text", "code"),
    [
        ([], "x", "no-recipient"),
        (["bob"], "  \r\n ", "empty"),
        (["bob"], "a\x00b", "bad-text"),
        (["bob"], "\ud800", "bad-text"),
        (["bob"], "x" * 48_001, "too-long"),
        (["bob"] + [f"did:web:{number}.example" for number in range(60)], "x", "too-many"),
    ],
)
def test_what_cannot_be_sent_says_why_and_stores_nothing(
    people: dict[str, Account], recipients: list[str], text: str, code: str
) -> None:
    dids = [people[name].did if name in people else name for name in recipients]
    with pytest.raises(outgoing.CannotSend) as refused:
        outgoing.send(people["alice"], dids, text, "6f2b6e3e-3a0c-4a3d-9d5e-0f4f6f3f5b1a")
    assert refused.value.code == code
    assert refused.value.sentence
    assert Message.objects.count() == 0


def test_the_longest_text_that_is_taken_fits_an_envelope(alice: Account, bob: Account, write: Write) -> None:
    text = "\u00e9" * (outgoing.MAX_TEXT_BYTES // 2)
    hand_over(bob, seal(write(alice, [bob], text))[bob.did])
    assert texts(bob) == [[text]]


def test_the_list_costs_the_same_for_one_and_for_many(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    write(alice, [bob], "one")
    with CaptureQueriesContext(connection) as few:
        conversations.list_conversations(alice)
    write(alice, [carol], "two")
    write(alice, [bob, carol], "three")
    write(alice, [alice], "four")
    with CaptureQueriesContext(connection) as many:
        assert len(conversations.list_conversations(alice).rows) == 4
    assert len(many) == len(few)


def test_a_thread_costs_the_same_for_few_messages_and_for_many(
    alice: Account, bob: Account, write: Write
) -> None:
    write(alice, [bob], "number 0")
    conversation = Conversation.objects.get(account=alice)
    with CaptureQueriesContext(connection) as few:
        threads.thread(alice, conversation)
    for number in range(1, 8):
        write(alice, [bob], f"number {number}")
    conversation.refresh_from_db()
    with CaptureQueriesContext(connection) as many:
        assert len(threads.thread(alice, conversation).entries) == 8
    assert len(many) == len(few)


def test_threads_are_paged_and_appended_without_gap_or_overlap(
    alice: Account, bob: Account, write: Write
) -> None:
    sent = [write(alice, [bob], f"number {number}").message_id for number in range(7)]
    conversation = Conversation.objects.get(account=alice)
    newest = threads.thread(alice, conversation, limit=3)
    assert [entry.id for entry in newest.entries] == sent[4:]
    older = threads.thread(alice, conversation, before=newest.older_cursor, limit=3)
    assert [entry.id for entry in older.entries] == sent[1:4]
    oldest = threads.thread(alice, conversation, before=older.older_cursor, limit=3)
    assert [entry.id for entry in oldest.entries] == sent[:1]
    assert oldest.older_cursor is None
    assert [entry.id for entry in threads.entries_after(alice, conversation, sent[4])] == sent[5:]
    # Those placed in the very same instant keep their order.
    Message.objects.update(placed_at=timezone.now())
    again = threads.thread(alice, conversation, limit=3)
    assert [entry.id for entry in again.entries] == sent[4:]
    assert [e.id for e in threads.thread(alice, conversation, before=sent[4], limit=9).entries] == sent[:4]


def test_one_account_sees_nothing_of_another(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    message = write(alice, [bob], "private")
    with pytest.raises(conversations.NotFound):
        conversations.find(carol, message.conversation.conversation_id)
    with pytest.raises(conversations.NotFound):
        threads.entry(carol, message.message_id)
    assert conversations.list_conversations(carol).rows == []


def test_one_message_that_the_agent_refuses_keeps_no_other_from_the_archive(
    alice: Account, bob: Account, write: Write
) -> None:
    messages = [write(alice, [bob], text) for text in ("first", "broken", "third")]
    for message in messages:
        sealing.seal_message(message.pk)
    Message.objects.filter(account=alice).update(archived_at=None)
    with open_mailbox(alice.did) as mailbox:
        mailbox.expunge(ARCHIVE, mailbox.uids_after(ARCHIVE, 0))
    Message.objects.filter(pk=messages[1].pk).update(sealed=b"not what the agent sealed")
    archive.archive_waiting(alice, now=timezone.now())
    assert len(folder(alice, ARCHIVE)) == 2
    assert list(Message.objects.filter(archived_at=None)) == [messages[1]]


def test_a_sent_message_names_the_device_that_signed_it(alice: Account, bob: Account, write: Write) -> None:
    message = write(alice, [bob], "signed")
    sealing.seal_message(message.pk)
    message.refresh_from_db()
    assert message.sender_fingerprint == alice.devices.get(revoked_at=None).fingerprint


def test_slow_servers_of_some_keep_a_message_from_nobody_else(
    alice: Account, bob: Account, carol: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = write(alice, [bob, carol], "to a group")
    devices_of = sealing.peers.devices_of

    def slowly(did: str, **_options: bool) -> list[PeerDevice]:
        found = devices_of(did, fresh=True)
        time.sleep(1.1)
        return found

    with monkeypatch.context() as slow:
        slow.setattr(sealing.peers, "devices_of", slowly)
        ready = sealing.seal_message(message.pk, seconds=1.0)
    first, second = message.deliveries.order_by("pk")
    assert ready == [first.pk]
    assert (first.state, second.state) == (Delivery.State.SEALED, Delivery.State.QUEUED)
    assert second.failure_code == "peer-unreachable"
    assert second.next_attempt_at
    sealing.seal_message(message.pk, now=second.next_attempt_at)
    second.refresh_from_db()
    assert second.state == Delivery.State.SEALED


def test_a_message_is_sealed_by_one_worker_at_a_time(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = write(alice, [bob], "one at a time")
    now = timezone.now()
    with monkeypatch.context() as crashing:
        crashing.setattr(sealing, "_devices", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sealing.seal_message(message.pk, now=now)
    assert sealing.seal_message(message.pk, now=now) == []
    message.refresh_from_db()
    assert message.state == Message.State.COMPOSED
    later = now + timedelta(seconds=61)
    assert sealing.due(later, older_than=timedelta()) == [message.pk]
    assert len(sealing.seal_message(message.pk, now=later)) == 1
