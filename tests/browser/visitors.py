"""People at browser windows: their context, and everything that their pages complain about or ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from playwright.sync_api import (
    APIResponse,
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    StorageState,
    WebError,
    expect,
)
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from demo.local_network import Person
from tests.services.chromium import need_chromium

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
#: A window of 1280 by 800 at 200 % (WCAG 2.2, 1.4.4 Resize Text), in CSS pixels.
ZOOMED = {"width": 640, "height": 400}
#: The narrowest screen that has to be enough (WCAG 2.2, 1.4.10 Reflow), in CSS pixels.
NARROWEST = {"width": 320, "height": 640}

#: Milliseconds for sealing, carrying, opening and checking on a busy machine.
ARRIVAL = 30_000

#: How Firefox tells of what a page had asked for as it was left, where its service worker was to answer.
_LEFT = "A ServiceWorker intercepted the request and encountered an unexpected error"

#: Says on the console what the policy refused, also where the browser itself keeps silent.
_TELL_OF_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`refused by policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""


@dataclass
class Visitor:
    """Somebody with a browser of their own. Complaints fail the test at its end, unless it excuses them."""

    person: Person
    context: BrowserContext
    page: Page
    installation_url: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def excuse(self, *patterns: str) -> None:
        """For what a test provokes: takes complaints that contain one of the patterns away."""
        self.complaints[:] = [
            complaint
            for complaint in self.complaints
            if not any(re.search(pattern, complaint) for pattern in patterns)
        ]

    def another_tab(self) -> Page:
        return self.context.new_page()

    def on_request(self, request: Request) -> None:
        if request.url.startswith(("http:", "https:", "ws:", "wss:")):
            self.hosts.add(urlsplit(request.url).netloc)

    def on_console(self, message: ConsoleMessage) -> None:
        """Errors on our own pages; what other people's servers write on the console is theirs."""
        page = message.page.url if message.page else ""
        if message.type == "error" and page.startswith(self.installation_url):
            self.complaints.append(f"{page}: {message.text} {message.location['url']}")

    def on_error(self, error: WebError) -> None:
        """What no script caught on our own pages; Firefox tells here of what a policy refused, too."""
        page = error.page.url if error.page else ""
        if (not page or page.startswith(self.installation_url)) and _LEFT not in str(error.error):
            self.complaints.append(f"{page}: {error.error}")

    def use_clipboard(self) -> None:
        """Lets scripts of the test read and write it, which Firefox is told for all of them."""
        if self.context.browser and self.context.browser.browser_type.name == "chromium":
            self.context.grant_permissions(["clipboard-read", "clipboard-write"])

    def hear_no_news(self) -> None:
        """Loads the page once more, without its stream of events: where a test ends the sign-in, news that
        come just then would lead to the sign-in page before the test does what it is about."""
        self.page.add_init_script("delete window.EventSource")
        self.page.reload()

    # ---- What a person does on the pages

    def start_conversation(self, *handles: str, text: str, leaves_drafts: bool = False) -> None:
        """Types each handle, chooses who is found, writes and sends; ends on the conversation's page, with
        nothing begun there unless it ``leaves_drafts``."""
        page = self.page
        page.goto("/new/")
        for count, handle in enumerate(handles, start=1):
            page.get_by_label("To", exact=True).press_sequentially(handle)
            results = page.locator("#results")
            try:
                results.get_by_role("button", name=re.compile("^Add")).click(timeout=ARRIVAL)
            except PlaywrightTimeoutError as error:
                raise AssertionError(f"{handle} cannot be added: {results.inner_text()}") from error
            page.locator("#chips .chip").nth(count - 1).wait_for()
        page.get_by_label("Message", exact=True).fill(text)
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#thread, [role=alert]").first).to_be_attached()
        assert "/c/" in page.url, page.get_by_role("alert").all_inner_texts()
        if not leaves_drafts:
            self._leave_what_was_begun()

    def write_to(self, *handles: str, text: str) -> None:
        """Begins a conversation by its form alone, which takes a fraction of choosing each on the page; ends
        on the conversation's page."""
        to: list[tuple[str, str]] = []
        *others, last = handles
        for handle in others:
            chips = self._post("/new/people/", ("q", handle), *to).text()
            to = [("to", did) for did in re.findall(r'name="to" value="([^"]+)"', chips)]
        sent = self._post("/new/", *to, ("q", last), ("text", text), ("token", str(uuid4())), ("do", "send"))
        assert sent.status == HTTPStatus.FOUND, sent.text()
        self.page.goto(sent.headers["location"])
        self._leave_what_was_begun()

    def _leave_what_was_begun(self) -> None:
        """Takes away what another test left half written in the conversation that is open, and its draft."""
        field = composer(self.page)
        if field.count() and field.input_value():
            field.fill("")

    def write_elsewhere(self, conversation: str, text: str) -> None:
        """In a conversation, by its form, as on another page of theirs that has closed since."""
        path = f"{urlsplit(conversation).path}send/"
        sent = self._post(path, ("text", text), ("token", str(uuid4())), ("do", "send"))
        assert sent.status == HTTPStatus.FOUND, sent.text()

    def _post(self, path: str, *fields: tuple[str, str]) -> APIResponse:
        """As a form of an open page does."""
        token = next(cookie["value"] for cookie in self.context.cookies() if cookie["name"] == "csrf")
        return self.context.request.post(
            f"{self.installation_url}{path}",
            data=urlencode([("csrfmiddlewaretoken", token), *fields]),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            max_redirects=0,
        )

    def open_conversation(self, url: str) -> None:
        """By the list, where it appears as soon as its first message has arrived."""
        self.page.goto("/")
        self.page.locator(f'#convos .row[href="{urlsplit(url).path}"]').click(timeout=ARRIVAL)
        self.page.wait_for_url(re.compile("/c/"))

    def write(self, text: str) -> None:
        """In the open conversation, sent with the keys."""
        field = composer(self.page)
        field.fill(text)
        field.press("Control+Enter")


