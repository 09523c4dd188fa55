"""The code of somebody's keys, read with a camera from the page on their screen."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import segno
from PIL import Image, ImageFilter
from playwright.sync_api import Browser, Page, Playwright, expect

from demo.local_network import NetworkInfo
from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import PHONE, Visitor, visitor_at
from tests.services.chromium import chromium
from tests.services.installations import RunningInstallation

_GREY = 150
#: Remembers what the page opened of the camera.
_RUNNING_TRACKS = """() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.tracks = [];
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    window.tracks.push(...stream.getTracks());
    return stream;
  };
}"""

#: Chromium on Linux has no reader; this one of another system reads the same code in everything.
_OWN_READER = """
window.BarcodeDetector = class {
  static async getSupportedFormats() { return ["qr_code"]; }
  async detect() { return [{ rawValue: %s }]; }
};"""

#: As it is where the system's part of it is missing.
_BROKEN_READER = """
window.BarcodeDetector = class {
  static async getSupportedFormats() { return ["qr_code"]; }
  async detect() { throw new DOMException("Barcode detection service unavailable.", "NotSupportedError"); }
};"""


@pytest.fixture(autouse=True)
def both_have_devices(installation: RunningInstallation, first_visit_of: FirstVisitOf) -> Iterator[None]:
    """Alice and bob; the others who come here have compared nothing."""
    for name in ("alice", "bob"):
        first_visit_of(name)
    yield
    installation.sql("DELETE FROM webmail_verification")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera sees; tests write it before they open the camera."""
    film = tmp_path_factory.mktemp("camera") / "film.mjpeg"
    Image.new("RGB", (1280, 720)).save(film, "JPEG")
    return film


@pytest.fixture(scope="module")
def browser_with_camera(playwright: Playwright, chromium_is_chosen: None, film: Path) -> Iterator[Browser]:
    """Asks for permission as browsers do: who is not given it is refused it."""
    flags = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
    with chromium(playwright, whole=True, flags=flags) as running:
        yield running


@pytest.fixture
def visit_with_camera(
    browser_with_camera: Browser,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    first_visit_of: FirstVisitOf,
) -> Iterator[Visit]:
    """As `visit`, in a browser with a camera, which may be used unless it is said otherwise."""
    with ExitStack() as stack:
        visitors: list[Visitor] = []

        def visit(name: str, *, allowed: bool = True, **form: object) -> Visitor:
            person = local_network.accounts[name].person
            state = first_visit_of(name).storage_state
            visitor = stack.enter_context(
                visitor_at(browser_with_camera, installation.url, person, storage_state=state, **form)  # type: ignore[arg-type]
            )
            if allowed:
                visitor.context.grant_permissions(["camera"])
            visitor.context.add_init_script(f"({_RUNNING_TRACKS})()")
            visitors.append(visitor)
            return visitor

        yield visit
        assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


def photo_of_code(page: Page) -> bytes:
    return photo_of(page.get_by_role("img", name="Code of your keys").screenshot())


def photo_of_text(text: str) -> bytes:
    made = io.BytesIO()
    segno.make(text, error="m", micro=False).save(made, kind="png", scale=5)
    return photo_of(made.getvalue())


def photo_of(picture: bytes) -> bytes:
    """A code held a little askew before a camera that is not quite sharp."""
    code = Image.open(io.BytesIO(picture)).convert("L").resize((420, 420))
    tilted = code.rotate(7, expand=True, fillcolor=_GREY, resample=Image.Resampling.BICUBIC)
    frame = Image.new("L", (1280, 720), _GREY)
    frame.paste(tilted, (390, 110))
    taken = io.BytesIO()
    frame.filter(ImageFilter.GaussianBlur(0.8)).convert("RGB").save(taken, "JPEG", quality=80)
    return taken.getvalue()


def comparing(visitor: Visitor, did: str) -> Page:
    visitor.page.goto(f"/people/{did}/compare/")
    return visitor.page


def look(page: Page) -> None:
    page.get_by_role("button", name="Scan with the camera").press("Enter")


def cameras_on(page: Page) -> int:
    return int(page.evaluate("tracks.filter((track) => track.readyState === 'live').length"))


def test_the_code_on_their_screen_is_read_with_the_camera_and_compared(
    visit: Visit,
    visit_with_camera: Visit,
    local_network: NetworkInfo,
    film: Path,
) -> None:
    dids = {name: account.did for name, account in local_network.accounts.items()}
    alice = visit_with_camera("alice", viewport=PHONE)
    film.write_bytes(photo_of_code(comparing(visit("bob"), dids["alice"])))
    page = comparing(alice, dids["bob"])
    assert not page.evaluate("'BarcodeDetector' in window")
    fetched: list[str] = []
    alice.context.on("request", lambda request: fetched.append(request.url))
    look(page)
    expect(page.locator(".notice--good")).to_contain_text("they match")
    assert any("/qr-" in url for url in fetched)
    assert cameras_on(page) == 0
    inbox = page.goto("/")
    assert inbox
    assert "camera=()" in inbox.headers["permissions-policy"]


