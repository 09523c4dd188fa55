"""Mentions in conversations that somebody muted: they come through, once each, unless they are muted too."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, Peer
from crypto_agent.atsms.content import text_part
from crypto_agent.atsms.facets import Facet
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.other_client import OtherClient
from tests.webmail.strangers import arrives
from tests.webmail.test_mentions import edits
from webmail import blocking, consent, conversations, exported_settings, message_state, read_marks, trust
from webmail.conversation_settings import Change, change
from webmail.models import Conversation, Message, WhoMayWrite
from webmail.push import notices


@pytest.fixture
def group(alice: Account, bob: Account, carol: Account, write: Write) -> Conversation:
    """Alice's group with Bob and Carol, which she muted."""
    conversation = write(alice, [bob, carol], "Here we are").conversation
    set_to(alice, conversation, "mute")
    return conversation


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The account keys whose browsers were to be woken, each time."""
    asked: list[int] = []
    monkeypatch.setattr(notices, "any_browser", lambda _account: True)
    monkeypatch.setattr(notices, "something_came", asked.append)
    return asked


def set_to(account: Account, conversation: Conversation, *whats: Change) -> None:
    for what in whats:
        change(account, conversation, what, now=timezone.now())


def told(account: Account) -> tuple[str, str] | None:
    notice = notices.notice_for(account)
    return (notice.body, notice.path) if notice else None


def test_a_mention_comes_through_and_nothing_else_does(
    alice: Account, bob: Account, carol: Account, write: Write, group: Conversation, woken: list[int]
) -> None:
    path = f"/c/{group.conversation_id}/"
    arrives(write, bob, [alice, carol], f"Nothing for {alice.handle}, but for @{carol.handle}")
    assert (woken, told(alice)) == ([], None)
    arrives(write, bob, [alice, carol], f"Will you come, @{alice.handle}?")
    assert woken == [alice.pk]
    assert told(alice) == ("You were mentioned", path)
    # It stays out of the number of unread messages.
    assert conversations.unread_messages(alice) == 0
    arrives(write, bob, [alice, carol], "Yes or no?")
    assert woken == [alice.pk]
    read_marks.mark_read(alice, group)
    assert told(alice) is None


def test_mentions_may_be_muted_too(
    alice: Account, bob: Account, carol: Account, write: Write, group: Conversation, woken: list[int]
) -> None:
    set_to(alice, group, "mute-mentions")
    arrives(write, bob, [alice, carol], f"@{alice.handle}?")
    assert (woken, told(alice)) == ([], None)
    (row,) = conversations.list_conversations(alice).rows
    assert (row.muted, row.mentions_muted, row.mentioned) == (True, True, True)
    set_to(alice, group, "unmute-mentions")
    assert told(alice) is not None
    set_to(alice, group, "mute-mentions", "unmute")
    arrives(write, bob, [alice, carol], f"@{alice.handle}!")
    assert woken == [alice.pk]
    assert conversations.unread_messages(alice) == 2


def test_each_message_is_told_once_however_often_it_is_edited(
    alice: Account, bob: Account, carol: Account, write: Write, group: Conversation, woken: list[int]
) -> None:
    sent = write(bob, [alice, carol], "Will somebody come?")
    hand_over(alice, seal(sent)[alice.did])
    assert woken == []
    for text in (f"@{alice.handle}?", "Nobody?", f"@{alice.handle}!", f"@{alice.handle}!!"):
        hand_over(alice, edits(bob, alice, sent, text))
    assert woken == [alice.pk]
    # What was read is told no more.
    other = write(bob, [alice, carol], "And who else?")
    hand_over(alice, seal(other)[alice.did])
    read_marks.mark_read(alice, group)
    hand_over(alice, edits(bob, alice, other, f"And @{alice.handle}?"))
    assert woken == [alice.pk]
    # An edit that was faster than its message tells with it.
    late = write(bob, [alice, carol], "One more")
    original = seal(late)[alice.did]
    hand_over(alice, edits(bob, alice, late, f"One more: @{alice.handle}"))
    assert woken == [alice.pk]
    hand_over(alice, original)
    assert woken == [alice.pk] * 2


def test_nobody_comes_through_by_mentioning_in_a_conversation_of_two(
    alice: Account, bob: Account, write: Write, woken: list[int]
) -> None:
    conversation = write(alice, [bob], "Only us").conversation
    set_to(alice, conversation, "mute")
    text = f"@{alice.handle}"
    (bobs := OtherClient.of(bob)).publish()
    try:
        facet = Facet(0, len(text.encode()), "mention", alice.did)
        hand_over(alice, bobs.write([alice], [text_part(text, [facet])]))
    finally:
        bobs.withdraw()
    assert Message.objects.get(account=alice, direction=Message.Direction.IN).mentions_account
    assert (woken, told(alice)) == ([], None)


def test_strangers_and_who_is_blocked_come_through_nowhere(
    alice: Account, bob: Account, carol: Account, write: Write, group: Conversation, woken: list[int]
) -> None:
    blocking.block(alice, bob.did, timezone.now())
    arrives(write, bob, [alice, carol], f"@{alice.handle}")
    assert (woken, told(alice)) == ([], None)
    Conversation.objects.filter(pk=group.pk).delete()
    blocking.unblock(alice, bob.did)
    consent.choose(alice, WhoMayWrite.NOBODY)
    said = arrives(write, bob, [alice, carol], f"Hello, @{alice.handle}")
    assert said.conversation.standing == Conversation.Standing.REQUEST
    set_to(alice, said.conversation, "mute")
    arrives(write, bob, [alice, carol], f"Hello again, @{alice.handle}")
    assert (woken, told(alice)) == ([], None)
    consent.decline(alice, said.conversation)
    arrives(write, bob, [alice, carol], f"Once more, @{alice.handle}")
    assert (woken, told(alice)) == ([], None)


def test_a_mention_brings_an_archived_conversation_back_where_it_comes_through(
    alice: Account, bob: Account, carol: Account, write: Write, group: Conversation, woken: list[int]
) -> None:
    set_to(alice, group, "archive", "mute-mentions")
    arrives(write, bob, [alice, carol], f"@{alice.handle}")
    arrives(write, bob, [alice, carol], "Nothing")
    assert conversations.list_conversations(alice).rows == []
    set_to(alice, group, "unmute-mentions")
    arrives(write, bob, [alice, carol], "Still nothing")
    assert conversations.list_conversations(alice).rows == []
    arrives(write, bob, [alice, carol], f"@{alice.handle}!")
    assert len(conversations.list_conversations(alice).rows) == 1
    assert woken == [alice.pk]


def test_a_mention_whose_signature_is_checked_later_comes_through_then(
    alice: Account,
    bob: Account,
    carol: Account,
    write: Write,
    group: Conversation,
    woken: list[int],
    settings: Settings,
) -> None:
    set_to(alice, group, "archive")
    envelopes = seal(write(bob, [alice, carol], f"Come, @{alice.handle}"))[alice.did]
    Peer.objects.all().delete()
    plc, settings.PLC_URL = settings.PLC_URL, "http://localhost:1"
    cache.clear()
    hand_over(alice, envelopes)
    assert (woken, told(alice)) == ([], None)
    settings.PLC_URL = plc
    trust.recheck(Message.objects.get(account=alice, direction=Message.Direction.IN))
    assert woken == [alice.pk]
    assert told(alice) is not None


def test_an_export_carries_the_choice(alice: Account, group: Conversation) -> None:
    set_to(alice, group, "mute-mentions")
    kept = list(message_state.packed(exported_settings.settings_of(alice)))
    Conversation.objects.filter(pk=group.pk).update(mentions_muted=False, settings_changed_at=None)
    for part in kept:
        exported_settings.take_settings(alice, part)
    group.refresh_from_db()
    assert (group.muted, group.mentions_muted) == (True, True)


def test_the_menu_offers_it_for_groups_that_are_muted(
    alice: Account, bob: Account, write: Write, group: Conversation, at_alices: Client
) -> None:
    def offered(conversation: Conversation) -> str:
        return at_alices.get(f"/c/{conversation.conversation_id}/menu/").content.decode()

    page = offered(group)
    assert 'value="mute-mentions"' in page
    assert "Mute mentions too" in page
    token = at_alices.cookies["csrftoken"].value if "csrftoken" in at_alices.cookies else ""
    address = f"/c/{group.conversation_id}/settings/"
    answer = at_alices.post(address, {"do": "mute-mentions", "csrfmiddlewaretoken": token})
    assert answer.status_code == 302
    assert "Let mentions through" in offered(group)
    set_to(alice, group, "unmute")
    assert "mentions" not in offered(group)
    alone = write(alice, [bob], "Only us").conversation
    set_to(alice, alone, "mute")
    assert "mentions" not in offered(alone)
