"""Ordinary mail on pages: plainly marked, apart, and in nobody else's reach."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from accounts.models import Account
from tests.webmail.installation import browser_of
from tests.webmail.ordinary_mail import arrived
from tests.webmail.test_ordinary_parsing import designed_mail
from webmail import intake
from webmail.mailbox import INBOX, open_mailbox
from webmail.ordinary import frame
from webmail.own_addresses import address_of

pytestmark = pytest.mark.django_db

FRAMES = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def two_names(settings: Settings) -> None:
    settings.PUBLIC_URL, settings.PUBLIC_HOST = "http://testserver", "testserver"
    settings.FRAME_URL = FRAMES


def frame_in(page: str) -> str:
    found = re.search(rf'<iframe src="{FRAMES}(/frame/[^"]+)"', page)
    assert found, page
    return found[1]


def test_a_mail_is_listed_and_read_as_words_and_says_that_it_was_not_sealed(alice: Account) -> None:
    browser = browser_of(alice)
    assert "No ordinary mail" in browser.get("/mail/").content.decode()
    arrival = arrived(alice, designed_mail())
    listed = browser.get("/mail/").content.decode()
    assert "Parcel desk" in listed
    assert "Ihr Päckchen ist da" in listed
    page = browser.get(f"/mail/{arrival.pk}/")
    text = page.content.decode()
    assert "This mail was not sealed." in text
    assert "your parcel waits." in text
    assert "answers@parcels.example" in text
    assert "17 November 2026, 16:44" in text
    assert "<iframe" not in text
    assert "frame-src" not in page["Content-Security-Policy"]


def test_who_reads_a_mail_is_in_it_as_themselves(alice: Account) -> None:
    own = address_of(alice.did)
    mail = f"From: desk@parcels.example\r\nTo: {own}, Bo <bo@b.example>\r\nSubject: x\r\n\r\nx"
    page = browser_of(alice).get(f"/mail/{arrived(alice, mail.encode()).pk}/").content.decode()
    (to,) = re.findall(r"<dt>To</dt><dd>(.*?)</dd></div>", page)[:1]
    shown, details = to.split("<details")
    assert shown == f"You, <bdi>{alice.handle}</bdi>, <bdi>bo@b.example</bdi>"
    assert f"{own}, Bo &lt;bo@b.example&gt;" in details
    (sender,) = re.findall(r"<dt>From</dt><dd>(You.*?)</dd></div>", page)
    assert own not in sender.split("<details")[0]
    assert own in sender

    # One that names others alone, as lists do, says what it says.
    elsewhere = b"From: desk@parcels.example\r\nTo: Everybody <all@lists.example>\r\n\r\nx"
    page = browser_of(alice).get(f"/mail/{arrived(alice, elsewhere).pk}/").content.decode()
    assert "<dt>To</dt><dd><bdi>Everybody &lt;all@lists.example&gt;</bdi></dd>" in page


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Disposition: attachment; filename*=idna''x\r\n\r\nhello",
        b"Content-Type: multipart/mixed; boundary*=undefined''b\r\n\r\n--b\r\n\r\nhello\r\n--b--\r\n",
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed\r\n\r\n\xff",
        b"Content-Type: text/plain; charset=utf-7\r\n\r\na +2AA- b",
        b"Content-Type: text/html; charset=utf-7\r\n\r\n<p>a +2AA- b",
    ],
)
def test_a_mail_that_is_hard_to_read_is_listed_read_and_deleted(alice: Account, raw: bytes) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, b"Subject: hard to read\r\n" + raw)
    assert "hard to read" in browser.get("/mail/").content.decode()
    assert "hard to read" in browser.get(f"/mail/{arrival.pk}/").content.decode()
    designed = browser.get(f"/mail/{arrival.pk}/?designed=1").content.decode()
    if b"text/html" in raw:
        at_frames = Client(headers={"host": "127.0.0.1:8000"})
        assert "<p>a ? b" in at_frames.get(frame_in(designed)).content.decode()
    browser.post(f"/mail/{arrival.pk}/mark/", {"do": "delete"})
    assert "hard to read" not in browser.get("/mail/").content.decode()


@pytest.mark.parametrize("content", ["&#8203;&zwnj;", "<img src=https://t.example/x>&shy;", "<br>"])
def test_a_mail_of_which_nothing_would_be_seen_says_so(alice: Account, content: str) -> None:
    nothing = "=?utf-8?q?=E2=80=8B?="
    header = f"From: {nothing} <desk@parcels.example>\r\nSubject: {nothing}\r\nContent-Type: text/html"
    arrival, browser = arrived(alice, f"{header}\r\n\r\n{content}".encode()), browser_of(alice)
    listed = browser.get("/mail/").content.decode()
    assert "<bdi>desk@parcels.example</bdi>" in listed
    assert "<bdi>Without a subject</bdi>" in listed
    page = browser.get(f"/mail/{arrival.pk}/").content.decode()
    assert "This mail has no text." in page
    assert 'dir="auto">Without a subject</h1>' in page
    assert "<dd><bdi>desk@parcels.example</bdi></dd>" in page


def test_a_file_of_whose_name_nothing_would_be_seen_has_none(alice: Account) -> None:
    raw = b"Content-Disposition: attachment; filename*=utf-8''%E2%80%8B\r\n\r\nx"
    page = browser_of(alice).get(f"/mail/{arrived(alice, raw).pk}/").content.decode()
    assert "<bdi>File without a name</bdi>" in page


def test_its_design_comes_from_another_name_once_and_loads_nothing(alice: Account) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, designed_mail())
    page = browser.get(f"/mail/{arrival.pk}/?designed=1")
    assert f"frame-src {FRAMES}" in page["Content-Security-Policy"]
    assert "One picture from another server was left out" in page.content.decode()
    path = frame_in(page.content.decode())
    # The other name has no cookie of hers.
    stranger = Client(headers={"host": "127.0.0.1:8000"})
    shown = stranger.get(path)
    body = shown.content.decode()
    assert "<b>Alice</b>" in body
    assert "data:image/png" in body
    assert "t.example" not in body
    policy = shown["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups" in policy
    assert "allow-scripts" not in policy
    assert "frame-ancestors http://testserver" in policy
    assert shown["Cache-Control"] == "no-store"
    assert stranger.get(path).status_code == 404


def test_a_frame_may_load_how_it_looks_and_nothing_else_of_ours() -> None:
    at_frames = Client(headers={"host": "127.0.0.1:8000"})
    policy = "Cross-Origin-Resource-Policy"
    assert at_frames.get("/static/ordinary.css")[policy] == "cross-origin"
    assert at_frames.get("/static/app.css")[policy] == "same-origin"


def test_each_of_the_two_names_serves_its_own(alice: Account) -> None:
    arrival = arrived(alice, designed_mail())
    path = frame_in(browser_of(alice).get(f"/mail/{arrival.pk}/?designed=1").content.decode())
    assert Client().get(path).status_code == 404
    at_frames = Client(headers={"host": "127.0.0.1:8000"})
    for elsewhere in ("/", "/sign-in/", "/mail/", "/admin/", "/inbox/x"):
        assert at_frames.get(elsewhere).status_code == 404, elsewhere
    assert at_frames.get("/frame/guessed/").status_code == 404
    # It was not used up by those who came to the wrong door.
    assert at_frames.get(path).status_code == 200


def test_a_frame_that_was_asked_for_ends(alice: Account) -> None:
    arrival = arrived(alice, designed_mail())
    url = frame.ask_for(alice.pk, arrival.pk)
    cache.clear()
    assert Client(headers={"host": "127.0.0.1:8000"}).get(url.removeprefix(FRAMES)).status_code == 404


def test_without_another_name_only_words_are_shown(alice: Account, settings: Settings) -> None:
    settings.FRAME_URL = ""
    arrival = arrived(
        alice, b"Content-Type: text/html\r\nSubject: x\r\n\r\n<p>only <b>designed</b><script>1</script>"
    )
    page = browser_of(alice).get(f"/mail/{arrival.pk}/?designed=1").content.decode()
    assert "only designed" in page
    assert "<b>designed" not in page
    assert "iframe" not in page
    assert "Show as designed" not in page


def test_files_are_saved_and_never_shown(alice: Account) -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee file\r\n"
        b"--b\r\nContent-Type: text/html\r\n"
        b'Content-Disposition: attachment; filename="../a\\"b\xe2\x80\xae.html"\r\n\r\n'
        b"<script>alert(1)</script>\r\n--b--\r\n"
    )
    arrival = arrived(alice, raw)
    answer = browser_of(alice).get(f"/mail/{arrival.pk}/files/0/")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment; filename*=UTF-8''")
    assert "/" not in answer["Content-Disposition"].partition("''")[2]
    assert "sandbox" in answer["Content-Security-Policy"]
    assert b"alert(1)" in answer.content
    assert browser_of(alice).get(f"/mail/{arrival.pk}/files/1/").status_code == 404


def test_mail_of_others_is_not_there(alice: Account, bob: Account) -> None:
    arrival = arrived(alice, designed_mail())
    browser = browser_of(bob)
    for path in (f"/mail/{arrival.pk}/", f"/mail/{arrival.pk}/files/0/", "/mail/999999/"):
        assert browser.get(path).status_code == 404
    assert "Parcel desk" not in browser.get("/mail/").content.decode()


def test_names_and_subjects_can_not_become_markup(alice: Account) -> None:
    hostile = '"><img src=x onerror=alert(1)><b hx-get=/x>'
    raw = f'From: "{hostile}" <a@b.example>\r\nSubject: {hostile}\r\nTo: {hostile}\r\n\r\n{hostile}'
    arrival = arrived(alice, raw.encode())
    for path in ("/mail/", f"/mail/{arrival.pk}/"):
        assert "<img src=x" not in browser_of(alice).get(path).content.decode()


def test_mail_that_another_program_removed_is_said_to_be_gone(alice: Account) -> None:
    arrival = arrived(alice, designed_mail())
    with open_mailbox(alice.did) as mailbox:
        mailbox.expunge(INBOX, [arrival.uid])
    browser = browser_of(alice)
    assert "No longer there" in browser.get("/mail/").content.decode()
    assert browser.get(f"/mail/{arrival.pk}/").status_code == 404


def test_the_list_has_pages(alice: Account, settings: Settings, tmp_path: Path) -> None:
    with open_mailbox(alice.did) as mailbox:
        for number in range(23):
            mailbox.append(INBOX, f"Subject: mail number {number:02}\r\n\r\nx{number}".encode())
    intake.pull(alice)
    browser = browser_of(alice)
    first = browser.get("/mail/").content.decode()
    assert "number 22" in first
    assert "number 02" not in first
    older = re.search(r'href="\?before=(\d+)"', first)
    assert older
    assert "number 02" in browser.get(f"/mail/?before={older[1]}").content.decode()
