"""Reactions, answers, edits, taking back and letting go, between people on their own installations."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import uuid4

import pytest
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from accounts.models import Account
from crypto_agent.client import AgentClient, Attachment, Expires, NewMessage, NewPreview
from tests.webmail.conftest import Write, carry, hand_over, seal
from tests.webmail.pictures import MARK, photo
from webmail import (
    changing,
    conversations,
    disappearing,
    forgetting,
    outgoing,
    read_marks,
    rebuild,
    riding_pictures,
    threads,
)
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.carriers import Accepted, Outcome, Refused
from webmail.conversations import NotFound
from webmail.delivery_reports import note_report
from webmail.emoji import USUAL, is_one_emoji
from webmail.mailbox import ARCHIVE, open_mailbox
from webmail.message_info import message_info
from webmail.models import Contact, Conversation, Delivery, Message, Receipt
from webmail.outgoing import CannotSend
from webmail.previews import received
from webmail.previews.card import Card
from webmail.previews.received import picture_of
from webmail.related import FEW, MOST_OF_ONE, MOST_REACTIONS, related_to
from webmail.shown_message import shown_message
from webmail.thread_window import At
from webmail.threads import Entry

pytestmark = pytest.mark.django_db


def entries(account: Account) -> list[Entry]:
    return threads.thread(account, Conversation.objects.get(account=account)).entries


def reactions(account: Account, message: Message) -> list[tuple[str, int, bool]]:
    (entry,) = [entry for entry in entries(account) if entry.id == message.message_id]
    return [(reaction.emoji, len(reaction.people), reaction.own) for reaction in entry.reactions]


def carry_newest(sender: Account, *recipients: Account) -> None:
    """What a sender did last reaches everybody."""
    envelopes = seal(Message.objects.filter(account=sender, state="composed").latest("pk"))
    for recipient in recipients:
        hand_over(recipient, envelopes[recipient.did])


def in_archive(account: Account) -> int:
    with open_mailbox(account.did) as mailbox:
        return len(mailbox.uids_after(ARCHIVE, 0))


@pytest.fixture
def as_web(people: dict[str, Account], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages make previews, and show them."""
    client = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")
    for module in (riding_pictures, received):
        monkeypatch.setattr(module, "agent", lambda: client)


@pytest.fixture
def hello(alice: Account, bob: Account, write: Write) -> Message:
    message = write(alice, [bob], "hello")
    hand_over(bob, seal(message)[bob.did])
    message.deliveries.update(state=Delivery.State.ACCEPTED)
    return message


def test_reactions_show_on_both_sides_and_can_be_taken_back(
    alice: Account, bob: Account, hello: Message
) -> None:
    changing.react(bob, hello.message_id, "👍", str(uuid4()))
    carry_newest(bob, alice)
    token = str(uuid4())
    for _twice in range(2):
        changing.react(alice, hello.message_id, "👍", token)
    carry_newest(alice, bob)
    assert reactions(alice, hello) == [("👍", 2, True)]
    assert reactions(bob, hello) == [("👍", 2, True)]

    changing.react(bob, hello.message_id, "👍", str(uuid4()))
    assert reactions(bob, hello) == [("👍", 1, False)]
    carry_newest(bob, alice)
    assert reactions(alice, hello) == [("👍", 1, True)]
    changing.react(bob, hello.message_id, "❤️", str(uuid4()))
    assert reactions(bob, hello) == [("👍", 1, False), ("❤️", 1, True)]


def test_nobody_takes_back_anothers_reaction(alice: Account, bob: Account, hello: Message) -> None:
    changing.react(bob, hello.message_id, "👍", str(uuid4()))
    carry_newest(bob, alice)
    reaction = Message.objects.get(account=alice, in_reply_to=hello.message_id)
    forged = NewMessage(takes_back=True, replaces=reaction.message_id)
    outgoing.send_message(alice, [bob.did], forged, str(uuid4()))
    carry_newest(alice, bob)
    assert reactions(bob, hello) == [("👍", 1, True)]
    assert reactions(alice, hello) == [("👍", 1, False)]


