"""Folding and matching, held to a naive reference: every message folded, every term looked for in it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_agent.errors import InvalidRequest
from crypto_agent.search_segments import Entry, Segment, Times, Wanted, fill, may_hold, times_of, write
from crypto_agent.search_text import Query, fold, parse_query

CONVERSATION = "01" * 33
#: Letters that fold, compose, join, are invisible, or are written from right to left.
_LETTERS = "aAéE\u0301ßẞıİK\u212aﬁ\u200d\ufe0f ❤👩🚀שלום\u200fعربي\u5b57漢ｶﾞガ\n\t\x00"  # noqa: RUF001
TEXT = st.text(alphabet=_LETTERS, max_size=12)


def _entry(text: str, sent_ms: int = 0, sender: str = "did:plc:one") -> Entry:
    return Entry(os.urandom(32).hex(), CONVERSATION, sender, sent_ms, 0, fold(text).encode())


@given(TEXT | st.text(max_size=30))
def test_folding_twice_changes_nothing_and_leaves_no_zero_byte(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert "\x00" not in folded
    assert folded == folded.strip()


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Grüße aus Köln", "GRÜSSE"),
        ("Ich komme aus der Straße", "strasse"),
        ("cafe\u0301 noir", "café"),
        ("Ⅻ ﬁne \uff11\uff12", "xii fine 12"),
        ("Abfahrt\n\tum acht", '"abfahrt um"'),
        ("שלום עולם", "עולם"),
        ("\u202bשלום\u202c עולם", "שלום עולם"),  # noqa: RUF001
        ("مرحبا بالعالم", "بالعالم"),
        ("明日の会議は十時です", "会議"),
        ("ｶﾞｷﾞ", "ガギ"),
        ("I ❤️ this", "❤"),
        ("crew 👩🏽‍🚀 up", "👩🏽‍🚀"),
        ("soft\u00adhyphen", "softhyphen"),
        ("see https://example.org/a?b=c", "example.org"),
    ],
)
def test_what_people_would_call_the_same_is_found(text: str, query: str) -> None:
    segment = Segment(write([_entry("something else"), _entry(text)]))
    assert [hit.message_id for hit in segment.hits(Wanted(parse_query(query)))] == [segment.message_ids()[1]]


def test_quotation_marks_make_phrases() -> None:
    assert parse_query('one "two  Three" four').terms == (b"two three", b"four", b"one")
    assert parse_query("„zwei drei“ eins").terms == (b"zwei drei", b"eins")
    assert parse_query('"open to the end').terms == (b"open to the end",)
    assert parse_query('  "" \u200d ').terms == ()
    for too_much in ("x" * 201, "a b c d e f g h i j k l m n o p q"):
        with pytest.raises(InvalidRequest):
            parse_query(too_much)


@given(st.lists(TEXT, max_size=30), TEXT)
def test_a_scan_finds_what_a_naive_search_finds(texts: list[str], query: str) -> None:
    entries = [_entry(text, sent_ms=index) for index, text in enumerate(texts)]
    wanted = parse_query(query)
    found = {hit.message_id for run in fill(entries) for hit in Segment(write(run)).hits(Wanted(wanted))}
    naive = {
        entry.message_id
        for entry, text in zip(entries, texts, strict=True)
        if all(term.decode() in fold(text) for term in wanted.terms)
    }
    assert found == naive


@given(st.lists(st.tuples(TEXT, st.integers(0, 2**40), st.sampled_from(["did:plc:one", "did:plc:two"]))))
def test_a_segment_gives_back_what_was_written(given_entries: list[tuple[str, int, str]]) -> None:
    entries = [_entry(*fields) for fields in given_entries]
    runs = list(fill(entries))
    assert [entry for run in runs for entry in Segment(write(run)).entries()] == entries


def test_a_word_does_not_reach_from_one_message_into_the_next() -> None:
    segment = Segment(write([_entry("over"), _entry("lap")]))
    assert list(segment.hits(Wanted(Query((b"overlap",))))) == []
    assert list(segment.hits(Wanted(parse_query('"over lap"')))) == []


def test_segments_are_bounded() -> None:
    runs = list(fill(_entry("x" * 2000) for _ in range(1500)))
    assert sum(map(len, runs)) == 1500
    assert all(len(run) <= 512 and sum(len(entry.text) for entry in run) <= 512 * 1024 for run in runs)


@given(st.lists(TEXT, max_size=5), TEXT)
def test_a_segment_is_passed_over_only_if_nothing_in_it_is_found(texts: list[str], query: str) -> None:
    plaintext = write([_entry(text) for text in texts])
    wanted = parse_query(query)
    assert may_hold(plaintext, wanted) or not list(Segment(plaintext).hits(Wanted(wanted)))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=3), st.integers(0, 9), st.none() | st.integers(0, 9))
def test_no_message_that_is_wanted_lies_outside_the_times_of_its_segment(
    sent: list[int], after_ms: int, before_ms: int | None
) -> None:
    times = times_of([_entry("any", at) for at in sent])
    inside = [at for at in sent if after_ms <= at and (before_ms is None or at < before_ms)]
    assert times == Times(min(sent), max(sent))
    assert times.overlap(after_ms, before_ms) or not inside
