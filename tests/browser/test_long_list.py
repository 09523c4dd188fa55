"""A list of conversations that is longer than one fetch: the older ones come as somebody scrolls to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE
from tests.services.installations import RunningInstallation
from tests.services.windows import Window

#: More than come anew at once.
MANY = 160
#: Copies of a conversation with people of whom nothing but the DID is known, each older than the one before.
COPIES = """
    INSERT INTO webmail_conversation (conversation_id, participants, last_activity, {others})
    WITH RECURSIVE numbers(number) AS (
        SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {many}
    )
    SELECT
        printf('02%064d', number),
        json_array('did:plc:' || printf('%024d', number), json_extract(participants, '$[0]')),
        strftime('%Y-%m-%d %H:%M:%f000', last_activity, '-' || number || ' hours'),
        {others}
    FROM webmail_conversation, numbers WHERE conversation_id = ?
"""

SET_UNREAD = "UPDATE webmail_conversation SET unread_count = ? WHERE conversation_id = ?"
SET_PINNED = "UPDATE webmail_conversation SET pinned = ? WHERE conversation_id = ?"
SET_ARCHIVED = "UPDATE webmail_conversation SET archived_at = CURRENT_TIMESTAMP WHERE conversation_id = ?"
SET_ACTIVE = (
    "UPDATE webmail_conversation SET last_activity = strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    " WHERE conversation_id = ?"
)
AS_BEFORE = (
    "UPDATE webmail_conversation SET unread_count = 0, archived_at = NULL, pinned = 0"
    " WHERE conversation_id LIKE '020000000000%'"
)


@pytest.fixture(scope="module")
def many(
    first_visit_of: FirstVisitOf, installation: RunningInstallation, local_network: NetworkInfo
) -> Iterator[Window]:
    """Carol, who has as many conversations besides her notes."""
    first_visit_of("carol")
    carol = Window(installation.url, local_network.accounts["carol"])
    carol.sign_in()
    path = carol.write([carol.did], "A note above many others")
    columns = installation.sql("SELECT name FROM pragma_table_info('webmail_conversation')")
    given = {"id", "conversation_id", "participants", "last_activity"}
    others = ", ".join(name for (name,) in columns if name not in given)
    installation.sql(COPIES.format(others=others, many=MANY), path.split("/")[2])
    yield carol
    installation.sql("DELETE FROM webmail_conversation WHERE conversation_id LIKE '020000000000%'")


def test_the_list_goes_on_as_it_is_scrolled_and_keeps_what_it_shows(visit: Visit, many: Window) -> None:
    page = visit("carol", viewport=WIDE).page
    rows = page.locator("#convos .row")
    expect(rows.first).to_be_visible()
    assert rows.count() < MANY
    while rows.count() < MANY:
        before = rows.count()
        page.evaluate("document.querySelector('#convos > li:last-child').scrollIntoView()")
        expect(rows.nth(before)).to_be_attached(timeout=ARRIVAL)
    shown = rows.evaluate_all("rows => rows.map((row) => row.getAttribute('href'))")
    assert len(set(shown)) == len(shown)

    oldest = page.locator(f'#convos .row[href="/c/02{MANY:064d}/"]')
    oldest.scroll_into_view_if_needed()
    # Something else is written, so the list comes anew.
    many.write([many.did], "Another note")
    expect(rows.first).to_contain_text("Another note", timeout=ARRIVAL)
    expect(oldest).to_be_in_viewport()
    oldest.click()
    expect(page.get_by_role("heading", level=1, name=f"did:plc:{MANY:024d}")).to_be_visible()
    expect(oldest).to_have_attribute("aria-current", "page")


def test_news_leave_the_reader_where_they_are_far_down(
    visit: Visit, many: Window, installation: RunningInstallation
) -> None:
    """Beyond the rows that come anew at once, those in view do too, and the others once somebody looks."""
    installation.sql(AS_BEFORE)
    page = visit("carol", viewport=PHONE).page
    rows = page.locator("#convos .row")
    _scroll_to_row(page, MANY)
    reached = rows.count()
    oldest, higher = _row(page, MANY), _row(page, MANY - 25)
    oldest.focus()
    page.evaluate("document.querySelector('#convos').closest('.pane__scroll').scrollBy(0, -150)")
    place = _top(oldest)

    for number, unread in ((MANY, 3), (MANY - 25, 4)):
        installation.sql(SET_UNREAD, unread, f"02{number:064d}")
    many.write([many.did], "Far above")
    expect(rows.first).to_contain_text("Far above", timeout=ARRIVAL)
    expect(oldest).to_contain_text("unread: 3")
    assert _top(oldest) == pytest.approx(place, abs=2)
    expect(oldest).to_be_focused()
    shown = rows.evaluate_all("rows => rows.map((row) => row.getAttribute('href'))")
    assert len(set(shown)) == len(shown) == reached

    # Another one comes to the top, and pushes all down by a row.
    risen = MANY - 60
    installation.sql(SET_ACTIVE, f"02{risen:064d}")
    many.write([many.did], "Once more")
    expect(rows.nth(1)).to_have_attribute("href", f"/c/02{risen:064d}/", timeout=ARRIVAL)
    assert _top(oldest) == pytest.approx(place, abs=2)

    # Another one in view goes out of the list.
    installation.sql(SET_ARCHIVED, f"02{MANY - 1:064d}")
    many.write([many.did], "And again")
    expect(_row(page, MANY - 1)).to_have_count(0, timeout=ARRIVAL)
    expect(oldest).to_be_in_viewport()
    assert rows.count() == reached - 1

    expect(higher).not_to_contain_text("unread: 4")
    _scroll_to_row(page, MANY - 25)
    expect(higher).to_contain_text("unread: 4", timeout=ARRIVAL)
    expect(higher).to_be_in_viewport()


def test_one_that_is_pinned_no_more_is_still_there_further_down(
    visit: Visit, many: Window, installation: RunningInstallation
) -> None:
    installation.sql(AS_BEFORE)
    number = MANY - 10
    installation.sql(SET_PINNED, 1, f"02{number:064d}")
    page = visit("carol", viewport=WIDE).page
    rows = page.locator("#convos .row")
    _scroll_to_row(page, MANY)
    expect(rows.first).to_have_attribute("href", f"/c/02{number:064d}/")
    installation.sql(SET_PINNED, 0, f"02{number:064d}")
    many.write([many.did], "Above what was pinned")
    expect(rows.first).to_contain_text("Above what was pinned", timeout=ARRIVAL)
    expect(_row(page, number)).to_have_count(1)
    _scroll_to_row(page, number)
    expect(_row(page, number)).to_be_in_viewport()


def test_without_script_older_ones_are_a_page_of_their_own(visit: Visit, many: Window) -> None:
    page = visit("carol", script=False).page
    first = page.locator("#convos .row").first
    newest = first.get_attribute("href")
    page.get_by_role("link", name="Older conversations").click()
    expect(first).not_to_have_attribute("href", newest or "")
    page.get_by_role("link", name="Newest conversations").click()
    expect(first).to_have_attribute("href", newest or "")


def _row(page: Page, number: int) -> Locator:
    return page.locator(f'#convos .row[href="/c/02{number:064d}/"]')


def _scroll_to_row(page: Page, number: int) -> None:
    """As far as the list has it."""
    rows = page.locator("#convos .row")
    expect(rows.first).to_be_visible()
    while not _row(page, number).count():
        before = rows.count()
        page.evaluate("document.querySelector('#convos > li:last-child').scrollIntoView()")
        expect(rows.nth(before)).to_be_attached(timeout=ARRIVAL)
    # The list may come anew at any moment.
    page.evaluate(
        "href => document.querySelector(`#convos .row[href='${href}']`).scrollIntoView()",
        f"/c/02{number:064d}/",
    )


def _top(row: Locator) -> float:
    box = row.bounding_box()
    assert box
    return box["y"]
