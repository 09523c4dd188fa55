"""A page that stays open while the server is away, and a draft while the agent is."""

from __future__ import annotations

from playwright.sync_api import Route, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import problems_of
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, bubble, composer, message
from tests.services.installations import RunningInstallation

#: What a browser writes on the console when a server is away.
AWAY = (
    "net::ERR_CONNECTION_(REFUSED|RESET)",
    "net::ERR_INCOMPLETE_CHUNKED_ENCODING",
    "ERR_EMPTY_RESPONSE",
    "htmx:(sendError|afterRequest)",
)


def test_pages_say_that_the_server_is_away_and_catch_up_when_it_is_back(
    visit: Visit, installation: RunningInstallation
) -> None:
    """At a desk, and on a phone in the dark."""
    alice, bob = visit("alice"), visit("bob", viewport=PHONE, touch=True, dark=True)
    alice.write_to("bob.test", text="Before it goes away")
    bob.open_conversation(alice.page.url)
    expect(message(bob.page, "Before it goes away")).to_be_visible(timeout=ARRIVAL)
    alice.write("On its way")
    installation.stop("web")
    try:
        for visitor, screen in ((alice, WIDE), (bob, PHONE)):
            expect(visitor.page.locator("#offline")).to_be_visible(timeout=ARRIVAL)
            visitor.write(f"Not lost, says {visitor.person.handle}")
            not_sent = visitor.page.get_by_role("alert").filter(has_text="Not sent")
            expect(not_sent).to_be_in_viewport(ratio=1)
            expect(composer(visitor.page)).to_have_value(f"Not lost, says {visitor.person.handle}")
            assert problems_of(visitor.page, screen) == []
    finally:
        installation.start("web")
    for visitor in (alice, bob):
        expect(visitor.page.locator("#offline")).to_be_hidden(timeout=ARRIVAL)
    # What was carried meanwhile, or now, shows without a reload, once.
    expect(bubble(bob.page, "On its way")).to_have_count(1, timeout=60_000)
    for visitor, other in ((alice, bob), (bob, alice)):
        visitor.page.get_by_role("button", name="Send", exact=True).click()
        expect(visitor.page.get_by_role("alert").filter(has_text="Not sent")).to_be_hidden()
        words = f"Not lost, says {visitor.person.handle}"
        expect(bubble(other.page, words)).to_have_count(1, timeout=ARRIVAL)
        visitor.excuse(*AWAY)


def test_what_is_new_is_asked_for_though_a_script_comes_late(visit: Visit) -> None:
    """Whoever would ask for it is there only once the last script is."""
    page = visit("alice").page

    def late(route: Route) -> None:
        page.wait_for_timeout(1500)
        route.continue_()

    page.route("**/keys*.js", late)
    with page.expect_response("**/list/?*", timeout=ARRIVAL):
        page.goto("/")


def test_a_draft_that_could_not_be_shown_comes_once_the_agent_answers(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation
) -> None:
    first_visit_of("bob")
    alice = visit("alice", viewport=PHONE, touch=True)
    alice.write_to("bob.test", text="Before the agent goes away")
    with alice.page.expect_response("**/draft/keep/"):
        composer(alice.page).fill("half a thought")
    conversation = alice.page.url
    alice.page.goto("/devices/")
    installation.stop("agent")
    try:
        alice.page.goto(conversation)
        unshown = alice.page.get_by_text("A draft is kept here. It cannot be shown just now.")
        expect(unshown).to_be_visible()
        expect(composer(alice.page)).to_have_value("")
    finally:
        installation.start("agent")
    expect(composer(alice.page)).to_have_value("half a thought", timeout=ARRIVAL)
    expect(unshown).to_be_hidden()
    with alice.page.expect_response("**/draft/keep/"):
        composer(alice.page).fill("a whole thought")
