"""What the first page costs on the way, with pictures of people on it, and whom it asks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from demo.local_network import NetworkInfo
from tests.accounts.repository import Repository
from tests.browser.conftest import Visit
from tests.browser.test_every_page import SCREENS
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
        """For the page at this address, in a browser that has nothing of it yet."""
        found = cls()
        session = page.context.new_cdp_session(page)
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


@pytest.mark.parametrize("screen", SCREENS)
def test_the_first_page_is_light_and_asks_nobody_else(
    screen: dict[str, int], visit: Visit, pictures: None
) -> None:
    assert len(PICTURE) > 300_000
    alice = visit("alice", viewport=screen)
    for name in ("bob", "carol"):
        alice.start_conversation(f"{name}.test", text="Have you seen the pictures?")
    found = Transferred.of(alice.page, "/")
    pictures_shown = alice.page.locator("#convos .avatar img")
    expect(pictures_shown.first).to_be_visible()
    shown = pictures_shown.evaluate_all("pictures => pictures.map((one) => one.naturalWidth)")
    assert shown.count(96) >= 2
    came = found.by_address()
    avatars = [size for address, size in came.items() if re.match(r"Image .*/avatar/", address)]
    assert len(avatars) >= 2
    assert max(avatars) < 16_000
    assert {kind.split()[0] for kind in came} >= {"Document", "Stylesheet", "Script", "Image"}
    assert sum(came.values()) < MOST_BYTES, came
    assert alice.hosts == {alice.installation_url.partition("://")[2]}


@pytest.mark.parametrize("screen", SCREENS)
def test_the_page_to_sign_in_is_light_and_asks_nobody_else(screen: dict[str, int], visit: Visit) -> None:
    stranger = visit("alice", signed_in=False, viewport=screen)
    came = Transferred.of(stranger.page, "/sign-in/").by_address()
    assert sum(came.values()) < MOST_BYTES, came
    assert stranger.hosts == {stranger.installation_url.partition("://")[2]}
