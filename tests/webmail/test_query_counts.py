"""Pages about people cost the same however many there are, and whatever they have to do with each other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, Peer
from tests.services.agent import AgentProcess
from tests.webmail.installation import new_account, peer, received
from webmail import outgoing, requests, threads
from webmail.comparisons import KeyState, Standing
from webmail.conversation_keys import _to_look_at
from webmail.conversations import list_conversations
from webmail.delivery_codes import KEYS_CHANGED
from webmail.identity_facts import MOST_SHARED, facts_of
from webmail.models import Conversation, Delivery

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def alice(agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")


def begins(alice: Account, stranger: Peer, *texts: str, others: tuple[str, ...] = (), after: int = 0) -> None:
    """Somebody writes to alice, who did not agree to it."""
    for number, text in enumerate(texts):
        at = NOON + timedelta(minutes=after + number)
        message = received(alice, stranger.did, text, others=others, at=at)
    Conversation.objects.filter(pk=message.conversation_id).update(
        standing=Conversation.Standing.REQUEST, started_by=stranger.did
    )


def test_the_requests_take_the_same_queries_however_many_there_are(alice: Account) -> None:
    carol = peer("carol")
    begins(alice, peer("bob"), "one", others=(carol.did,))
    requests.list_requests(alice)
    with CaptureQueriesContext(connection) as few:
        assert len(requests.list_requests(alice).cards) == 1
    for number in range(6):
        begins(alice, peer(f"bob{number}"), "a", "b", "c", "d", after=10 * (number + 1))
    with CaptureQueriesContext(connection) as many:
        cards = requests.list_requests(alice).cards
    assert len(few) == len(many)
    assert [[message.text for message in card.messages] for card in cards] == [["b", "c", "d"]] * 6 + [
        ["one"]
    ]
    assert [card.count for card in cards] == [4] * 6 + [1]


def test_what_one_shares_with_people_takes_the_same_queries_and_reads_no_other_conversation(
    alice: Account,
) -> None:
    bob, carol = peer("bob", display_name="Bob"), peer("carol", display_name="Carol")
    received(alice, bob.did, "hello", at=NOON)
    with CaptureQueriesContext(connection) as few:
        facts = facts_of(alice, [bob.did])
    assert (facts[bob.did].shared, facts[bob.did].more_shared) == (["Bob"], 0)
    for number in range(MOST_SHARED + 2):
        other = peer(f"dave{number}", display_name=f"Dave {number}")
        received(alice, bob.did, "all", others=(other.did,), at=NOON + timedelta(hours=number + 1))
        received(alice, other.did, "alone", at=NOON)
    received(alice, carol.did, "hello", others=(bob.did,), at=NOON - timedelta(hours=1))
    with CaptureQueriesContext(connection) as many:
        facts = facts_of(alice, [bob.did, carol.did, alice.did])
    assert len(few) == len(many)
    names = [name.replace("Bob", "").replace(" and ", "") for name in facts[bob.did].shared]
    assert names == ["Dave 4", "Dave 3", "Dave 2"]
    assert facts[bob.did].more_shared == 4
    assert (len(facts[carol.did].shared), facts[carol.did].more_shared) == (1, 0)
    assert (facts[alice.did].shared, facts[alice.did].more_shared) == ([], 0)
    # Of the nine further conversations with others alone, none is read.
    joined = [each["sql"] for each in many.captured_queries if "webmail_conversationmember" in each["sql"]]
    assert len(joined) == 1


def test_the_list_and_a_conversation_take_the_same_queries_however_long_they_are(alice: Account) -> None:
    """What their queries leave out is what no page needs: nothing is asked for row by row."""

    def talk(did: str, count: int) -> Conversation:
        for number in range(count):
            received(alice, did, f"in {number}", at=NOON + timedelta(minutes=number))
            message = outgoing.send(alice, [did], f"out {number}", str(uuid4()))
        return Conversation.objects.get(pk=message.conversation_id)

    def queries_of(look: Callable[[], object]) -> int:
        with CaptureQueriesContext(connection) as asked:
            look()
        return len(asked)

    bob = peer("bob").did
    short = talk(bob, 1)
    list_of_one = queries_of(lambda: list_conversations(alice))
    page_of_two = queries_of(lambda: threads.thread(alice, short))
    for number in range(5):
        talk(peer(f"carol{number}").did, 2)
    long = talk(bob, 6)
    assert queries_of(lambda: list_conversations(alice)) == list_of_one
    assert queries_of(lambda: threads.thread(alice, long)) == page_of_two
    assert len(threads.thread(alice, long).entries) == 14


def test_what_waits_for_a_look_at_keys_is_counted_at_once(alice: Account) -> None:
    dids = [peer(f"bob{number}").did for number in range(4)]
    messages = [outgoing.send(alice, dids, text, str(uuid4())) for text in ("one", "two")]
    Delivery.objects.filter(recipient_did=dids[0]).update(
        state=Delivery.State.HELD, failure_code=KEYS_CHANGED
    )
    states = {did: KeyState(Standing.CHANGED, None) for did in dids}
    with CaptureQueriesContext(connection) as one:
        _to_look_at(alice, messages[0].conversation, {dids[0]: states[dids[0]]})
    with CaptureQueriesContext(connection) as four:
        found = _to_look_at(alice, messages[0].conversation, states)
    assert len(one) == len(four)
    assert {each.person.did: each.waiting for each in found} == {did: 2 * (did == dids[0]) for did in dids}
