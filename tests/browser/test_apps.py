"""Somebody allows an app, which calls the key agent through their PDS; they see its uses and revoke it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import Visit
from tests.browser.visitors import PHONE, WIDE


class App:
    """An app with alice's session at her PDS, and what she copied from the page into it."""

    def __init__(self, network: NetworkInfo, page: Page) -> None:
        person = network.accounts["alice"].person
        signed_in = httpx.post(
            f"{network.pds_url}/xrpc/com.atproto.server.createSession",
            json={"identifier": person.handle, "password": person.password},
        )
        self.pds_url = network.pds_url
        self.access = signed_in.raise_for_status().json()["accessJwt"]
        self.token = page.locator("#token").inner_text()
        self.service = page.locator("#service").inner_text()

    def call(self, method: str, **fields: Any) -> httpx.Response:
        return httpx.post(
            f"{self.pds_url}/xrpc/dev.waxwing.agent.app.{method}",
            json={"grant": self.token, **fields},
            headers={"Authorization": f"Bearer {self.access}", "atproto-proxy": self.service},
            timeout=30,
        )


def _allow(page: Page, name: str, *ticks: str) -> None:
    page.goto("/devices/apps/new/")
    page.get_by_label("Name of the app").fill(name)
    for tick in ticks:
        page.get_by_label(tick).check()
    page.get_by_role("button", name="Allow it").click()


def test_the_token_is_copied_by_keyboard_and_it_is_said(visit: Visit) -> None:
    alice = visit("alice")
    page = alice.page
    _allow(page, "Photo diary, copied", "See your devices")
    alice.use_clipboard()
    for what in ("token", "service"):
        row = page.locator("div", has=page.locator(f"#{what}")).last
        row.get_by_role("button", name=f"Copy {what}").press("Enter")
        expect(row.get_by_role("status")).to_have_text("It is copied.")
        assert page.evaluate("navigator.clipboard.readText()") == page.locator(f"#{what}").inner_text()
    # As where the browser asks, and the answer is no.
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    row.get_by_role("button", name="Copy service").press("Enter")
    expect(row.get_by_role("status")).to_have_text("It could not be copied. Select it instead.")


def test_without_script_there_is_no_button_that_does_nothing(visit: Visit) -> None:
    page = visit("alice", script=False).page
    _allow(page, "Photo diary, by hand", "See your devices")
    expect(page.locator("#token")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)


def test_a_second_press_allows_one_app_and_shows_its_token(visit: Visit) -> None:
    page = visit("alice").page
    page.goto("/devices/apps/new/")
    page.get_by_label("Name of the app").fill("Photo diary, pressed twice")
    page.get_by_label("See your devices").check()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    first: list[Route] = []
    page.route("**/devices/apps/new/", lambda route: first.append(route), times=1)
    # The second press while the answer to the first is awaited.
    with page.expect_request(lambda request: request.method == "POST"):
        page.get_by_role("button", name="Allow it").evaluate(
            "button => { button.click(); setTimeout(() => button.click(), 200); }"
        )
    # Nothing can be asked of a page that is about to go.
    page.wait_for_timeout(1000)
    first[0].continue_()
    expect(page.locator("#token")).to_be_visible()
    assert len(sent) == 1
    page.get_by_role("link", name="Done").click()
    expect(page.locator("article", has_text="Photo diary, pressed twice")).to_have_count(1)


@pytest.mark.parametrize(
    ("viewport", "script"),
    [(WIDE, True), (PHONE, False)],
    ids=["desktop", "phone, without script"],
)
def test_an_app_is_allowed_used_and_revoked(
    visit: Visit, local_network: NetworkInfo, viewport: dict[str, int], script: bool
) -> None:
    alice = visit("alice", viewport=viewport, script=script)
    page, name = alice.page, f"Photo diary {viewport['width']} {script}"
    page.goto("/devices/")
    page.get_by_role("link", name="Show apps").click()
    page.get_by_role("link", name="Allow an app").click()
    expect(page.get_by_role("main")).to_contain_text("whoever runs it could itself do what you tick here")
    _allow(page, name, "See your devices")
    expect(page.get_by_role("heading", name="is allowed")).to_contain_text(name)
    app = App(local_network, page)
    token = page.locator("#token").inner_text()
    for _ in range(2):
        answer = app.call("status")
        assert answer.status_code == 200, answer.text
        assert answer.json()["did"] == local_network.accounts["alice"].did
    assert app.call("open", envelopes=[{"$bytes": "AQID"}]).json()["error"] == "PurposeNotGranted"

    page.get_by_role("link", name="Done").click()
    card = page.locator("article", has_text=name)
    expect(card).to_contain_text("2 times")
    assert token not in page.content()
    card.get_by_role("link", name="Revoke").click()
    page.get_by_role("link", name="Keep it").click()
    assert app.call("status").status_code == 200
    card.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status").first).to_contain_text("nothing more")
    expect(card).to_have_count(0)
    expect(page.locator("section", has_text="No longer allowed")).to_contain_text(name)
    assert app.call("status").json()["error"] == "NotGranted"


def test_opening_needs_a_tick_of_its_own(visit: Visit, local_network: NetworkInfo) -> None:
    page = visit("alice", viewport=PHONE).page
    _allow(page, "Reader", "Open messages sent to you")
    expect(page.get_by_role("alert")).to_contain_text("Opening messages needs this tick too")
    expect(page.get_by_label("Name of the app")).to_have_value("Reader")
    expect(page.get_by_label("Open messages sent to you")).to_be_checked()
    page.get_by_label("I want these to be able to read my messages").check()
    page.get_by_role("button", name="Allow it").click()
    answer = App(local_network, page).call("open", envelopes=[{"$bytes": "AQID"}])
    assert [set(one) for one in answer.json()["opened"]] == [{"envelopeId", "error"}]


def test_nothing_is_allowed_without_a_name_or_a_tick(visit: Visit) -> None:
    page = visit("alice").page
    page.goto("/devices/apps/new/")
    page.get_by_label("Name of the app").fill("  ")
    page.get_by_role("button", name="Allow it").click()
    expect(page.get_by_role("alert")).to_have_count(2)
    expect(page.get_by_role("main")).to_contain_text("Tick at least one thing")


def test_nobody_sees_or_revokes_the_apps_of_others(visit: Visit) -> None:
    alice, bob = visit("alice"), visit("bob")
    _allow(alice.page, "Only mine", "See your devices")
    alice.page.goto("/devices/apps/")
    revoke = alice.page.locator("article", has_text="Only mine").get_by_role("link", name="Revoke")
    address = revoke.get_attribute("href") or ""
    assert re.fullmatch(r"/devices/apps/[0-9a-f]{16}/revoke/", address)
    bob.page.goto("/devices/apps/")
    expect(bob.page.get_by_role("main")).not_to_contain_text("Only mine")
    answer = bob.page.goto(address)
    assert answer is not None
    assert answer.status == 404
    bob.excuse("404")
