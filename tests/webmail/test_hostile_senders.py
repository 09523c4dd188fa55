"""Messages made to stop whoever takes them in: none holds up another, or a page."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import lookups
from accounts.models import Account
from crypto_agent.atsms import content
from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.content import InlinePart, text_part
from tests.services.slow_server import slow_server
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import browser_of
from tests.webmail.other_client import OtherClient
from tests.webmail.test_journey import texts
from webmail import consent, ingress, intake, kept_aside, read_marks, threads, trust
from webmail.models import Conversation, Message, WhoMayWrite

pytestmark = pytest.mark.django_db


def strangers(count: int) -> list[OtherClient]:
    """Devices that nobody publishes, each of another DID."""
    return [OtherClient.of(Account(did=f"did:web:s{n}.invalid", handle="s.test")) for n in range(count)]


def test_a_signer_with_an_address_that_cannot_be_read_holds_up_nobody(
    alice: Account, bob: Account, write: Write
) -> None:
    stranger = OtherClient.of(Account(did="did:web:1.2.3.999", handle="stranger.test"))
    good = seal(write(alice, [bob], "behind it"))[bob.did]
    hand_over(bob, [*stranger.write([bob], [text_part("stop here")]), *good])
    assert texts(bob) == [["behind it"]]
    assert [each.code for each in kept_aside.kept_aside(bob)] == ["signer-not-published"]


def naming(sender: OtherClient, recipient: Account, count: int) -> list[bytes]:
    """The envelopes of a message to the recipient and others, so many in all."""
    others = [f"did:plc:{n:024}" for n in range(count - 1)]
    message = content.new_content(
        sender.account.did,
        [recipient.did, *others],
        [text_part(f"to {count}")],
        salt=os.urandom(16),
        created_at=int(timezone.now().timestamp() * 1000),
    )
    return sender.seal([recipient], content.encode_content(message))


def test_what_names_very_many_people_is_set_aside_and_what_names_many_says_how_many(
    alice: Account, bob: Account
) -> None:
    phone = OtherClient.of(bob)
    phone.publish(prekey=False)
    try:
        hand_over(alice, naming(phone, alice, intake.MOST_PEOPLE + 1))
        (aside,) = kept_aside.kept_aside(alice)
        assert (aside.code, aside.can_retry) == ("too-many-people", False)
        assert "more people than Waxwing takes" in aside.reason
        assert not Conversation.objects.exists()

        consent.choose(alice, WhoMayWrite.NOBODY)
        hand_over(alice, naming(phone, alice, intake.MOST_PEOPLE))
        conversation = Conversation.objects.get(account=alice)
        assert len(conversation.participants) == intake.MOST_PEOPLE + 1
        browser = browser_of(alice)
        page = browser.get(reverse("requests")).content.decode()
        assert f"did:plc:{19:024}" in page
        assert f"did:plc:{20:024}" not in page
        assert "and 235 more" in page
        consent.accept(alice, conversation, timezone.now())
        page = browser.get(reverse("conversation", args=[conversation.conversation_id])).content.decode()
        title = page[page.index('id="thread-title"') :].split("</h1>")[0]
        assert "and 236 more" in title
        assert f"did:plc:{20:024}" not in title
    finally:
        phone.withdraw()


def test_signers_with_slow_servers_take_a_pull_only_so_much_time(
    alice: Account, bob: Account, write: Write
) -> None:
    with slow_server(10, hosts=3) as server:
        slow = [OtherClient.of(Account(did=server.did(n % 3), handle="slow.test")) for n in range(60)]
        envelopes = [each.write([bob], [text_part("wait")])[0] for each in slow]
        good = seal(write(alice, [bob], "behind them"))[bob.did]
        for envelope in (*envelopes, *good):
            ingress.accept(bob.did, envelope, now=timezone.now())
        started = time.monotonic()
        intake.pull(bob)
        # Waiting for each of the three would take as long at least.
        assert time.monotonic() - started < 3 * 10
        # Only the first was asked for at all.
        assert len(server.asked) == 1
    found = Message.objects.filter(account=bob, trust=Message.Trust.UNCHECKED)
    assert found.exclude(next_check_at=None).count() == 60
    assert Message.objects.get(account=bob, sender_did=alice.did).trust == Message.Trust.SIGNED


def test_a_host_that_failed_is_left_alone_and_the_check_that_this_puts_off_counts_as_none(
    alice: Account, bob: Account
) -> None:
    with slow_server(5.2) as server:
        stranger = OtherClient.of(Account(did=server.did(), handle="slow.test"))
        hand_over(bob, stranger.write([bob], [text_part("to check")]))
        message = Message.objects.get(account=bob)
        asked = len(server.asked)
        trust.recheck(message)
        assert len(server.asked) == asked + 1
        assert (message.trust, message.check_attempts) == (Message.Trust.UNCHECKED, 1)
        trust.recheck(message)
        assert len(server.asked) == asked + 1
        assert message.check_attempts == 1
        assert message.next_check_at
        soon = lookups.FIRST_REST_SECONDS + 1
        assert message.next_check_at <= timezone.now() + timedelta(seconds=soon)


def test_what_was_read_while_its_signer_was_checked_stays_read(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over(bob, seal(write(alice, [bob], "slow to check"))[bob.did])
    Message.objects.filter(account=bob).update(trust=Message.Trust.UNCHECKED)

    def meanwhile(*_: object) -> trust.Verdict:
        assert read_marks.mark_read(bob, Conversation.objects.get(account=bob))
        return trust.Verdict(Message.Trust.SIGNED, "")

    monkeypatch.setattr(trust, "check", meanwhile)
    message = trust.recheck(Message.objects.get(account=bob))
    message.refresh_from_db()
    assert (message.trust, message.unread) == (Message.Trust.SIGNED, False)


@pytest.mark.parametrize(
    "fields",
    [{"size": "much"}, {"size": []}, {"size": True}, {"mediaType": [1]}],
)
def test_a_file_with_fields_of_any_type_closes_no_page(
    alice: Account, bob: Account, fields: dict[str, CborValue]
) -> None:
    phone = OtherClient.of(bob)
    phone.publish(prekey=False)
    try:
        part = InlinePart(3, {"data": b"1234", "contentType": "image/png", **fields})
        hand_over(alice, phone.write([alice], [part]))
        (entry,) = threads.thread(alice, Conversation.objects.get(account=alice)).entries
        assert [file.size for file in entry.files] == [4]
    finally:
        phone.withdraw()
