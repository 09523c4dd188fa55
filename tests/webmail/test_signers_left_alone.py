"""Whose servers are not asked who signed something at the moment at which it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import peers
from accounts.models import Account
from crypto_agent.atsms.content import text_part
from tests.webmail.conftest import hand_over
from tests.webmail.other_client import OtherClient
from tests.webmail.strangers import asked_of_others
from webmail import blocking, consent, reasons, signers_left_alone, trust
from webmail.models import Contact, Message, WhoMayWrite

pytestmark = pytest.mark.django_db


@pytest.fixture
def phone(bob: Account) -> Iterator[OtherClient]:
    """A device of Bob's that nobody has heard of yet."""
    device = OtherClient.of(bob)
    device.publish(prekey=False)
    yield device
    device.withdraw()


def arrives(phone: OtherClient, recipient: Account) -> tuple[Message, list[str]]:
    """The message as its recipient has it, and which addresses were asked for it."""
    envelopes = phone.write([recipient], [text_part("Are you there?")])
    peers.forget(phone.account.did)
    with pytest.MonkeyPatch.context() as patch, asked_of_others(patch) as asked:
        hand_over(recipient, envelopes)
    return Message.objects.get(account=recipient, sender_did=phone.account.did), asked


def test_the_server_of_somebody_blocked_is_asked_once_they_are_not(
    alice: Account, phone: OtherClient
) -> None:
    blocking.block(alice, phone.account.did, timezone.now())
    message, asked = arrives(phone, alice)
    assert asked == []
    assert (message.trust, message.trust_code, message.next_check_at) == ("unchecked", "signer-blocked", None)
    assert "while you block them" in reasons.of_kept_aside(message.trust_code)
    with pytest.MonkeyPatch.context() as patch, asked_of_others(patch) as asked:
        trust.recheck(message)
    assert asked == []
    assert (message.trust_code, message.next_check_at) == ("signer-blocked", None)

    blocking.unblock(alice, phone.account.did)
    assert message.pk in trust.take_due(timezone.now())
    assert trust.recheck(Message.objects.get(pk=message.pk)).trust == Message.Trust.SIGNED


def test_where_keys_may_be_locked_strangers_servers_are_asked_at_another_moment(
    alice: Account, phone: OtherClient
) -> None:
    Account.objects.filter(pk=alice.pk).update(custody=Account.Custody.LOCKED)
    alice.refresh_from_db()
    consent.choose(alice, WhoMayWrite.NOBODY)
    before = timezone.now()
    message, asked = arrives(phone, alice)
    assert asked == []
    assert (message.trust, message.trust_code) == (Message.Trust.UNCHECKED, "signer-asked-later")
    assert message.next_check_at is not None
    assert before <= message.next_check_at <= timezone.now() + signers_left_alone.WITHIN
    assert message.pk in trust.take_due(timezone.now() + signers_left_alone.WITHIN)
    assert trust.recheck(message).trust == Message.Trust.SIGNED


@pytest.mark.parametrize("case", ["managed", "accepted", "in a conversation agreed to"])
def test_others_are_asked_at_once(case: str, alice: Account, phone: OtherClient) -> None:
    if case != "managed":
        Account.objects.filter(pk=alice.pk).update(custody=Account.Custody.LOCKED)
        alice.refresh_from_db()
    if case == "accepted":
        Contact.objects.create(
            account=alice,
            did=phone.account.did,
            standing=Contact.Standing.ACCEPTED,
            first_seen_at=timezone.now(),
        )
    if case == "in a conversation agreed to":
        first, _asked = arrives(phone, alice)
        consent.accept(alice, first.conversation, timezone.now())
        Contact.objects.filter(account=alice).update(standing=Contact.Standing.NONE)
        Message.objects.all().delete()
    _message, asked = arrives(phone, alice)
    assert asked


def test_the_moment_is_anywhere_within_the_time() -> None:
    now = timezone.now()
    later = trust.Verdict(Message.Trust.UNCHECKED, signers_left_alone.LATER)
    assert trust.first_check(later, now, 0.0) == now
    assert trust.first_check(later, now, 0.5) == now + timedelta(minutes=15)
    assert trust.first_check(trust.Verdict(Message.Trust.SIGNED, ""), now, 0.5) is None
