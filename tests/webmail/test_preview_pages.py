"""Pages of others, read for what they say of themselves: whatever they are, in bounded time and words."""

from __future__ import annotations

import json
import sys
import time
import unicodedata

import pytest

from accounts.one_line import TURNING, one_line
from webmail.previews import child
from webmail.previews.page import PageWords, charset_in, read_page, told

MEBIBYTE = 1024 * 1024


def test_a_page_says_its_title_description_and_picture() -> None:
    page = b"""<!doctype html><html><head><title>Not this</title>
      <meta name="description" content="Nor this">
      <meta property="og:title" content="The weir &amp; its
        keeper"><meta property="og:description" content="A walk.">
      <meta property="og:image" content="/weir.jpg"><meta property="og:image" content="/second.jpg">
      </head><body><meta property="og:title" content="Too late"></body>"""
    assert read_page(page, "") == PageWords("The weir & its keeper", "A walk.", "/weir.jpg")


def test_a_head_that_nothing_closes_ends_at_what_is_none_of_it() -> None:
    head = b'<meta property="og:title" content="t"><noscript><img src=x></noscript>'
    page = head + b'<meta property="og:image" content="/a.jpg"><p><meta name=description content="Late">'
    assert read_page(page, "") == PageWords("t", "", "/a.jpg")
    # As long as nothing was said it is not believed to be over.
    assert read_page(b"<p>" + page, "").picture == "/a.jpg"


def test_a_page_without_open_graph_says_its_title() -> None:
    page = b'<title>  A\n page </title><meta name=description content="About it">'
    assert read_page(page, "utf-8") == PageWords("A page", "About it", "")


@pytest.mark.parametrize(
    ("page", "charset"),
    [
        ("<title>日本語</title>".encode("shift_jis"), "Shift_JIS"),
        ("<title>日本語</title>".encode("euc_jp"), "EUC-JP"),
        ("<title>日本語</title>".encode(), ""),
        # What the server says is nothing that a page can be in.
        ("<title>日本語</title>".encode(), "punycode"),
        ("<title>日本語</title>".encode(), "no-such-charset\r\n"),
        ("<title>日本語</title>".encode(), "a\x00b"),
        ("<meta charset='shift_jis'><title>日本語</title>".encode("shift_jis"), ""),
        # A mark of its bytes goes before what the server says.
        ("\ufeff<title>日本語</title>".encode("utf-16-le"), "iso-8859-1"),
        # The end of what was read lies within a character.
        (b"<title>" + "日本語".encode() + b"</title>" + "語".encode()[:2], ""),
    ],
)
def test_a_page_is_read_in_its_own_charset(page: bytes, charset: str) -> None:
    assert read_page(page, charset).title == "日本語"


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/html; charset=Shift_JIS", "Shift_JIS"),
        ('text/html;x=y; Charset = "utf-8" ;z', "utf-8"),
        ("text/html", ""),
        ("charset=utf-8", ""),
        ("text/html; charset=", ""),
        ('text/html; charset="utf-8', ""),
        ("text/html; charset*=utf-8''a%00b", ""),
        ("text/html; charset*=punycode''a-b", ""),
        ("text/html; charset=a\x00b", ""),
        ("text/html; charset=" + "x" * 41, ""),
        ("text/html;" + " " * 200 + "charset=utf-8", ""),
    ],
)
def test_a_servers_word_on_the_charset_is_a_short_name(content_type: str, charset: str) -> None:
    assert charset_in(content_type) == charset


def test_old_pages_that_say_no_charset_are_western() -> None:
    assert read_page(b"<title>caf\xe9</title>", "").title == "café"
    assert read_page(b"<title>caf\xe9 \x80 5</title>", "iso-8859-1").title == "café € 5"


def test_words_are_one_line_of_bounded_length_without_what_turns_it() -> None:
    page = ("<title>" + "\u202egpj.\x00\x1b" * 3 + "x " * MEBIBYTE).encode()
    title = read_page(page[:MEBIBYTE], "").title
    assert len(title) <= child.MOST_TITLE
    assert title.startswith("gpj.gpj.gpj.x x")
    assert title.endswith("…")
    long = b"https://a.test/" + b"x" * 3000
    assert read_page(b'<title>t</title><meta property="og:image" content="' + long + b'">', "").picture == ""


def test_the_process_leaves_out_what_is_left_out_elsewhere() -> None:
    """It may import nothing, so it has the characters a second time; and it knows more that is not shown."""
    assert frozenset(TURNING) == child._TURNING
    most = 3 * 256
    for first in range(0, sys.maxunicode + 1, 256):
        letters = [chr(code) for code in range(first, first + 256)]
        known = ["" if unicodedata.category(letter) in ("Co", "Cn") else letter for letter in letters]
        made = child.one_line("".join(f"a{letter}b" for letter in letters), most)
        assert made == one_line("".join(f"a{letter}b" for letter in known), most), hex(first)


#: A mebibyte each of what makes parsers slow, deep or large.
HOSTILE = {
    "deep": b"<div>" * (MEBIBYTE // 5),
    "angles": b"<" * MEBIBYTE,
    "comments": b"<!--" * (MEBIBYTE // 4),
    "sections": b"<![CDATA[" * (MEBIBYTE // 9),
    "declarations": b"<!" * (MEBIBYTE // 2),
    "instructions": b"<?" * (MEBIBYTE // 2),
    "quotes": b'<meta content="' * (MEBIBYTE // 15),
    "attributes": b"<meta " + b"a " * (MEBIBYTE // 2) + b">",
    "ampersands": b"<title>" + b"&" * MEBIBYTE,
    "scripts": b"<script>" + b"</" * (MEBIBYTE // 2),
    "zeros": bytes(MEBIBYTE),
    "charsets": b"<meta charset" * (MEBIBYTE // 13),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_page_ends_in_time_and_says_nothing_large(name: str) -> None:
    begun = time.monotonic()
    words = read_page(HOSTILE[name][:MEBIBYTE], "")
    assert time.monotonic() - begun < child.CPU_SECONDS + 4
    assert len(words.title) <= child.MOST_TITLE
    assert (words.description, words.picture) == ("", "")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"null",
        b'{"title": "t"}',
        b'{"title": 1, "description": "", "picture": ""}',
        json.dumps({"title": "x" * (child.MOST_TITLE + 1), "description": "", "picture": ""}).encode(),
        json.dumps({"title": "", "description": "x" * (child.MOST_DESCRIPTION + 1), "picture": ""}).encode(),
        json.dumps({"title": "t", "description": "", "picture": "x" * (child.MOST_ADDRESS + 1)}).encode(),
        json.dumps({"title": "\ud800", "description": "", "picture": ""}).encode(),
        json.dumps({"title": "a\x00b", "description": "", "picture": ""}).encode(),
        b"[" * 100_000,
    ],
    ids=range(11),
)
def test_a_child_that_says_something_else_said_nothing(answer: bytes) -> None:
    assert told(answer) == PageWords()
    assert not told(answer)