@pytest.mark.parametrize("many", [FEW // 2, MOST_REACTIONS])
def test_nobody_s_reactions_push_out_those_of_others(
    alice: Account, bob: Account, carol: Account, write: Write, many: int
) -> None:
    message = write(alice, [bob, carol], "hello")
    envelopes = seal(message)
    for somebody in (bob, carol):
        hand_over(somebody, envelopes[somebody.did])
    for somebody, emoji in ((carol, "👍"), (bob, "❤️")):
        changing.react(somebody, message.message_id, emoji, str(uuid4()))
        carry_newest(somebody, alice)
    flood = Message.objects.get(account=alice, sender_did=bob.did, in_reply_to=message.message_id)
    flood.sealed = bytes(flood.sealed)
    for number in range(many):
        flood.pk, flood.message_id = None, f"{number:064x}"
        flood.created_at += timedelta(milliseconds=1)
        flood.save(force_insert=True)
    related = related_to([Message.objects.get(account=alice, message_id=message.message_id)])
    (found,) = related.reactions.values()
    assert Counter(row.sender_did for row in found) == {carol.did: 1, bob.did: MOST_OF_ONE}
    assert [row.created_at for row in found] == sorted(row.created_at for row in found)
    assert ("👍", 1, False) in reactions(alice, message)


def test_only_one_emoji_is_a_reaction(alice: Account, hello: Message) -> None:
    for text in ("", "no", "👍👍", "a👍", "\u200d", "1", "👍" * 20):
        assert not is_one_emoji(text)
        with pytest.raises(CannotSend):
            changing.react(alice, hello.message_id, text, str(uuid4()))
    for text in (*USUAL, "👩🏽‍🚀", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🇵🇹", "1️⃣", "☺️", "✊🏿", "❤️‍🔥"):
        assert is_one_emoji(text), text
    with pytest.raises(NotFound):
        changing.react(alice, "01" * 32, "👍", str(uuid4()))


def test_an_answer_quotes_what_it_answers_wherever_that_is(
    alice: Account, bob: Account, hello: Message, write: Write
) -> None:
    write(bob, [alice], "yes", in_reply_to=hello.message_id)
    carry_newest(bob, alice)
    quote = entries(alice)[-1].quote
    assert quote is not None
    assert (quote.id, quote.text, quote.own, quote.near) == (hello.message_id, "hello", True, True)
    page = threads.thread(alice, Conversation.objects.get(account=alice), limit=1)
    quote = page.entries[0].quote
    assert quote is not None
    assert (quote.text, quote.near) == ("hello", False)
    around = threads.thread(alice, Conversation.objects.get(account=alice), At(around=quote.id))
    assert hello.message_id in [entry.id for entry in around.entries]

    changing.take_back(alice, hello.message_id, str(uuid4()))
    quote = entries(alice)[-1].quote
    assert quote is not None
    assert quote.text == "A message that was taken back"
    write(alice, [bob], "what?", in_reply_to="01" * 32)
    quote = entries(alice)[-1].quote
    assert quote is not None
    assert quote.sender is None


def test_an_edit_stands_in_the_place_with_its_history(alice: Account, bob: Account, hello: Message) -> None:
    changing.edit(alice, hello.message_id, "hello, Bob", str(uuid4()))
    carry_newest(alice, bob)
    for account in (alice, bob):
        (entry,) = entries(account)
        assert (entry.text, entry.edited) == ("hello, Bob", True)
        assert [version.text for version in message_info(account, hello.message_id).versions] == ["hello"]
        assert conversations.list_conversations(account).rows[0].preview == "hello, Bob"
    with pytest.raises(NotFound):
        changing.edit(bob, hello.message_id, "not mine", str(uuid4()))
    with pytest.raises(CannotSend):
        changing.edit(alice, hello.message_id, " ", str(uuid4()))


def test_an_edit_that_comes_before_what_it_edits_waits_for_it(
    alice: Account, bob: Account, write: Write
) -> None:
    message = write(alice, [bob], "first")
    first = seal(message)[bob.did]
    changing.edit(alice, message.message_id, "second", str(uuid4()))
    carry_newest(alice, bob)
    assert entries(bob) == []
    assert Conversation.objects.get(account=bob).unread_count == 0
    hand_over(bob, first)
    (entry,) = entries(bob)
    assert (entry.text, entry.edited) == ("second", True)
    assert Conversation.objects.get(account=bob).unread_count == 1


def test_an_edit_keeps_the_answer_the_files_and_the_time(
    alice: Account, bob: Account, hello: Message
) -> None:
    message = outgoing.send_message(
        alice,
        [bob.did],
        NewMessage("soon gone", in_reply_to=hello.message_id, expires=Expires(True, 3600)),
        str(uuid4()),
    )
    changing.edit(alice, message.message_id, "soon away", str(uuid4()))
    carry_newest(alice, bob)
    edit = Message.objects.get(account=bob, replaces=message.message_id)
    assert (edit.in_reply_to, edit.expires_after) == (hello.message_id, 3600)


def test_what_is_taken_back_says_nothing_any_more(alice: Account, bob: Account, hello: Message) -> None:
    changing.react(bob, hello.message_id, "👍", str(uuid4()))
    carry_newest(bob, alice)
    changing.edit(alice, hello.message_id, "hello again", str(uuid4()))
    carry_newest(alice, bob)
    changing.take_back(alice, hello.message_id, str(uuid4()))
    carry_newest(alice, bob)
    for account in (alice, bob):
        (entry,) = entries(account)
        assert (entry.tombstone, entry.text, entry.open) == (True, "", False)
        assert message_info(account, hello.message_id).versions == []
    with pytest.raises(CannotSend):
        changing.edit(alice, hello.message_id, "not gone", str(uuid4()))
    with pytest.raises(NotFound):
        changing.take_back(bob, hello.message_id, str(uuid4()))


def test_what_was_deleted_here_stays_away(alice: Account, bob: Account, write: Write) -> None:
    kept = write(alice, [bob], "kept")
    hand_over(bob, seal(kept)[bob.did])
    message = write(alice, [bob], "for bob")
    envelopes = seal(message)[bob.did]
    hand_over(bob, envelopes)
    changing.edit(alice, message.message_id, "for bob alone", str(uuid4()))
    carry_newest(alice, bob)
    assert in_archive(bob) == 3

    for _twice in range(2):
        forgetting.forget(bob, message.message_id, now=timezone.now())
    assert [entry.text for entry in entries(bob)] == ["kept"]
    conversation = Conversation.objects.get(account=bob)
    assert (conversation.unread_count, conversation.last_message.message_id) == (1, kept.message_id)
    assert forgetting.due() == {bob.pk}
    for _twice in range(2):
        assert not forgetting.erase(bob, now=timezone.now())
    assert forgetting.due() == set()
    assert in_archive(bob) == 1
    gone = Message.objects.filter(account=bob, forgotten_at__isnull=False)
    assert [bytes(row.sealed) for row in gone] == [b"", b""]

    # Neither a copy that comes again, nor another edit, nor a restored index bring it back.
    hand_over(bob, envelopes)
    changing.edit(alice, message.message_id, "for nobody", str(uuid4()))
    carry_newest(alice, bob)
    rebuild.rebuild(bob)
    assert [entry.text for entry in entries(bob)] == ["kept"]
    assert Conversation.objects.get(account=bob).unread_count == 1
    forgetting.erase(bob, now=timezone.now())
    assert in_archive(bob) == 1
    Message.objects.filter(account=bob).delete()
    rebuild.rebuild(bob)
    assert [entry.text for entry in entries(bob)] == ["kept"]
    assert [entry.text for entry in entries(alice)] == ["kept", "for nobody"]


def test_what_others_have_they_keep_though_its_sender_let_go_of_it(
    alice: Account, bob: Account, write: Write
) -> None:
    message = write(alice, [bob], "under way")
    envelopes = seal(message)[bob.did]
    message.deliveries.update(state=Delivery.State.ACCEPTED)
    assert not forgetting.forget(alice, message.message_id, now=timezone.now())
    hand_over(bob, envelopes)
    assert [entry.text for entry in entries(bob)] == ["under way"]
    assert forgetting.due() == {alice.pk}
    forgetting.erase(alice, now=timezone.now())
    assert (in_archive(alice), entries(alice)) == (0, [])


def test_that_something_was_taken_back_goes_out_though_its_sender_let_go_of_it(
    alice: Account, bob: Account, hello: Message
) -> None:
    """The others are still to be asked, and what asks them is erased afterwards."""
    assert changing.take_back(alice, hello.message_id, str(uuid4()))
    forgetting.forget(alice, hello.message_id, now=timezone.now())
    forgetting.erase(alice, now=timezone.now())
    carry_newest(alice, bob)
    assert [entry.tombstone for entry in entries(bob)] == [True]
    assert forgetting.due() == {alice.pk}


@pytest.mark.parametrize("end", ["arrives", "fails", "waits"])
def test_what_somebody_did_not_get_does_not_vanish_from_its_sender_unseen(
    alice: Account, bob: Account, carol: Account, write: Write, answers: list[Outcome], end: str
) -> None:
    """The sender's time begins when the first server has it, and does not end before the last one has."""
    message = write(alice, [bob, carol], "for an hour", expires=Expires(True, 3600))
    seal(message)
    now = timezone.now()
    for recipient in (bob, carol):
        carry(message, recipient)
    late = now + timedelta(days=4)
    assert forgetting.forget_expired(late) == 0
    assert Message.objects.get(account=alice).expires_at is None
    answers[:] = [Accepted("ok")]
    carry(message, bob)
    expires_at = Message.objects.get(account=alice).expires_at
    assert expires_at is not None
    if end == "arrives":
        carry(message, carol)
        assert Message.objects.get(account=alice).expires_at == expires_at
    elif end == "fails":
        answers[:] = [Refused("mailbox-full", "5.2.2")]
        carry(message, carol)
    assert forgetting.forget_expired(late) == (1 if end == "arrives" else 0)


@pytest.mark.parametrize("end", ["opened", "bounced", "nothing"])
def test_what_may_still_come_back_from_the_own_mail_server_does_not_vanish_unseen(
    alice: Account, bob: Account, write: Write, answers: list[Outcome], end: str
) -> None:
    message = write(alice, [bob], "for an hour", expires=Expires(True, 3600))
    seal(message)
    answers[:] = [Accepted("queued", relayed=True)]
    carry(message, bob)
    delivery = message.deliveries.get(recipient_did=bob.did)
    now = timezone.now()
    late, later = now + timedelta(hours=2), now + timedelta(days=6, hours=1)
    assert forgetting.forget_expired(late) == 0
    if end == "opened":
        Receipt.objects.create(message=message, recipient_did=bob.did, fingerprint="ab", opened_at=now)
        assert forgetting.forget_expired(late) == 1
    elif end == "bounced":
        note_report(str(delivery.pk), Refused("mailbox-full", "5.2.2"), now=late)
        message.refresh_from_db()
        assert message.undelivered
        assert forgetting.forget_expired(later) == 0
    else:
        assert forgetting.forget_expired(later) == 1


def test_a_note_to_oneself_disappears_after_its_time(alice: Account, write: Write) -> None:
    note = write(alice, [alice], "for an hour", expires=Expires(True, 3600))
    assert note.expires_at == note.created_at + timedelta(hours=1)


def test_messages_disappear_on_both_sides_after_their_time(
    alice: Account, bob: Account, write: Write, answers: list[Outcome]
) -> None:
    start = timezone.now()
    message = write(alice, [bob], "for an hour", expires=Expires(True, 3600))
    hand_over(bob, seal(message)[bob.did])
    answers[:] = [Accepted("ok")]
    carry(message, bob)
    late = start + timedelta(hours=2)

    received = Message.objects.get(account=bob)
    assert (received.expires_after, received.expires_at) == (3600, None)
    assert forgetting.forget_expired(late) == 1
    assert entries(alice) == []
    assert len(entries(bob)) == 1

    read_marks.mark_read(bob, Conversation.objects.get(account=bob))
    assert forgetting.forget_expired(timezone.now()) == 0
    assert forgetting.forget_expired(late + timedelta(hours=1)) == 1
    assert entries(bob) == []
    for account in (alice, bob):
        forgetting.erase(account, now=late)
        assert in_archive(account) == 0


def test_times_to_disappear_are_held_to_the_calendar() -> None:
    now = timezone.now()
    assert disappearing.end_of(None, now) is None
    assert disappearing.end_of(Expires(True, 60), None) is None
    assert disappearing.end_of(Expires(True, 60), now) == now + timedelta(seconds=60)
    assert disappearing.end_of(Expires(False, 1_800_000_000), None) == datetime(2027, 1, 15, 8, tzinfo=UTC)
    assert disappearing.end_of(Expires(True, 253_402_300_799), now) is None


def test_a_preview_by_its_sender_says_where_it_leads(alice: Account, bob: Account) -> None:
    for url in ("https://river.example/weir", "javascript:alert(1)"):
        message = NewMessage("look", preview=NewPreview(url, "Your bank", "Sign in here"))
        outgoing.send_message(alice, [bob.did], message, str(uuid4()))
        carry_newest(alice, bob)
    first, second = [entry.preview for entry in entries(bob)]
    assert first is not None
    assert (first.host, first.title, first.description) == ("river.example", "Your bank", "Sign in here")
    assert second is None


def preview_picture(account: Account, message: Message) -> bytes:
    _media_type, content = picture_of(account, shown_message(account, message.message_id))
    return content


def width_of(picture: bytes) -> int:
    with Image.open(BytesIO(picture)) as image:
        return image.width


def test_the_picture_of_a_preview_comes_in_the_message_and_stays_with_its_link(
    alice: Account, bob: Account, as_web: None
) -> None:
    link = "https://river.example/weir"
    card = Card(link, "The weir", "A walk", photo((200, 100)))
    sent = outgoing.send(alice, [bob.did], f"look {link}", str(uuid4()), preview=card)
    carry_newest(alice, bob)
    (preview,) = [entry.preview for entry in entries(bob)]
    assert preview is not None
    assert (preview.title, preview.description, preview.picture) == ("The weir", "A walk", True)
    shown = preview_picture(bob, sent)
    assert width_of(shown) == 200
    assert MARK not in shown
    # An edit that leaves the link leaves the preview; one that takes it away takes both.
    changing.edit(alice, sent.message_id, f"look there: {link}", str(uuid4()))
    carry_newest(alice, bob)
    (preview,) = [entry.preview for entry in entries(bob)]
    assert preview is not None
    assert (preview.title, preview.picture) == ("The weir", True)
    assert width_of(preview_picture(bob, sent)) == 200
    changing.edit(alice, sent.message_id, "rather not", str(uuid4()))
    carry_newest(alice, bob)
    assert [entry.preview for entry in entries(bob)] == [None]
    with pytest.raises(CannotFetch):
        preview_picture(bob, sent)


def test_a_picture_elsewhere_is_never_fetched_for_a_reader(
    alice: Account, bob: Account, as_web: None
) -> None:
    """Large ones do not ride in the message; other programs may send only such."""
    link, kept = "https://river.example/weir", list[bytes]()
    made = received.agent().encrypt_file(
        alice.did, "1", "", "image/jpeg", 40_000, [bytes(40_000)], kept.append
    )
    image = Attachment("1", made.sealed, "https://river.example/blob", timezone.now() + timedelta(days=1))
    message = NewMessage(f"look {link}", preview=NewPreview(link, "The weir", image=image))
    sent = outgoing.send_message(alice, [bob.did], message, str(uuid4()))
    carry_newest(alice, bob)
    (preview,) = [entry.preview for entry in entries(bob)]
    assert preview is not None
    assert (preview.title, preview.picture) == ("The weir", False)
    with pytest.raises(CannotFetch) as raised:
        preview_picture(bob, sent)
    assert raised.value.code == "no-such-file"


def test_who_is_blocked_reacts_to_nothing_any_more(alice: Account, bob: Account, hello: Message) -> None:
    changing.react(bob, hello.message_id, "👍", str(uuid4()))
    carry_newest(bob, alice)
    contact, _made = Contact.objects.get_or_create(account=alice, did=bob.did)
    contact.standing, contact.blocked_at = Contact.Standing.BLOCKED, timezone.now()
    contact.save()
    assert reactions(alice, hello) == [("👍", 1, False)]
    changing.react(bob, hello.message_id, "😂", str(uuid4()))
    carry_newest(bob, alice)
    assert reactions(alice, hello) == [("👍", 1, False)]
    assert reactions(bob, hello) == [("👍", 1, True), ("😂", 1, True)]
