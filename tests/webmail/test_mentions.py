"""Being mentioned: what of it counts, for whom, and until when."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, Peer
from crypto_agent.atsms.content import text_part
from crypto_agent.atsms.facets import Facet
from crypto_agent.client import AgentClient, NewMessage
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.other_client import OtherClient
from tests.webmail.strangers import arrives
from tests.webmail.test_batches import queries_of_a_pull
from webmail import (
    blocking,
    changing,
    consent,
    forgetting,
    ingress,
    mentions,
    read_marks,
    rebuild,
    search_index,
    searching,
    trust,
)
from webmail.conversations import list_conversations
from webmail.models import Conversation, Message, WhoMayWrite
from webmail.news import PREFIX
from webmail.outgoing import send_message


@pytest.fixture
def group(alice: Account, bob: Account, carol: Account, write: Write) -> Conversation:
    """Alice's group with Bob and Carol, in which she wrote and has read everything."""
    return write(alice, [bob, carol], "Here we are").conversation


def mentioned(account: Account) -> int:
    """How many unread messages mention them, over all conversations of their list; the rows say the same."""
    rows = list_conversations(account).rows
    counts = [
        Conversation.objects.get(account=account, conversation_id=row.id).unread_mentions for row in rows
    ]
    assert [row.mentioned for row in rows] == [count > 0 for count in counts]
    return sum(counts)


def edits(writer: Account, reader: Account, message: Message, text: str) -> list[bytes]:
    """The envelopes of a message's next version, by how it is typed."""
    changing.edit(writer, message.message_id, text, str(uuid4()))
    version = Message.objects.filter(account=writer, replaces=message.message_id).latest("pk")
    return seal(version)[reader.did]


