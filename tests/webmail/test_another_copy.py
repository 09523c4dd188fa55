"""Asking for another copy of what could not be opened, and who is given one."""

from __future__ import annotations

import os
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from crypto_agent.atsms import content
from crypto_agent.client import NewMessage
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import browser_of
from tests.webmail.other_client import OtherClient
from webmail import another_copy, blocking, changing, forgetting, kept_aside, outgoing, trust
from webmail.models import Arrival, Delivery, DeliveryCopy, GraphEntry, Message

pytestmark = pytest.mark.django_db

UNCHECKED = trust.Verdict(Message.Trust.UNCHECKED, "signer-unreachable")


@pytest.fixture
def lost(alice: Account, bob: Account, phone: OtherClient, write: Write) -> Arrival:
    """A message of alice that came to bob in the copy for his phone alone."""
    hand_over(alice, seal(write(bob, [alice], "hello"))[alice.did])
    message = write(alice, [bob], "for the phone")
    seal(message)
    copy = DeliveryCopy.objects.get(delivery__message=message, fingerprint=phone.fingerprint)
    hand_over(bob, [bytes(copy.envelope or b"")])
    DeliveryCopy.objects.filter(delivery__message=message).update(accepted_at=timezone.now(), envelope=None)
    Delivery.objects.filter(message=message).update(state=Delivery.State.ACCEPTED)
    arrival = Arrival.objects.get(account=bob, envelope_id=copy.envelope_id)
    assert arrival.reason == "for-another-device"
    return arrival


def wanted(account: Account, to: Account, *envelope_ids: str) -> Message:
    return outgoing.send_message(account, [to.did], NewMessage(copies_wanted=envelope_ids), str(uuid4()))


def state_of(lost: Arrival) -> str:
    """Of alice's first message to whom it was for."""
    ways = Delivery.objects.filter(message__account__handle="alice.test", recipient_did=lost.account.did)
    return ways.earliest("pk").state


def test_whoever_sent_it_seals_it_anew_for_the_devices_of_now(
    alice: Account, bob: Account, lost: Arrival, phone: OtherClient
) -> None:
    at_bobs = browser_of(bob)
    page = at_bobs.get(reverse("kept-aside")).content.decode()
    assert "Nothing outside says who sent it." in page
    address = reverse("kept-aside-ask", args=[lost.pk])
    answer = at_bobs.post(address, {"who": alice.did}, headers={"HX-Request": "true"})
    assert "You asked" in answer.content.decode()
    assert address not in answer.content.decode()
    assert "Tomorrow you can ask somebody else." in answer.content.decode()
    assert at_bobs.post(address, {"who": alice.did}).status_code == 422

    request = Message.objects.get(account=bob, direction="out", shown=False)
    hand_over(alice, seal(request)[alice.did])
    assert not Message.objects.get(account=alice, message_id=request.message_id).shown
    delivery = Delivery.objects.get(message__account=alice, recipient_did=bob.did)
    assert delivery.state == Delivery.State.QUEUED
    phone.withdraw()
    again = seal(delivery.message)[bob.did]
    assert [copy.fingerprint for copy in delivery.copies.all()] == [bob.devices.get().fingerprint]
    hand_over(bob, again)
    assert Message.objects.filter(account=bob, message_id=delivery.message.message_id, shown=True).exists()


def test_what_was_asked_for_is_nothing_to_look_into_any_more(
    alice: Account, bob: Account, lost: Arrival
) -> None:
    Arrival.objects.filter(pk=lost.pk).update(reason="cannot-open")
    assert kept_aside.count(bob) == 1
    another_copy.ask(bob, lost.pk, alice.did, now=timezone.now())
    assert kept_aside.count(bob) == 0
    assert [item.id for item in kept_aside.kept_aside(bob)] == [lost.pk]


@pytest.mark.usefixtures("phone")
def test_only_its_recipient_is_given_it_and_only_once_a_day(
    alice: Account, bob: Account, carol: Account, lost: Arrival
) -> None:
    hand_over(alice, seal(wanted(carol, alice, lost.envelope_id))[alice.did])
    assert state_of(lost) == Delivery.State.ACCEPTED
    hand_over(alice, seal(wanted(bob, alice, *(os.urandom(32).hex() for _ in range(10))))[alice.did])
    assert state_of(lost) == Delivery.State.ACCEPTED

    request = wanted(bob, alice, lost.envelope_id)
    envelopes = seal(request)[alice.did]
    hand_over(alice, envelopes)
    assert state_of(lost) == Delivery.State.QUEUED
    # Once more, with the same envelope and with another request, and before the day is over.
    sealed_again = seal(Message.objects.get(account=alice, direction="out"))[bob.did]
    assert sealed_again
    Delivery.objects.filter(message__account=alice).update(state=Delivery.State.ACCEPTED)
    newest = DeliveryCopy.objects.filter(delivery__message__account=alice).latest("pk")
    hand_over(alice, [*envelopes, *seal(wanted(bob, alice, newest.envelope_id))[alice.did]])
    assert state_of(lost) == Delivery.State.ACCEPTED
    row = Message.objects.get(account=alice, message_id=request.message_id)
    later = timezone.now() + timedelta(days=1, minutes=1)
    assert another_copy.give(row, [newest.envelope_id], now=later) == 1


