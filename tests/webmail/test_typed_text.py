"""Links with words and mentions: typed, sent, shown, and typed again."""

from __future__ import annotations

import pytest

from crypto_agent.client import Facet
from webmail import outgoing
from webmail.people import person
from webmail.text import Segment, segments_of
from webmail.typed_text import MOST_FACETS, typed, written

BOB = person("did:plc:bob", "bob.test", "Bob", False)
NAMES = {BOB.did: BOB.name}


@pytest.mark.parametrize(
    ("text", "sent", "facets"),
    [
        ("plain", "plain", []),
        ("é [words](https://a.test/x) end", "é words end", [Facet(3, 8, "link", "https://a.test/x")]),
        ("hi @bob.test, you", "hi @bob.test, you", [Facet(3, 12, "mention", BOB.did)]),
        ("@BOB.test.", "@BOB.test.", [Facet(0, 9, "mention", BOB.did)]),
        ("me@bob.test @carol.test", "me@bob.test @carol.test", []),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))", []),
        ("[x](https://user@a.test/)", "[x](https://user@a.test/)", []),
        ("[ ](https://a.test/)", "[ ](https://a.test/)", []),
        ("[a](https://a.test)[b](https://b.test)", "ab", None),
    ],
)
def test_what_is_typed(text: str, sent: str, facets: list[Facet] | None) -> None:
    found = written(text, [BOB])
    assert found.text == sent
    if facets is not None:
        assert list(found.facets) == facets
    assert typed(found.text, found.facets, {BOB.did: BOB}).lower() == text.lower()


def test_facets_are_held_to_a_number() -> None:
    found = written("[a](https://a.test) " * 500, [])
    assert len(found.facets) == MOST_FACETS
    assert found.text.startswith("a a ")


@pytest.mark.parametrize(
    ("words", "url", "host"),
    [
        ("https://a.test/x", "https://a.test/x", ""),
        ("a.test/x", "https://a.test/y", ""),
        ("A.test", "https://a.test", ""),
        ("bank.test", "https://evil.test/bank.test", "evil.test"),
        ("https://a.test@evil.test", "https://evil.test", "evil.test"),
        ("a.test.evil.test", "https://a.test", "a.test"),
        ("read this", "https://a.test", "a.test"),
    ],
)
def test_a_link_with_other_words_says_where_it_leads(words: str, url: str, host: str) -> None:
    facet = Facet(0, len(words.encode()), "link", url)
    assert segments_of(words, [facet]) == [Segment(words, url, host)]


def test_somebody_of_the_conversation_is_named_and_nobody_else() -> None:
    facets = [Facet(0, 4, "mention", BOB.did), Facet(5, 9, "mention", "did:plc:stranger")]
    assert segments_of("@bob @eve", facets, NAMES) == [Segment("@Bob", mentions=True), Segment(" @eve")]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("    if tide:\n        sail()\n", "    if tide:\n        sail()"),
        ("\r\n \t\r\n  by the sea,\r\nby the sea \n\n", "  by the sea,\nby the sea"),
        ("\n\n", ""),
        (" \t ", ""),
        ("\u3000\u8a69", "\u3000\u8a69"),
    ],
)
def test_the_first_line_keeps_its_indent(text: str, sent: str) -> None:
    assert outgoing.checked_text(text, needed=False) == sent
    if not sent:
        with pytest.raises(outgoing.CannotSend, match="empty"):
            outgoing.checked_text(text, needed=True)
