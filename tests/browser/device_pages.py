"""The pages of the first visit, and of devices, apps, keys and leaving, and how to get there."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.visitors import ARRIVAL


def device_pages() -> dict[str, Callable[[Page], None]]:
    """The pages by name."""

    def go(path: str) -> Callable[[Page], None]:
        return lambda page: go_to(page, path)

    return {
        "welcome-lock": go("/welcome/lock/"),
        "welcome-lock-faulty": lambda page: _lock_faulty(page, "/welcome/lock/"),
        "welcome-done": go("/welcome/done/"),
        "devices": go("/devices/"),
        "revoke": lambda page: _revoke(page, "/devices/"),
        "apps-none": go("/devices/apps/"),
        "app-new": go("/devices/apps/new/"),
        "app-new-faulty": _app_new_faulty,
        "app-made": _app_made,
        "apps": go("/devices/apps/"),
        "app-revoke": lambda page: _revoke(page, "/devices/apps/"),
        "uses": go("/devices/uses/"),
        "uses-refused-none": go("/devices/uses/?show=refused"),
        "use-entries": _use_entries,
        "leaving": go("/devices/leaving/"),
        "export": go("/devices/export/"),
        "export-faulty": _export_faulty,
        "readable": go("/devices/export/readable/"),
        "readable-faulty": _readable_faulty,
        "import": go("/devices/import/?again"),
        "import-faulty": _import_faulty,
        "import-done": _import_done,
        "erase": go("/devices/erase/"),
        "erase-faulty": _erase_faulty,
        "erased": go("/erased/"),
        "custody": go("/devices/keys/"),
        "custody-lock": go("/devices/keys/lock/"),
        "custody-lock-faulty": lambda page: _lock_faulty(page, "/devices/keys/lock/"),
        "passkey-new": go("/devices/keys/passkeys/new/"),
    }


def go_to(page: Page, path: str) -> None:
    """Opens a page of the installation, and waits until it is there."""
    page.goto(path)
    page.locator("main").wait_for()


def _hand_in_faulty(page: Page, button: str) -> None:
    """Hands a form in that is not taken as it is."""
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("alert")).to_be_visible()


def _lock_faulty(page: Page, path: str) -> None:
    go_to(page, path)
    page.get_by_label("New passphrase").fill("too short")
    _hand_in_faulty(page, "Lock my keys")


def _revoke(page: Page, path: str) -> None:
    go_to(page, path)
    page.get_by_role("link", name="Revoke").first.click()
    expect(page.get_by_role("button", name="Revoke")).to_be_visible()


def _app_new_faulty(page: Page) -> None:
    go_to(page, "/devices/apps/new/")
    page.get_by_label("Name of the app").fill("Photo diary")
    page.get_by_label("Open messages sent to you").check()
    _hand_in_faulty(page, "Allow it")


def _app_made(page: Page) -> None:
    go_to(page, "/devices/apps/new/")
    page.get_by_label("Name of the app").fill("Photo diary")
    page.get_by_label("Vouch for public records").check()
    page.get_by_label("Write sealed messages as you").check()
    page.get_by_role("button", name="Allow it").click()
    expect(page.locator("#token")).to_be_visible()


def _use_entries(page: Page) -> None:
    go_to(page, "/devices/uses/")
    page.get_by_role("link", name="Each one").first.click()
    expect(page.get_by_text("In the log", exact=True)).to_be_visible()


def _export_faulty(page: Page) -> None:
    go_to(page, "/devices/export/")
    page.get_by_label("Passphrase for the file").fill("correct horse battery")
    page.get_by_label("The same passphrase again").fill("correct horse")
    _hand_in_faulty(page, "Download the file")


def _readable_faulty(page: Page) -> None:
    """As without the browser's own check."""
    go_to(page, "/devices/export/readable/")
    page.locator("form.card").evaluate("form => form.noValidate = true")
    _hand_in_faulty(page, "Download as plain text")


def _import_faulty(page: Page) -> None:
    go_to(page, "/devices/import/?again")
    page.get_by_label("The file from your other server").set_input_files(
        {"name": "holiday.tar", "mimeType": "application/x-tar", "buffer": b"no export"}
    )
    page.get_by_label("Passphrase of the file").fill("correct horse battery")
    _hand_in_faulty(page, "Bring it here")


def _import_done(page: Page) -> None:
    """Her own export, once; the page stays the same afterwards."""
    go_to(page, "/devices/import/")
    if page.get_by_role("button", name="Bring it here").is_visible():
        bring(page, export(page))
    expect(page.get_by_role("heading", name="Everything is here")).to_be_visible(timeout=ARRIVAL)


def export(page: Page, passphrase: str = "correct horse battery") -> str:
    """The path of the downloaded file."""
    page.goto("/devices/export/")
    page.get_by_label("Passphrase for the file").fill(passphrase)
    page.get_by_label("The same passphrase again").fill(passphrase)
    with page.expect_download(timeout=ARRIVAL) as download:
        page.get_by_role("button", name="Download the file").click()
    return str(download.value.path())


def bring(page: Page, file: str, passphrase: str = "correct horse battery") -> None:
    page.goto("/devices/import/?again")
    page.get_by_label("The file from your other server").set_input_files(file)
    page.get_by_label("Passphrase of the file").fill(passphrase)
    page.get_by_role("button", name="Bring it here").click()
    page.wait_for_url("**/devices/import/", timeout=ARRIVAL)


def _erase_faulty(page: Page) -> None:
    go_to(page, "/devices/erase/")
    page.get_by_label("to confirm").fill("somebody.test")
    _hand_in_faulty(page, "Erase everything")
