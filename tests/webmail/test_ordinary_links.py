"""Links in HTML mail that name another place than theirs."""

import pytest

from webmail.ordinary.html import clean
from webmail.ordinary.links import MOST_LINKS, misnamed, with_places

EVIL = "https://evil.example/a?b=1&c"


@pytest.mark.parametrize(
    ("href", "words", "place"),
    [
        (EVIL, "https://bank.example/login", "evil.example"),
        (EVIL, "Sign in at BANK.example now", "evil.example"),
        (EVIL, "bank\u200b.exa\u00admple", "evil.example"),
        (EVIL, "bank\uff0eexample", "evil.example"),
        (EVIL, "b\u00fccher.example", "evil.example"),
        ("https://bank.example@evil.example/", "bank.example", "evil.example"),
        ("https://bank.example.evil.example/", "bank.example", "bank.example.evil.example"),
        ("https://b\u0430nk.example/", "bank.example", "xn--bnk-6cd.example"),
        ("https://evil.example\\@bank.example/", "bank.example", "evil.example"),
        ("http:/evil.example", "bank.example", "evil.example"),
        ("http:\\\\evil.example", "bank.example", "evil.example"),
        ("ht\ntps://evil.example", "bank.example", "evil.example"),
        (EVIL, f"{' ' * 900}bank.example", "evil.example"),
        (EVIL, "\u200b" * 900 + "bank.example", "evil.example"),
        (EVIL, "https://www.evil.example/x", ""),
        ("https://t.evil.example/x", "evil.example", ""),
        ("https://xn--bcher-kva.example/", "b\u00fccher.example", ""),
        (EVIL, "Read more", ""),
        (EVIL, "No. 3.5", ""),
        ("mailto:a@evil.example", "a@bank.example", ""),
        ("https://[::1", "bank.example", ""),
        ("", "bank.example", ""),
    ],
)
def test_a_place_is_told_where_the_words_name_another(href: str, words: str, place: str) -> None:
    assert misnamed(href, words) == place


def test_it_is_told_behind_the_link_and_the_rest_stays_as_it_is() -> None:
    cleaned = clean(
        f'<p><a href="{EVIL}" title="x"><b>bank</b>.example</a> <a href="{EVIL}">more</a> a.example</p>',
        {},
    ).html
    link = '<a href="https://evil.example/a?b=1&amp;c" rel="noopener noreferrer nofollow">'
    assert cleaned == f"<p>{link}<b>bank</b>.example</a> {link}more</a> a.example</p>"
    told = with_places(cleaned)
    assert told == cleaned.replace(".example</a>", ".example</a> <small>(leads to evil.example)</small>")


def test_what_is_told_is_text() -> None:
    told = with_places(clean('<a href="https://a&quot;><img/">bank.example</a>', {}).html)
    assert "<img" not in told


@pytest.mark.parametrize(
    "mail",
    [
        f'<a href="{EVIL}"><img alt="</a>">bank.example</a>',
        f'<a href="https://bank.example"><table><tr><td><a href="{EVIL}">bank.example</a></table></a>',
        f'<a lang="en" title="x" href="{EVIL}">bank.example</a>',
        f'<p>\n\n<a href="{EVIL}">bank\n.example <b>bank.example</b>\n</a>',
    ],
)
def test_no_markup_keeps_it_from_being_told(mail: str) -> None:
    cleaned = clean(mail, {}).html
    told = with_places(cleaned)
    assert told.count("(leads to evil.example)") == 1
    assert told.replace(" <small>(leads to evil.example)</small>", "") == cleaned
    assert "</a> <small>(leads" in told


def test_so_many_links_of_a_mail_are_looked_at_and_no_more() -> None:
    cleaned = clean(f'<a href="{EVIL}">bank.example</a>' * (MOST_LINKS + 10), {}).html
    assert with_places(cleaned).count("(leads to evil.example)") == MOST_LINKS
