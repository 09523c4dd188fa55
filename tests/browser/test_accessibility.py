"""Of what looks the same on a page one is looked at, and what looks otherwise is not overlooked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.accessibility import COLOURS, violations

ALIKE = """<!doctype html><html lang=en><title>Alike</title><main><h1>Alike</h1>
<section class=kind><p>Words</p></section>
<section class=kind><p>Words</p></section>
<section class=kind><p>Words and <a href=/>a link</a></p></section></main>"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_content(ALIKE)
    yield page
    page.close()


@pytest.mark.parametrize("rules", [(), COLOURS], ids=["all rules", "colours"])
@pytest.mark.parametrize(
    ("place", "style"),
    [("p", "color: #bbb"), ("section", "background: #555"), ("p", "opacity: .4")],
    ids=["its colour", "the ground around it", "its opacity"],
)
def test_one_among_others_that_looks_otherwise_is_noticed(
    page: Page, place: str, style: str, rules: tuple[str, ...]
) -> None:
    assert violations(page, rules=rules) == []
    second = page.locator("section.kind").nth(1)
    other = second if place == "section" else second.locator(place)
    other.evaluate("(one, style) => { one.style.cssText = style; }", style)
    (problem,) = violations(page, rules=rules)
    assert problem.startswith("color-contrast")
    assert problem.count("Words") == 1


def test_a_link_that_only_its_colour_tells_from_the_words_around_it_is_noticed(page: Page) -> None:
    page.locator("a").evaluate("({ style }) => { style.textDecoration = 'none'; style.color = '#333'; }")
    (problem,) = violations(page)
    assert problem.startswith("link-in-text-block")
