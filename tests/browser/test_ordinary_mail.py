"""Ordinary mail in a browser: read, answered, and what its page says while the answer is on its way."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from demo.local_network import NetworkInfo
from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.seeding import MAIL, write_ordinary_mail
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, reload_until
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


def test_new_mail_is_announced_by_itself_and_no_more_once_it_is_seen(
    visit: Visit,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    first_visit_of: FirstVisitOf,
) -> None:
    page = visit("alice", viewport=PHONE).page
    window = Window(installation.url, local_network.accounts["alice"])
    window.sign_in()
    before = int(page.locator("#mail-count").text_content().strip().rpartition(" ")[2] or 0)  # type: ignore[union-attr]
    path = write_ordinary_mail(installation, window, MAIL)
    # Nothing was loaded by hand.
    line = page.locator(".aside-line", has_text="Ordinary mail")
    expect(line).to_contain_text(f"unread: {before + 1}", timeout=ARRIVAL)
    expect(page.locator("#mail-count")).to_contain_text(str(before + 1))
    line.click()
    row = page.locator(f'#mails a[href="{path}"]')
    expect(row).to_contain_text("New")
    another = write_ordinary_mail(installation, window, MAIL)
    expect(page.locator(f'#mails a[href="{another}"]')).to_contain_text("New", timeout=ARRIVAL)
    row.click()
    expect(page.locator("#mail-count")).to_contain_text(str(before + 1), timeout=ARRIVAL)
    page.get_by_role("button", name="Mark unread").click()
    expect(row).to_contain_text("New")
    row.click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("It can be put back for 30 days.")).to_be_visible()
    assert violations(page) == []
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row).to_be_visible()
    page.locator(f'#mails a[href="{another}"]').click()
    page.get_by_role("button", name="Spam", exact=True).click()
    expect(page.locator(f'#mails a[href="{another}"]')).to_have_count(0)
    page.get_by_role("link", name="Spam", exact=True).click()
    expect(page.locator(f'#mails a[href="{another}"]')).to_be_visible()
    assert violations(page) == []


def test_the_list_is_read_once_a_visit_and_says_when_the_mailbox_is_away(visit: Visit, mail: str) -> None:
    visitor = visit("alice")
    page = visitor.page
    with page.expect_response(re.compile("/mail/[?]show=mail&")) as again:
        page.goto("/mail/")
    assert again.value.status == 204
    row = page.locator(f'#mails a[href="{mail}"]')
    expect(row).to_be_visible()
    away = (
        '<div id="mails-state"><div class="notice notice--fault" role="alert"><p>It is away.</p></div></div>'
    )
    headers = {"HX-Retarget": "#mails-state", "HX-Reswap": "outerHTML", "Content-Type": "text/html"}
    page.route("**/mail/?show=mail&*", lambda route: route.fulfill(status=503, headers=headers, body=away))
    for _ in range(2):
        with page.expect_response(re.compile("/mail/[?]show=mail")):
            page.evaluate("htmx.trigger(document.body, 'caught-up')")
        page.unroute_all()
        page.route("**/mail/?show=mail", lambda route: route.fulfill(status=503, headers=headers, body=away))
        expect(page.get_by_role("alert")).to_have_text("It is away.")
        expect(row).to_be_visible()
    page.unroute_all()
    page.evaluate("htmx.trigger(document.body, 'caught-up')")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(row).to_be_visible()
    visitor.excuse("503")


def test_without_script_mail_is_marked_as_read_and_deleted(visit: Visit, mail: str) -> None:
    page = visit("alice", script=False).page
    page.goto("/mail/")
    row = page.locator("li", has=page.locator(f'a[href="{mail}"]'))
    expect(row).to_contain_text("New")
    row.locator("a").click()
    page.get_by_role("button", name="Mark as read").click()
    expect(page.get_by_role("button", name="Mark as read")).to_have_count(0)
    page.goto("/mail/")
    expect(row).not_to_contain_text("New")
    row.locator("a").click()
    page.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row).to_be_visible()


@pytest.mark.parametrize(
    ("script", "viewport"), [(True, WIDE), (False, PHONE)], ids=["with script", "without script"]
)
def test_deleted_mail_is_removed_for_good_one_by_one_and_all_at_once(
    script: bool,
    viewport: dict[str, int],
    visit: Visit,
    installation: RunningInstallation,
    local_network: NetworkInfo,
) -> None:
    page = visit("carol", script=script, viewport=viewport).page
    window = Window(installation.url, local_network.accounts["carol"])
    window.sign_in()
    subject = f"Parcel {uuid4().hex[:8]}"
    raw = MAIL.replace("Your parcel waits at the desk", subject)
    first, *others = [write_ordinary_mail(installation, window, raw) for _ in range(4)]

    def in_mailbox() -> int:
        return sum(subject.encode() in each for each in installation.mails(window.did, "INBOX"))

    for path in (first, *others[:2]):
        page.goto(path)
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("It can be put back for 30 days.")).to_be_visible()
    page.get_by_role("link", name="Deleted", exact=True).click()
    page.locator(f'#mails a[href="{first}"]').click()
    page.get_by_role("link", name="Remove for good").click()
    page.get_by_role("link", name="Keep it").click()
    page.get_by_role("link", name="Remove for good").click()
    assert in_mailbox() == 4
    page.get_by_role("button", name="Remove for good").click()
    expect(page.get_by_role("status").filter(has_text="1 mail was removed for good.")).to_be_visible()
    expect(page.locator(f'#mails a[href="{first}"]')).to_have_count(0)
    assert in_mailbox() == 3
    page.get_by_role("link", name="Empty").click()
    page.get_by_role("button", name="Remove for good").click()
    expect(page.get_by_role("status").filter(has_text="2 mails were removed for good.")).to_be_visible()
    expect(page.get_by_role("heading", name="Nothing deleted")).to_be_visible()
    assert in_mailbox() == 1
    page.get_by_role("link", name="Mail", exact=True).click()
    expect(page.locator(f'#mails a[href="{others[2]}"]')).to_be_visible()


def test_half_an_answer_to_a_mail_waits_on_its_page(visit: Visit, mail: str) -> None:
    word = uuid4().hex[:8]
    page, elsewhere = visit("alice", viewport=PHONE).page, visit("alice").page
    for each in (page, elsewhere):
        each.goto(mail)
    with page.expect_response("**/answer/draft/", timeout=ARRIVAL):
        page.get_by_label("Your answer").fill(f"Half an answer {word}")
    with page.expect_response("**/answer/draft/", timeout=ARRIVAL):
        page.get_by_label("Quote the mail below it").uncheck()
    page.goto("/mail/")
    page.goto(mail)
    expect(page.get_by_label("Your answer")).to_have_value(f"Half an answer {word}")
    expect(page.get_by_label("Quote the mail below it")).not_to_be_checked()

    # Two texts, of which none is lost.
    elsewhere.get_by_label("Your answer").fill(f"Another answer {word}")
    line = elsewhere.locator("#answer [data-line=overtook]")
    expect(line).to_be_visible(timeout=ARRIVAL)
    line.get_by_role("button", name="Show the other text").click()
    expect(elsewhere.get_by_label("Your answer")).to_have_value(f"Half an answer {word}")
    expect(elsewhere.get_by_label("Quote the mail below it")).not_to_be_checked()
    elsewhere.wait_for_timeout(1000)
    elsewhere.get_by_role("button", name="Send without encryption").click()
    expect(elsewhere.locator("#answers")).to_contain_text(f"Half an answer {word}")
    expect(elsewhere.get_by_label("Your answer")).to_have_value(f"Another answer {word}")
    assert violations(elsewhere) == []
    elsewhere.get_by_role("link", name="Discard").click()
    elsewhere.get_by_role("button", name="Discard").click()
    expect(elsewhere.get_by_label("Your answer")).to_have_value("")
