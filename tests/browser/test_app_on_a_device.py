"""The service worker, notifications and the list of keys, in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Playwright, Route, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import FORMS, problems_of
from tests.browser.visitors import ARRIVAL, PHONE, Visitor, bubble, composer
from tests.services.chromium import chromium, tools_of
from tests.services.installations import RunningInstallation, wait_until

#: Whether a service worker answers for the page, in so many milliseconds at most.
TAKEN_CARE_OF = """(at_most) => new Promise((done) => {
    const answered = () => done(navigator.serviceWorker.controller !== null);
    navigator.serviceWorker.addEventListener("controllerchange", answered);
    setTimeout(answered, at_most);
    if (navigator.serviceWorker.controller) done(true);
})"""


@pytest.fixture(scope="session")
def browser(playwright: Playwright, chromium_is_chosen: None) -> Iterator[Browser]:
    """One that shows notifications."""
    with chromium(playwright, whole=True) as running:
        yield running


def test_there_are_words_for_a_missing_network_and_an_offer_of_notifications(visit: Visit) -> None:
    alice, bob = visit("alice"), visit("bob")
    page = bob.page
    page.goto("/notifications/")
    # Nobody can reach a push service here, so it stays at the offer.
    expect(page.locator("#push [data-state=off]")).to_be_visible()
    for screen in FORMS.values():
        page.set_viewport_size(screen)  # type: ignore[arg-type]
        assert problems_of(page, screen) == []
    for _attempt in range(5):
        if page.evaluate(TAKEN_CARE_OF, 6000):
            break
        page.reload()
    alice.write_to("bob.test", text="Only for the page")
    page.goto("/")
    expect(page.locator("#convos .row").first).to_contain_text("Only for the page", timeout=ARRIVAL)

    bob.context.set_offline(True)
    page.goto("/")
    expect(page.get_by_role("heading", name="No connection")).to_be_visible()
    for screen in FORMS.values():
        page.set_viewport_size(screen)  # type: ignore[arg-type]
        assert problems_of(page, screen) == []
    assert "alice.test" not in page.content()
    bob.context.set_offline(False)
    page.goto("/")
    expect(page.locator("#convos .row").first).to_contain_text("Only for the page")
    bob.excuse("ERR_INTERNET_DISCONNECTED")


def test_the_list_of_keys_opens_on_top_and_leaves_everything_where_it_was(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice = visit("alice")
    alice.write_to("bob.test", text="A place to come back to")
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
    # News of the list may come before the answer that puts the other button there.
    expect(page.locator(".pane--main .pane__head [data-key=m]")).to_have_text("Unmute")
    page.keyboard.press("m")
    expect(page.locator("#convos .row[aria-current] .row__name")).not_to_contain_text(
        "muted", timeout=ARRIVAL
    )
    page.keyboard.press("Shift+K")
    expect(page.locator("#thread > .msg").last).to_be_focused()
    page.keyboard.press("q")
    expect(page.locator("#composer-reply")).to_contain_text("A place to come back to")


def test_a_browser_without_an_open_page_is_woken_and_says_who_wrote(
    visit: Visit, installation: RunningInstallation
) -> None:
    """On his phone; what wakes it knows no size."""
    alice, bob = visit("alice"), visit("bob", viewport=PHONE, touch=True)
    bob.context.grant_permissions(["notifications"], origin=installation.url)
    page = bob.page
    for _attempt in range(5):
        if page.evaluate(TAKEN_CARE_OF, 6000):
            break
        page.reload()
    worker = _Worker(page, installation.url)
    read_everything(bob, installation)
    page.goto("about:blank")
    worker.stop()

    # With nothing new it wakes, and shows nothing.
    assert worker.shown_after_push() == []
    worker.stop()

    alice.write_to("bob.test", text="Only for his eyes")
    conversation = urlsplit(alice.page.url).path
    wait_until(lambda: unread_of(bob, installation), ARRIVAL / 1000)
    (shown,) = worker.shown_after_push(something=True)
    assert "alice" in shown["title"].lower()
    assert shown["body"] == "1 new message"
    assert shown["data"] == {"path": conversation}
    assert "his eyes" not in str(shown)

    assert worker.click() == [installation.url + conversation]
    assert worker.shown() == []
    page.goto(conversation)
    expect(bubble(page, "Only for his eyes")).to_be_visible()
    wait_until(lambda: not unread_of(bob, installation))

    # Nobody is told of what is in front of them, but where a browser wants something shown whenever it wakes.
    page.goto("/")
    alice.write("And this he sees")
    expect(page.locator("#convos .row").first).to_contain_text("And this he sees", timeout=ARRIVAL)
    assert worker.shown_after_push() == []
    worker.become_safari()
    (shown,) = worker.shown_after_push(something=True)
    assert (shown["body"], shown["silent"]) == ("1 new message", True)
    read_everything(bob, installation)
    worker.become_safari()
    worker.forget_shown()
    (shown,) = worker.shown_after_push(something=True)
    assert (shown["body"], shown["silent"]) == ("You have read everything", True)


def test_a_browser_whose_notifications_are_on_says_once_that_it_is_signed_in(
    visit: Visit, installation: RunningInstallation
) -> None:
    alice = visit("alice")
    page = alice.page
    alice.context.grant_permissions(["notifications"], origin=installation.url)
    alice.context.add_init_script(
        "PushManager.prototype.getSubscription = async () => ({ endpoint: 'https://push.example/hers' });"
    )
    said: list[str] = []
    page.on("request", lambda asked: said.append(asked.post_data or "") if "/here/" in asked.url else None)
    with page.expect_response("**/notifications/here/") as answered:
        page.goto("/devices/")
    assert answered.value.status == 204
    page.goto("/devices/")
    page.wait_for_timeout(1500)
    assert len(said) == 1
    assert "push.example%2Fhers" in said[0]


def test_a_mention_in_a_muted_group_is_said_and_nothing_else_of_it(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation
) -> None:
    first_visit_of("carol")
    alice, bob = visit("alice"), visit("bob", viewport=PHONE, touch=True)
    bob.context.grant_permissions(["notifications"], origin=installation.url)
    page = bob.page
    for _attempt in range(5):
        if page.evaluate(TAKEN_CARE_OF, 6000):
            break
        page.reload()
    alice.write_to("bob.test", text="First between us")
    alice.write_to("bob.test", "carol.test", text="A group to be muted")
    conversation = urlsplit(alice.page.url).path
    bob.open_conversation(conversation)
    expect(bubble(page, "A group to be muted")).to_be_visible(timeout=ARRIVAL)
    page.get_by_label("Conversation menu").click()
    page.locator("#settings-buttons").get_by_role("button", name="Mute", exact=True).click()
    expect(page.locator("#settings-buttons")).to_contain_text("Mute mentions too")
    worker = _Worker(page, installation.url)
    read_everything(bob, installation)
    page.goto("about:blank")
    worker.stop()

    alice.write("Nothing that concerns him")
    wait_until(lambda: unread_of(bob, installation), ARRIVAL / 1000)
    assert worker.shown_after_push() == []
    worker.stop()
    alice.write("But this does, @bob.test")
    wait_until(lambda: mentions_of(bob, installation), ARRIVAL / 1000)
    (shown,) = worker.shown_after_push(something=True)
    assert shown["body"] == "You were mentioned"
    assert shown["data"] == {"path": conversation}
    assert "this does" not in str(shown)
    read_everything(bob, installation)
    assert not mentions_of(bob, installation)
    # As other tests expect to find it.
    page.goto(conversation)
    page.get_by_label("Conversation menu").click()
    page.locator("#settings-buttons").get_by_role("button", name="Unmute").click()
    expect(page.locator("#settings-buttons")).not_to_contain_text("mentions")


def unread_of(visitor: Visitor, installation: RunningInstallation) -> list[str]:
    """The ids of the conversations in which something is unread."""
    return _conversations_with("unread_count", visitor, installation)


def mentions_of(visitor: Visitor, installation: RunningInstallation) -> list[str]:
    """The ids of those in which something unread mentions somebody."""
    return _conversations_with("unread_mentions", visitor, installation)


def _conversations_with(count: str, visitor: Visitor, installation: RunningInstallation) -> list[str]:
    rows = installation.sql(
        f"SELECT conversation_id FROM webmail_conversation WHERE {count} > 0 AND account_id ="  # noqa: S608
        " (SELECT id FROM accounts_account WHERE handle = ?)",
        visitor.person.handle,
    )
    return [conversation for (conversation,) in rows]


def read_everything(visitor: Visitor, installation: RunningInstallation) -> None:
    for conversation in unread_of(visitor, installation):
        visitor.page.goto(f"/c/{conversation}/")
        wait_until(lambda conversation=conversation: conversation not in unread_of(visitor, installation))


class _Worker:
    """The service worker of a browser, with what its developers' tools do with it: stop it, push to it."""

    #: What lies in the tray.
    _SHOWN = """async () => (await registration.getNotifications()).map(
        ({ title, body, data, silent }) => ({ title, body, data, silent }))"""
    #: As Safari on an iPhone calls itself.
    _SAFARI = """() => Object.defineProperty(navigator, "userAgent", { configurable: true,
        value: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
            + "(KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1" })"""
    #: Only a person's own click may open a window: what it would open is kept instead.
    _CLICK = """async () => {
        const [notification] = await registration.getNotifications();
        const opened = [];
        clients.openWindow = async (url) => { opened.push(url); };
        const click = new NotificationEvent("notificationclick", { notification });
        const done = [];
        click.waitUntil = (work) => done.push(work);
        dispatchEvent(click);
        await Promise.all(done);
        return opened;
    }"""

    def __init__(self, page: Page, origin: str) -> None:
        self._page = page
        self._context = page.context
        self._origin = origin
        self._registration = ""
        self._status = ""
        self._tools = tools_of(page, "the service worker")
        self._tools.on("ServiceWorker.workerRegistrationUpdated", self._hear_of_registrations)
        self._tools.on("ServiceWorker.workerVersionUpdated", self._hear_of_versions)
        self._tools.send("ServiceWorker.enable")
        self._wait_for(lambda: self._registration)

    def stop(self) -> None:
        self._tools.send("ServiceWorker.stopAllWorkers")
        self._wait_for(lambda: self._status == "stopped")

    def shown_after_push(self, *, something: bool = False) -> list[dict[str, Any]]:
        """What it shows once a push service has woken it; whether that is to be waited for. The message says
        nothing, as it is sent."""
        self._tools.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": self._origin, "registrationId": self._registration, "data": ""},
        )
        self._wait_for(lambda: self._status == "running")
        if something:
            self._wait_for(self.shown)
        else:
            self._page.wait_for_timeout(2000)
        return self.shown()

    def shown(self) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = self._context.service_workers[-1].evaluate(self._SHOWN)
        return shown

    def become_safari(self) -> None:
        """As long as it runs."""
        self._context.service_workers[-1].evaluate(self._SAFARI)

    def forget_shown(self) -> None:
        self._context.service_workers[-1].evaluate(
            "async () => { for (const each of await registration.getNotifications()) each.close(); }"
        )

    def click(self) -> list[str]:
        """Where a click on what is shown leads to."""
        opened: list[str] = self._context.service_workers[-1].evaluate(self._CLICK)
        return opened

    def _hear_of_registrations(self, event: dict[str, Any]) -> None:
        for each in event["registrations"]:
            if each["scopeURL"].startswith(self._origin) and not each["isDeleted"]:
                self._registration = each["registrationId"]

    def _hear_of_versions(self, event: dict[str, Any]) -> None:
        for each in event["versions"]:
            if each["registrationId"] == self._registration:
                self._status = each["runningStatus"]

    def _wait_for(self, condition: Callable[[], object]) -> None:
        # Events are heard while the page is waited for.
        for _turn in range(ARRIVAL // 100):
            if condition():
                return
            self._page.wait_for_timeout(100)
        raise AssertionError(f"the worker is {self._status or 'not there'}")


def test_notifications_are_not_called_on_once_the_sign_in_has_ended(
    visit: Visit, installation: RunningInstallation
) -> None:
    alice = visit("alice")
    page = alice.page
    alice.context.grant_permissions(["notifications"], origin=installation.url)
    # No push service can be reached here.
    alice.context.add_init_script(
        """
        Notification.requestPermission = async () => "granted";
        PushManager.prototype.subscribe = async () => ({ endpoint: "https://push.example/hers" });
        """
    )
    page.goto("/notifications/")
    expect(page.locator("#push [data-state=off]")).to_be_visible()
    # The answers alone: the page would go as soon as it asks for anything else.

    def answers(status: int) -> Callable[[Route], None]:
        return lambda route: route.fulfill(status=status, headers={"Location": "/language/"})

    for status, said in ((401, "signed-out"), (302, "failed")):
        page.route("**/notifications/on/", answers(status))
        page.get_by_role("button", name="Turn on").click()
        expect(page.locator(f"#push [data-state={said}]")).to_be_visible()
        expect(page.locator("#push [data-state=on]")).to_be_hidden()
        expect(page.get_by_role("button", name="Turn on")).to_be_enabled()
        page.unroute("**/notifications/on/")
    alice.excuse("status of 401")


#: Stands in for a push service, which no test can reach: it gives one subscription at a time, and none
#: while it is "away".
PUSH_SERVICE = """
    const bytes = (key) => {
        const letters = atob(key.replaceAll("-", "+").replaceAll("_", "/"));
        return Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    };
    PushManager.prototype.getSubscription = async () => localStorage.endpoint ? {
        endpoint: localStorage.endpoint,
        options: { applicationServerKey: bytes(localStorage.by).buffer },
        unsubscribe: async () => { delete localStorage.endpoint; return true; },
    } : null;
    PushManager.prototype.subscribe = async function ({ applicationServerKey }) {
        if (localStorage.away) throw new DOMException("not reached", "AbortError");
        if (localStorage.endpoint) throw new DOMException("by another key", "InvalidStateError");
        localStorage.count = Number(localStorage.count ?? 0) + 1;
        localStorage.endpoint = `https://push.example/${localStorage.count}`;
        localStorage.by = applicationServerKey;
        return this.getSubscription();
    };
    Notification.requestPermission = async () => "granted";
    """


#: The same for a worker, which the browser tells that its address is none any more, and perhaps which is.
CHANGE = """async (given) => {
    const asked = [];
    PushManager.prototype.getSubscription = async () => null;
    PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
        asked.push(applicationServerKey);
        return { endpoint: "https://push.example/by-the-worker" };
    };
    const change = new ExtendableEvent("pushsubscriptionchange");
    if (given) change.newSubscription = { endpoint: given };
    const done = [];
    change.waitUntil = (work) => done.push(work);
    dispatchEvent(change);
    await Promise.all(done);
    return asked;
}"""


def test_a_browser_without_an_open_page_is_subscribed_anew(
    visit: Visit, installation: RunningInstallation
) -> None:
    alice = visit("alice")
    page = alice.page
    alice.context.grant_permissions(["notifications"], origin=installation.url)
    alice.context.add_init_script(PUSH_SERVICE)

    def kept() -> list[str]:
        rows = installation.sql(
            "SELECT endpoint FROM webmail_pushsubscription WHERE endpoint LIKE ?", "%by-%"
        )
        return [endpoint for (endpoint,) in rows]

    page.goto("/notifications/")
    for _attempt in range(5):
        if page.evaluate(TAKEN_CARE_OF, 6000):
            break
        page.reload()
    worker = alice.context.service_workers[-1]
    assert worker.evaluate(CHANGE, None) == [], "nobody chose to be woken here"
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator("#push [data-state=on]")).to_be_visible()
    key = page.locator("#push").get_attribute("data-key-of-server")
    page.goto("about:blank")

    assert worker.evaluate(CHANGE, None) == [key]
    assert kept() == ["https://push.example/by-the-worker"]
    assert worker.evaluate(CHANGE, "https://push.example/by-the-browser") == []
    assert kept() == ["https://push.example/by-the-browser"]

    page.goto("/notifications/")
    page.get_by_role("button", name="Turn off everywhere").click()
    expect(page.get_by_role("button", name="Turn off everywhere")).to_be_hidden()
    page.goto("about:blank")
    assert worker.evaluate(CHANGE, None) == []
    assert kept() == []


