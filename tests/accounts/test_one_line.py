"""Words of others on one line: what is left of them, and what can't reach beyond it."""

from __future__ import annotations

import pytest

from accounts.one_line import TURNING, is_blank, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("  one \r\n two\t\u2028three\x85 ", "one two three"),
        ("a\x00b \x07 c\x1b\x7f\x9f", "ab c"),
        ("\u202egpj.\u2066exe\u2069", "gpj.exe"),
        ("\u0627\u061c\u0628 \u200f\u05d0\u200e", "\u0627\u0628 \u05d0"),
        ("\ud83da\udc00", "a"),
        ("👩🏽\u200d🚀 \ue000", "👩🏽\u200d🚀 \ue000"),
        ("x" * 21, "x" * 20),
        ("x" * 19 + " y", "x" * 19),
    ],
)
def test_a_line_stays_one_and_in_its_direction(text: str, line: str) -> None:
    assert one_line(text, 20) == line
    assert one_line(line, 20) == line


def test_every_mark_of_direction_is_left_out() -> None:
    assert len(TURNING) == 12
    assert all(one_line(f"a{mark}b", 20) == "ab" for mark in TURNING)


@pytest.mark.parametrize(
    "text",
    ["", " \r\n\t\u2028", "\u00a0\u3000", "\u200b\u200c\u200d\u2060\ufeff\u00ad", "\u034f \u0301", "\u3164"],
)
def test_what_is_drawn_as_nothing_is_blank(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(f"{text}.")
