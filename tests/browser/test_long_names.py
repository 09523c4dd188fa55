"""People with names that are long, or written from right to left: pages stay ones that can be read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import SCREENS, problems_of
from tests.browser.visitors import ARRIVAL, bubble, message
from tests.services.installations import RunningInstallation

FROM_THE_RIGHT = "محمد عبد الرحمن بن سليمان الشافعي"
LONG = "Maximiliane Wolfeschlegelsteinhausenbergerdorff from the end of the road"
#: On how many lines something stands.
LINES = """(element) => {
  const words = document.createRange();
  words.selectNodeContents(element);
  const seen = [...words.getClientRects()].filter(({ height }) => height > 1);
  return new Set(seen.map(({ bottom }) => Math.round(bottom / 6))).size;
}"""


@pytest.fixture
def named(
    installation: RunningInstallation, local_network: NetworkInfo, first_visit_of: FirstVisitOf
) -> Iterator[str]:
    """Bob and carol by these names, wherever they are shown. It is who has the long one, which comes second
    in the title of a group."""
    for name in local_network.accounts:
        first_visit_of(name)
    before = installation.sql("SELECT did, display_name FROM accounts_account")
    first, last = sorted(("bob", "carol"), key=lambda name: local_network.accounts[name].did)
    dids = [local_network.accounts[name].did for name in (first, last)]
    _name(installation, dict(zip(dids, (FROM_THE_RIGHT, LONG), strict=True)))
    yield last
    _name(installation, dict(before))


@pytest.mark.parametrize("screen", SCREENS)
def test_long_names_take_no_more_room_than_there_is(screen: dict[str, int], visit: Visit, named: str) -> None:
    other, alice = visit(named), visit("alice", viewport=screen)
    page = alice.page
    alice.write_to("bob.test", "carol.test", text=f"All of us at {screen['width']}")
    conversation = page.url
    other.open_conversation(conversation)
    other.write(f"Here I am, at {screen['width']}")
    answer = message(page, f"Here I am, at {screen['width']}")
    expect(answer).to_be_visible(timeout=ARRIVAL)
    page.reload()
    expect(answer.locator(".msg__author")).to_contain_text("Maximiliane")
    assert _lines(answer.locator(".msg__author bdi")) == 1
    # Names stand in the title in the order of the sentence, whichever way each is written.
    title = page.locator("#thread-title bdi")
    assert title.evaluate("title => getComputedStyle(title).direction") == "ltr"
    assert problems_of(page, screen) == []

    # How far it came, in one piece beside or below the name.
    message(page, f"All of us at {screen['width']}").locator('.msg__meta a[hx-target="#side"]').first.click()
    badges = page.locator("#side .badge")
    expect(badges.first).to_be_visible()
    assert {_lines(badge) for badge in badges.all()} == {1}
    assert problems_of(page, screen) == []

    page.goto(f"{conversation}people/")
    assert _height(page.get_by_role("heading", level=1)) <= 3 * 40
    assert problems_of(page, screen) == []
    page.get_by_role("link", name="Add people").click()
    chips = page.locator("#chips .chip")
    expect(chips).to_have_count(2)
    assert {_lines(chip.locator("bdi").first) for chip in chips.all()} == {1}
    assert problems_of(page, screen) == []

    # From the same side, whichever way they are written.
    page.goto(conversation)
    bubble(page, f"All of us at {screen['width']}").last.hover()
    _forward(page, f"All of us at {screen['width']}")
    names = page.locator("main .results .result__who b > bdi")
    expect(names.first).to_be_visible()
    assert max(_height(name) for name in names.all()) <= 2 * 28
    assert {name.evaluate("name => getComputedStyle(name).textAlign") for name in names.all()} == {"left"}
    assert problems_of(page, screen) == []


def _forward(page: Page, text: str) -> None:
    one = message(page, text).last
    one.locator(".menu > summary").click()
    one.get_by_role("link", name="Forward").click()


def _name(installation: RunningInstallation, names: dict[str, str]) -> None:
    for did, name in names.items():
        for table in ("accounts_account", "accounts_peer"):
            installation.sql(f"UPDATE {table} SET display_name = ? WHERE did = ?", name, did)  # noqa: S608


def _lines(place: Locator) -> int:
    number: int = place.evaluate(LINES)
    return number


def _height(place: Locator) -> float:
    box = place.bounding_box()
    assert box
    return box["height"]