@pytest.mark.usefixtures("group")
def test_a_mention_counts_until_it_was_read(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    first = arrives(write, bob, [alice, carol], f"Will you come, @{alice.handle}?")
    assert first.mentions_account
    assert mentioned(alice) == 1
    others = [f"@{carol.handle}, will you?", f"alice, or {alice.handle}, or @alice", "Nobody at all"]
    for text in others:
        assert not arrives(write, bob, [alice, carol], text).mentions_account
    assert mentioned(alice) == 1
    arrives(write, carol, [alice, bob], f"Yes, @{alice.handle}, and you too, @{bob.handle}")
    assert mentioned(alice) == 2

    read_marks.mark_read(alice, first.conversation, shown={first.message_id[:16]})
    assert mentioned(alice) == 1
    read_marks.mark_read(alice, first.conversation)
    assert mentioned(alice) == 0
    read_marks.mark_unread(alice, first.conversation)
    assert mentioned(alice) == 1


@pytest.mark.usefixtures("group")
def test_the_version_that_stands_counts_whichever_comes_first(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    sent = write(bob, [alice, carol], "Will somebody come?")
    hand_over(alice, seal(sent)[alice.did])
    assert mentioned(alice) == 0
    hand_over(alice, edits(bob, alice, sent, f"Will you come, @{alice.handle}?"))
    assert mentioned(alice) == 1
    hand_over(alice, edits(bob, alice, sent, f"Will you come, @{carol.handle}?"))
    assert mentioned(alice) == 0
    hand_over(alice, edits(bob, alice, sent, f"Or @{alice.handle}?"))
    assert mentioned(alice) == 1
    take_back = NewMessage(takes_back=True, replaces=sent.message_id)
    hand_over(alice, seal(send_message(bob, [alice.did, carol.did], take_back, str(uuid4())))[alice.did])
    assert mentioned(alice) == 0

    late = write(bob, [alice, carol], "And now?")
    original = seal(late)[alice.did]
    hand_over(alice, edits(bob, alice, late, f"And now, @{alice.handle}?"))
    assert mentioned(alice) == 0
    hand_over(alice, original)
    assert mentioned(alice) == 1
    gone = write(bob, [alice, carol], f"@{alice.handle}: nothing")
    original = seal(gone)[alice.did]
    hand_over(alice, edits(bob, alice, gone, "Nothing"))
    hand_over(alice, original)
    assert mentioned(alice) == 1


@pytest.mark.usefixtures("group")
def test_what_somebody_else_edits_mentions_nobody(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    said = arrives(write, bob, [alice, carol], "Who comes?")
    text = f"@{alice.handle} comes"
    facet = Facet(0, len(text.encode()) - len(" comes"), "mention", alice.did)
    device = OtherClient.of(carol)
    device.publish()
    try:
        replaces = bytes.fromhex(said.message_id)
        hand_over(alice, device.write([alice, bob], [text_part(text, [facet])], replaces=replaces)[:1])
    finally:
        device.withdraw()
    assert Message.objects.get(account=alice, replaces=said.message_id).mentions_account
    assert mentioned(alice) == 0


@pytest.mark.usefixtures("group")
def test_what_is_gone_or_blocked_counts_no_more(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    text = f"For @{alice.handle}"
    said = arrives(write, bob, [alice, carol], text)
    assert mentioned(alice) == 1
    blocking.block(alice, bob.did, timezone.now())
    assert mentioned(alice) == 0
    arrives(write, bob, [alice, carol], text)
    assert mentioned(alice) == 0
    blocking.unblock(alice, bob.did)
    # What was out of sight is there again, and not unread any more.
    assert mentioned(alice) == 0

    said = arrives(write, bob, [alice, carol], text)
    assert mentioned(alice) == 1
    forgetting.forget(alice, said.message_id, now=timezone.now())
    assert mentioned(alice) == 0
    assert not Message.objects.get(pk=said.pk).mentions_account
    said = arrives(write, bob, [alice, carol], text)
    Message.objects.filter(pk=said.pk).update(expires_at=timezone.now())
    assert mentioned(alice) == 1
    forgetting.forget_expired(timezone.now() + timedelta(seconds=1))
    assert mentioned(alice) == 0


@pytest.mark.usefixtures("group")
def test_own_messages_and_those_of_two_people_count_nothing(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    text = f"@{alice.handle} comes"
    facet = Facet(0, len(text.encode()) - len(" comes"), "mention", alice.did)
    (mine := OtherClient.of(alice)).publish()
    (bobs := OtherClient.of(bob)).publish()
    try:
        hand_over(alice, mine.write([bob, carol, alice], [text_part(text, [facet])]))
        hand_over(alice, bobs.write([alice], [text_part(text, [facet])]))
    finally:
        mine.withdraw()
        bobs.withdraw()
    own = Message.objects.filter(account=alice, direction=Message.Direction.OUT).latest("pk")
    assert not own.mentions_account
    assert Message.objects.filter(account=alice, direction=Message.Direction.IN, unread=True).exists()
    assert mentioned(alice) == 0


def test_a_mention_in_a_request_waits_with_it(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    said = arrives(write, bob, [alice, carol], f"Come, @{alice.handle}")
    assert said.conversation.standing == Conversation.Standing.REQUEST
    assert mentioned(alice) == 0
    consent.accept(alice, said.conversation, timezone.now())
    assert mentioned(alice) == 1


@pytest.mark.usefixtures("group")
def test_a_mention_counts_once_the_signature_was_checked(
    alice: Account, bob: Account, carol: Account, write: Write, settings: Settings
) -> None:
    envelopes = seal(write(bob, [alice, carol], f"Come, @{alice.handle}"))[alice.did]
    Peer.objects.all().delete()
    plc, settings.PLC_URL = settings.PLC_URL, "http://localhost:1"
    cache.clear()
    hand_over(alice, envelopes)
    message = Message.objects.get(account=alice, direction=Message.Direction.IN)
    assert (message.trust, message.unread) == (Message.Trust.UNCHECKED, True)
    assert mentioned(alice) == 0
    settings.PLC_URL = plc
    trust.recheck(message)
    assert mentioned(alice) == 1


@pytest.mark.usefixtures("group")
def test_a_rebuild_knows_who_was_mentioned(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    arrives(write, bob, [alice, carol], f"Come, @{alice.handle}")
    # As rows are from before the index knew of mentions.
    Message.objects.update(mentions_account=False)
    Conversation.objects.update(unread_mentions=0)
    rebuild.rebuild(alice)
    assert mentioned(alice) == 1
    Message.objects.filter(account=alice, direction=Message.Direction.IN).delete()
    rebuild.rebuild(alice)
    assert Message.objects.get(account=alice, direction=Message.Direction.IN).mentions_account
    # What a rebuild restores counts as read.
    assert mentioned(alice) == 0


@pytest.mark.usefixtures("group")
def test_many_mentions_are_taken_in_with_as_many_queries_as_one(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    def taken_in(count: int) -> int:
        for number in range(count):
            sent = write(bob, [alice, carol], f"{number}: @{alice.handle}")
            versions = seal(sent)[alice.did] + edits(bob, alice, sent, f"{number} again: @{alice.handle}")
            for envelope in versions:
                ingress.accept(alice.did, envelope, now=timezone.now())
        return queries_of_a_pull(alice)

    taken_in(1)
    of_one = taken_in(1)
    assert taken_in(5) == of_one
    assert mentioned(alice) == 7


def test_no_more_are_counted_than_pages_say(
    alice: Account,
    bob: Account,
    carol: Account,
    group: Conversation,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mentions, "MOST", 2)
    told = [arrives(write, bob, [alice, carol], f"{number}: @{alice.handle}") for number in range(4)]
    assert mentioned(alice) == 2
    with CaptureQueriesContext(connection) as queries:
        assert mentions.unread_in([group]) == {group.pk: 2}
    assert len(queries) == 1
    shown = [message.message_id[:PREFIX] for message in told]
    read_marks.mark_read(alice, group, shown=shown[:1])
    assert mentioned(alice) == 2
    # Where there are so many, one more still brings an archived one back, and nothing else does.
    Conversation.objects.filter(pk=group.pk).update(muted=True, archived_at=timezone.now())
    arrives(write, carol, [alice, bob], "nobody in particular")
    group.refresh_from_db()
    assert group.archived_at is not None
    arrives(write, bob, [alice, carol], f"And @{alice.handle}")
    group.refresh_from_db()
    assert group.archived_at is None
    read_marks.mark_read(alice, group, shown=shown)
    assert mentioned(alice) == 1
    html = render_to_string("webmail/_mentioned.html", {"mentions": 100, "row_id": group.conversation_id})
    assert "data-number>99+</span>" in html
    assert 'value="100"' in html


@pytest.mark.usefixtures("group")
def test_mentions_are_found(
    alice: Account,
    bob: Account,
    carol: Account,
    write: Write,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_web = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")
    monkeypatch.setattr(searching, "agent", lambda: as_web)
    search_index.begin_again(alice)
    sent = write(bob, [alice, carol], f"The ferry, @{alice.handle}")
    hand_over(alice, seal(sent)[alice.did])
    arrives(write, bob, [alice, carol], f"The ferry, @{carol.handle}, not {alice.handle}")
    write(alice, [bob, carol], f"The ferry, @{bob.handle}")

    def found(query: str) -> list[str]:
        search_index.index_waiting(alice, now=timezone.now())
        return [one.message_id for one in searching.search(alice, query).found]

    assert len(found("ferry")) == 3
    assert found("has:mention") == found("ferry has:mention") == [sent.message_id]
    assert found("has:mention has:link") == []
    hand_over(alice, edits(bob, alice, sent, "The ferry"))
    assert found("has:mention") == []
    assert len(found("ferry")) == 3


@pytest.mark.usefixtures("group")
def test_the_pages_say_so(
    alice: Account, bob: Account, carol: Account, write: Write, at_alices: Client
) -> None:
    said = arrives(write, bob, [alice, carol], f"@{carol.handle} and @{alice.handle}")
    listed = at_alices.get("/").content.decode()
    assert listed.count("mentioned you") == 1
    page = at_alices.get(f"/c/{said.conversation.conversation_id}/").content.decode()
    assert page.count('<mark class="mention mention--you">') == 1
    assert page.count('<b class="mention">') == 1