def test_another_code_than_theirs_is_told_and_looking_goes_on(
    visit_with_camera: Visit, local_network: NetworkInfo, film: Path
) -> None:
    film.write_bytes(photo_of_text("https://example.com/"))
    alice = visit_with_camera("alice")
    page = comparing(alice, local_network.accounts["bob"].did)
    look(page)
    dialog = page.get_by_role("dialog", name="Scan Bob")
    expect(dialog.get_by_role("status")).to_contain_text("This is another code")
    assert cameras_on(page) == 1
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert cameras_on(page) == 0
    expect(page.get_by_role("button", name="Scan with the camera")).to_be_focused()
    expect(page.get_by_label("Text of their code")).to_have_value("")


def test_who_does_not_allow_the_camera_is_told_what_else_to_do(
    visit_with_camera: Visit, local_network: NetworkInfo
) -> None:
    page = comparing(visit_with_camera("alice", allowed=False), local_network.accounts["bob"].did)
    look(page)
    dialog = page.get_by_role("dialog", name="Scan Bob")
    expect(dialog.get_by_role("status")).to_contain_text("The camera is not allowed here")
    assert violations(page) == []
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_label("Or a picture of their code")).to_be_visible()


def test_who_has_no_camera_is_told_what_else_to_do(
    playwright: Playwright,
    chromium_is_chosen: None,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    first_visit_of: FirstVisitOf,
) -> None:
    person, state = local_network.accounts["alice"].person, first_visit_of("alice").storage_state
    with (
        chromium(playwright, whole=True) as browser,
        visitor_at(browser, installation.url, person, storage_state=state) as alice,
    ):
        alice.context.grant_permissions(["camera"])
        page = comparing(alice, local_network.accounts["bob"].did)
        look(page)
        words = page.get_by_role("dialog", name="Scan Bob").get_by_role("status")
        expect(words).to_contain_text("No camera was found")


def test_a_picture_of_the_code_will_do(visit: Visit, local_network: NetworkInfo) -> None:
    dids = {name: account.did for name, account in local_network.accounts.items()}
    page = comparing(visit("alice"), dids["bob"])
    taken = photo_of_code(comparing(visit("bob"), dids["alice"]))
    field = page.get_by_label("Or a picture of their code")
    nothing = io.BytesIO()
    Image.new("RGB", (300, 200), "white").save(nothing, "PNG")
    field.set_input_files({"name": "wall.png", "mimeType": "image/png", "buffer": nothing.getvalue()})
    expect(page.locator("#picture-state")).to_have_text("No code was found in the picture.")
    field.set_input_files({"name": "code.jpg", "mimeType": "image/jpeg", "buffer": taken})
    expect(page.locator(".notice--good")).to_contain_text("they match")


def test_a_code_that_says_something_else_holds_what_is_sent(
    visit: Visit, visit_with_camera: Visit, local_network: NetworkInfo, film: Path
) -> None:
    dids = {name: account.did for name, account in local_network.accounts.items()}
    page = comparing(visit_with_camera("alice"), dids["bob"])
    shown = comparing(visit("bob"), dids["alice"]).locator("pre.raw").text_content() or ""
    (code,) = re.findall(r"waxwing-keys/1 .*", shown)
    film.write_bytes(photo_of_text(re.sub(rf"({dids['bob']}) \S+", rf"\1 {'A' * 43}", code)))
    look(page)
    expect(page.locator(".notice--band").first).to_contain_text("they differed")


def test_a_browser_that_reads_codes_itself_fetches_nothing_for_it(
    visit: Visit, visit_with_camera: Visit, local_network: NetworkInfo, film: Path
) -> None:
    dids = {name: account.did for name, account in local_network.accounts.items()}
    alice = visit_with_camera("alice")
    shown = comparing(visit("bob"), dids["alice"]).locator("pre.raw").text_content() or ""
    (code,) = re.findall(r"waxwing-keys/1 .*", shown)
    film.write_bytes(photo_of_text("https://example.com/"))
    alice.context.add_init_script(_OWN_READER % json.dumps(code))
    page = comparing(alice, dids["bob"])
    fetched: list[str] = []
    alice.context.on("request", lambda request: fetched.append(request.url))
    look(page)
    expect(page.locator(".notice--good")).to_contain_text("they match")
    assert not any("/qr-" in url for url in fetched)


@pytest.mark.parametrize("way", ["camera", "picture"])
def test_where_the_browsers_own_reader_fails_the_other_one_reads(
    way: str, visit: Visit, visit_with_camera: Visit, local_network: NetworkInfo, film: Path
) -> None:
    dids = {name: account.did for name, account in local_network.accounts.items()}
    alice = visit_with_camera("alice")
    alice.context.add_init_script(_BROKEN_READER)
    taken = photo_of_code(comparing(visit("bob"), dids["alice"]))
    page = comparing(alice, dids["bob"])
    if way == "camera":
        film.write_bytes(taken)
        look(page)
    else:
        code = {"name": "code.jpg", "mimeType": "image/jpeg", "buffer": taken}
        page.get_by_label("Or a picture of their code").set_input_files(code)
    expect(page.locator(".notice--good")).to_contain_text("they match")
