"""Answering ordinary mail while the mailbox cannot be reached: nothing that was written is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from django.utils.html import escape
from pytest_django import Settings

from accounts.models import Account
from demo.ports import free_port
from tests.services.smtp_sink import SmtpSink
from tests.webmail.installation import browser_of
from tests.webmail.ordinary_mail import WORDS, arrived, in_folder, mail_to, work, write
from webmail.mailbox import SENT, MailboxError
from webmail.models import OutgoingMail, OutgoingMailRecipient, UnsentAnswer
from webmail.ordinary import carrying, filing, in_transit, unsent

pytestmark = pytest.mark.django_db


@contextmanager
def mailbox_away(settings: Settings) -> Iterator[None]:
    """Nobody answers where the mailboxes should be, until the block ends."""
    there, settings.MAILBOX_URL = settings.MAILBOX_URL, f"imap://127.0.0.1:{free_port()}"
    try:
        yield
    finally:
        settings.MAILBOX_URL = there


def test_what_lies_in_a_mailbox_that_is_away_is_not_said_to_be_gone(
    alice: Account, sink: SmtpSink, settings: Settings
) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice))
    write(browser, arrival.pk)
    work()
    with mailbox_away(settings):
        page = browser.get(f"/mail/{arrival.pk}/answers/").content.decode()
    assert "lies in the mailbox, which cannot be reached just now" in page
    assert "not in your Sent folder" not in page
    (path,) = re.findall(r'hx-get="([^"]+)"', page)
    assert WORDS in browser.get(path).content.decode()


def test_a_mailbox_that_is_away_loses_nothing(alice: Account, sink: SmtpSink, settings: Settings) -> None:
    arrival = arrived(alice, mail_to(alice))
    write(browser_of(alice), arrival.pk)
    with mailbox_away(settings):
        (recipient_pk,) = carrying.due(timezone.now())
        carrying.carry(recipient_pk)
        with pytest.raises(MailboxError):
            filing.file(OutgoingMail.objects.get().pk, now=timezone.now())
    assert len(sink.mails) == 1
    work()
    assert in_folder(alice, SENT) == [sink.mails[0].raw]
    # Its worker died before it could note so.
    OutgoingMail.objects.update(filed_at=None, sealed=in_transit.sealed(sink.mails[0].raw))
    work()
    assert len(in_folder(alice, SENT)) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "The mailbox cannot be reached just now. Nothing was sent"),
        ({"text": "a\0b"}, "cannot be sent"),
    ],
)
def test_what_was_written_while_the_mailbox_is_away_stands_on_a_page_and_can_be_sent_once_more(
    alice: Account, settings: Settings, changes: dict[str, str], sentence: str
) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice, cc="bo@b.example"))
    given = {"to": "all", "quote": "1", "text": f"{WORDS} <b>", "token": str(uuid4())} | changes
    with mailbox_away(settings):
        kept = write(browser, arrival.pk, **given)
    assert kept.status_code == 503
    page = kept.content.decode()
    assert sentence in page
    assert escape(given["text"]) in page
    assert f'action="/mail/{arrival.pk}/answer/"' in page
    fields = dict(re.findall(r'name="(token|to)" value="([^"]*)"', page))
    assert fields["to"] == "all"
    assert re.search('name="quote" value="1" checked', page)
    assert not OutgoingMail.objects.exists()
    for _ in range(2):
        assert write(browser, arrival.pk, **fields, quote="1").status_code == 302
    assert OutgoingMail.objects.get().recipients.count() == 2


OPEN_PAGE = {"HX-Request": "true", "HX-Target": "mails"}


def test_the_list_on_an_open_page_is_read_again_only_if_it_changed(
    alice: Account, sink: SmtpSink, settings: Settings
) -> None:
    browser, arrival = browser_of(alice), arrived(alice, mail_to(alice))
    path = f"/mail/?show=mail&mark={mark_in(browser.get('/mail/').content.decode())}"
    with mailbox_away(settings):
        assert browser.get(path, headers=OPEN_PAGE).status_code == 204
    assert browser.get(f"{path}x", headers=OPEN_PAGE).status_code == 200
    # Also by its mark, a page that is loaded has it all.
    assert f'href="/mail/{arrival.pk}/"' in browser.get(path).content.decode()
    seen = [mark_in(path)]
    for change in (
        lambda: browser.post(f"/mail/{arrival.pk}/mark/", {"do": "seen"}),
        lambda: write(browser, arrival.pk),
        lambda: arrived(alice, mail_to(alice, cc="another@parcels.example")),
        lambda: browser.post(f"/mail/{arrival.pk}/mark/", {"do": "delete"}),
    ):
        change()
        answer = browser.get(f"/mail/?show=mail&mark={seen[-1]}", headers=OPEN_PAGE)
        assert answer.status_code == 200
        seen.append(mark_in(answer.content.decode()))
    assert len(set(seen)) == 5


def test_that_the_mailbox_is_away_shows_above_the_list_of_an_open_page(
    alice: Account, settings: Settings
) -> None:
    browser = browser_of(alice)
    with mailbox_away(settings):
        answer = browser.get("/mail/?show=mail&mark=former", headers=OPEN_PAGE)
        assert (answer.status_code, answer["HX-Retarget"], answer["HX-Reswap"]) == (
            503,
            "#mails-state",
            "outerHTML",
        )
        said = answer.content.decode()
        whole = browser.get("/mail/").content.decode()
    assert said.strip().startswith('<div id="mails-state"><div class="notice')
    # The next look asks for the list in any case.
    assert 'name="mark"' not in said + whole
    assert "cannot be reached just now" in whole


def mark_in(text: str) -> str:
    found = re.search(r'(?:name="mark" value="|mark=)([0-9a-f]{16})', text)
    assert found is not None
    return found[1]


def test_a_mail_whose_mailbox_is_away_is_not_said_to_be_missing(
    alice: Account, bob: Account, settings: Settings
) -> None:
    arrival = arrived(alice, mail_to(alice))
    with mailbox_away(settings):
        answer = browser_of(alice).get(f"/mail/{arrival.pk}/")
        assert browser_of(bob).get(f"/mail/{arrival.pk}/").status_code == 404
    assert answer.status_code == 503
    assert "The mailbox cannot be reached just now. Nothing is lost" in answer.content.decode()


def form_in(page: str) -> dict[str, str]:
    """What a browser would send of the form on the page."""
    fields = dict(re.findall(r'name="(token)" value="([^"]*)"', page))
    fields |= dict(re.findall(r'name="(to)" value="([^"]*)" checked', page))
    (fields["text"],) = re.findall(r'<textarea[^>]* name="text"[^>]*>([^<]*)</textarea>', page)
    return fields


def test_what_was_written_while_the_mailbox_was_away_stands_on_the_mails_page_later(
    alice: Account, bob: Account, sink: SmtpSink, settings: Settings
) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice, cc="bo@b.example"))
    path, kept = f"/mail/{arrival.pk}/", "This was not sent: the mailbox could not be reached."
    with mailbox_away(settings):
        assert write(browser, arrival.pk, text="A first thought.", to="all").status_code == 503
        assert write(browser, arrival.pk, to="all").status_code == 503
        assert write(browser_of(bob), arrival.pk).status_code == 404
        away = browser.get(path)
    assert away.status_code == 503
    assert WORDS.encode() not in bytes(UnsentAnswer.objects.get().sealed)
    # Somebody who comes back, before the mailbox does and after.
    for page in (away.content.decode(), browser.get(path).content.decode()):
        assert kept in page
        assert form_in(page)["text"] == WORDS
        assert f'href="{path}answer/discard/"' in page
    fields = form_in(page)
    assert fields["to"] == "all"
    assert "autofocus" not in page
    for _ in range(2):
        assert write(browser, arrival.pk, **fields).status_code == 302
    assert OutgoingMail.objects.get().recipients.count() == 2
    page = browser.get(path).content.decode()
    assert kept not in page
    assert form_in(page)["text"] == ""


def test_what_was_kept_unsent_can_be_thrown_away_and_goes_in_the_end(
    alice: Account, bob: Account, settings: Settings
) -> None:
    browser, now = browser_of(alice), timezone.now()
    arrival = arrived(alice, mail_to(alice))
    with mailbox_away(settings):
        write(browser, arrival.pk)
        unsent.drop_old(now + timedelta(days=29))
        browser_of(bob).post(f"/mail/{arrival.pk}/answer/discard/")
        assert WORDS in browser.get(f"/mail/{arrival.pk}/").content.decode()
        unsent.drop_old(now + timedelta(days=31))
        assert WORDS not in browser.get(f"/mail/{arrival.pk}/").content.decode()
        write(browser, arrival.pk)
        question = browser.get(f"/mail/{arrival.pk}/answer/discard/").content.decode()
        assert "Discard this answer?" in question
        assert WORDS in question
        for _ in range(2):
            answer = browser.post(f"/mail/{arrival.pk}/answer/discard/")
            assert answer["Location"] == f"/mail/{arrival.pk}/"
        assert WORDS not in browser.get(f"/mail/{arrival.pk}/").content.decode()
        write(browser, arrival.pk)
        settings.SECRET_KEY = "another" * 10
        assert unsent.kept(alice, arrival.pk) is None
        assert not OutgoingMail.objects.exists()


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_what_is_to_be_sent_again_while_the_mailbox_is_away_stays_on_the_page(
    alice: Account, sink: SmtpSink, settings: Settings, headers: dict[str, str]
) -> None:
    browser = browser_of(alice)
    write(browser, arrived(alice, mail_to(alice)).pk)
    sink.answer = "554 no"
    work()
    row = OutgoingMail.objects.get()
    with mailbox_away(settings):
        again = browser.post(f"/mail/answers/{row.pk}/retry/", headers=headers)
    assert again.status_code == 503
    page = again.content.decode()
    assert "The mailbox cannot be reached just now. Nothing was sent" in page
    assert f'action="/mail/answers/{row.pk}/retry/"' in page
    # By this the page's script shows it, and nothing else that comes with 503.
    assert again.headers.get("HX-Reswap") == ("outerHTML" if headers else None)
    assert ("<main" in page) == (not headers)
    assert OutgoingMailRecipient.objects.get().state == "failed"
