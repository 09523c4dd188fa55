"""Groups: their names, who may give them, and going on with other people."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.agent import agent, kept_client
from accounts.models import Account, PeerCertificate
from crypto_agent.client import AgentUnavailable, NewGroupUpdate, NewMessage
from tests.services.agent import AgentProcess
from tests.webmail.installation import new_account, peer, received
from tests.webmail.test_pages import HOSTILE, assert_nothing_inline
from webmail import (
    conversations,
    groups,
    keeping_back,
    pending,
    saving,
    tasks,
    threads,
    titled_conversations,
)
from webmail.draft_content import DraftContent
from webmail.going_on import goes_on_words
from webmail.group_page import group_page
from webmail.models import Conversation, Message
from webmail.search_filters import narrowed
from webmail.search_query import parse
from webmail.searching import search
from webmail.thread_window import shown

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

NOW = timezone.now()


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")


@pytest.fixture
def group(alice: Account) -> Conversation:
    """Alice with Bob and Carol, who wrote "hello"."""
    bob, carol = peer("bob", display_name="Bob"), peer("carol", display_name="Carol")
    return received(alice, bob.did, "hello", others=(carol.did,), at=NOW - timedelta(days=1)).conversation


def named(conversation: Conversation, name: str, *, minutes: int = 0, by: str = "Bob") -> Message:
    """A group update that came from one of its people, as intake stores it."""
    account = conversation.account
    others = conversations.others_in(account, conversation)
    sender = next(did for did in others if did.startswith(f"did:plc:{by.lower()}"))
    at = NOW + timedelta(minutes=minutes)
    update = NewMessage(group_update=NewGroupUpdate(title=name))
    composed = agent().compose(account.did, others, update, created_at=at)
    message = Message.objects.create(
        account=account,
        conversation=conversation,
        message_id=composed.message_id,
        direction=Message.Direction.IN,
        sender_did=sender,
        trust=Message.Trust.SIGNED,
        created_at=at,
        placed_at=max(at, NOW),
        shown=False,
        changes_group=Message.GroupChange.NAME,
        sealed=composed.sealed,
    )
    groups.apply([message])
    return message


def title(account: Account) -> str:
    (row,) = conversations.list_conversations(account).rows
    return row.title


def test_the_newest_name_counts_and_an_empty_one_takes_it_away(alice: Account, group: Conversation) -> None:
    assert title(alice) == "Bob and Carol"
    named(group, "Sunday walk", minutes=-10)
    assert title(alice) == "Sunday walk"
    named(group, "Older, but late", minutes=-20, by="Carol")
    assert title(alice) == "Sunday walk"
    named(group, "Monday walk", minutes=-5, by="Carol")
    assert title(alice) == "Monday walk"
    named(group, "", minutes=-1)
    assert title(alice) == "Bob and Carol"


def test_of_two_names_at_one_moment_the_higher_id_counts_whichever_came_first(
    alice: Account, group: Conversation
) -> None:
    first, second = named(group, "one"), named(group, "two")
    expected = max((first.message_id, "one"), (second.message_id, "two"))[1]
    assert title(alice) == expected
    for message in (second, first):
        groups.apply([message])
        assert title(alice) == expected


def test_a_name_from_the_future_counts_from_when_it_came(alice: Account, group: Conversation) -> None:
    lasting = named(group, "for ever", minutes=10_000)
    Message.objects.filter(pk=lasting.pk).update(placed_at=NOW - timedelta(hours=1))
    named(group, "for now")
    assert title(alice) == "for now"


def test_a_signature_that_was_not_checked_names_nothing(alice: Account, group: Conversation) -> None:
    message = named(group, "by whom?")
    Message.objects.update(trust=Message.Trust.UNCHECKED)
    groups.apply([message])
    assert title(alice) == "Bob and Carol"


def test_two_people_go_by_their_names(alice: Account) -> None:
    alone = received(alice, peer("bob", display_name="Bob").did, "hello").conversation
    named(alone, "Your bank")
    assert title(alice) == "Bob"


def test_what_is_found_or_saved_in_a_group_goes_by_its_name(
    alice: Account, group: Conversation, at_alices: Client
) -> None:
    (message,) = group.messages.all()
    with override_settings(AGENT_CALLER="worker"):
        kept_client.cache_clear()
        tasks.index_messages(alice.pk)
    kept_client.cache_clear()
    saving.save(alice, message.message_id, now=NOW)

    def titles() -> tuple[str, str]:
        (found,), (saved,) = search(alice, "hello").found, saving.saved(alice).messages
        return found.title, saved.title

    assert titles() == ("Bob and Carol", "Bob and Carol")
    named(group, "Sunday walk")
    assert titles() == ("Sunday walk", "Sunday walk")
    assert [found.title for found in search(alice, 'in:"sunday walk"').found] == ["Sunday walk"]
    html = at_alices.post(reverse("search"), {"q": "hello"}, headers={"HX-Request": "true"}).content.decode()
    assert '<span class="row__name"><bdi>Sunday walk</bdi></span>' in html
    named(group, "", minutes=1)
    assert titles() == ("Bob and Carol", "Bob and Carol")


def test_no_name_is_in_the_database(alice: Account, group: Conversation) -> None:
    named(group, "Unmistakable ferry club")
    assert title(alice) == "Unmistakable ferry club"
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            assert b"Unmistakable" not in repr(cursor.fetchall()).encode()


def test_the_thread_says_who_named_the_group_and_counts_nothing(
    alice: Account, at_alices: Client, group: Conversation
) -> None:
    before = Conversation.objects.get(pk=group.pk)
    named(group, "Sunday\u202e walk\n")
    entry = threads.thread(alice, group).entries[-1]
    assert entry.event == "Bob named this group “Sunday walk”"
    row = Conversation.objects.get(pk=group.pk)
    assert (row.unread_count, row.last_message_id) == (before.unread_count, before.last_message_id)
    named(group, "", minutes=1)
    events = [each.event for each in threads.thread(alice, group).entries]
    assert events[1:] == ["Bob named this group “Sunday walk”", "Bob took the name of this group away"]
    page = at_alices.get(reverse("conversation", args=[group.conversation_id])).content.decode()
    assert "Bob took the name of this group away" in assert_nothing_inline(page).words
    assert shown(group).count() == 3


def test_a_hostile_name_stays_text(alice: Account, at_alices: Client, group: Conversation) -> None:
    named(group, HOSTILE + "x" * 300)
    for name, arguments in (("inbox", []), ("conversation", [1]), ("conversation-people", [1])):
        address = reverse(name, args=[group.conversation_id] if arguments else [])
        html = at_alices.get(address).content.decode()
        assert "<script>alert(1)</script>" in assert_nothing_inline(html).words
        assert "x" * 100 not in html


def test_people_may_name_their_group(alice: Account, at_alices: Client, group: Conversation) -> None:
    address = reverse("conversation-people", args=[group.conversation_id])
    page = at_alices.get(address).content.decode()
    for words in ("Name of this group", "3 people", "Go on without", "grows with devices, not with people"):
        assert words in page
    form = {"name": " Sunday  walk ", "token": str(uuid4())}
    for _again in range(2):
        answer = at_alices.post(f"{address}name/", form)
        assert answer.headers["Location"] == address
    update = Message.objects.get(changes_group="name")
    assert {delivery.recipient_did for delivery in update.deliveries.all()} == set(group.participants) - {
        alice.did
    }
    assert title(alice) == "Sunday walk"
    named = at_alices.get(address).content.decode()
    assert 'value="Sunday walk"' in named
    assert "The group is called Sunday walk now, for everybody in it." in named
    assert "The group is called" not in at_alices.get(address).content.decode()
    assert threads.thread(alice, group).entries[-1].event == "You named this group “Sunday walk”"
    too_long = at_alices.post(f"{address}name/", {"name": "x" * 101, "token": str(uuid4())})
    assert too_long.status_code == 422
    assert "up to 100 characters" in too_long.content.decode()
    bob = received(alice, peer("dave").did, "hello").conversation
    assert (
        at_alices.post(
            reverse("conversation-name", args=[bob.conversation_id]), {"name": "x", "token": str(uuid4())}
        ).status_code
        == 404
    )


def test_the_page_counts_the_devices_that_were_seen(alice: Account, group: Conversation) -> None:
    for number, (state, many) in enumerate((({}, 3), ({"present": False}, 2), ({"problem": "broken"}, 1))):
        for each in range(many):
            PeerCertificate.objects.create(
                peer=peer_of(group, "bob"),
                fingerprint=f"{number}{each}" * 32,
                certificate_pem="",
                not_before=NOW - timedelta(days=1),
                not_after=NOW + timedelta(days=1),
                **state,
            )
    shown = group_page(alice, group, NOW)
    assert [(member.person.name, member.devices) for member in shown.members] == [
        ("Alice", 0),
        ("Bob", 3),
        ("Carol", 0),
    ]
    assert shown.devices == 3


def test_what_a_group_costs_is_said_of_groups_alone(
    alice: Account, at_alices: Client, group: Conversation
) -> None:
    pair = received(alice, peer("bobby").did, "alone").conversation
    pages = [
        at_alices.get(reverse("conversation-people", args=[each.conversation_id])).content.decode()
        for each in (group, pair)
    ]
    assert ["What a group costs" in page for page in pages] == [True, False]
    assert ["As last seen, a message here is sealed" in page for page in pages] == [False, False]
    assert '<p class="small"></p>' not in pages[1]


def peer_of(conversation: Conversation, name: str) -> object:
    from accounts.models import Peer

    return Peer.objects.get(did__in=conversation.participants, handle=f"{name}.test")


def test_a_search_in_a_group_names_it(alice: Account, group: Conversation) -> None:
    named(group, "Sunday walk")
    received(alice, peer("bobby").did, "alone")
    filters = narrowed(alice, parse('in:"sunday w"'), NOW.date()).filters
    assert list(filters.conversation_ids) == [group.conversation_id]


def test_going_on_says_with_whom_and_without_whom(db: None) -> None:
    a, b, c, d = (peer(name, display_name=name.capitalize()).did for name in ("ann", "ben", "cat", "dan"))
    assert goes_on_words([a, b], [a, b, c, d]) == "I go on in a wider conversation, with Cat, Dan as well."
    assert goes_on_words([a, b, c], [a, b]) == "I go on in a narrower conversation, without Cat."
    assert goes_on_words([a, b], [a, c]) == "I go on in another conversation, with Cat and without Ben."


def test_a_name_goes_along_and_the_former_conversation_is_told(alice: Account, group: Conversation) -> None:
    named(group, "Sunday walk")
    everybody = [did for did in group.participants if did != alice.did] + [
        peer("dan", display_name="Dan").did
    ]
    first = _gone_on(alice, group, everybody, "Dan comes too")
    wider = Conversation.objects.get(pk=first.conversation.pk)
    assert conversations.row(alice, wider).name == "Sunday walk"
    said = [each.event or each.segments[0].text for each in threads.thread(alice, wider).entries]
    assert said == ["Dan comes too", "You named this group “Sunday walk”"]
    last = threads.thread(alice, group).entries[-1]
    assert (last.own, last.segments[0].text) == (True, "I go on in a wider conversation, with Dan as well.")
    assert Message.objects.filter(direction=Message.Direction.OUT).count() == 3
    # In a conversation of two there is nothing to name.
    narrower = _gone_on(alice, group, everybody[:1], "just us", tell=False)
    assert narrower.conversation.messages.count() == 1


def _gone_on(
    alice: Account, group: Conversation, others: list[str], text: str, *, tell: bool = True
) -> Message:
    told = goes_on_words(group.participants, [alice.did, *others]) if tell else ""
    held = keeping_back.hold(
        alice,
        others,
        DraftContent(text, told=told),
        str(uuid4()),
        held_for=timedelta(seconds=10),
        former=Conversation.objects.get(pk=group.pk),
        now=timezone.now(),
    )
    sent = pending.release(held.pk, now=held.release_at)
    assert sent is not None
    return sent


def test_a_group_to_forward_to_is_found_by_its_name_and_by_its_people(
    alice: Account, group: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(group, "Bücher Club")

    def found(words: str) -> list[str]:
        return [each.title for each in titled_conversations.titled(alice, words)]

    assert found("") == found("BÜCHER") == found("bucher") == found("cárol") == ["Bücher Club"]
    assert found("chess") == []
    monkeypatch.setattr(groups, "names_of", _away)
    assert [title for title in found("carol") if "Carol" in title]


def _away(account: Account, most: int) -> dict[str, str]:
    raise AgentUnavailable("Away", "nobody answers")
