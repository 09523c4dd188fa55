"""Searching with operators, and the way from a result to its message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import parse_qs
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, bubble
from tests.services.installations import RunningInstallation, wait_until
from tests.services.windows import Window

FORMS = pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
#: In every message here, and in no other.
WORD = f"periplus{uuid4().hex[:8]}"
FROM_BOB = f"The {WORD} goes round the island"
LINK = f"All of the {WORD}: https://maps.example/way"
FILE = f"As a file, {WORD}"
TO_BOTH = f"Who comes along on the {WORD}?"
LATER, BEFORE = (f"{date.today() + timedelta(days=days)}" for days in (2, -2))


@pytest.fixture(scope="module")
def _written(
    installation: RunningInstallation, local_network: NetworkInfo, first_visit_of: FirstVisitOf
) -> Iterator[None]:
    """By alice and bob; after the first there are enough messages for it to be out of sight."""
    for name in local_network.accounts:
        first_visit_of(name)
    windows = {name: Window(installation.url, local_network.accounts[name]) for name in ("alice", "bob")}
    for window in windows.values():
        window.sign_in()
    alice, bob = windows["alice"], windows["bob"]
    path = bob.write([alice.did], FROM_BOB)
    wait_until(lambda: path in alice.rows())
    for number in range(12):
        alice.reply(path, f"and {number} more")
    alice.reply(path, LINK)
    alice.attach(path, FILE, ("way.txt", b"left, left, left", "text/plain"))
    alice.write([bob.did, local_network.accounts["carol"].did], TO_BOTH)
    yield
    for window in windows.values():
        window.client.close()


@pytest.mark.usefixtures("_written")
@FORMS
def test_operators_narrow_a_search_and_a_result_leads_to_its_message(
    visit: Visit, viewport: dict[str, int]
) -> None:
    page = visit("alice", viewport=viewport).page
    _is_indexed(page)
    everything = [TO_BOTH, FILE, LINK, FROM_BOB]
    for query, texts in {
        WORD: everything,
        f"{WORD} from:bob": [FROM_BOB],
        f"{WORD} from:me": everything[:3],
        f"{WORD} has:link": [LINK],
        f"{WORD} has:file": [FILE],
        f'{WORD} in:"Bob and Carol"': [TO_BOTH],
        f"{WORD} in:bob from:bob": [FROM_BOB],
        f"{WORD} before:{LATER} after:{BEFORE} from:me has:link": [LINK],
        f"{WORD} before:{BEFORE}": [],
        f"{WORD} after:{LATER}": [],
    }.items():
        found = _search(page, query)
        expect(found).to_have_count(len(texts))
        for text in texts:
            one = found.filter(has_text=text.partition(": https")[0])
            expect(one.locator("mark")).to_have_text(WORD)
        expect(page.locator("#found .chip")).to_have_count(query.count(":"))

    # A filter is taken away by its button, and the field says so.
    _search(page, f"{WORD} from:bob after:{LATER}")
    expect(page.locator("#found")).to_contain_text("No message is all of that.")
    page.get_by_role("button", name=re.compile("^Search without after")).click()
    found = page.locator("#found .row")
    expect(found).to_have_count(1)
    expect(page.get_by_label("Search messages")).to_have_value(f"{WORD} from:bob")

    mark = found.locator("mark")
    expect(mark).to_be_in_viewport()
    assert mark.evaluate("mark => getComputedStyle(mark).backgroundColor") != "rgba(0, 0, 0, 0)"
    found.click()
    expect(page).to_have_url(re.compile("around=[0-9a-f]{64}#m[0-9a-f]{64}$"))
    expect(bubble(page, FROM_BOB)).to_be_in_viewport()
    expect(bubble(page, FILE)).not_to_be_in_viewport()
    expect(page.locator("#convos")).to_be_visible(visible=viewport == WIDE)


def _search(page: Page, query: str) -> Locator:
    """Typed, which searches by itself; the results, once they are those of the query."""
    with page.expect_response(lambda answer: _asks(answer.request, query)):
        page.get_by_label("Search messages").fill(query)
    return page.locator("#found .row")


def _asks(request: Request, query: str) -> bool:
    return request.url.endswith("/search/") and parse_qs(request.post_data or "").get("q") == [query]


def _is_indexed(page: Page) -> None:
    """The workers take the messages into the index meanwhile."""
    for _ in range(ARRIVAL // 500):
        if _search(page, WORD).count() == 4:
            return
        page.get_by_label("Search messages").fill("")
        page.wait_for_timeout(500)
