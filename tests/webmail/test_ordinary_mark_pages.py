"""What pages say and do of ordinary mail that is new, spam or deleted, also where no script runs."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from accounts.models import Account
from tests.webmail.installation import browser_of
from tests.webmail.ordinary_mail import arrived, mail_to
from webmail import events
from webmail.models import Arrival, BlockedAddress
from webmail.ordinary import marks

pytestmark = pytest.mark.django_db

SENDER = "desk@parcels.example"


@pytest.fixture
def mail(alice: Account) -> Arrival:
    return arrived(alice, mail_to(alice))


def html(browser: Client, path: str) -> str:
    return browser.get(path).content.decode()


def counts_in(page: str) -> list[str]:
    """What stands at the menu's item, and in the line above the list."""
    found = re.findall(r"unread: </span>(\d+)</span>", page)
    return [str(number) for number in found]


def mark(browser: Client, mail: Arrival, do: str, **more: str) -> str:
    answer = browser.post(f"/mail/{mail.pk}/mark/", {"do": do}, follow=True, **more)  # type: ignore[arg-type]
    assert answer.status_code == 200
    return answer.content.decode()


def test_new_mail_is_announced_in_the_menu_and_above_the_list_until_it_is_read(
    alice: Account, mail: Arrival
) -> None:
    browser = browser_of(alice)
    assert counts_in(html(browser, "/")) == ["1", "1"]
    assert counts_in(html(browser, "/devices/")) == ["1"]
    assert "row--new" in html(browser, "/mail/")
    page = html(browser, f"/mail/{mail.pk}/")
    # Asking for the page reads nothing: whoever sees it says so.
    assert marks.count_waiting(alice) == 1
    assert '<noscript><button class="btn btn--s">Mark as read</button></noscript>' in page
    assert counts_in(mark(browser, mail, "seen")) == []
    assert "row--new" not in html(browser, "/mail/")
    assert "mail-seen" not in html(browser, f"/mail/{mail.pk}/")
    assert counts_in(mark(browser, mail, "unseen")) == ["1"]


@pytest.mark.parametrize(
    ("do", "undo", "said", "place"),
    [
        ("delete", "put-back", "Deleted. It can be put back for 30 days.", "deleted"),
        ("spam", "not-spam", "It is among the spam now.", "spam"),
        ("block", "unblock", "Its sender&#x27;s address is blocked", "spam"),
    ],
)
def test_what_is_taken_out_of_the_list_can_be_undone(
    alice: Account, mail: Arrival, do: str, undo: str, said: str, place: str
) -> None:
    browser = browser_of(alice)
    row = f'href="/mail/{mail.pk}/"'
    page = mark(browser, mail, do)
    assert said in page.replace("'", "&#x27;")
    assert row not in page
    assert counts_in(page) == []
    assert row in html(browser, f"/mail/?show={place}")
    assert f'name="do" value="{undo}"' in page
    assert row in mark(browser, mail, undo)
    assert marks.count_waiting(alice) == 1
    assert not BlockedAddress.objects.exists()
    # What was undone is not offered again, nor is what is somebody else's.
    assert said not in html(browser, f"/mail/?done={do}&of={mail.pk}")


def test_an_address_is_blocked_shown_and_unblocked(alice: Account, mail: Arrival) -> None:
    browser = browser_of(alice)
    assert 'value="block"' in html(browser, f"/mail/{mail.pk}/")
    mark(browser, mail, "block")
    assert 'value="block"' not in html(browser, f"/mail/{mail.pk}/")
    later = arrived(alice, mail_to(alice).replace(b"A parcel", b"Another parcel"))
    assert counts_in(html(browser, "/")) == []
    assert f'href="/mail/{later.pk}/"' in html(browser, "/mail/?show=spam")
    assert SENDER in html(browser, "/blocked/")
    answer = browser.post("/blocked/address/", {"address": SENDER}, follow=True)
    assert f"You no longer block {SENDER}." in answer.content.decode()
    assert not BlockedAddress.objects.exists()


def test_open_pages_hear_of_new_mail_and_of_what_is_done_with_it(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[object, ...]] = []
    monkeypatch.setattr(events, "publish", lambda account, *names, **_more: heard.append((account, *names)))
    mail = arrived(alice, mail_to(alice))
    assert (alice.pk, "mail") in heard
    heard.clear()
    mark(browser_of(alice), mail, "spam")
    assert heard == [(alice.pk, "mail")]
    heard.clear()
    mark(browser_of(alice), mail, "spam")
    assert heard == []


def test_parts_of_open_pages_come_alone(alice: Account, mail: Arrival) -> None:
    browser = browser_of(alice)
    rows = browser.get("/mail/?show=mail", headers={"HX-Request": "true", "HX-Target": "mails"})
    assert f'href="/mail/{mail.pk}/"' in rows.content.decode()
    assert "<main" not in rows.content.decode()
    assert counts_in(html(browser, "/mail/unread/")) == ["1"]
    seen = browser.post(f"/mail/{mail.pk}/mark/", {"do": "seen"}, headers={"HX-Request": "true"})
    assert seen.status_code == 204
    assert html(browser, "/mail/unread/").strip() == ""


def test_somebody_else_can_do_nothing_with_it(alice: Account, bob: Account, mail: Arrival) -> None:
    browser = browser_of(bob)
    for do in ("seen", "spam", "delete", "block", "else"):
        assert browser.post(f"/mail/{mail.pk}/mark/", {"do": do}).status_code == 404
    assert "can be put back" not in html(browser, f"/mail/?done=delete&of={mail.pk}")
    assert browser_of(alice).get(f"/mail/{mail.pk}/mark/").status_code == 405
    assert browser_of(alice).post(f"/mail/{mail.pk}/mark/", {"do": "else"}).status_code == 404
    assert marks.count_waiting(alice) == 1


def test_while_the_mailbox_is_away_the_page_says_that_nothing_was_done(
    alice: Account, mail: Arrival, settings: object
) -> None:
    browser = browser_of(alice)
    settings.MAILBOX_URL = "imap://127.0.0.1:1"  # type: ignore[attr-defined]
    settings.MAIL_TOKEN_KEY_FILE = ""  # type: ignore[attr-defined]
    for do in ("seen", "delete", "block"):
        answer = browser.post(f"/mail/{mail.pk}/mark/", {"do": do})
        assert answer.status_code == 503
        assert "cannot be reached" in answer.content.decode()
    assert marks.count_waiting(alice) == 1
