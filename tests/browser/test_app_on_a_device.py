"""The service worker, notifications and the list of keys, in a browser."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Visit
from tests.browser.visitors import ARRIVAL, composer

#: Whether a service worker answers for the page, in so many milliseconds at most.
TAKEN_CARE_OF = """(at_most) => new Promise((done) => {
    const answered = () => done(navigator.serviceWorker.controller !== null);
    navigator.serviceWorker.addEventListener("controllerchange", answered);
    setTimeout(answered, at_most);
    if (navigator.serviceWorker.controller) done(true);
})"""


def test_there_are_words_for_a_missing_network_and_an_offer_of_notifications(visit: Visit) -> None:
    alice, bob = visit("alice"), visit("bob")
    page = bob.page
    page.goto("/notifications/")
    # Nobody can reach a push service here, so it stays at the offer.
    expect(page.locator("#push [data-state=off]")).to_be_visible()
    assert violations(page) == []
    for _attempt in range(5):
        if page.evaluate(TAKEN_CARE_OF, 6000):
            break
        page.reload()
    alice.start_conversation("bob.test", text="Only for the page")
    page.goto("/")
    expect(page.locator("#convos .row").first).to_contain_text("Only for the page", timeout=ARRIVAL)

    bob.context.set_offline(True)
    page.goto("/")
    expect(page.get_by_role("heading", name="No connection")).to_be_visible()
    assert "alice.test" not in page.content()
    bob.context.set_offline(False)
    page.goto("/")
    expect(page.locator("#convos .row").first).to_contain_text("Only for the page")
    bob.excuse("ERR_INTERNET_DISCONNECTED")


def test_the_list_of_keys_opens_on_top_and_leaves_everything_where_it_was(visit: Visit) -> None:
    alice = visit("alice")
    alice.start_conversation("bob.test", text="A place to come back to")
    page = alice.page
    composer(page).fill("half a sentence")
    composer(page).press("?")
    expect(composer(page)).to_have_value("half a sentence?")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys of the keyboard")
    expect(sheet.get_by_text("New conversation")).to_be_visible()
    assert violations(page) == []
    # What lies behind does not answer meanwhile.
    page.keyboard.press("c")
    assert "/c/" in page.url
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(composer(page)).to_have_value("half a sentence?")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("m")
    expect(page.locator("#convos .row[aria-current] .row__name")).to_contain_text("muted", timeout=ARRIVAL)
    page.keyboard.press("m")
    expect(page.locator("#convos .row[aria-current] .row__name")).not_to_contain_text(
        "muted", timeout=ARRIVAL
    )
    page.keyboard.press("Shift+K")
    expect(page.locator("#thread > .msg").last).to_be_focused()
    page.keyboard.press("q")
    expect(page.locator("#composer-reply")).to_contain_text("A place to come back to")
