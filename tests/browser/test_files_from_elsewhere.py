"""Files that are dropped onto a conversation, and pictures that a telephone takes for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_files import is_there, uploads
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, composer, message
from tests.services.chromium import tools_of
from tests.webmail.pictures import MARK, photo


@pytest.fixture(autouse=True)
def _bob_is_there(first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")


class Dragging:
    """Files that somebody drags from elsewhere, as the browser is told by the system."""

    def __init__(self, page: Page, files: Sequence[Path]) -> None:
        self.session = tools_of(page, "dragging from elsewhere")
        self.data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}

    def begin(self, place: Locator) -> None:
        self._tell("dragEnter", place)

    def over(self, place: Locator) -> None:
        self._tell("dragOver", place)

    def drop(self, place: Locator) -> None:
        self._tell("drop", place)

    def _tell(self, what: str, place: Locator) -> None:
        box = place.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.session.send("Input.dispatchDragEvent", {"type": what, "x": x, "y": y, "data": self.data})


def test_files_are_dropped_onto_the_conversation(visit: Visit, tmp_path: Path) -> None:
    word = uuid4().hex[:8]
    notes, picture = tmp_path / f"notes {word}.txt", tmp_path / f"weir {word}.png"
    notes.write_bytes(b"left at the mill")
    picture.write_bytes(photo((900, 600), "PNG"))
    alice, bob = visit("alice", viewport=WIDE), visit("bob", viewport=PHONE)
    page = alice.page
    alice.write_to("bob.test", text=f"The way is coming {word}")
    bob.open_conversation(page.url)
    composer(page).fill(f"Here is the way {word}")
    drop_here = page.locator(".drop-here")
    expect(drop_here).to_be_hidden()
    expect(page.get_by_role("button", name="Take a photo")).to_be_hidden()

    dragging = Dragging(page, [notes, picture])
    dragging.begin(page.get_by_role("region", name="Messages"))
    expect(drop_here).to_be_visible()
    elsewhere = page.get_by_role("banner")
    dragging.over(elsewhere)
    expect(drop_here).to_be_hidden()
    # On a narrow screen the conversation has all of the page.
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    dragging.over(page.get_by_role("region", name="Messages"))
    expect(drop_here).to_be_visible()
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    dragging.over(composer(page))
    expect(drop_here).to_be_visible()
    dragging.drop(composer(page))
    expect(drop_here).to_be_hidden()
    is_there(page, 2)
    expect(uploads(page).first).to_contain_text(notes.name)
    # One that misses the conversation does not take the page away.
    dragging.begin(elsewhere)
    dragging.drop(elsewhere)
    expect(composer(page)).to_have_value(f"Here is the way {word}")
    expect(uploads(page)).to_have_count(2)
    composer(page).press("Control+Enter")

    sent = message(bob.page, f"Here is the way {word}")
    expect(sent.locator("img.picture__image")).to_be_visible(timeout=ARRIVAL)
    with bob.page.expect_download() as download:
        sent.locator(".file", has_text=notes.name).click()
    assert download.value.path().read_bytes() == b"left at the mill"
    expect(uploads(page)).to_have_count(0)


def test_a_telephone_takes_a_picture_for_the_conversation(visit: Visit) -> None:
    word = uuid4().hex[:8]
    alice, bob = visit("alice", viewport=PHONE, touch=True), visit("bob", viewport=PHONE, touch=True)
    page = alice.page
    alice.write_to("bob.test", text=f"Look where I am {word}")
    bob.open_conversation(page.url)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").tap()
    asked = chooser.value.element
    assert (asked.get_attribute("capture"), asked.get_attribute("accept")) == ("environment", "image/*")
    assert not chooser.value.is_multiple()
    taken = {"name": "image.jpg", "mimeType": "image/jpeg", "buffer": photo((1200, 900), orientation=6)}
    chooser.value.set_files(taken)  # type: ignore[arg-type]
    is_there(page)
    expect(uploads(page)).to_contain_text("place and camera data removed")
    # A text has its room.
    narrow = (composer(page).bounding_box() or {"width": 0})["width"]
    composer(page).fill(f"By the weir {word}")
    expect(page.get_by_role("button", name="Take a photo")).to_be_hidden()
    assert (composer(page).bounding_box() or {"width": 0})["width"] >= narrow + 40
    page.get_by_role("button", name="Send", exact=True).tap()
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()

    shown = message(bob.page, f"By the weir {word}").locator("img.picture__image")
    expect(shown).to_be_visible(timeout=ARRIVAL)
    size = shown.evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])")
    assert size == [900, 1200]
    address = shown.get_attribute("src") or ""
    assert MARK not in bob.context.request.get(f"{bob.installation_url}{address}").body()
    expect(page.locator("#files .upload")).to_have_count(0)
    assert re.search("^/m/", address)
