"""Operators of the search field: how they are read, and whom and what they mean to an account."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import new_account, peer, received
from webmail.search_filters import narrowed
from webmail.search_query import MOST_OPERATORS, SearchQuery, day_of, parse

TODAY = date(2026, 11, 20)


def read(text: str) -> tuple[str, list[tuple[str, str]]]:
    query = parse(text)
    return query.words, [(operator.name, operator.value) for operator in query.operators]


@pytest.mark.parametrize(
    ("text", "words", "operators"),
    [
        ("train at eight", "train at eight", []),
        ("from:bob train", "train", [("from", "bob")]),
        ("train FROM:@bob.test in:carol", "train", [("from", "@bob.test"), ("in", "carol")]),
        ('in:"Sunday  walk" "to the weir"', '"to the weir"', [("in", "Sunday walk")]),
        ("in:“Sunday walk“ weir", "weir", [("in", "Sunday walk")]),
        ('from:"Bob B', "", [("from", "Bob B")]),
        ("has:file has:IMAGE has:mention", "", [("has", "file"), ("has", "image"), ("has", "mention")]),
        ("has:wings from: before:", "has:wings from: before:", []),
        ("before:2026-11 after:2025", "", [("before", "2026-11"), ("after", "2025")]),
        ("after:yesterday before:soon", "", [("after", "yesterday"), ("before", "soon")]),
        ('"before:soon"', '"before:soon"', []),
        ("https://from:bob 12:30 colour:red", "https://from:bob 12:30 colour:red", []),
        ('"from:bob"', '"from:bob"', []),
        ("", "", []),
        ('from:""', 'from:""', []),
    ],
)
def test_what_is_typed_is_read(text: str, words: str, operators: list[tuple[str, str]]) -> None:
    assert read(text) == (words, operators)


def test_each_operator_knows_the_query_without_it() -> None:
    query = parse('from:"Bob B" train  has:file')
    assert [operator.without for operator in query.operators] == ["train has:file", 'from:"Bob B" train']


def test_days_are_years_months_or_days() -> None:
    assert day_of("2026", TODAY) == date(2026, 1, 1)
    assert day_of("2026-3", TODAY) == date(2026, 3, 1)
    assert day_of("2026-03-09", TODAY) == date(2026, 3, 9)
    assert day_of("Yesterday", TODAY) == date(2026, 11, 19)
    for text in ("0", "0000", "2026-13", "2026-1-1-1", "2026-", "٢٠٢٦", "soon"):
        assert day_of(text, TODAY) is None


@given(st.text(alphabet='from:inhas"“ 2026-x', max_size=60) | st.text(max_size=60))
def test_nothing_that_is_typed_is_lost(text: str) -> None:
    query = parse(text)
    read = query.words + "".join(operator.name + operator.value for operator in query.operators)
    for character in set(text) - set('"“”„‟«»'):
        assert character.isspace() or character.casefold() in read.casefold()


def test_operators_without_end_are_words() -> None:
    query = parse("from:bob " * 40)
    assert len(query.operators) == MOST_OPERATORS
    assert query.words.split() == ["from:bob"] * (40 - MOST_OPERATORS)


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")


def _of(text: str) -> SearchQuery:
    return parse(text)


def test_people_are_meant_by_handle_name_or_a_part_of_it(alice: Account) -> None:
    bob, bobby = peer("bob", display_name="Bob"), peer("bobby", display_name="Bobby Bob")
    peer("bobina", display_name="Bob of another account")
    for one in (bob, bobby):
        received(alice, one.did, "hello")

    def meant(text: str) -> set[str]:
        return set(narrowed(alice, _of(text), TODAY).filters.sender_dids)

    assert meant("from:@bob.test") == meant("from:BOB") == meant(f"from:{bob.did}") == {bob.did}
    assert meant("from:bobb") == meant('from:"bob bobby"') == {bobby.did}
    assert meant("from:ob") == {bob.did, bobby.did}
    assert meant("from:bob from:me") == {bob.did, alice.did}
    assert meant("from:alice") == {alice.did}
    unknown = narrowed(alice, _of("train from:bobina has:file"), TODAY).unknown
    assert unknown is not None
    assert (unknown.name, unknown.value) == ("from", "bobina")


def test_conversations_are_meant_by_their_people(alice: Account) -> None:
    bob, carol = peer("bob", display_name="Bob"), peer("carol", display_name="Carol")
    alone = received(alice, bob.did, "hello").conversation.conversation_id
    both = received(alice, bob.did, "hello", others=(carol.did,)).conversation.conversation_id
    notes = received(alice, alice.did, "hello").conversation.conversation_id

    def meant(text: str) -> list[str]:
        return list(narrowed(alice, _of(text), TODAY).filters.conversation_ids)

    assert meant("in:bob") == [alone]
    assert meant("in:carol") == meant('in:"Bob and Carol"') == meant('in:"carol, bob"') == [both]
    assert meant("in:bob in:carol") == sorted([alone, both])
    assert meant("in:alice") == [notes]
    assert narrowed(alice, _of("in:dave"), TODAY).unknown is not None


def test_times_and_kinds_narrow_together(alice: Account) -> None:
    filters = narrowed(
        alice, _of("after:2026-11-01 after:2026-10 before:today has:file has:link has:file"), TODAY
    ).filters
    assert filters.after == datetime(2026, 11, 1, tzinfo=UTC)
    assert filters.before == datetime(2026, 11, 20, tzinfo=UTC)
    assert filters.has == ("file", "link")
    for text in ("after:0001", "before:9999-12-31"):
        meant = narrowed(alice, _of(text), TODAY)
        assert (meant.unknown, meant.no_day) == (None, None)


def test_what_is_no_day_is_named(alice: Account) -> None:
    for text in ("before:2026-13-99", "after:2026-02-30 has:file", "has:link before:1.11.2026", "after:soon"):
        no_day = narrowed(alice, _of(text), TODAY).no_day
        assert no_day is not None
        assert f"{no_day.name}:{no_day.value}" in text
