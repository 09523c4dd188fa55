"""What the first page costs on the way, with pictures of people on it, and whom it asks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from demo.local_network import NetworkInfo
from tests.accounts.repository import Repository
from tests.browser.conftest import Visit
from tests.browser.full_list import full_list
from tests.browser.full_list.people import COUNT, FIRST
from tests.browser.visitors import PHONE, WIDE
from tests.services.chromium import tools_of
from tests.services.installations import RunningInstallation
from tests.webmail.pictures import photo

MOST_BYTES = 100_000
#: A photo as people put into their profile, of which nobody here is to be sent all.
PICTURE = photo((1200, 800), noisy=True)
PROFILE = "app.bsky.actor.profile"


@dataclass
class Transferred:
    """Octets that came over the network for a page, heads of answers among them, as the browser counts."""

    kinds: dict[str, str] = field(default_factory=dict)
    octets: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, page: Page, url: str) -> Transferred:
        """For the page at this address, in a browser that has nothing of it yet, and no service worker: what
        comes through one is not counted."""
        found = cls()
        page.goto("about:blank")
        session = tools_of(page, "the weight of answers")
        session.on("Network.responseReceived", found._began)
        session.on("Network.loadingFinished", found._ended)
        session.send("Network.enable")
        session.send("Network.clearBrowserCache")
        page.goto(url)
        page.wait_for_load_state("load")
        page.wait_for_timeout(1500)
        session.detach()
        return found

    def _began(self, event: dict[str, Any]) -> None:
        self.kinds[event["requestId"]] = f"{event['type']} {event['response']['url']}"

    def _ended(self, event: dict[str, Any]) -> None:
        self.octets[event["requestId"]] = int(event["encodedDataLength"])

    def by_address(self) -> dict[str, int]:
        return {self.kinds[one]: size for one, size in self.octets.items() if one in self.kinds}


def _wait_for_a_quiet_list(page: Page) -> None:
    """A message whose state changes has the list sent again, which is no part of a first page."""
    page.goto("/")
    known = page.locator("#known")
    for _ in range(30):
        before = known.input_value()
        page.wait_for_timeout(8000)
        if known.input_value() == before:
            return
    raise AssertionError("the list changes without end")


@pytest.fixture
def pictures(installation: RunningInstallation, local_network: NetworkInfo, visit: Visit) -> None:
    """Bob and carol have a photo of half a megabyte in their profiles, from now on."""
    for name in ("bob", "carol"):
        visit(name)
        repository = Repository(local_network, local_network.accounts[name])
        picture = repository.upload(PICTURE, "image/jpeg")
        profile = {"$type": PROFILE, "displayName": name.capitalize(), "avatar": picture}
        repository.put(PROFILE, "self", profile)
    installation.a_day_passes()


def test_the_first_page_is_light_and_asks_nobody_else(
    visit: Visit,
    pictures: None,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    tmp_path: Path,
) -> None:
    """With as many conversations as it holds, everybody in them with a name, a handle and a picture.

    In a wide window, and on a phone.
    """
    assert len(PICTURE) > 300_000
    alice = visit("alice", viewport=WIDE, service_worker=False)
    with full_list(installation, local_network.accounts["alice"].did, tmp_path):
        # Among them those whose pictures are made here of what their server has.
        for name in ("bob", "carol"):
            alice.start_conversation(f"{name}.test", text="Have you seen the pictures?")
        _wait_for_a_quiet_list(alice.page)
        for screen in (WIDE, PHONE):
            alice.page.set_viewport_size(screen)  # type: ignore[arg-type]
            came = Transferred.of(alice.page, "/").by_address()
            rows = alice.page.locator("#convos .row")
            assert rows.count() == COUNT
            expect(alice.page.locator("#more-rows")).to_be_attached()
            assert sum("Okafor-Brandt" in words for words in rows.all_inner_texts()) == len(FIRST)
            assert alice.page.get_by_text("A message could not be opened").count() == 0
            assert {kind.split()[0] for kind in came} >= {"Document", "Stylesheet", "Script", "Image"}
            assert all(came.values()), came
            assert sum(came.values()) < MOST_BYTES, came
            assert alice.hosts == {alice.installation_url.partition("://")[2]}
            # Whoever looks further down finds pictures there as well.
            pictures_shown = alice.page.locator("#convos .avatar img")
            expect(pictures_shown.first).to_be_visible()
            avatars = [size for address, size in came.items() if re.match(r"Image .*/avatar/", address)]
            assert 5 < len(avatars) < COUNT
            assert max(avatars) < 16_000
            rows.last.scroll_into_view_if_needed()
            expect(pictures_shown.last).to_be_visible()
            assert pictures_shown.first.evaluate("(picture) => picture.naturalWidth") == 96


def test_the_page_to_sign_in_is_light_and_asks_nobody_else(visit: Visit) -> None:
    stranger = visit("alice", signed_in=False, service_worker=False)
    came = Transferred.of(stranger.page, "/sign-in/").by_address()
    assert sum(came.values()) < MOST_BYTES, came
    assert stranger.hosts == {stranger.installation_url.partition("://")[2]}
