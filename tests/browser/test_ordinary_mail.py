"""Ordinary mail in a browser: read, answered, and what its page says while the answer is on its way."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.seeding import MAIL, write_ordinary_mail
from tests.browser.visitors import ARRIVAL, reload_until
from tests.services.installations import RunningInstallation, wait_until
from tests.services.smtp_sink import ReceivedMail, SmtpSink
from tests.services.windows import Window


@pytest.fixture
def mail(installation: RunningInstallation, local_network: NetworkInfo, first_visit_of: FirstVisitOf) -> str:
    """The path of a mail to alice."""
    first_visit_of("alice")
    window = Window(installation.url, local_network.accounts["alice"])
    window.sign_in()
    return write_ordinary_mail(installation, window, MAIL)


def left(sink: SmtpSink, words: str) -> list[ReceivedMail]:
    return [each for each in sink.mails if words in str(each.message.get_content())]


def open_from_list(page: Page, path: str) -> None:
    page.goto("/mail/")
    page.locator(f'a[href="{path}"]').click()
    expect(page.get_by_role("heading", name="Answer", exact=True)).to_be_visible()
    expect(page.get_by_text("Your answer is not encrypted.")).to_be_visible()


def test_a_mail_is_answered_and_its_page_tells_when_the_answer_has_left(
    visit: Visit, mail: str, smtp_sink: SmtpSink
) -> None:
    page = visit("alice").page
    open_from_list(page, mail)
    page.get_by_label("Your answer").fill("Friday is fine.")
    page.get_by_role("button", name="Send without encryption").click()
    expect(page.locator("#answers")).to_contain_text("Friday is fine.")
    # Without another look at the page.
    expect(page.locator("#answers .badge")).to_have_text("Handed over", timeout=ARRIVAL)
    expect(page.locator("#answers")).to_contain_text("Friday is fine.")
    (answer,) = left(smtp_sink, "Friday is fine.")
    assert answer.recipients == ["answers@parcels.example"]
    assert "> your parcel waits." in str(answer.message.get_content())
    page.goto("/mail/")
    expect(page.locator("li", has=page.locator(f'a[href="{mail}"]'))).to_contain_text("Answered")


def test_without_script_it_is_answered_to_everybody(visit: Visit, mail: str, smtp_sink: SmtpSink) -> None:
    page = visit("alice", script=False).page
    open_from_list(page, mail)
    page.get_by_label("Everybody").check()
    page.get_by_label("Quote the mail below it").uncheck()
    page.get_by_label("Your answer").fill("Friday, without script.")
    page.get_by_role("button", name="Send without encryption").click()
    expect(page).to_have_url(re.compile(f"{mail}#answers$"))
    expect(page.locator("#answers")).to_contain_text("Friday, without script.")
    wait_until(lambda: len(left(smtp_sink, "without script")) == 3, 30)
    # The servers have it a moment before the page says so.
    badges = page.locator("#answers .badge")
    reload_until(page, lambda: badges.filter(has_text="Handed over").count() == 3)
    expect(badges).to_have_text(["Handed over"] * 3)
    for answer in left(smtp_sink, "without script"):
        assert str(answer.message.get_content()).strip() == "Friday, without script."
