"""The pages that show what is written and not sent yet, and how to get there."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.seeding import Seeded


def unsent_pages(seeded: Seeded) -> dict[str, Callable[[Page], None]]:
    """The pages by name, for alice after seeding."""
    return {
        "send-later": lambda page: _send_later(page, seeded.with_files),
        "scheduled": _scheduled,
        "scheduled-time": _scheduled_time,
        "scheduled-time-faulty": _scheduled_time_faulty,
        "scheduled-discard": _scheduled_discard,
        "send-later-discard": lambda page: _send_later_discard(page, seeded.with_files),
        "files-chosen": lambda page: _files_chosen(page, seeded.with_files),
    }


def _scheduled(page: Page) -> None:
    page.goto("/scheduled/")
    expect(page.locator(".scheduled li")).to_have_count(1)


def _send_later(page: Page, conversation: str) -> None:
    """Below what waits already, with a draft in the field."""
    page.goto(conversation)
    expect(page.get_by_role("textbox", name=re.compile("^Message to"))).not_to_be_empty()
    expect(page.locator("#pending .msg")).to_have_count(1)
    page.locator(".composer summary", has_text="Send later").click()
    expect(page.get_by_role("button", name="At that time")).to_be_visible()


def _scheduled_time(page: Page) -> None:
    _scheduled(page)
    page.get_by_role("link", name="Change time").click()
    expect(page.get_by_label("Day and time")).to_be_visible()


def _scheduled_time_faulty(page: Page) -> None:
    _scheduled_time(page)
    page.get_by_label("Day and time").fill("2020-01-01T08:00")
    page.get_by_role("button", name="At that time").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _scheduled_discard(page: Page) -> None:
    _scheduled(page)
    page.get_by_role("link", name="Discard").click()
    expect(page.get_by_role("link", name="Keep it")).to_be_visible()


def _send_later_discard(page: Page, conversation: str) -> None:
    """Asked in its place."""
    page.goto(conversation)
    page.locator("#pending .msg").get_by_role("link", name="Discard").click()
    expect(page.locator("#pending .ask")).to_be_visible()


def _files_chosen(page: Page, conversation: str) -> None:
    """One that is there, one that is too large."""
    page.goto(conversation)
    small = {"name": "timetable of the ferries.pdf", "mimeType": "application/pdf", "buffer": bytes(90_000)}
    # What an earlier visit chose is still there, in the draft.
    kept = page.locator("#files .upload").count()
    page.locator("input[type=file]").set_input_files(small)  # type: ignore[arg-type]
    expect(page.locator("#files .upload:not([data-busy])")).to_have_count(kept + 1)
    page.evaluate("document.querySelector('[data-upload]').dataset.most = 10")
    page.locator("input[type=file]").set_input_files({**small, "name": "film.mp4"})  # type: ignore[arg-type]
    expect(page.locator("#files .error:not([hidden])")).to_be_visible()
