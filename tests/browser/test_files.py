"""Files at the browser: chosen, uploaded with progress, sent, fetched; with and without script."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, NARROWEST, PHONE, WIDE, composer, message
from tests.services.chromium import need_chromium, tools_of
from tests.services.installations import RunningInstallation
from tests.webmail.pictures import photo


@pytest.fixture(autouse=True)
def _bob_is_there(first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")


MEBIBYTE = 1024 * 1024
LARGE = 100 * MEBIBYTE


def attach_field(page: Page) -> Locator:
    return page.locator("input[type=file]")


def uploads(page: Page) -> Locator:
    return page.locator("#files .upload")


def is_there(page: Page, count: int = 1) -> None:
    expect(page.locator("#files .upload:not([data-busy])")).to_have_count(count, timeout=60_000)


def hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(MEBIBYTE):
            digest.update(chunk)
    return digest.hexdigest()


def peak_memory(pid: int) -> int:
    """Of a process, its children included: the most they ever had, in bytes."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024 + sum(peak_memory(int(child)) for child in children)


def test_a_hundred_megabytes_go_from_one_person_to_another_with_progress(
    visit: Visit, installation: RunningInstallation, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    with film.open("wb") as file:
        for number in range(100):
            file.write(bytes([number]) * MEBIBYTE)
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="the film is coming")
    # What both processes load on first use is no part of what a large file takes.
    attach_field(page).set_input_files({"name": "small.bin", "mimeType": "a/b", "buffer": bytes(MEBIBYTE)})
    is_there(page)
    uploads(page).get_by_role("button", name="Remove").click()
    before = {name: peak_memory(installation.processes[name].pid) for name in ("web", "agent")}

    seen: list[float] = []
    page.expose_function("seen", lambda value: seen.append(value))
    page.evaluate(
        """() => new MutationObserver(() => {
          const bar = document.querySelector("#files progress");
          if (bar?.hasAttribute("value") && bar.value > 0 && bar.value < 100) window.seen(bar.value);
        }).observe(document.querySelector("#files"), {subtree: true, attributes: true})"""
    )
    attach_field(page).set_input_files(film)
    expect(uploads(page).locator("progress")).to_be_visible()
    is_there(page)
    assert seen
    assert seen == sorted(seen)
    composer(page).fill("with a film")
    composer(page).press("Control+Enter")
    expect(message(page, "with a film").locator(".file")).to_contain_text("film.mp4", timeout=ARRIVAL)
    expect(uploads(page)).to_have_count(0)

    bob = visit("bob", viewport=PHONE, touch=True)
    bob.open_conversation(page.url)
    chip = message(bob.page, "with a film").locator(".file")
    expect(chip).to_contain_text("100.0", timeout=ARRIVAL)
    need_chromium(bob.context.browser, "word of what a script saves")
    with bob.page.expect_download(timeout=60_000) as download:
        chip.tap()
    assert download.value.suggested_filename == "film.mp4"
    assert hash_of(download.value.path()) == hash_of(film)
    for name, peak in before.items():
        growth = peak_memory(installation.processes[name].pid) - peak
        assert growth < 30 * MEBIBYTE, f"{name}: {growth / MEBIBYTE:.0f} MiB more"


def test_files_are_chosen_removed_and_refused(visit: Visit, tmp_path: Path) -> None:
    alice = visit("alice", viewport=PHONE)
    page = alice.page
    alice.write_to("bob.test", text="files are coming")
    too_large = tmp_path / "huge.bin"
    with too_large.open("wb") as sparse:
        sparse.truncate(LARGE + 1)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    attach_field(page).set_input_files(too_large)
    expect(uploads(page).get_by_role("alert")).to_contain_text("Too large")
    assert not [url for url in requests if url.endswith("/files/")]
    # Nothing goes without a file that was chosen for it.
    composer(page).fill("but not without its file")
    composer(page).press("Control+Enter")
    expect(page.locator("#files-wait")).to_be_visible()
    expect(composer(page)).to_have_value("but not without its file")
    assert violations(page) == []

    # With the keyboard alone.
    uploads(page).get_by_role("button", name="Remove").press("Enter")
    expect(uploads(page)).to_have_count(0)
    expect(attach_field(page)).to_be_focused()
    attach_field(page).set_input_files(
        [
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"a few words"},
            {"name": "page <b>.html", "mimeType": "text/html", "buffer": b"<script>alert(1)</script>" * 2000},
        ]
    )
    is_there(page, 2)
    assert violations(page) == []
    composer(page).fill("")
    composer(page).press("Control+Enter")
    sent = page.locator("#thread .msg", has=page.locator(".file")).last
    expect(sent.locator(".file")).to_have_count(2, timeout=ARRIVAL)
    expect(sent.locator(".file").last).to_contain_text("page <b>.html")
    need_chromium(page.context.browser, "word of what a script saves")
    with page.expect_download() as download:
        sent.locator(".file").last.press("Enter")
    assert download.value.path().read_bytes().startswith(b"<script>")
    page.set_viewport_size(NARROWEST)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST["width"]
    assert violations(page) == []


