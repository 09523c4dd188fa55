"""How much is unread: in the title of the page, on the tab of what is unread, and on the app's icon."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, WIDE, bubble
from tests.services.installations import RunningInstallation

#: What is asked of the system, since no page can read what it shows.
HEAR_OF_BADGES = """
window.badges = [];
navigator.setAppBadge = async (count) => { window.badges.push(count); };
navigator.clearAppBadge = async () => { window.badges.push(0); };
"""
ALL_READ = "UPDATE webmail_conversation SET unread_count = 0"
MESSAGES_READ = "UPDATE webmail_message SET unread = 0"


def _expect_unread(page: Page, name: str, count: int) -> None:
    before = rf"\({count}\) " if count else ""
    expect(page).to_have_title(re.compile(rf"^{before}{name} · Waxwing$"), timeout=ARRIVAL)
    tab = page.locator("#unread-count")
    if count:
        expect(tab).to_have_text(str(count))
        expect(page.get_by_role("link", name=f"Unread {count}", exact=True)).to_have_count(1)
    else:
        expect(tab).to_be_hidden()
    page.wait_for_function(f"() => window.badges.at(-1) === {count}")


def test_the_count_follows_what_comes_and_what_is_read(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation
) -> None:
    first_visit_of("bob")
    alice = visit("alice")
    alice.start_conversation("bob.test", text="Counting begins")
    installation.sql(MESSAGES_READ)
    installation.sql(ALL_READ)
    bob = visit("bob", viewport=WIDE)
    page = bob.page
    expect(page.locator("#convos .row").first).to_contain_text("Counting begins", timeout=ARRIVAL)
    page.wait_for_timeout(1000)
    installation.sql(MESSAGES_READ)
    installation.sql(ALL_READ)
    page.add_init_script(HEAR_OF_BADGES)
    page.reload()
    _expect_unread(page, "Inbox", 0)

    # It comes by itself, and goes as the conversation opens in the same page.
    alice.write("The first one")
    _expect_unread(page, "Inbox", 1)
    alice.write("The second one")
    _expect_unread(page, "Inbox", 2)
    page.reload()
    _expect_unread(page, "Inbox", 2)
    page.locator("#convos .row").first.click()
    expect(bubble(page, "The second one").last).to_be_visible()
    _expect_unread(page, "Alice", 0)

    # A page that stays behind follows what is read elsewhere.
    other = bob.another_tab()
    other.goto("/new/")
    alice.write("The third one")
    expect(bubble(page, "The third one").last).to_be_visible(timeout=ARRIVAL)
    expect(other).to_have_title("New conversation · Waxwing", timeout=ARRIVAL)

    # Without a sign-in the icon says nothing.
    other.close()
    # An open page would go to the sign-in by itself, in the middle of this.
    page.goto("about:blank")
    page.context.clear_cookies()
    page.goto("/")
    page.wait_for_url(re.compile("sign-in"))
    page.wait_for_function("() => window.badges.at(-1) === 0")
