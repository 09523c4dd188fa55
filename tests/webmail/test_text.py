"""Text into runs and links."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_agent.client import Facet
from webmail.text import Segment, is_emoji_only, segments_of, web_address


def link(start: int, end: int, uri: str) -> Facet:
    return Facet(start, end, "link", uri)


def test_a_facet_marks_bytes_not_characters() -> None:
    text = "h\u00e9llo https://a.example #tag"
    start = len("h\u00e9llo ".encode())
    found = segments_of(text, [link(start, start + len("https://a.example"), "https://a.example")])
    assert found == [
        Segment("h\u00e9llo "),
        Segment("https://a.example", "https://a.example"),
        Segment(" #tag"),
    ]


@pytest.mark.parametrize(
    "facet",
    [
        link(0, 2, "https://a.example"),  # cuts the é in two
        link(3, 99, "https://a.example"),
        link(4, 4, "https://a.example"),
        link(-1, 3, "https://a.example"),
        link(3, 6, "javascript:alert(1)"),
        link(3, 6, "https://user@a.example"),
        link(3, 6, "data:text/html,x"),
        Facet(3, 6, "mention", "did:plc:abc"),
    ],
)
def test_a_facet_that_cannot_be_followed_is_plain_text(facet: Facet) -> None:
    assert segments_of("a\u00e9 plain", [facet]) == [Segment("a\u00e9 plain")]


def test_of_overlapping_facets_the_first_wins() -> None:
    found = segments_of("one two", [link(0, 5, "https://a.example"), link(4, 7, "https://b.example")])
    assert found == [Segment("one t", "https://a.example", "a.example"), Segment("wo")]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("see https://a.example/x.", "https://a.example/x"),
        ("(https://a.example/x)", "https://a.example/x"),
        ("https://a.example/x_(y)", "https://a.example/x_(y)"),
        ("HTTPS://A.example!", "HTTPS://A.example"),
        ("https://a.example/?q=1&r=2, then", "https://a.example/?q=1&r=2"),
    ],
)
def test_addresses_without_a_facet_become_links(text: str, url: str) -> None:
    assert [segment.url for segment in segments_of(text) if segment.url] == [url]


@given(st.text(), st.lists(st.tuples(st.integers(-5, 60), st.integers(-5, 60))))
def test_the_runs_put_together_are_the_text(text: str, ranges: list[tuple[int, int]]) -> None:
    facets = [link(start, end, "https://a.example") for start, end in ranges]
    found = segments_of(text, facets)
    assert "".join(segment.text for segment in found) == text
    assert all(segment.text for segment in found)
    assert all(web_address(segment.url) for segment in found if segment.url)


def test_emoji_alone_are_told_from_text() -> None:
    assert is_emoji_only("\U0001f98a \u2764\ufe0f")
    assert not is_emoji_only("ok \U0001f98a")
    assert not is_emoji_only("")
    assert not is_emoji_only("\U0001f98a" * 13)
