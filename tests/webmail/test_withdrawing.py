"""What no server has yet of a message that was taken back, deleted or discarded goes to nobody any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import peers
from accounts.models import Account
from tests.webmail.conftest import UNREACHABLE, Publish, Write, carry, hand_over, seal
from tests.webmail.test_comparing import match, states
from webmail import (
    carriers,
    changing,
    deliveries,
    delivery_reports,
    forgetting,
    held_messages,
    not_arrived,
    outgoing,
    progress,
    sealing,
    threads,
)
from webmail.carriers import Accepted, Deferred, Outcome, Refused
from webmail.conversations import NotFound
from webmail.models import Conversation, Delivery, DeliveryCopy, Message, Receipt
from webmail.people import people_of

pytestmark = pytest.mark.django_db

BROKEN_OFF = Deferred("server-unreachable", "the answer was lost", perhaps=True)
STOPPED = Delivery.State.WITHDRAWN


def take_back(account: Account, message: Message) -> bool:
    return changing.take_back(account, message.message_id, str(uuid4()))


def taking_back(message: Message) -> Message | None:
    return Message.objects.filter(account=message.account_id, replaces=message.message_id).first()


def state_to(message: Message, recipient: Account) -> str:
    return Delivery.objects.get(message=message, recipient_did=recipient.did).state


def texts(account: Account) -> list[str]:
    conversations = Conversation.objects.filter(account=account)
    return [entry.text for each in conversations for entry in threads.thread(account, each).entries]


@pytest.mark.parametrize("by", ["take-back", "delete", "discard"])
def test_what_waits_for_a_look_at_keys_is_sent_no_more(
    alice: Account, bob: Account, write: Write, publish: Publish, by: str
) -> None:
    match(alice, bob)
    publish(bob)
    message = write(alice, [bob], "thought better of it")
    assert seal(message) == {}
    now = timezone.now()
    if by == "take-back":
        assert not take_back(alice, message)
    elif by == "delete":
        assert forgetting.forget(alice, message.message_id, now=now)
    else:
        not_arrived.discard(alice, message.message_id, now=now)
    assert taking_back(message) is None
    match(alice, bob)
    assert sealing.due(now + timedelta(days=1), older_than=timedelta(0)) == []
    assert seal(message) == {}
    assert states(message)[bob.did][0] == STOPPED
    assert texts(alice) == []
    # Nothing of it rests here either.
    assert not forgetting.erase(alice, now=now)
    message.refresh_from_db()
    assert (bytes(message.sealed), message.erased_at) == (b"", now)


def test_what_was_let_go_of_before_is_not_released(
    alice: Account, bob: Account, write: Write, publish: Publish
) -> None:
    match(alice, bob)
    publish(bob)
    message = write(alice, [bob], "let go of")
    seal(message)
    Message.objects.update(forgotten_at=timezone.now())
    held_messages.release(alice, bob.did)
    assert state_to(message, bob) == Delivery.State.HELD


def test_what_a_server_away_did_not_get_is_sent_no_more(
    alice: Account, bob: Account, write: Write, answers: list[Outcome]
) -> None:
    message = write(alice, [bob], "thought better of it")
    seal(message)
    carry(message, bob)
    assert not take_back(alice, message)
    assert taking_back(message) is None
    assert not DeliveryCopy.objects.exists()
    answers[:] = [Accepted("here")]
    later = timezone.now() + timedelta(days=3)
    assert deliveries.due(later) == []
    carry(message, bob)
    assert state_to(message, bob) == STOPPED
    # Nor does a second press do anything.
    with pytest.raises(NotFound):
        take_back(alice, message)


@pytest.mark.parametrize("opened", [False, True])
def test_those_alone_who_may_have_it_hear_that_it_was_taken_back(
    alice: Account, bob: Account, carol: Account, write: Write, answers: list[Outcome], opened: bool
) -> None:
    message = write(alice, [bob, carol], "for both")
    for_carol = seal(message)[carol.did]
    edit = changing.edit(alice, message.message_id, "for both, anew", str(uuid4()))
    assert edit is None
    carry(message, bob)
    if opened:
        Receipt.objects.create(
            message=message, recipient_did=carol.did, fingerprint="ab", opened_at=timezone.now()
        )
        carry(message, carol)
    else:
        answers[:] = [Accepted("here", relayed=True)]
        carry(message, carol)
    hand_over(carol, for_carol)
    assert take_back(alice, message)
    assert state_to(message, bob) == STOPPED
    tombstone = Message.objects.get(account=alice, takes_back=True)
    edited = Message.objects.get(account=alice, replaces=message.message_id, takes_back=False)
    assert seal(edited) == {}
    envelopes = seal(tombstone)
    assert list(envelopes) == [carol.did]
    hand_over(carol, envelopes[carol.did])
    (entry,) = threads.thread(carol, Conversation.objects.get(account=carol)).entries
    assert entry.tombstone
    # Once it is deleted here as well, those who have it are asked all the same.
    assert not forgetting.forget(alice, message.message_id, now=timezone.now())
    assert state_to(tombstone, carol) == Delivery.State.SEALED


@pytest.mark.parametrize(
    ("outcome", "ends"),
    [(UNREACHABLE, STOPPED), (Refused("gone", "410"), STOPPED), (Accepted("ok"), Delivery.State.ACCEPTED)],
)
def test_a_try_under_way_counts_as_one_that_may_have_arrived(
    alice: Account,
    bob: Account,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[Outcome],
    outcome: Outcome,
    ends: str,
) -> None:
    message = write(alice, [bob], "on the line")
    seal(message)
    taken_back: list[bool] = []

    def carry_meanwhile(_way: object, envelopes: Sequence[bytes], **_more: object) -> list[Outcome]:
        taken_back.append(take_back(alice, message))
        return [outcome] * len(envelopes)

    monkeypatch.setattr(carriers, "carry", carry_meanwhile)
    monkeypatch.setattr(deliveries.routes, "routes_for", lambda did: routes_for(did)[:1])
    carry(message, bob)
    assert taken_back == [True]
    assert taking_back(message) is not None
    assert state_to(message, bob) == ends
    assert deliveries.due(timezone.now() + timedelta(days=1)) == []
    assert sealing.due(timezone.now() + timedelta(days=1), older_than=timedelta(0)) != [message.pk]


routes_for = deliveries.routes.routes_for


def test_a_try_that_was_broken_off_may_have_arrived(
    alice: Account, bob: Account, write: Write, answers: list[Outcome]
) -> None:
    message = write(alice, [bob], "who knows")
    seal(message)
    answers[:] = [BROKEN_OFF, UNREACHABLE]
    for _try in range(2):
        carry(message, bob)
    with pytest.raises(outgoing.CannotSend):
        not_arrived.discard(alice, message.message_id, now=timezone.now())
    assert state_to(message, bob) == Delivery.State.SEALED
    assert take_back(alice, message)
    assert state_to(message, bob) == STOPPED


def test_what_is_being_sealed_meanwhile_is_not_sent(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = write(alice, [bob], "just now")
    devices_of = peers.devices_of

    def devices_meanwhile(did: str, **more: object) -> object:
        if did == bob.did:
            forgetting.forget(alice, message.message_id, now=timezone.now())
            forgetting.erase(alice, now=timezone.now())
        return devices_of(did, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(peers, "devices_of", devices_meanwhile)
    assert seal(message) == {}
    message.refresh_from_db()
    assert (message.state, bytes(message.sealed)) == (Message.State.COMPOSED, b"")
    assert not DeliveryCopy.objects.exists()


@pytest.mark.parametrize("found", [peers.PeerError("peer-unreachable", "away"), []])
def test_devices_that_are_not_found_meanwhile_bring_nothing_back(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch, found: object
) -> None:
    message = write(alice, [bob], "just now")

    def devices_meanwhile(did: str, **_more: object) -> object:
        forgetting.forget(alice, message.message_id, now=timezone.now())
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(peers, "devices_of", devices_meanwhile)
    assert seal(message) == {}
    assert state_to(message, bob) == STOPPED


def test_a_late_report_brings_nothing_back(
    alice: Account, bob: Account, write: Write, answers: list[Outcome]
) -> None:
    message = write(alice, [bob], "thought better of it")
    seal(message)
    carry(message, bob)
    take_back(alice, message)
    token = str(message.deliveries.get().pk)
    delivery_reports.note_report(token, Refused("mailbox-full", "5.2.2"), now=timezone.now())
    assert state_to(message, bob) == STOPPED


def test_trying_again_what_has_just_gone_is_no_fault(
    alice: Account, bob: Account, write: Write, at_alices: Client
) -> None:
    message = write(alice, [bob], "gone")
    message.deliveries.update(state=Delivery.State.FAILED)
    Message.objects.update(forgotten_at=timezone.now(), shown=False)
    address = reverse("message-retry", args=[message.message_id])
    for headers in ({}, {"HX-Request": "true"}):
        assert at_alices.post(address, headers=headers).status_code == 404
    assert state_to(message, bob) == Delivery.State.FAILED


def test_pages_say_that_it_was_never_sent(
    alice: Account, bob: Account, write: Write, at_alices: Client
) -> None:
    for address in ("message-take-back", "message-delete"):
        for headers in ({}, {"HX-Request": "true"}):
            message = write(alice, [bob], "never mind")
            page = reverse(address, args=[message.message_id])
            assert "Nobody has it yet" in at_alices.get(page).content.decode()
            answer = at_alices.post(page, {"token": str(uuid4())}, headers=headers)
            if not headers:
                answer = at_alices.get(answer.headers["Location"])
            assert "It was never sent to anybody." in answer.content.decode()
            assert "never mind" not in answer.content.decode()


def test_what_waits_says_so_and_can_be_discarded(
    alice: Account, bob: Account, write: Write, at_alices: Client, answers: list[Outcome]
) -> None:
    message = write(alice, [bob], "are you there")
    seal(message)
    discarding = reverse("message-discard", args=[message.message_id])
    page = reverse("conversation", args=[message.conversation.conversation_id])
    for tries in range(1, progress.SOME_TRIES + 1):
        assert discarding not in at_alices.get(page).content.decode()
        carry(message, bob)
        message.refresh_from_db()
        state = progress.of_message(message, people_of([bob.did]))
        assert state.waits == (tries == progress.SOME_TRIES)
    assert state.words == "Waiting for Bob: their server could not be reached."
    html = at_alices.get(page).content.decode()
    assert state.words in html
    assert discarding in html
    answers[:] = [Accepted("here", relayed=True)]
    carry(message, bob)
    delayed = Deferred("server-unreachable", "4.4.1")
    delivery_reports.note_report(str(message.deliveries.get().pk), delayed, now=timezone.now())
    html = at_alices.get(page).content.decode()
    assert "Waiting for Bob: their server could not be reached." in html
    assert discarding not in html
