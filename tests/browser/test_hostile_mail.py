"""Hostile HTML in ordinary mail, in a real browser: it loads nothing, covers nothing, and leads nowhere.

Everything that it names leads to a server that answers and remembers who asked it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect
from pytest_django import Settings

from demo.local_network import NetworkInfo
from tests.accounts.http_server import Server, reply
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.seeding import write_ordinary_mail
from tests.browser.visitors import PHONE, WIDE
from tests.services.installations import RunningInstallation
from tests.services.windows import Window
from tests.webmail.pictures import photo
from webmail.ordinary import frame

WORDS = "The words of this mail"
#: Milliseconds in which whatever a mail has a browser do would have begun.
IN_PEACE = 1500
#: In it, THERE and HOST are the server that remembers.
HOSTILE = Path(__file__).with_name("hostile_mail.html")


@pytest.fixture
def asked() -> list[tuple[str, str | None]]:
    """What the other server was asked for, and by what page as the browser said."""
    return []


@pytest.fixture
def elsewhere(asked: list[tuple[str, str | None]]) -> Iterator[Server]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append((handler.path, handler.headers.get("Referer")))
        reply(handler, 200, b"<p>elsewhere", content_type="text/html")

    with Server(answer) as server:
        yield server


@pytest.fixture
def html(elsewhere: Server) -> str:
    there = elsewhere.url
    return HOSTILE.read_text().replace("THERE", there).replace("HOST", there.partition("//")[2])


@pytest.fixture
def mail(
    installation: RunningInstallation, local_network: NetworkInfo, first_visit_of: FirstVisitOf, html: str
) -> str:
    """The path of the hostile mail to alice."""
    first_visit_of("alice")
    window = Window(installation.url, local_network.accounts["alice"])
    window.sign_in()
    picture = base64.encodebytes(photo((40, 30), "PNG")).decode()
    return write_ordinary_mail(
        installation,
        window,
        "From: Bank <bank@bank.example>\nSubject: Look\nMIME-Version: 1.0\n"
        "Content-Type: multipart/related; boundary=b\n\n"
        f"--b\nContent-Type: text/html; charset=utf-8\n\n{html}\n"
        f"--b\nContent-Type: image/png\nContent-ID: <inside@mail>\nContent-Transfer-Encoding: base64\n\n"
        f"{picture}\n--b--\n",
    )


def designed(page: Page, path: str) -> FrameLocator:
    page.goto(f"{path}?designed=1")
    page.locator("iframe").scroll_into_view_if_needed()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("The end of this mail")).to_be_attached()
    return frame


def is_in_peace(page: Page, path: str, asked: list[tuple[str, str | None]]) -> None:
    """Nothing was asked for, nothing ran, and the page is whole."""
    page.wait_for_timeout(IN_PEACE)
    assert asked == []
    assert page.url.endswith(f"{path}?designed=1")
    assert len(page.frames) == 2
    assert page.frames[1].evaluate("document.documentElement.dataset.ran") is None
    assert page.evaluate("window.x") is None
    box = page.locator("iframe").bounding_box()
    assert box is not None
    for control in page.locator("main a.btn, main button").filter(visible=True).all():
        control.scroll_into_view_if_needed()
        reached = control.evaluate(
            """(control) => {
              const box = control.getBoundingClientRect();
              const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
              return control.contains(document.elementFromPoint(x, y));
            }"""
        )
        assert reached, control.inner_text()


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_it_shows_its_words_and_loads_runs_and_covers_nothing(
    visit: Visit, mail: str, asked: list[tuple[str, str | None]], viewport: dict[str, int]
) -> None:
    page = visit("alice", viewport=viewport).page
    shown = designed(page, mail)
    expect(shown.get_by_text(WORDS)).to_be_visible()
    assert shown.get_by_alt_text("inside").evaluate("(image) => image.naturalWidth") == 40
    is_in_peace(page, mail, asked)
    assert (
        shown.locator("form, input, button, style:not(head *), script, svg, math, iframe, [style]").count()
        == 0
    )
    # The words alone come from the same mail.
    page.get_by_role("link", name="Show the words alone").click()
    expect(page.locator(".postcard__body")).to_contain_text(WORDS)
    assert asked == []


def test_a_link_opens_apart_and_says_where_it_leads(
    visit: Visit, mail: str, asked: list[tuple[str, str | None]], elsewhere: Server
) -> None:
    visitor = visit("alice")
    page = visitor.page
    shown = designed(page, mail)
    host = elsewhere.url.partition("//")[2].partition(":")[0]
    expect(shown.locator("a", has_text="bank.example")).not_to_have_attribute("title", "https://bank.example")
    expect(shown.get_by_text(f"(leads to {host})")).to_be_visible()
    for words, path in (("https://www.bank.example/login", "/bank"), ("to the top", "/toplink")):
        with page.expect_popup() as opened:
            shown.get_by_role("link", name=words).click()
        opened.value.wait_for_load_state()
        assert opened.value.evaluate("window.opener") is None
        opened.value.close()
        assert (path, None) in asked
    assert {path for path, _page in asked} <= {"/bank", "/toplink", "/favicon.ico"}
    assert page.url.endswith(f"{mail}?designed=1")
    # Somebody asked for it.
    visitor.hosts.discard(elsewhere.url.partition("//")[2])


@pytest.mark.parametrize("guarded", [True, False])
def test_the_frame_alone_keeps_what_was_not_cleaned_from_loading_and_running(
    browser: Browser, html: str, asked: list[tuple[str, str | None]], settings: Settings, guarded: bool
) -> None:
    # A page that leads elsewhere by itself is what only the cleaning stops.
    uncleaned = "".join(line for line in html.splitlines(keepends=True) if "refresh" not in line)
    sandbox = 'sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer"'

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/frame":
            headers = {"content_security_policy": frame.policy()} if guarded else {}
            reply(handler, 200, uncleaned.encode(), content_type="text/html", **headers)
        else:
            source = f"{settings.FRAME_URL}/frame"
            page = f'<!doctype html><iframe src="{source}" {sandbox if guarded else ""}></iframe>'
            reply(handler, 200, page.encode(), content_type="text/html")

    with Server(answer) as server:
        settings.FRAME_URL, settings.PUBLIC_URL = server.url, server.url
        context = browser.new_context()
        try:
            page = context.new_page()
            page.goto(server.url, wait_until="commit")
            page.wait_for_timeout(IN_PEACE)
            if guarded:
                assert page.frames[1].locator("p[title=abc]").inner_text() == WORDS
                assert page.frames[1].evaluate("document.documentElement.dataset.ran") is None
        finally:
            context.close()
    assert (asked == []) == guarded
