"""Blocking: what somebody writes goes out of sight, nothing is lost at once, and they cannot tell."""

import base64
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from crypto_agent.client import Expires, NewGroupUpdate, NewMessage
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import browser_of
from tests.webmail.test_consent import arrives, titles, waiting
from webmail import acknowledging, blocking, changing, consent, events, ingress, intake, messages, requests
from webmail.conversations import list_conversations, row, with_people
from webmail.edits import newest_edits
from webmail.mailbox import ARCHIVE, open_mailbox
from webmail.models import Acknowledgement, Contact, Conversation, GraphEntry, Message, WhoMayWrite
from webmail.outgoing import CannotSend, send_message
from webmail.threads import thread


@pytest.fixture(autouse=True)
def known(alice: Account, bob: Account, carol: Account, write: Write) -> None:
    """Alice has written to both of the others."""
    consent.choose(alice, WhoMayWrite.WRITTEN_TO)
    for other in (bob, carol):
        seal(write(alice, [other], f"Hello {other.handle}"))


def texts(account: Account, conversation: Conversation) -> list[str]:
    return [
        "".join(segment.text for segment in entry.segments) for entry in thread(account, conversation).entries
    ]


def test_a_blocked_person_s_conversations_leave_the_list_and_groups_only_lose_their_messages(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    arrives(write, bob, [alice], "Between us")
    ours = arrives(write, carol, [alice, bob], "The three of us").conversation
    arrives(write, bob, [alice, carol], "Bob in the group")
    assert texts(alice, ours) == ["The three of us", "Bob in the group"]

    blocking.block(alice, bob.did, timezone.now())
    assert titles(alice) == ["The three of us", "Hello carol.test"]
    ours.refresh_from_db()
    assert texts(alice, ours) == ["The three of us"]
    assert ours.unread_count == 1

    arrives(write, bob, [alice, carol], "Bob once more")
    assert texts(alice, ours) == ["The three of us"]
    assert titles(alice) == ["The three of us", "Hello carol.test"]
    messages, count = blocking.set_aside(alice, bob.did)
    assert count == 1
    assert [each.text for each in requests.as_text(alice, messages)] == ["Bob once more"]

    blocking.unblock(alice, bob.did)
    assert texts(alice, ours) == ["The three of us", "Bob in the group", "Bob once more"]
    assert titles(alice)[0] == "Bob once more"
    assert "Between us" in titles(alice)
    assert consent.may_begin(alice, bob.did), "alice had written to him"


def test_what_went_out_by_itself_lets_nobody_in_who_is_unblocked(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    Contact.objects.filter(account=alice, did=carol.did).delete()
    Message.objects.filter(account=alice, conversation__members__did=carol.did).delete()
    consent.choose(alice, WhoMayWrite.WRITTEN_TO)
    group = arrives(write, bob, [alice, carol], "Bob's group").conversation
    Acknowledgement.objects.update(due_at=timezone.now())
    assert acknowledging.send_due(group.pk, now=timezone.now()) == 1
    blocking.block(alice, carol.did, timezone.now())
    blocking.unblock(alice, carol.did)
    assert not consent.may_begin(alice, carol.did)
    assert consent.strangers_in(alice, group) == [carol.did]
    write(alice, [bob, carol], "To both")
    blocking.block(alice, carol.did, timezone.now())
    blocking.unblock(alice, carol.did)
    assert consent.may_begin(alice, carol.did)


def test_a_group_that_a_blocked_person_began_leaves_the_list(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    arrives(write, bob, [alice, carol], "Bob's group")
    blocking.block(alice, bob.did, timezone.now())
    arrives(write, carol, [alice, bob], "Carol in it")
    assert titles(alice) == ["Hello carol.test"]


def test_what_a_blocked_person_begins_is_neither_in_the_list_nor_a_request(
    alice: Account, bob: Account, carol: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocking.block(alice, bob.did, timezone.now())
    told: list[int] = []
    monkeypatch.setattr(events, "publish", lambda account_pk, *_names, **_: told.append(account_pk))
    arrives(write, bob, [alice, carol], "A new group")
    assert titles(alice) == ["Hello carol.test"]
    assert waiting(alice) == []
    assert bob.pk in told
    assert alice.pk not in told, "open pages hear nothing of it"


def test_nobody_writes_to_whom_they_block_but_in_groups(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    blocking.block(alice, bob.did, timezone.now())
    with pytest.raises(CannotSend) as refusal:
        write(alice, [bob], "Are you there?")
    assert refusal.value.code == "blocked"
    write(alice, [bob, carol], "To both")
    assert Contact.objects.get(account=alice, did=bob.did).standing == Contact.Standing.BLOCKED


def test_a_block_record_of_the_own_repository_counts(alice: Account, bob: Account, write: Write) -> None:
    arrives(write, bob, [alice], "Before")
    GraphEntry.objects.create(account=alice, kind=GraphEntry.Kind.BLOCK, did=bob.did)
    blocking.bring_in_line(alice, [bob.did])
    assert titles(alice) == ["Hello carol.test"]
    (found,) = blocking.blocked_people(alice)
    assert (found.person.handle, found.here, found.by_record) == ("bob.test", False, True)
    # A block of her own as well, taken back, changes nothing while the record stands.
    blocking.block(alice, bob.did, timezone.now())
    blocking.unblock(alice, bob.did)
    assert titles(alice) == ["Hello carol.test"]
    GraphEntry.objects.all().delete()
    blocking.bring_in_line(alice, [bob.did])
    assert titles(alice)[0] == "Before"


def test_what_was_set_aside_goes_after_thirty_days_and_what_came_before_the_block_stays(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrives(write, bob, [alice], "Before")
    blocking.block(alice, bob.did, timezone.now())
    later = timezone.now() + timedelta(minutes=5)
    for text in ("One", "Two", "Three"):
        message = write(bob, [alice], text)
        for envelope in seal(message)[alice.did]:
            ingress.accept(alice.did, envelope, now=timezone.now())
        monkeypatch.setattr(messages, "place_in_time", lambda *_: later)
        intake.pull(alice)
    assert blocking.set_aside(alice, bob.did)[1] == 3
    assert blocking.prune(later + timedelta(days=29)) == 0
    monkeypatch.setattr(blocking, "MOST_KEPT", 2)
    assert blocking.prune(later) == 1
    assert blocking.prune(later + timedelta(days=31)) == 2
    assert blocking.set_aside(alice, bob.did)[1] == 0
    with open_mailbox(alice.did) as mailbox:
        archived = mailbox.uids_after(ARCHIVE, 0)
    assert len(archived) == Message.objects.filter(account=alice).count()
    blocking.unblock(alice, bob.did)
    assert titles(alice)[0] == "Before"


def hours_left(message: Message) -> float | None:
    """Until a message disappears; None for one whose time was not begun."""
    message.refresh_from_db()
    at = message.expires_at
    return at and round((at - timezone.now()) / timedelta(hours=1), 1)


def test_what_was_put_away_unread_begins_to_disappear_once_it_is_shown_again(
    alice: Account, bob: Account, write: Write
) -> None:
    expires = Expires(True, 3600)
    before = arrives(write, bob, [alice], "Unread, then blocked", expires=expires)
    blocking.block(alice, bob.did, timezone.now())
    meanwhile = arrives(write, bob, [alice], "While blocked", expires=expires)
    assert [hours_left(before), hours_left(meanwhile)] == [None, None]
    blocking.unblock(alice, bob.did)
    assert [hours_left(before), hours_left(meanwhile)] == [1, 1]
    assert not Message.objects.filter(account=alice, unread=True).exists()


def test_whoever_looks_at_what_is_set_aside_has_read_it(alice: Account, bob: Account, write: Write) -> None:
    blocking.block(alice, bob.did, timezone.now())
    found = arrives(write, bob, [alice], "Read it and forget it", expires=Expires(True, 7200))
    page, browser = reverse("person", args=[bob.did]), browser_of(alice)
    browser.get(page)
    browser.head(f"{page}?show=aside")
    assert hours_left(found) is None
    assert "Read it and forget it" in browser.get(f"{page}?show=aside").content.decode()
    assert hours_left(found) == 2


def test_what_was_shown_again_before_begins_once(alice: Account, bob: Account, write: Write) -> None:
    begin = import_module("webmail.migrations.0046_read_and_never_begun").begin
    read, endless, unread = (
        arrives(write, bob, [alice], text, expires=Expires(True, 3600))
        for text in ("read", "for ever", "unread")
    )
    stays = arrives(write, bob, [alice], "stays")
    Message.objects.filter(pk=endless.pk).update(expires_after=2**60)
    Message.objects.filter(pk__in=[read.pk, endless.pk, stays.pk]).update(unread=False)
    for _again in range(2):
        with connection.schema_editor() as editor:
            begin(apps, editor)
    assert hours_left(read) == 1
    assert [hours_left(each) for each in (endless, unread, stays)] == [None, None, None]


def test_edits_and_reactions_go_with_what_was_set_aside(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quietly(message: NewMessage) -> str:
        sent = send_message(bob, [alice.did], message, str(uuid4()))
        hand_over(alice, seal(sent)[alice.did])
        return sent.message_id

    def of_bob() -> set[str]:
        return set(
            Message.objects.filter(account=alice, sender_did=bob.did).values_list("message_id", flat=True)
        )

    hello = Message.objects.filter(account=alice, conversation__members__did=bob.did).get()
    before = arrives(write, bob, [alice], "Before").message_id
    stays = {before, quietly(NewMessage("Before, changed", replaces=before))}
    blocking.block(alice, bob.did, timezone.now())
    quietly(NewMessage("Before, changed since", replaces=before))
    stays.add(quietly(NewMessage("Before, changed at last", replaces=before)))
    quietly(NewMessage(reaction="\N{THUMBS UP SIGN}", in_reply_to=hello.message_id))
    one = arrives(write, bob, [alice], "One").message_id
    of_one = {one, quietly(NewMessage("One, changed", replaces=one))}
    two = arrives(write, bob, [alice], "Two").message_id
    of_two = {two, quietly(NewMessage("Two, changed", replaces=two))}
    assert blocking.prune(timezone.now() + timedelta(days=29)) == 0
    monkeypatch.setattr(blocking, "MOST_KEPT", 1)
    everything = of_bob()
    assert blocking.prune(timezone.now()) == 2
    assert everything - of_bob() == of_one
    assert of_two < of_bob()
    assert blocking.prune(timezone.now() + timedelta(days=31)) == 4
    assert of_bob() == stays
    with open_mailbox(alice.did) as mailbox:
        archived = mailbox.uids_after(ARCHIVE, 0)
    assert len(archived) == Message.objects.filter(account=alice).count()
    blocking.unblock(alice, bob.did)
    assert titles(alice)[0] == "Before, changed at last"


def test_an_answer_that_stays_stays_as_it_was_edited(alice: Account, bob: Account, write: Write) -> None:
    blocking.block(alice, bob.did, timezone.now())
    goes = arrives(write, bob, [alice], "One")
    stays = arrives(write, bob, [alice], "Two", in_reply_to=goes.message_id)
    changing.edit(bob, stays.message_id, "Two, changed", str(uuid4()))
    edit = Message.objects.get(account=bob, replaces=stays.message_id)
    hand_over(alice, seal(edit)[alice.did])
    Message.objects.filter(pk=goes.pk).update(placed_at=timezone.now() - timedelta(days=31))
    assert blocking.prune(timezone.now()) == 1
    blocking.unblock(alice, bob.did)
    assert titles(alice)[0] == "Two, changed"


def test_what_was_taken_back_meanwhile_never_comes_back(alice: Account, bob: Account, write: Write) -> None:
    theirs = arrives(write, bob, [alice], "I wish I had not said that")
    blocking.block(alice, bob.did, timezone.now())
    changing.take_back(bob, theirs.message_id, str(uuid4()))
    tombstone = Message.objects.get(account=bob, replaces=theirs.message_id)
    hand_over(alice, seal(tombstone)[alice.did])
    assert blocking.prune(timezone.now() + timedelta(days=31)) == 0
    blocking.unblock(alice, bob.did)
    (entry,) = [each for each in thread(alice, theirs.conversation).entries if each.id == theirs.message_id]
    assert entry.tombstone
    assert entry.segments == []


@dataclass
class Outside:
    """What a sender's server can see, and how much work was done for it."""

    status: int
    body: int
    headers: list[str]
    queries: int
    mailbox_calls: list[str] = field(default_factory=list)


def post(recipient: Account, envelope: bytes, monkeypatch: pytest.MonkeyPatch) -> Outside:
    """Hands over an envelope as another server does, before anything is pulled."""
    calls: list[str] = []
    opened = ingress.open_mailbox

    def counted(did: str) -> object:
        calls.append("open")
        return opened(did)

    with monkeypatch.context() as patch, CaptureQueriesContext(connection) as queries:
        patch.setattr(ingress, "open_mailbox", counted)
        answer = Client().post(
            reverse("ingress", args=[recipient.did]),
            {"envelope": base64.b64encode(envelope).decode()},
            content_type="application/json",
        )
    return Outside(
        answer.status_code,
        len(answer.content),
        sorted(name for name in answer.headers),
        len(queries),
        calls,
    )


def test_from_outside_an_accepted_a_blocked_a_refused_and_an_offline_recipient_look_the_same(
    alice: Account, bob: Account, carol: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def envelope() -> bytes:
        (found,) = seal(write(bob, [alice], "Hello"))[alice.did]
        return found

    accepted = post(alice, envelope(), monkeypatch)
    assert accepted.status == 200
    intake.pull(alice)
    conversation = with_people(alice, [bob.did])
    assert conversation
    Conversation.objects.filter(pk=conversation.pk).update(standing=Conversation.Standing.REQUEST)
    waits = post(alice, envelope(), monkeypatch)
    Conversation.objects.filter(pk=conversation.pk).update(standing=Conversation.Standing.DECLINED)
    declined = post(alice, envelope(), monkeypatch)
    blocking.block(alice, bob.did, timezone.now())
    blocked = post(alice, envelope(), monkeypatch)
    intake.pull(alice)
    alice.oauth_sessions.all().delete()
    Account.objects.filter(pk=alice.pk).update(waits_since=timezone.now())
    offline = post(alice, envelope(), monkeypatch)
    assert [waits, declined, blocked, offline] == [accepted] * 4


def test_blocking_is_done_and_undone_on_pages(alice: Account, bob: Account, write: Write) -> None:
    browser = browser_of(alice)
    page = browser.get(reverse("person", args=[bob.did])).content.decode()
    assert "bob.test" in page
    there = browser.post(reverse("person-block", args=[bob.did]), {"do": "block"})
    page = browser.get(there.url).content.decode()
    assert "You block them" in page
    arrives(write, bob, [alice], "Can you hear me")
    page = browser.get(there.url).content.decode()
    assert "Show 1 message" in page
    assert "Can you hear me" not in page
    assert "Can you hear me" in browser.get(f"{there.url}?show=aside").content.decode()
    rows = list_conversations(alice).rows
    assert [row.people[0].handle for row in rows] == ["carol.test"]
    blocked = browser.get(reverse("blocked")).content.decode()
    assert "bob.test" in blocked
    back = browser.post(reverse("person-block", args=[bob.did]), {"do": "unblock", "next": "blocked"})
    assert "You block nobody" in browser.get(back.url).content.decode()
    assert titles(alice)[0] == "Can you hear me"


def test_blocking_from_a_request(alice: Account, bob: Account, write: Write) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    Conversation.objects.filter(account=alice).delete()
    found = arrives(write, bob, [alice], "Buy this").conversation
    answer = browser_of(alice).post(
        reverse("request-answer", args=[found.conversation_id]),
        {"do": "block"},
        headers={"HX-Request": "true"},
    )
    assert "You blocked" in answer.content.decode()
    assert waiting(alice) == []
    assert [each.person.handle for each in blocking.blocked_people(alice)] == ["bob.test"]


def test_reactions_and_names_of_whom_is_blocked_do_not_count(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    ours = arrives(write, carol, [alice, bob], "The three of us")
    everybody = [alice.did, carol.did]

    def quietly(message: NewMessage) -> None:
        sent = send_message(bob, everybody, message, str(uuid4()))
        hand_over(alice, seal(sent)[alice.did])

    def seen() -> tuple[list[str], str]:
        (entry,) = [each for each in thread(alice, ours.conversation).entries if not each.event]
        return [each.emoji for each in entry.reactions], row(alice, ours.conversation).name

    quietly(NewMessage(reaction="\N{THUMBS UP SIGN}", in_reply_to=ours.message_id))
    quietly(NewMessage(group_update=NewGroupUpdate("Bob's band")))
    ours.conversation.refresh_from_db()
    assert seen() == (["\N{THUMBS UP SIGN}"], "Bob's band")
    blocking.block(alice, bob.did, timezone.now())
    ours.conversation.refresh_from_db()
    assert seen() == ([], "")
    quietly(NewMessage(reaction="\N{PARTY POPPER}", in_reply_to=ours.message_id))
    quietly(NewMessage(group_update=NewGroupUpdate("Mine alone")))
    ours.conversation.refresh_from_db()
    assert seen() == ([], "")
    assert blocking.set_aside(alice, bob.did) == ([], 0)
    blocking.unblock(alice, bob.did)
    ours.conversation.refresh_from_db()
    assert seen() == (["\N{THUMBS UP SIGN}", "\N{PARTY POPPER}"], "Mine alone")


def test_edits_of_whom_is_blocked_change_nothing(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    arrives(write, carol, [alice, bob], "The three of us")
    theirs = arrives(write, bob, [alice, carol], "as it was")
    blocking.block(alice, bob.did, timezone.now())
    edit = NewMessage("changed since", replaces=theirs.message_id)
    sent = send_message(bob, [alice.did, carol.did], edit, str(uuid4()))
    hand_over(alice, seal(sent)[alice.did])
    assert newest_edits([theirs]) == {}
    assert texts(alice, theirs.conversation) == ["The three of us"]
    blocking.unblock(alice, bob.did)
    assert newest_edits([theirs])[theirs.pk].message_id == sent.message_id
    assert texts(alice, theirs.conversation) == ["The three of us", "changed since"]
