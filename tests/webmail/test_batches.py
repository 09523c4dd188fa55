"""Mail that is taken in many at a time: the same comes of it as one by one, in a bounded number of steps."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from crypto_agent.client import Expires
from tests.services.agent import AgentProcess
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import new_account, peer
from tests.webmail.test_interrupted import put_in
from tests.webmail.test_journey import folder, texts
from webmail import blocking, consent, events, intake, kept_aside, messages
from webmail.mailbox import ARCHIVE, INBOX, QUARANTINE
from webmail.models import Contact, Conversation, Message, WhoMayWrite
from webmail.placing import Writing, conversations_for

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def queries_of_a_pull(recipient: Account) -> int:
    with CaptureQueriesContext(connection) as captured:
        intake.pull(recipient)
    return len(captured)


def test_a_batch_takes_the_same_queries_however_many_messages_it_has(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    ways = [(alice, [bob]), (carol, [bob]), (alice, [bob, carol])]

    def arrive(times: int) -> int:
        for number in range(times):
            for sender, recipients in ways:
                put_in(bob, INBOX, seal(write(sender, recipients, f"{number}"))[bob.did][0])
        return queries_of_a_pull(bob)

    arrive(1)
    few = arrive(1)
    assert arrive(4) == few
    assert Message.objects.filter(account=bob).count() == 3 * 6
    assert {row.unread_count for row in Conversation.objects.filter(account=bob)} == {6}
    assert folder(bob, INBOX) == []
    assert len(folder(bob, ARCHIVE)) == 3 * 6


def test_open_pages_hear_of_a_batch_once(
    alice: Account, bob: Account, carol: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("one", "two"):
        put_in(bob, INBOX, seal(write(alice, [bob], text))[bob.did][0])
    put_in(bob, INBOX, seal(write(carol, [bob], "three"))[bob.did][0])
    consent.choose(bob, WhoMayWrite.EVERYONE)
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(events, "publish", lambda _pk, *names, **_more: told.append(names))
    intake.pull(bob)
    changed = {f"conversation:{row.conversation_id}" for row in Conversation.objects.filter(account=bob)}
    assert [(names[0], set(names[1:])) for names in told] == [("conversations", changed)]


def test_one_that_cannot_be_stored_neither_stops_the_others_nor_is_lost(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, expires in (("one", None), ("two", Expires(True, 3600)), ("three", None)):
        put_in(bob, INBOX, seal(write(alice, [bob], text, expires=expires))[bob.did][0])
    with monkeypatch.context() as patched:
        # More than the database has room for, which the agent lets nobody say.
        patched.setattr(messages.disappearing, "seconds_of", lambda expires: 2**70 if expires else 0)
        intake.pull(bob)
    assert texts(bob) == [["one", "three"]]
    (kept,) = kept_aside.kept_aside(bob)
    assert (kept.code, kept.can_retry) == ("reader-failed", True)
    assert folder(bob, INBOX) == []
    assert [len(folder(bob, name)) for name in (ARCHIVE, QUARANTINE)] == [2, 1]

    kept_aside.retry(bob, kept.id)
    intake.pull(bob)
    assert sorted(texts(bob)[0]) == ["one", "three", "two"]
    assert [len(folder(bob, name)) for name in (ARCHIVE, QUARANTINE)] == [3, 0]


def test_many_that_cannot_be_opened_are_set_aside_at_once(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    def arrive(count: int) -> int:
        for number in range(count):
            put_in(bob, INBOX, seal(write(alice, [carol], f"{number}"))[carol.did][0])
        return queries_of_a_pull(bob)

    arrive(1)
    few = arrive(1)
    assert arrive(5) == few
    assert [each.code for each in kept_aside.kept_aside(bob)] == ["cannot-open"] * 7
    assert folder(bob, INBOX) == []
    assert len(folder(bob, QUARANTINE)) == 7


def test_the_same_message_twice_in_a_batch_is_shown_once(alice: Account, bob: Account, write: Write) -> None:
    message = write(alice, [bob], "once")
    first = seal(message)[bob.did][0]
    put_in(bob, INBOX, first)
    put_in(bob, INBOX, first)
    hand_over(bob, [])
    assert texts(bob) == [["once"]]
    assert Conversation.objects.get(account=bob).unread_count == 1
    assert folder(bob, INBOX) == []


@pytest.mark.parametrize("choice", WhoMayWrite)
@pytest.mark.parametrize("seed", range(4))
def test_who_may_begin_is_decided_as_if_they_wrote_one_after_the_other(
    agent_process: AgentProcess, choice: WhoMayWrite, seed: int
) -> None:
    dids = [peer(f"p{number}").did for number in range(4)]
    accounts = [new_account(name) for name in ("together", "apart")]
    for account in accounts:
        consent.choose(account, choice)
        blocking.block(account, dids[0], now=NOON)
    chance = random.Random(seed)
    places = [chance.sample(dids, chance.choice([1, 1, 2])) for _ in range(8)]
    who_writes = [None, *dids, "self"]
    steps = [(chance.randrange(8), chance.choice(who_writes), chance.random() < 0.7) for _ in range(40)]

    def writings(account: Account) -> list[Writing]:
        return [
            Writing(
                f"{place:066x}",
                [account.did, *places[place]],
                NOON + timedelta(minutes=number),
                written_by=account.did if who == "self" else who,
                checked=checked,
            )
            for number, (place, who, checked) in enumerate(steps)
        ]

    together, apart = accounts
    found = conversations_for(together, writings(together))
    for writing in writings(apart):
        conversations_for(apart, [writing])
    assert [row.conversation_id for row in found] == [f"{place:066x}" for place, _who, _checked in steps]
    assert len({id(row) for row in found}) == len({place for place, _who, _checked in steps})
    assert state_of(together) == state_of(apart)
    assert {row.conversation_id: row.standing for row in found} == {
        row[0]: row[1] for row in state_of(together)[0]
    }


def state_of(account: Account) -> tuple[list[tuple[str, ...]], list[tuple[object, ...]]]:
    """The account's conversations and people, by what does not depend on which account it is."""

    def neutral(did: str) -> str:
        return "self" if did == account.did else did

    rows = (
        Conversation.objects.filter(account=account).order_by("conversation_id").prefetch_related("members")
    )
    conversations = [
        (
            row.conversation_id,
            row.standing,
            neutral(row.started_by),
            str(row.blocked),
            str(row.last_activity),
            *sorted(neutral(did) for did in row.participants),
            *sorted(neutral(member.did) for member in row.members.all()),
        )
        for row in rows.order_by("conversation_id")
    ]
    people = Contact.objects.filter(account=account).order_by("did")
    return conversations, list(people.values_list("did", "standing", "first_seen_at"))
