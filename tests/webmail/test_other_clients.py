"""What devices run by other programs send and get: edits, reactions, files, forgeries, revoked keys."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import peers
from accounts.models import Account
from crypto_agent.atsms.content import InlinePart, text_part
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.client import NewMessage
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import browser_of
from tests.webmail.other_client import OtherClient
from webmail import conversations, kept_aside, threads, trust
from webmail.models import Conversation, DeliveryCopy, Draft, Message
from webmail.outgoing import send_message
from webmail.threads import Entry

pytestmark = pytest.mark.django_db


def entries(account: Account) -> list[Entry]:
    conversation = Conversation.objects.get(account=account)
    return threads.thread(account, conversation).entries


def text_of(entry: Entry) -> str:
    return "".join(segment.text for segment in entry.segments)


def test_every_device_of_a_person_gets_a_copy_that_it_alone_opens(
    alice: Account, phone: OtherClient, write: Write
) -> None:
    message = write(alice, [phone.account], "to both of your devices")
    envelopes = seal(message)[phone.account.did]
    assert len(envelopes) == 2
    opened = []
    for envelope in envelopes:
        try:
            opened.append(phone.open(envelope))
        except AtsmsError as error:
            assert error.code == "cannot-open"  # noqa: PT017
    assert [each.content.text for each in opened] == ["to both of your devices"]
    assert opened[0].message_id.hex() == message.message_id
    assert opened[0].sender_did == alice.did


def test_the_copy_for_another_device_is_no_alarm(alice: Account, phone: OtherClient, write: Write) -> None:
    bob = phone.account
    hand_over(bob, seal(write(alice, [bob], "to both"))[bob.did])
    assert [text_of(entry) for entry in entries(bob)] == ["to both"]
    assert [each.code for each in kept_aside.kept_aside(bob)] == ["for-another-device"]
    assert kept_aside.count(bob) == 0


def test_a_device_without_prekey_gets_a_copy_that_shows_the_sender(
    alice: Account, bob: Account, write: Write
) -> None:
    tablet = OtherClient.of(bob)
    tablet.publish(prekey=False)
    try:
        seal(write(alice, [bob], "no prekey"))
        copy = DeliveryCopy.objects.get(fingerprint=tablet.fingerprint)
        assert copy.form == DeliveryCopy.Form.CMS
        assert tablet.open(bytes(copy.envelope or b"")).content.text == "no prekey"
    finally:
        tablet.withdraw()


def test_an_edit_takes_the_place_of_what_it_replaces(alice: Account, phone: OtherClient) -> None:
    hand_over(alice, phone.write([alice], [text_part("frist")]))
    original = Message.objects.get(account=alice)
    first = bytes.fromhex(original.message_id)
    now = timezone.now()
    hand_over(alice, phone.write([alice], [text_part("second")], replaces=first, created_at=now))
    later = now + timedelta(seconds=2)
    hand_over(alice, phone.write([alice], [text_part("first")], replaces=first, created_at=later))
    # An old edit that comes late changes nothing.
    earlier = now - timedelta(seconds=2)
    hand_over(alice, phone.write([alice], [text_part("late")], replaces=first, created_at=earlier))

    assert [(text_of(entry), entry.edited) for entry in entries(alice)] == [("first", True)]
    assert [row.preview for row in conversations.list_conversations(alice).rows] == ["first"]
    assert Conversation.objects.get(account=alice).unread_count == 1


def test_only_its_sender_may_edit_a_message(alice: Account, phone: OtherClient, write: Write) -> None:
    message = write(alice, [phone.account], "mine")
    seal(message)
    forged = phone.write([alice], [text_part("yours")], replaces=bytes.fromhex(message.message_id))
    hand_over(alice, forged)
    assert [text_of(entry) for entry in entries(alice)] == ["mine"]


def test_what_another_device_took_back_is_changed_by_no_page_that_comes_late(
    bob: Account, alice: Account, phone: OtherClient, write: Write
) -> None:
    message = write(bob, [alice], "mine")
    seal(message)
    hand_over(bob, phone.write([bob, alice], None, replaces=bytes.fromhex(message.message_id)))
    answer = browser_of(bob).post(
        reverse("draft-keep-edit", args=[message.message_id]),
        {"text": "changed", "writer": "a" * 32, "revision": "0"},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "taken-back")
    assert not Draft.objects.exists()


def test_a_message_taken_back_says_so(alice: Account, phone: OtherClient) -> None:
    hand_over(alice, phone.write([alice], [text_part("oh")]))
    message = Message.objects.get(account=alice)
    hand_over(alice, phone.write([alice], None, replaces=bytes.fromhex(message.message_id)))
    (entry,) = entries(alice)
    assert entry.tombstone
    assert entry.segments == []
    (row,) = conversations.list_conversations(alice).rows
    assert row.preview == "A message was taken back"


def test_reactions_receipts_and_signals_make_no_bubble(alice: Account, phone: OtherClient) -> None:
    hand_over(alice, phone.write([alice], [text_part("hello")]))
    message = bytes.fromhex(Message.objects.get(account=alice).message_id)
    reaction = [InlinePart(2, {"emoji": "\U0001f525"})]
    hand_over(alice, phone.write([alice], reaction, in_reply_to=message))
    hand_over(alice, phone.write([alice], [InlinePart(7, {"state": "start"})], ephemeral=True))
    assert len(entries(alice)) == 1
    assert Conversation.objects.get(account=alice).unread_count == 1
    assert Message.objects.filter(account=alice).count() == 2
    assert kept_aside.kept_aside(alice) == []


def test_what_is_not_understood_shows_its_fallback_or_nothing(alice: Account, phone: OtherClient) -> None:
    poll = [InlinePart(2304, {"q": "lunch"})]
    hand_over(alice, phone.write([alice], poll, fallback="poll: lunch?"))
    hand_over(alice, phone.write([alice], poll))
    (entry,) = entries(alice)
    assert text_of(entry) == "poll: lunch?"
    assert entry.degraded
    assert Conversation.objects.get(account=alice).unread_count == 1


def test_a_file_is_named(alice: Account, phone: OtherClient) -> None:
    part = InlinePart(3, {"data": b"1234", "contentType": "image/png", "filename": "<b>.png"})
    hand_over(alice, phone.write([alice], [part, text_part("look")]))
    (entry,) = entries(alice)
    assert [(file.name, file.size) for file in entry.files] == [("<b>.png", 4)]
    assert text_of(entry) == "look"


@pytest.mark.parametrize(
    ("state", "code"), [("unpublished", "signer-not-published"), ("revoked", "signer-revoked")]
)
def test_a_key_that_its_owner_does_not_vouch_for_is_never_shown(
    alice: Account, bob: Account, state: str, code: str
) -> None:
    stranger = OtherClient.of(bob)
    if state == "revoked":
        stranger.publish(prekey=False, revoked_at=timezone.now() - timedelta(minutes=1))
    try:
        peers.devices_of(alice.did)
        hand_over(alice, stranger.write([alice], [text_part("believe me")]))
    finally:
        if state == "revoked":
            stranger.withdraw()
    assert conversations.list_conversations(alice).rows == []
    (aside,) = kept_aside.kept_aside(alice)
    assert aside.code == code
    assert aside.reason
    # Once it is published, trying again lets it through.
    stranger.publish()
    try:
        kept_aside.retry(alice, aside.id)
        hand_over(alice, [])
        assert [text_of(entry) for entry in entries(alice)] == ["believe me"]
        assert kept_aside.kept_aside(alice) == []
    finally:
        stranger.withdraw()


def test_a_copy_of_ones_own_message_from_another_device_counts_as_ones_own(
    alice: Account, phone: OtherClient
) -> None:
    bob = phone.account
    hand_over(bob, phone.write([alice, bob], [text_part("from my phone")])[-2:])
    message = Message.objects.get(account=bob)
    assert message.direction == Message.Direction.OUT
    assert not message.unread
    assert [text_of(entry) for entry in entries(bob)] == ["from my phone"]


@pytest.mark.parametrize("checked", ["at once", "late"])
def test_what_another_device_took_back_is_not_being_changed_here_any_more(
    alice: Account, phone: OtherClient, monkeypatch: pytest.MonkeyPatch, checked: str
) -> None:
    bob = phone.account
    hand_over(bob, phone.write([alice, bob], [text_part("under the mat")])[-2:])
    message = Message.objects.get(account=bob)
    Draft.objects.create(account=bob, edits=message, draft_id="a" * 32, sealed=b"under the pot")
    # Nobody else can take it back.
    forged = NewMessage(takes_back=True, replaces=message.message_id)
    hand_over(bob, seal(send_message(alice, [bob.did], forged, str(uuid4())))[bob.did])
    assert Draft.objects.exists()
    taken_back = phone.write([alice, bob], None, replaces=bytes.fromhex(message.message_id))[-2:]
    if checked == "at once":
        hand_over(bob, taken_back)
    else:
        unchecked = trust.Verdict(Message.Trust.UNCHECKED, "signer-unreachable")
        with monkeypatch.context() as away:
            away.setattr(trust, "check", lambda *_, **_more: unchecked)
            hand_over(bob, taken_back)
        assert Draft.objects.exists()
        trust.recheck(Message.objects.get(account=bob, trust=Message.Trust.UNCHECKED))
    assert not Draft.objects.exists()
