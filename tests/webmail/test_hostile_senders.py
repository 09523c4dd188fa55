"""Messages made to stop whoever takes them in: none holds up another, or a page."""

from __future__ import annotations

import pytest

from accounts import peers
from accounts.models import Account
from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.content import InlinePart, text_part
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.other_client import OtherClient
from tests.webmail.test_journey import texts
from webmail import conversations, kept_aside, threads, trust
from webmail.models import Conversation, Message

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


def test_signers_with_slow_servers_take_a_batch_only_so_much_time(
    alice: Account, bob: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    asked: list[str] = []

    def slowly(did: str, *_: object, **__: object) -> peers.SignerVerdict:
        clock[0] += 20
        asked.append(did)
        return peers.SignerVerdict(False, "signer-unreachable")

    envelopes = [each.write([bob], [text_part("wait")])[0] for each in strangers(6)]
    monkeypatch.setattr(trust.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(trust.peers, "check_signer", slowly)
    hand_over(bob, envelopes)
    assert len(asked) == 2
    found = Message.objects.filter(account=bob, trust=Message.Trust.UNCHECKED)
    assert found.exclude(next_check_at=None).count() == 6


def test_what_was_read_while_its_signer_was_checked_stays_read(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over(bob, seal(write(alice, [bob], "slow to check"))[bob.did])
    Message.objects.filter(account=bob).update(trust=Message.Trust.UNCHECKED)

    def meanwhile(*_: object) -> trust.Verdict:
        assert conversations.mark_read(bob, Conversation.objects.get(account=bob))
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