def test_an_upload_can_be_stopped(visit: Visit, tmp_path: Path) -> None:
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text="or rather not")
    tools_of(page, "a slow network").send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": MEBIBYTE},
    )
    slow = tmp_path / "slow.bin"
    slow.write_bytes(bytes(20 * MEBIBYTE))
    attach_field(page).set_input_files(slow)
    expect(uploads(page).locator("progress[value]:not([value='0'])")).to_be_visible()
    uploads(page).get_by_role("button", name="Remove").click()
    expect(uploads(page)).to_have_count(0)
    composer(page).fill("nothing attached")
    composer(page).press("Control+Enter")
    expect(message(page, "nothing attached")).to_be_visible()


def test_what_was_not_sent_keeps_its_files(visit: Visit) -> None:
    alice = visit("alice", viewport=PHONE)
    page = alice.page
    words = "into the void"
    alice.write_to("bob.test", text="soon away")
    attach_field(page).set_input_files({"name": "kept.txt", "mimeType": "text/plain", "buffer": b"kept"})
    is_there(page)
    page.context.set_offline(True)
    composer(page).fill(words)
    composer(page).press("Control+Enter")
    expect(page.locator("#not-sent")).to_be_visible()
    is_there(page)
    page.context.set_offline(False)
    composer(page).press("Control+Enter")
    expect(message(page, words).locator(".file")).to_contain_text("kept.txt", timeout=ARRIVAL)
    expect(uploads(page)).to_have_count(0)
    alice.excuse("ERR_INTERNET_DISCONNECTED", "htmx:")


def test_what_a_photo_and_a_video_still_say_stands_beside_them(visit: Visit) -> None:
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="two of the weir")
    attach_field(page).set_input_files(
        [
            {"name": "IMG_0001.HEIC", "mimeType": "", "buffer": photo((800, 600), "HEIF", orientation=6)},
            {"name": "IMG_0002.MOV", "mimeType": "", "buffer": b"\0\0\0\x14ftypqt  " + bytes(90_000)},
        ]
    )
    is_there(page, 2)
    expect(uploads(page).first).to_contain_text("IMG_0001.jpg")
    expect(uploads(page).first).to_contain_text("place and camera data removed")
    expect(uploads(page).last).to_contain_text("a video may say where it was taken, and that stays in it")
    expect(page.locator("#files-said")).to_contain_text("a video may say where it was taken")
    page.set_viewport_size(NARROWEST)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # The draft, opened again, says it as well.
    with page.expect_response(re.compile("/draft/"), timeout=ARRIVAL):
        composer(page).fill("both of them")
    page.reload()
    expect(uploads(page).last).to_contain_text("a video may say where it was taken")
    assert violations(page) == []
    composer(page).press("Control+Enter")
    sent = message(page, "both of them")
    expect(sent.locator("img")).to_be_visible(timeout=ARRIVAL)
    size = sent.locator("img").evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])")
    assert size == [600, 800]


def test_a_file_that_is_gone_says_so_in_its_place(visit: Visit, installation: RunningInstallation) -> None:
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="here today")
    attach_field(page).set_input_files({"name": "gone.bin", "mimeType": "a/b", "buffer": bytes(100_000)})
    is_there(page)
    composer(page).fill("gone tomorrow")
    composer(page).press("Control+Enter")
    chip = message(page, "gone tomorrow").locator(".file")
    expect(chip).to_be_visible(timeout=ARRIVAL)
    blobs = installation.installation.directory / "data" / "blobs"
    for path in blobs.rglob("*-*"):
        if path.stat().st_size == 100_016:
            path.unlink()
    chip.click()
    expect(chip).to_contain_text("does not have the file any more")
    page.goto(chip.get_attribute("href") or "")
    expect(page.get_by_role("heading", name="The file could not be opened")).to_be_visible()
    assert violations(page) == []
    alice.excuse("status of 410", "favicon")


