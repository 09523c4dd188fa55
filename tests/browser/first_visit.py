"""A person's first visit: through the pages of their own server, and through enrolment, to the inbox."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Page, StorageState, expect

from tests.browser.visitors import ARRIVAL, Visitor
from tests.services.windows import Window

#: What the installation keeps in a browser.
OWN_COOKIES = ("session", "csrf", "theme", "zone")


@dataclass
class SeenPage:
    """A page on the way."""

    name: str
    host: str
    path: str
    words: str


@dataclass
class FirstVisit:
    """What somebody saw on the way, which hosts their browser asked, and what keeps them signed in."""

    pages: list[SeenPage] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    storage_state: StorageState = field(default_factory=StorageState)

    def page(self, name: str) -> SeenPage:
        return next(page for page in self.pages if page.name == name)


Look = Callable[[str, Page], None]


def make_first_visit(visitor: Visitor, look: Look = lambda _name, _page: None) -> FirstVisit:
    """Signs in and publishes; `look` is called on each of our own pages with its name."""
    page, visit = visitor.page, FirstVisit()

    def see(name: str) -> None:
        there = urlsplit(page.url)
        visit.pages.append(SeenPage(name, there.netloc, there.path, page.locator("body").inner_text()))
        if page.url.startswith(visitor.installation_url):
            look(name, page)

    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in with your handle")).to_be_visible()
    see("sign-in")
    ask_own_server(visitor)
    give_password(visitor)
    expect(page.get_by_role("button", name="Authorize")).to_be_visible()
    see("consent")
    page.get_by_role("button", name="Authorize").click()

    expect(page.get_by_role("heading", name="What will be published")).to_be_visible(timeout=ARRIVAL)
    see("welcome")
    page.get_by_text("The exact terms").click()
    see("welcome-terms")
    page.get_by_role("button", name="Create keys and publish").click()
    expect(page.get_by_role("heading", name="Who can read your messages")).to_be_visible(timeout=ARRIVAL)
    see("welcome-lock")
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("heading", name="You can receive sealed messages")).to_be_visible()
    see("done")
    page.get_by_text("The exact terms").click()
    see("done-terms")
    page.get_by_role("link", name="Open the inbox").click()
    expect(page.get_by_role("heading", name="No conversations yet")).to_be_visible()
    see("empty-inbox")

    visit.complaints, visit.hosts = visitor.complaints, visitor.hosts
    visit.storage_state = of_installation(visitor)
    return visit


def ask_own_server(visitor: Visitor) -> None:
    """From the sign-in page to the person's own server."""
    visitor.page.get_by_label("Your handle").fill(visitor.person.handle)
    visitor.page.get_by_role("button", name="Continue").click()
    visitor.page.wait_for_url(re.compile("/oauth/authorize"))


def give_password(visitor: Visitor) -> None:
    """On the page of the person's own server, which knows the handle already."""
    page = visitor.page
    password = page.locator("input[type=password]")
    password.wait_for()
    expect(page.locator("input[name=username]")).to_have_value(visitor.person.handle)
    password.fill(visitor.person.password)
    page.locator("button[type=submit]").click()


def of_installation(visitor: Visitor) -> StorageState:
    """Without the cookies of the person's own server. Both are at localhost, and cookies know no ports."""
    state = visitor.context.storage_state()
    return {**state, "cookies": [cookie for cookie in state["cookies"] if cookie["name"] in OWN_COOKIES]}


def visited_without_browser(window: Window) -> StorageState:
    """Signs in and publishes as well, by the pages' forms alone; what keeps a browser signed in."""
    window.sign_in()
    window.enrol()
    return {
        "cookies": [
            {"name": cookie.name, "value": cookie.value or "", "domain": "localhost", "path": "/"}
            for cookie in window.client.cookies.jar
            if cookie.name in OWN_COOKIES
        ]
    }
