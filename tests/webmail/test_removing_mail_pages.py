"""What pages ask and say where deleted ordinary mail is removed for good."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from tests.webmail.installation import browser_of
from tests.webmail.ordinary_mail import arrived, in_folder, mail_to
from webmail import cursor_times
from webmail.mailbox import INBOX
from webmail.models import Arrival, OutgoingMail, UnsentAnswer
from webmail.ordinary import marks

pytestmark = pytest.mark.django_db

EMPTY = "/mail/deleted/empty/"
LIST = "/mail/?show=deleted"


def deleted(account: Account, subject: str = "A parcel") -> Arrival:
    row = arrived(account, mail_to(account).replace(b"A parcel", subject.encode()))
    marks.delete(account, row.pk)
    return row


def html(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def field(page: str, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]*)"', page)
    assert found
    return found[1]


def test_one_mail_is_removed_once_that_was_asked(alice: Account, at_alices: Client) -> None:
    row = deleted(alice)
    address = f"/mail/{row.pk}/remove/"
    assert f'href="{address}"' in html(at_alices, f"/mail/{row.pk}/")
    page = html(at_alices, address)
    for words in ("Remove this mail for good?", "Parcel desk", "A parcel", "This cannot be undone."):
        assert words in page
    assert in_folder(alice, INBOX) != []
    said = at_alices.post(address, follow=True)
    assert said.redirect_chain == [(LIST, 302)]
    assert "1 mail was removed for good." in said.content.decode()
    assert "Nothing deleted" in said.content.decode()
    assert in_folder(alice, INBOX) == []
    # Pressed once more, or from a page that is older.
    again = at_alices.post(address, follow=True).content.decode()
    assert "That mail is not there any more." in again
    assert at_alices.get(address).status_code == 404


def test_all_deleted_mail_is_removed_but_what_was_deleted_since_that_was_asked(
    alice: Account, at_alices: Client
) -> None:
    for number in range(3):
        deleted(alice, f"Parcel {number}")
    arrived(alice, mail_to(alice).replace(b"A parcel", b"Not deleted"))
    assert f'href="{EMPTY}"' in html(at_alices, LIST)
    assert f'href="{EMPTY}"' not in html(at_alices, "/mail/")
    page = html(at_alices, EMPTY)
    assert "3 mails leave your mailbox" in page
    assert "Sealed messages are not touched." in page
    deleted(alice, "Parcel 3")
    said = at_alices.post(EMPTY, {"asked_at": field(page, "asked_at")}, follow=True).content.decode()
    assert "3 mails were removed for good." in said
    assert "Parcel 3" in said
    subjects = [re.search(rb"Subject: (.*)\r", raw)[1] for raw in in_folder(alice, INBOX)]  # type: ignore[index]
    assert subjects == [b"Not deleted", b"Parcel 3"]
    # What is no time stands for now.
    assert "1 mail was removed" in at_alices.post(EMPTY, {"asked_at": "once"}, follow=True).content.decode()
    assert at_alices.get(EMPTY)["Location"] == LIST
    assert at_alices.post(EMPTY)["Location"] == LIST


def test_what_cannot_be_removed_is_said_before_and_after(alice: Account, at_alices: Client) -> None:
    unsent, on_its_way, free = (deleted(alice, f"Parcel {number}") for number in range(3))
    UnsentAnswer.objects.create(account=alice, arrival=unsent, sealed=b"x", written_at=timezone.now())
    OutgoingMail.objects.create(account=alice, arrival=on_its_way, token="1", name="2", sealed=b"x")
    OutgoingMail.objects.create(account=alice, arrival=free, token="3", name="4")
    stays = ("1 mail stays: you wrote an answer", "1 mail stays: your answer to it is still on its way")
    page = html(at_alices, EMPTY)
    assert [words in page for words in (*stays, "1 mail leaves", "in the folder Sent")] == [True] * 4
    one = html(at_alices, f"/mail/{unsent.pk}/remove/")
    assert stays[0] in one
    assert "btn--danger" not in one
    said = at_alices.post(EMPTY, {"asked_at": field(page, "asked_at")}, follow=True).content.decode()
    assert [words in said for words in (*stays, "1 mail was removed for good.")] == [True] * 3
    assert stays[0] in at_alices.post(f"/mail/{unsent.pk}/remove/", follow=True).content.decode()
    assert Arrival.objects.filter(account=alice).count() == 2


def test_what_was_put_back_stays(alice: Account, at_alices: Client) -> None:
    row = deleted(alice)
    marks.delete(alice, row.pk, back=True)
    for answer in (at_alices.get(f"/mail/{row.pk}/remove/"), at_alices.post(f"/mail/{row.pk}/remove/")):
        assert answer["Location"] == f"/mail/{row.pk}/"
    assert len(in_folder(alice, INBOX)) == 1


def test_nobody_else_can_remove_it(alice: Account, bob: Account) -> None:
    row, browser = deleted(alice), browser_of(bob)
    assert browser.get(f"/mail/{row.pk}/remove/").status_code == 404
    assert "not there any more" in browser.post(f"/mail/{row.pk}/remove/", follow=True).content.decode()
    later = cursor_times.written(timezone.now() + timedelta(days=1))
    assert browser.post(EMPTY, {"asked_at": later}).status_code == 302
    assert len(in_folder(alice, INBOX)) == 1


def test_while_the_mailbox_is_away_the_question_stands_with_what_happened(
    alice: Account, at_alices: Client, settings: Settings
) -> None:
    row = deleted(alice)
    there = settings.MAILBOX_URL
    for address in (f"/mail/{row.pk}/remove/", EMPTY):
        settings.MAILBOX_URL, settings.MAIL_TOKEN_KEY_FILE = "imap://127.0.0.1:1", ""
        assert "for good?" in html(at_alices, address)
        answer = at_alices.post(address)
        assert answer.status_code == 503
        assert "so what is left stays" in answer.content.decode()
        assert "btn--danger" in answer.content.decode()
        settings.MAILBOX_URL = there
        assert len(in_folder(alice, INBOX)) == 1