def reload_until(page: Page, shown: Callable[[], object]) -> None:
    """Asks for the page again until it shows what was waited for; what it never shows, the caller's next
    expectation tells better. For pages that do not follow by themselves."""
    for _attempt in range(ARRIVAL // 500):
        if shown():
            return
        page.wait_for_timeout(500)
        page.reload()


def composer(page: Page) -> Locator:
    return page.get_by_role("textbox", name=re.compile("^Message to"))


def bubble(page: Page, text: str) -> Locator:
    """The bubbles of the open conversation that hold the text."""
    return page.locator("#thread .bubble", has_text=text)


def message(page: Page, text: str) -> Locator:
    """A message of the open conversation with what stands around its bubble."""
    return page.locator("#thread .msg", has=page.locator(".bubble", has_text=text))


@contextmanager
def visitor_at(
    browser: Browser,
    url: str,
    person: Person,
    *,
    storage_state: StorageState | None = None,
    viewport: dict[str, int] | None = None,
    dark: bool = False,
    still: bool = False,
    script: bool = True,
    touch: bool = False,
    service_worker: bool = True,
) -> Iterator[Visitor]:
    """A new browser context; `storage_state` makes it one in which somebody is signed in.

    `still` is somebody who asks for reduced motion, `touch` one whose screen is touched; without
    `service_worker` nothing stands between pages and the server, as where a browser keeps nothing of a site.
    """
    if not script:
        need_chromium(browser, "windows without script")
    if dark:
        need_chromium(browser, "a dark system")
    context = browser.new_context(
        base_url=url,
        viewport=viewport or WIDE,  # type: ignore[arg-type]
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce" if still else "no-preference",
        java_script_enabled=script,
        has_touch=touch,
        service_workers="allow" if service_worker else "block",
        storage_state=storage_state,
    )
    context.set_default_timeout(ARRIVAL)
    expect.set_options(timeout=ARRIVAL)
    visitor = Visitor(person, context, context.new_page(), url)
    context.add_init_script(_TELL_OF_VIOLATIONS)
    context.on("console", visitor.on_console)
    context.on("weberror", visitor.on_error)
    context.on("request", visitor.on_request)
    try:
        yield visitor
    finally:
        context.close()


def foreign_hosts(visitors: Sequence[Visitor], *allowed_urls: str) -> set[str]:
    """Hosts that a page asked for anything, and that are not at one of these URLs."""
    allowed = {urlsplit(url).netloc for url in allowed_urls}
    return set().union(*(visitor.hosts for visitor in visitors)) - allowed