def test_a_browser_that_gets_no_notices_any_more_is_subscribed_anew_or_says_so(
    visit: Visit, installation: RunningInstallation
) -> None:
    alice = visit("alice")
    page = alice.page
    alice.context.grant_permissions(["notifications"], origin=installation.url)
    alice.context.add_init_script(PUSH_SERVICE)
    asked: list[str] = []
    page.on("request", lambda asks: asked.append(asks.post_data or "") if "/on/" in asks.url else None)

    def on_another_day(do: str) -> None:
        page.evaluate(f"() => {{ {do}; delete localStorage['woken-in']; }}")

    def shows(state: str) -> None:
        expect(page.locator(f"#push [data-state={state}]")).to_be_visible()
        expect(page.locator("#push [data-state]:visible")).to_have_count(1)

    # One by a former key of the server is in the way of another.
    page.goto("/notifications/")
    shows("off")
    page.evaluate("Object.assign(localStorage, { endpoint: 'https://push.example/0', by: 'AAAA' })")
    page.get_by_role("button", name="Turn on").click()
    shows("on")
    assert "push.example%2F1" in asked[-1]

    on_another_day("delete localStorage.endpoint; localStorage.away = 'yes'")
    with page.expect_response("**/notifications/here/"):
        page.goto("/notifications/")
    shows("lost")
    expect(page.get_by_role("button", name="Turn off", exact=True)).to_be_visible()
    for screen in FORMS.values():
        page.set_viewport_size(screen)  # type: ignore[arg-type]
        assert problems_of(page, screen) == []
    page.get_by_role("button", name="Turn on").click()
    shows("failed")
    assert len(asked) == 1

    on_another_day("delete localStorage.away")
    with page.expect_response("**/notifications/on/"):
        page.goto("/devices/")
    page.goto("/notifications/")
    shows("on")
    expect(page.get_by_text("On in 1 browser.")).to_be_visible()
    on_another_day("localStorage.by = 'AAAA'")
    page.goto("/notifications/")
    shows("on")
    assert ["push.example%2F3" in each for each in asked] == [False, False, True]

    page.get_by_role("button", name="Turn off", exact=True).click()
    shows("off")
    on_another_day("delete localStorage.endpoint")
    with page.expect_response("**/notifications/here/") as answered:
        page.goto("/notifications/")
    assert answered.value.status == 204
    shows("off")
    assert len(asked) == 3

    # Who ended them by taking the permission back is not told that somebody else did.
    page.get_by_role("button", name="Turn on").click()
    shows("on")
    on_another_day("delete localStorage.endpoint; localStorage.away = 'yes'")
    alice.context.clear_permissions()
    page.goto("/notifications/")
    assert page.evaluate("Notification.permission") == "default"
    shows("off")
    alice.context.grant_permissions(["notifications"], origin=installation.url)
    page.reload()
    shows("lost")
    # There is no address any more by which this browser could be named.
    page.get_by_role("button", name="Turn off", exact=True).click()
    shows("off")
    page.reload()
    shows("off")
