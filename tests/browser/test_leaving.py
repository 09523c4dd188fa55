"""Somebody takes everything along, erases it, brings it back: with keys, and on a phone without script."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from demo.local_network import NetworkInfo
from demo.ports import free_port
from tests.browser.accessibility import violations
from tests.browser.device_pages import bring, export
from tests.browser.first_visit import ask_own_server, give_password, of_installation, visited_without_browser
from tests.browser.test_every_page import too_wide
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, reload_until, visitor_at
from tests.services.installations import RunningInstallation
from tests.services.newcomers import newcomer
from tests.services.windows import Window


@pytest.mark.parametrize(
    ("name", "viewport", "script"),
    [
        pytest.param("wide-leaver", WIDE, True, id="wide, with script"),
        pytest.param("phone-leaver", PHONE, False, id="phone, without script"),
    ],
)
def test_everything_is_taken_along_erased_and_brought_back(
    name: str,
    viewport: dict[str, int],
    script: bool,
    browser: Browser,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    tmp_path: Path,
) -> None:
    account = newcomer(local_network, name, "Leaver")
    url, person = installation.url, account.person
    before = visited_without_browser(Window(url, account))
    with visitor_at(browser, url, person, storage_state=before, viewport=viewport, script=script) as visitor:
        conversation = _note_to_self(visitor, "remember the milk")
        file = _take_along(visitor, script=script)
        _erase(visitor, script=script)
        assert visitor.complaints == []
        kept = tmp_path / f"{name}.tar"
        kept.write_bytes(Path(file).read_bytes())
    with visitor_at(browser, url, person) as visitor:
        after = _sign_in_again(visitor)
    with visitor_at(browser, url, person, storage_state=after, viewport=viewport, script=script) as visitor:
        page = visitor.page
        page.goto("/welcome/")
        _press(page, "Bring it here")
        expect(page.get_by_role("heading", name="Bring an account here")).to_be_visible()
        _is_well_made(page, script=script)
        bring(page, str(kept))
        expect(page.get_by_role("heading", name="Everything is here")).to_be_visible(timeout=ARRIVAL)
        expect(page.get_by_role("main")).to_contain_text("1 conversation, 1 message is here now")
        _is_well_made(page, script=script)
        _press(page, "To the inbox")
        page.locator(f'#convos .row[href="{conversation}"]').click()
        expect(page.locator("#thread")).to_contain_text("remember the milk")
        assert visitor.complaints == []


@pytest.mark.parametrize(
    ("name", "viewport", "script"),
    [
        pytest.param("wide-closer", WIDE, True, id="wide, with script"),
        pytest.param("phone-closer", PHONE, False, id="phone, without script"),
    ],
)
def test_closing_goes_on_by_itself_when_their_own_server_was_away(
    name: str,
    viewport: dict[str, int],
    script: bool,
    browser: Browser,
    installation: RunningInstallation,
    local_network: NetworkInfo,
) -> None:
    account = newcomer(local_network, name, "Closer")
    before = visited_without_browser(Window(installation.url, account))
    at_server = "UPDATE accounts_account SET pds_url = ? WHERE did = ?"
    with visitor_at(
        browser, installation.url, account.person, storage_state=before, viewport=viewport, script=script
    ) as visitor:
        page = visitor.page
        page.goto("/devices/erase/")
        installation.sql(at_server, f"http://localhost:{free_port()}", account.did)
        page.get_by_label("to confirm").fill(account.person.handle)
        page.get_by_role("button", name="Erase everything").press("Enter")
        expect(page.get_by_role("heading", name="Your account is being closed")).to_be_visible(
            timeout=ARRIVAL
        )
        expect(page.get_by_role("main")).to_contain_text("Your own server could not be told yet")
        _is_well_made(page, script=script)
        page.goto("/")
        expect(page).to_have_url(re.compile("/devices/erase/"))
        installation.sql(at_server, local_network.pds_url, account.did)
        done = page.get_by_role("heading", name="Everything is erased")
        if script:
            expect(done).to_be_visible(timeout=2 * ARRIVAL)
        else:
            reload_until(page, done.is_visible)


def _take_along(visitor: Visitor, *, script: bool) -> str:
    """The path of the downloaded file."""
    page = visitor.page
    page.goto("/devices/")
    _press(page, "Show ways")
    _is_well_made(page, script=script)
    _press(page, "Export…")
    _is_well_made(page, script=script)
    file = export(page)
    _take_plain_text(visitor, script=script)
    return file


def _take_plain_text(visitor: Visitor, *, script: bool) -> None:
    """In both formats, by the keyboard."""
    page = visitor.page
    for form, ending in (("Mail (mbox)", ".mbox"), ("JSON", "/messages.json")):
        page.goto("/devices/leaving/")
        _press(page, "Choose a format…")
        _is_well_made(page, script=script)
        page.get_by_label(form).press("Space")
        page.get_by_label("I know that this is plain text").press("Space")
        with page.expect_download(timeout=ARRIVAL) as download:
            page.get_by_role("button", name="Download as plain text").press("Enter")
        assert download.value.suggested_filename.startswith(f"{visitor.person.handle}-")
        with zipfile.ZipFile(str(download.value.path())) as archive:
            (kept,) = [name for name in archive.namelist() if name.endswith(ending)]
            assert b"remember the milk" in archive.read(kept)


def _erase(visitor: Visitor, *, script: bool) -> None:
    page = visitor.page
    page.goto("/devices/leaving/")
    _press(page, "Erase…")
    _is_well_made(page, script=script)
    field = page.get_by_label("to confirm")
    field.fill("somebody.test")
    page.get_by_role("button", name="Erase everything").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was erased")
    expect(field).to_be_focused()
    expect(field).to_have_value("somebody.test")
    _is_well_made(page, script=script)
    field.fill(visitor.person.handle)
    page.get_by_role("button", name="Erase everything").press("Enter")
    expect(page.get_by_role("heading", name="Everything is erased")).to_be_visible(timeout=ARRIVAL)
    _is_well_made(page, script=script)
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in/"))


def _note_to_self(visitor: Visitor, text: str) -> str:
    """The path of the conversation, once it is in the archive."""
    page = visitor.page
    page.goto("/new/")
    page.get_by_label("To", exact=True).fill(visitor.person.handle)
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(1, timeout=ARRIVAL)
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(re.compile("/c/"))
    return urlsplit(page.url).path


def _press(page: Page, name: str) -> None:
    """A link, by the keyboard."""
    link = page.get_by_role("link", name=name)
    link.focus()
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_load_state()


def _is_well_made(page: Page, *, script: bool) -> None:
    page.locator("main").wait_for()
    assert too_wide(page) == []
    # The rules are a script of their own.
    assert not script or violations(page) == []


def _sign_in_again(visitor: Visitor) -> StorageState:
    """With the account's own server, whose pages need script, as far as the welcome page."""
    page = visitor.page
    page.goto("/sign-in/")
    ask_own_server(visitor)
    give_password(visitor)
    welcome = page.get_by_role("heading", name="What will be published")
    allow = page.get_by_role("button", name="Authorize")
    expect(welcome.or_(allow)).to_be_visible(timeout=ARRIVAL)
    if allow.is_visible():
        allow.click()
    expect(welcome).to_be_visible(timeout=ARRIVAL)
    return of_installation(visitor)