def test_files_need_no_script(visit: Visit) -> None:
    alice = visit("alice", script=False)
    page = alice.page
    page.goto("/new/")
    page.get_by_label("To", exact=True).fill("bob.test")
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(1)
    # Nothing is said of a file before it goes, so this is said of all.
    expect(page.locator("p.hint", has_text="videos may say where they were taken")).to_be_visible()
    attach_field(page).set_input_files(
        {"name": "first.pdf", "mimeType": "application/pdf", "buffer": b"%PDF" + bytes(200_000)}
    )
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#thread .file").last).to_contain_text("first.pdf")
    # What could not go is not lost: a file that was taken is offered again.
    attach_field(page).set_input_files(
        [{"name": f"{number}.txt", "mimeType": "text/plain", "buffer": b"x"} for number in range(11)]
    )
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert").first).to_contain_text("up to 10 files")
    expect(page.locator("#files input[type=checkbox]")).to_have_count(10)
    page.locator("#files input[type=checkbox]").first.uncheck()
    page.get_by_role("button", name="Send").click()
    sent = page.locator("#thread .msg").last
    expect(sent.locator(".file")).to_have_count(9)
    with page.expect_download() as download:
        page.locator("#thread .file", has_text="first.pdf").last.click()
    assert download.value.suggested_filename == "first.pdf"
    assert download.value.path().read_bytes() == b"%PDF" + bytes(200_000)
    alice.excuse("status of 422")


def test_anybody_gets_the_encrypted_bytes_by_their_address_and_nothing_else(
    visit: Visit, installation: RunningInstallation
) -> None:
    alice = visit("alice")
    alice.write_to("bob.test", text="for everybody")
    attach_field(alice.page).set_input_files({"name": "a", "mimeType": "a/b", "buffer": bytes(70_000)})
    is_there(alice.page)
    (row, *_) = installation.sql("SELECT content_hash, secret FROM webmail_blob ORDER BY id DESC LIMIT 1")
    address = f"{installation.url}/blobs/{row[0]}/{row[1]}"
    answer = httpx.get(address)
    assert hashlib.sha256(answer.content).hexdigest() == row[0]
    assert len(answer.content) == 70_016
    headers = answer.headers
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in headers
    head = httpx.head(address)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "70016", b"")
    for wrong in (row[0][:-1] + "0" + "/" + row[1], row[0] + "/" + "0" * 40, row[0] + "/..", "../" + row[1]):
        assert httpx.get(f"{installation.url}/blobs/{wrong}").status_code == 404
    assert httpx.post(address).status_code == 405


@pytest.mark.parametrize("path", ["/files/", "/new/", "/c/01/send/"])
def test_strangers_upload_nothing_large(installation: RunningInstallation, path: str) -> None:
    for cookie in ("", "session=" + "a" * 32):
        try:
            answer = httpx.post(
                installation.url + path,
                content=bytes(3 * MEBIBYTE),
                headers={"Content-Type": "application/octet-stream", "Cookie": cookie},
            )
        except (httpx.WriteError, httpx.ReadError):
            continue
        assert answer.status_code == 401


def test_once_the_sign_in_has_ended_no_page_is_saved_as_the_file(visit: Visit) -> None:
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="the report")
    attach_field(page).set_input_files({"name": "report.pdf", "mimeType": "a/b", "buffer": bytes(90_000)})
    is_there(page)
    composer(page).fill("as you asked")
    composer(page).press("Control+Enter")
    chip = message(page, "as you asked").locator(".file")
    expect(chip).to_be_visible(timeout=ARRIVAL)
    alice.hear_no_news()
    saved: list[str] = []
    page.on("download", lambda download: saved.append(download.suggested_filename))
    cookies = page.context.cookies()
    page.context.clear_cookies(name="session")
    chip.click()
    expect(chip).to_contain_text("You are signed out here.")
    for size in (900, 3 * MEBIBYTE):
        attach_field(page).set_input_files({"name": "more.pdf", "mimeType": "a/b", "buffer": bytes(size)})
        expect(uploads(page).get_by_role("alert")).to_contain_text("You are signed out here.")
        uploads(page).get_by_role("button", name="Remove").click()
    # Led to any other page, it is not the file either.
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    address = chip.get_attribute("href") or ""
    page.route(f"**{address}", lambda route: route.fulfill(status=302, headers={"Location": "/devices/"}))
    chip.click()
    expect(chip).to_contain_text("The file could not be fetched.")
    assert saved == []
    page.unroute(f"**{address}")
    with page.expect_download() as download:
        chip.click()
    assert download.value.path().read_bytes() == bytes(90_000)
    alice.excuse("status of 401")
