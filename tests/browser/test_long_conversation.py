"""A conversation that is longer than a page: back through it, to a day, and to what an answer quotes."""

from __future__ import annotations

import re
import time
from datetime import date, timedelta

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, bubble, composer, message
from tests.services.installations import RunningInstallation, wait_until
from tests.services.windows import Window

#: Two pages of fifty, and some.
MESSAGES = 110
#: So many of them were written three days before the others.
EARLY = 40
EARLIER = """
    UPDATE webmail_message SET placed_at = strftime('%Y-%m-%d %H:%M:%f000', placed_at, '-3 days')
    WHERE id IN (
        SELECT id FROM webmail_message
        WHERE conversation_id = (SELECT id FROM webmail_conversation WHERE conversation_id = ?)
        ORDER BY placed_at, id LIMIT CAST(? AS INTEGER)
    )
"""
UNFINISHED = """
    SELECT m.id FROM webmail_message m JOIN webmail_conversation c ON c.id = m.conversation_id
    WHERE c.conversation_id = ? AND (m.state = 'composed' OR m.archived_at IS NULL)
"""


@pytest.fixture(scope="module")
def conversation(
    first_visit_of: FirstVisitOf, installation: RunningInstallation, local_network: NetworkInfo
) -> str:
    """The path of carol's notes to herself."""
    first_visit_of("carol")
    carol = Window(installation.url, local_network.accounts["carol"])
    carol.sign_in()
    path = carol.write([carol.did], "Stone 1 of the path")
    for number in range(2, MESSAGES + 1):
        carol.reply(path, f"Stone {number} of the path")
    wait_until(lambda: f"Stone {MESSAGES} of the path" in carol.get(path), 120)
    # Nothing of it changes any more while somebody looks at it.
    wait_until(lambda: not installation.sql(UNFINISHED, path.split("/")[2]), 120)
    installation.sql(EARLIER, path.split("/")[2], str(EARLY))
    return path


def _stone(page: Page, number: int) -> Locator:
    """What a message says itself, not what another one quotes of it."""
    return page.locator("#thread .text", has_text=f"Stone {number} of the path")


def test_one_goes_back_to_a_day_and_to_what_is_quoted(visit: Visit, conversation: str) -> None:
    carol = visit("carol", viewport=PHONE)
    page = carol.page
    messages = page.locator("#thread > .msg")
    carol.open_conversation(conversation)
    expect(messages.last).to_be_in_viewport()
    expect(messages).to_have_count(50)

    # Fifty at a time, and what one looked at stays where it was.
    oldest = _stone(page, int(re.findall(r"Stone (\d+)", messages.first.inner_text())[0]))
    page.locator("#older").scroll_into_view_if_needed()
    expect(messages).to_have_count(100)
    expect(oldest).to_be_in_viewport()
    while page.locator("#older").count():
        shown = messages.count()
        page.locator("#older").scroll_into_view_if_needed()
        expect(messages).not_to_have_count(shown)
    expect(_stone(page, 1)).to_have_count(1)

    page.get_by_label("Conversation menu").click()
    page.get_by_label("Jump to a day").fill((date.today() - timedelta(days=3)).isoformat())
    page.get_by_role("button", name="Jump", exact=True).click()
    expect(page).to_have_url(re.compile(f"{conversation}\\?around=[0-9a-f]{{64}}#m[0-9a-f]{{64}}$"))
    expect(_stone(page, 1)).to_be_in_viewport()

    # An answer from there goes to the end, and what it quotes leads back.
    answer = "The first of them, seen from the end"
    menu = message(page, "Stone 1 of the path").locator(".menu")
    menu.locator("summary").click()
    menu.get_by_role("link", name="Reply", exact=True).click()
    expect(page.locator("#composer-reply .quote")).to_contain_text("Stone 1 of the path")
    composer(page).press_sequentially(answer)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(bubble(page, answer)).to_be_in_viewport(timeout=ARRIVAL)
    expect(_stone(page, 1)).to_have_count(0)
    message(page, answer).locator(".quote").click()
    expect(page).to_have_url(re.compile("#m[0-9a-f]{64}$"))
    expect(_stone(page, 1)).to_be_in_viewport()
    page.get_by_role("link", name="To the newest messages").click()
    expect(bubble(page, answer)).to_be_in_viewport()


def _go_up(page: Page) -> Locator:
    """Scrolls up as a person does; the message in the middle of what is in sight then."""
    page.locator("#thread .msg").last.hover()
    page.mouse.wheel(0, -1500)
    expect(page.locator("#thread > .msg").last).not_to_be_in_viewport()
    in_sight = page.locator("#thread > .msg").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().top > innerHeight / 3).map(one => one.id)"
    )
    return page.locator(f"#{in_sight[0]}")


def test_who_reads_further_up_stays_there_when_something_comes(visit: Visit, conversation: str) -> None:
    carol = visit("carol")
    page = carol.page
    # Nothing new was asked for at the end, before she went up.
    with page.expect_response(lambda answer: "/news" in answer.url and answer.status == 204):
        carol.open_conversation(conversation)
    read = _go_up(page)

    there = carol.another_tab()
    there.goto(conversation)
    composer(there).fill("A stone that was set meanwhile")
    there.get_by_role("button", name="Send", exact=True).click()
    expect(bubble(page, "A stone that was set meanwhile")).to_be_attached(timeout=ARRIVAL)
    expect(read).to_be_in_viewport()
    expect(bubble(page, "A stone that was set meanwhile")).not_to_be_in_viewport()


def test_who_goes_up_before_what_they_wrote_has_come_stays_there(visit: Visit, conversation: str) -> None:
    carol = visit("carol")
    page = carol.page
    carol.open_conversation(conversation)
    expect(page.locator("#thread > .msg").last).to_be_in_viewport()
    held: list[Route] = []
    gone_up = False

    def hold(route: Route) -> None:
        route.continue_() if gone_up else held.append(route)

    page.route(re.compile("/news/[?]"), hold)
    carol.write("A stone that takes its time")
    until = time.monotonic() + ARRIVAL / 1000
    while not held and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert held
    read = _go_up(page)
    gone_up = True
    while held:
        held.pop().continue_()
    expect(bubble(page, "A stone that takes its time")).to_be_attached(timeout=ARRIVAL)
    expect(read).to_be_in_viewport()
    expect(bubble(page, "A stone that takes its time")).not_to_be_in_viewport()

    # Who has not gone elsewhere goes along with what they wrote, also from further up.
    carol.write("A stone at the very end")
    expect(bubble(page, "A stone at the very end")).to_be_in_viewport(timeout=ARRIVAL)
