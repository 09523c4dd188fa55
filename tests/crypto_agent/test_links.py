"""Links in written text become facets over the right bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_agent.atsms.content import text_part
from crypto_agent.links import MAX_LINKS, link_facets


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("no link", []),
        ("https://example.com", ["https://example.com"]),
        ("HTTP://EXAMPLE.COM/", ["HTTP://EXAMPLE.COM/"]),
        ("see https://example.com/a?b=c#d.", ["https://example.com/a?b=c#d"]),
        ("(https://example.com/a)", ["https://example.com/a"]),
        ("https://example.com/a_(b)", ["https://example.com/a_(b)"]),
        ("[https://example.com/]!", ["https://example.com/"]),
        ("“https://example.com”", ["https://example.com"]),
        ("https://example.com/ü/日本", ["https://example.com/ü/日本"]),
        ("https://пример.рф/x", ["https://пример.рф/x"]),
        ("http://[::1]:8000/", ["http://[::1]:8000/"]),
        ("http://a.test, http://b.test", ["http://a.test", "http://b.test"]),
        ("http://a.test\nhttp://b.test", ["http://a.test", "http://b.test"]),
        ("<https://example.com>", ["https://example.com"]),
        ("xhttps://example.com", []),
        ("https://", []),
        ("https://...", []),
        ("https:///path", []),
        ("javascript:alert(1)", []),
        ("ftp://example.com", []),
        ("https://example.com/" + "x" * 2048, []),
    ],
)
def test_links(text: str, links: list[str]) -> None:
    facets = link_facets(f"👋 {text}")
    assert [facet.value for facet in facets] == links
    octets = f"👋 {text}".encode()
    assert [octets[facet.start : facet.end].decode() for facet in facets] == links
    assert {facet.type for facet in facets} <= {"link"}


def test_there_are_not_too_many() -> None:
    assert len(link_facets("http://a.test " * 500)) == MAX_LINKS


@given(
    st.lists(st.sampled_from(["http://", "https://a.test", "(", ")", "é", "👋", " ", ".", "\n", "/", "["]))
)
def test_whatever_is_written_the_facets_lie_on_the_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    facets = link_facets(text)
    text_part(text, facets)
    assert all(text.encode()[facet.start : facet.end].decode() == facet.value for facet in facets)
    assert [facet.start for facet in facets] == sorted({facet.start for facet in facets})
