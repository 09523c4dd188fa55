"""What a page says itself; and the page in German, and what on it is English all the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

from playwright.sync_api import Page

#: What people and programs wrote, and what is called the same in every language, is marked as such.
_WORDS = """(but) => {
  const data = `${but}, bdi, [dir=auto], code, kbd, pre, .mono, .print, textarea, script, noscript,
    main [lang]`;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walk.nextNode()) {
    const around = walk.currentNode.parentElement;
    if (!around.closest(data) && around.checkVisibility()) found.push(walk.currentNode.textContent);
  }
  for (const name of ["aria-label", "placeholder"]) {
    for (const one of document.querySelectorAll(`[${name}]`)) found.push(one.getAttribute(name));
  }
  return found.map((words) => words.trim().replace(/\\s+/g, " "));
}"""
_OPEN = "() => [...document.querySelectorAll('details')].flatMap(({ open }, at) => open ? [at] : [])"
_OPEN_AGAIN = """(open) => {
  const all = document.querySelectorAll("details");
  for (const at of open) if (all[at] && !all[at].open) all[at].querySelector("summary").click();
}"""
#: Fields that look for something as soon as somebody types.
_LOOKING = "input#search, input#who"
_WORDS_IN_A_ROW = re.compile("[A-Za-z]{2,} [A-Za-z]{2,}")


def said_on(page: Page, *, but: str = "nothing") -> set[str]:
    """What the page itself says where it can be seen or read out, in pieces; but not what `but` selects."""
    return {words for words in page.evaluate(_WORDS, but) if words}


def words_of(page: Page) -> set[str]:
    """Of that the sentences, and parts of them, of two words or more."""
    return {words for words in said_on(page) if _WORDS_IN_A_ROW.search(words)}


@contextmanager
def in_german(page: Page) -> Iterator[None]:
    """The page that is open, asked for once more; what was unfolded or looked for on it is so again."""
    unfolded = page.evaluate(_OPEN)
    looking = page.locator(_LOOKING)
    typed = looking.first.input_value() if looking.count() else ""
    everywhere = urljoin(page.url, "/")
    page.context.add_cookies([{"name": "language", "value": "de", "url": everywhere}])
    try:
        page.reload()
        page.evaluate(_OPEN_AGAIN, unfolded)
        if typed:
            looking.first.press_sequentially(typed)
        if unfolded or typed:
            page.wait_for_load_state("networkidle")
        yield
    finally:
        page.context.clear_cookies(name="language")
