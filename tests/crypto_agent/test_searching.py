"""Searching through a running agent: what is found, by whom, and what the database gives away of it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from crypto_agent.client import (
    AgentClient,
    AgentLocked,
    AgentRefused,
    Composed,
    Found,
    IndexItem,
    SearchFilters,
)
from tests.crypto_agent.people import BOB, CAROL, WRITTEN_AT
from tests.crypto_agent.persons import PASSPHRASE, locked_person, new_person
from tests.crypto_agent.running_agent import Agent


def _written(web: AgentClient, did: str, texts: Sequence[str], recipient: str = BOB) -> list[Composed]:
    return [
        web.compose(did, [recipient], text, created_at=WRITTEN_AT + timedelta(minutes=index))
        for index, text in enumerate(texts)
    ]


def _indexed(agent: Agent, did: str, texts: Sequence[str], recipient: str = BOB) -> list[Composed]:
    messages = _written(agent.client(), did, texts, recipient)
    items = [IndexItem(message.content, did, message.created_at) for message in messages]
    assert agent.client("worker").index_messages(did, items) == []
    return messages


def _ids(messages: Sequence[Composed | Found]) -> list[str]:
    return [message.message_id for message in messages]


def _segments(agent: Agent, did: str) -> int:
    owner = f"SELECT id FROM crypto_agent_account WHERE did = '{did}'"  # noqa: S608
    (row,) = agent.execute(
        f"SELECT count(*) FROM crypto_agent_searchsegment WHERE account_id IN ({owner})"  # noqa: S608
    )
    return int(row[0])


def test_messages_are_found_by_their_words_newest_first(either_agent: Agent) -> None:
    did, web = new_person(either_agent), either_agent.client()
    first, second, third = _indexed(
        either_agent, did, ["The train leaves at eight", "No TRAIN today", "Bus, then: https://bus.example"]
    )
    assert _ids(web.search(did, "train").found) == _ids([second, first])
    assert web.search(did, "train eight").found == [Found(first.conversation_id, first.message_id)]
    assert web.search(did, '"train today"').found == [Found(second.conversation_id, second.message_id)]
    assert web.search(did, '"today train"').found == []
    assert _ids(web.search(did, "", filters=SearchFilters(has=["link"])).found) == _ids([third])
    with pytest.raises(AgentRefused, match="blank"):
        web.search(did, "  ")


def test_a_search_is_narrowed_by_conversation_sender_and_time(agent: Agent) -> None:
    did, web = new_person(agent), agent.client()
    to_bob = _indexed(agent, did, ["hello one", "hello two"])
    (to_carol,) = _indexed(agent, did, ["hello three"], CAROL)

    def found(**narrowed: object) -> list[str]:
        return _ids(web.search(did, "hello", filters=SearchFilters(**narrowed)).found)  # type: ignore[arg-type]

    assert found(conversation_ids=[to_carol.conversation_id]) == _ids([to_carol])
    assert found(conversation_ids=["01" + "ab" * 32]) == []
    assert len(found(conversation_ids=[to_carol.conversation_id, to_bob[0].conversation_id])) == 3
    assert len(found(sender_dids=[did])) == 3
    assert len(found(sender_dids=[BOB, did])) == 3
    assert found(sender_dids=[BOB]) == []
    assert found(after=to_bob[1].created_at) == _ids([to_bob[1]])
    assert set(found(before=to_bob[1].created_at)) == set(_ids([to_bob[0], to_carol]))


def test_pages_follow_each_other_without_gap_or_repetition(agent: Agent) -> None:
    did, web = new_person(agent), agent.client()
    messages = _indexed(agent, did, [f"number {index}" for index in range(25)])
    found, cursor = [], None
    for _ in range(3):
        page = web.search(did, "number", limit=10, cursor=cursor)
        found += _ids(page.found)
        cursor = page.cursor
    assert cursor is None
    assert found == _ids(messages)[::-1]
    with pytest.raises(AgentRefused, match="cursor"):
        web.search(did, "number", cursor="somewhere")


def test_the_newest_are_found_in_whatever_order_they_were_indexed(either_agent: Agent) -> None:
    did, web, worker = new_person(either_agent), either_agent.client(), either_agent.client("worker")
    messages = _written(web, did, [f"order {index}" for index in range(12)])
    # Segments that follow each other, that lie within others, and that hold the oldest and the newest.
    for indexes in ((6, 7), (0, 11), (4, 5), (1, 9), (2, 3), (8, 10)):
        items = [IndexItem(messages[index].content, did, messages[index].created_at) for index in indexes]
        worker.index_messages(did, items)
    found, cursor = [], None
    for _ in range(4):
        page = web.search(did, "order", limit=3, cursor=cursor)
        found += _ids(page.found)
        cursor = page.cursor
    assert cursor is None
    assert found == _ids(messages)[::-1]
    between = SearchFilters(after=messages[3].created_at, before=messages[9].created_at)
    assert _ids(web.search(did, "order", filters=between).found) == _ids(messages[3:9])[::-1]


def test_a_search_while_segments_are_put_together_misses_nothing(either_agent: Agent) -> None:
    did, web, worker = new_person(either_agent), either_agent.client(), either_agent.client("worker")
    before = _indexed(either_agent, did, [f"steady {index}" for index in range(5)])
    further = _written(web, did, [f"steady further {index}" for index in range(40)])

    def index() -> None:
        for message in further:
            worker.index_messages(did, [IndexItem(message.content, did, message.created_at)])

    seen = set(_ids(before))
    with ThreadPoolExecutor(1) as thread:
        indexing = thread.submit(index)
        while not indexing.done():
            found = _ids(web.search(did, "steady", limit=100).found)
            assert len(found) == len(set(found))
            assert seen <= set(found)
            seen = set(found)
        indexing.result()
    assert len(web.search(did, "steady", limit=100).found) == 45


def test_indexing_may_be_repeated_and_small_segments_are_put_together(either_agent: Agent) -> None:
    did, web = new_person(either_agent), either_agent.client()
    worker = either_agent.client("worker")
    messages = _written(web, did, [f"drop {index}" for index in range(40)])
    for message in (*messages, *messages[:5]):
        worker.index_messages(did, [IndexItem(message.content, did, message.created_at)])
    assert _ids(web.search(did, "drop", limit=100).found) == _ids(messages)[::-1]
    assert _segments(either_agent, did) <= 17


def test_what_was_forgotten_is_not_found_again(either_agent: Agent) -> None:
    did, web, worker = new_person(either_agent), either_agent.client(), either_agent.client("worker")
    kept, unwanted = _indexed(either_agent, did, ["please keep", "please forget"])
    assert worker.forget_messages(did, [unwanted.message_id, "ab" * 32]) == 1
    assert worker.forget_messages(did, [unwanted.message_id]) == 0
    assert _ids(web.search(did, "please").found) == _ids([kept])


def test_only_the_web_searches_and_only_the_worker_indexes(agent: Agent) -> None:
    did = new_person(agent)
    (message,) = _indexed(agent, did, ["mine"])
    item = IndexItem(message.content, did, message.created_at)
    for refused in (
        lambda: agent.client("worker").search(did, "mine"),
        lambda: agent.client().index_messages(did, [item]),
        lambda: agent.client().forget_messages(did, [message.message_id]),
    ):
        with pytest.raises(AgentRefused) as error:
            refused()
        assert error.value.code == "NotPermitted"


def test_nobody_finds_or_indexes_what_is_anothers(agent: Agent) -> None:
    alice, bob = new_person(agent), new_person(agent)
    (message,) = _indexed(agent, alice, ["only for alice"])
    item = IndexItem(message.content, alice, message.created_at)
    assert agent.client("worker").index_messages(bob, [item]) == [message.message_id]
    assert agent.client().search(bob, "alice").found == []


def test_a_segment_moved_to_another_account_or_number_does_not_open(own_agent: Agent) -> None:
    alice, bob = new_person(own_agent), new_person(own_agent)
    web = own_agent.client()
    _indexed(own_agent, alice, ["only for alice"])
    _indexed(own_agent, bob, ["only for bob"])
    rows = "SELECT id, sealed, account_id FROM crypto_agent_searchsegment ORDER BY id"
    (first, sealed, owner), (second, *_) = own_agent.execute(rows)
    own_agent.execute(
        f"UPDATE crypto_agent_searchsegment SET sealed = x'{bytes(sealed).hex()}' WHERE id = {second}"  # noqa: S608
    )
    with pytest.raises(AgentRefused, match="CannotUnseal"):
        web.search(bob, "only")
    assert web.search(alice, "only").found
    own_agent.execute(
        f"UPDATE crypto_agent_searchsegment SET number = 7 WHERE id = {first}",  # noqa: S608
        f"UPDATE crypto_agent_account SET last_search_segment = 7 WHERE id = {owner}",  # noqa: S608
    )
    with pytest.raises(AgentRefused, match="CannotUnseal"):
        web.search(alice, "only")


def test_the_times_of_a_segment_open_in_no_other_place(own_agent: Agent) -> None:
    did, web = new_person(own_agent), own_agent.client()
    _indexed(own_agent, did, ["the older"])
    _indexed(own_agent, did, ["the newer"])
    own_agent.execute(
        "UPDATE crypto_agent_searchsegment SET times ="
        " (SELECT times FROM crypto_agent_searchsegment ORDER BY id LIMIT 1)"
    )
    with pytest.raises(AgentRefused, match="CannotUnseal"):
        web.search(did, "newer")


def test_segments_from_before_times_were_kept_are_searched(own_agent: Agent) -> None:
    did, web = new_person(own_agent), own_agent.client()
    older, newer = _indexed(own_agent, did, ["the older", "the newer"])
    own_agent.execute("UPDATE crypto_agent_searchsegment SET times = NULL")
    assert _ids(web.search(did, "the").found) == _ids([newer, older])
    assert _ids(web.search(did, "the", limit=1).found) == _ids([newer])
    until = SearchFilters(before=newer.created_at)
    assert _ids(web.search(did, "the", filters=until).found) == _ids([older])


def test_the_database_and_the_audit_log_have_no_word_of_it(own_agent: Agent) -> None:
    did = new_person(own_agent)
    _indexed(own_agent, did, ["the heliotrope canary sings"])
    assert own_agent.client().search(did, "Heliotrope").found
    for file in own_agent.database.parent.iterdir():
        if file.is_file():
            assert b"heliotrope" not in file.read_bytes().lower(), file.name
    entries = own_agent.execute(
        "SELECT purpose, count, outcome FROM crypto_agent_auditentry ORDER BY sequence"
    )
    assert [tuple(row) for row in entries[-2:]] == [("indexMessages", 1, "ok"), ("search", 1, "ok")]


def test_a_locked_account_is_neither_searched_nor_indexed(agent: Agent) -> None:
    web, worker = agent.client(), agent.client("worker")
    did, locked = locked_person(agent)
    unlocked = web.unlocked(locked.session.token)
    (message,) = _written(unlocked, did, ["behind the lock"])
    item = IndexItem(message.content, did, message.created_at)
    worker.index_messages(did, [item])
    assert unlocked.search(did, "lock").found
    web.lock_now(did, everywhere=True)
    for attempt in (lambda: unlocked.search(did, "lock"), lambda: worker.index_messages(did, [item])):
        with pytest.raises(AgentLocked):
            attempt()
    session = web.unlock(did, PASSPHRASE, lifetime_s=600)
    again = web.unlocked(session.token)
    again.rotate_data_key(did)
    assert _ids(again.search(did, "lock").found) == [message.message_id]


def test_the_index_outlives_a_lock_that_came_later(agent: Agent) -> None:
    did, web = new_person(agent), agent.client()
    (before,) = _indexed(agent, did, ["written before the lock"])
    session = web.make_locked(did, PASSPHRASE, lifetime_s=600).session
    with pytest.raises(AgentLocked):
        web.search(did, "before")
    assert _ids(web.unlocked(session.token).search(did, "before").found) == _ids([before])