def test_a_request_counts_only_when_its_signature_was_checked(alice: Account, lost: Arrival) -> None:
    request = Message.objects.filter(account=alice, sender_did=lost.account.did).get()
    for verdict in (Message.Trust.UNCHECKED, Message.Trust.REFUSED):
        request.trust = verdict
        assert another_copy.give(request, [lost.envelope_id], now=timezone.now()) == 0


def test_a_request_counts_once_its_signature_was_checked(
    alice: Account, bob: Account, lost: Arrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = wanted(bob, alice, lost.envelope_id)
    with monkeypatch.context() as away:
        away.setattr(trust, "check", lambda *_, **_more: UNCHECKED)
        hand_over(alice, seal(request)[alice.did])
    assert state_of(lost) == Delivery.State.ACCEPTED
    trust.recheck(Message.objects.get(account=alice, message_id=request.message_id))
    assert state_of(lost) == Delivery.State.QUEUED


def test_what_was_let_go_of_is_not_given_again_nor_to_whom_a_record_blocks(
    alice: Account, bob: Account, lost: Arrival
) -> None:
    request = Message.objects.filter(account=alice, sender_did=bob.did).get()
    block = GraphEntry.objects.create(account=alice, kind=GraphEntry.Kind.BLOCK, did=bob.did)
    assert another_copy.give(request, [lost.envelope_id], now=timezone.now()) == 0
    block.delete()
    message = Message.objects.get(account=alice, direction="out")
    forgetting.forget(alice, message.message_id, now=timezone.now())
    assert another_copy.give(request, [lost.envelope_id], now=timezone.now()) == 0
    assert state_of(lost) == Delivery.State.ACCEPTED


def test_what_was_taken_back_is_not_given_again(alice: Account, bob: Account, lost: Arrival) -> None:
    request = Message.objects.filter(account=alice, sender_did=bob.did).get()
    message = Message.objects.get(account=alice, direction="out")
    changing.edit(alice, message.message_id, "for the phone, once more", str(uuid4()))
    with transaction.atomic():
        assert another_copy.give(request, [lost.envelope_id], now=timezone.now()) == 1
        transaction.set_rollback(True)
    changing.take_back(alice, message.message_id, str(uuid4()))
    assert another_copy.give(request, [lost.envelope_id], now=timezone.now()) == 0
    assert state_of(lost) == Delivery.State.ACCEPTED


def test_nobody_is_asked_whom_one_has_not_written_to(
    alice: Account, bob: Account, carol: Account, lost: Arrival
) -> None:
    with pytest.raises(another_copy.CannotAsk):
        another_copy.ask(bob, lost.pk, carol.did, now=timezone.now())
    with pytest.raises(another_copy.NotFound):
        another_copy.ask(alice, lost.pk, bob.did, now=timezone.now())
    assert alice.did in {person.did for person in another_copy.who_can_be_asked(bob)}
    Message.objects.filter(account=bob).delete()
    page = browser_of(bob).get(reverse("kept-aside")).content.decode()
    assert "nobody can be asked for another copy" in page
    assert reverse("kept-aside-ask", args=[lost.pk]) not in page


@pytest.mark.parametrize("reason", ["not-canonical", "bad-envelope", "bad-padding", "bad-cms", "bad-content"])
def test_nobody_is_asked_for_what_a_copy_would_not_mend(
    alice: Account, bob: Account, lost: Arrival, reason: str
) -> None:
    """What was damaged has another id than what alice sent; what was written wrong would come as it is."""
    Arrival.objects.filter(pk=lost.pk).update(reason=reason)
    page = browser_of(bob).get(reverse("kept-aside")).content.decode()
    assert reverse("kept-aside-ask", args=[lost.pk]) not in page
    assert "Another copy does not help" in page
    with pytest.raises(another_copy.NotFound):
        another_copy.ask(bob, lost.pk, alice.did, now=timezone.now())


@pytest.mark.parametrize("by_record", [False, True])
def test_nobody_is_asked_whom_one_blocks_in_a_group_either(
    alice: Account, bob: Account, carol: Account, lost: Arrival, write: Write, by_record: bool
) -> None:
    write(bob, [alice, carol], "the three of us")
    assert {each.did for each in another_copy.who_can_be_asked(bob)} == {alice.did, carol.did}
    if by_record:
        GraphEntry.objects.create(account=bob, did=alice.did, kind="block", since=timezone.now())
    else:
        blocking.block(bob, alice.did, timezone.now())
    assert [each.did for each in another_copy.who_can_be_asked(bob)] == [carol.did]
    with pytest.raises(another_copy.CannotAsk):
        another_copy.ask(bob, lost.pk, alice.did, now=timezone.now())


def test_programs_that_do_not_know_the_kind_show_a_sentence(
    alice: Account, bob: Account, phone: OtherClient
) -> None:
    request = wanted(alice, bob, "ab" * 32)
    seal(request)
    copy = DeliveryCopy.objects.get(delivery__message=request, fingerprint=phone.fingerprint)
    opened = phone.open(bytes(copy.envelope or b""))
    assert opened.content.fallback.startswith("A message of yours could not be opened here.")
    (part,) = opened.content.body or ()
    assert part == content.InlinePart(1124, {"envelopes": [bytes.fromhex("ab" * 32)]})
