"""Answering ordinary mail: from the form on its page to a mail server, and what the page says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from pytest_django import Settings

from accounts.models import Account
from demo.ports import free_port
from tests.services.smtp_sink import SmtpSink
from tests.webmail.installation import browser_of
from tests.webmail.test_ordinary_mail import arrived
from webmail import own_addresses, tasks
from webmail.account_erasure import _empty_mailbox
from webmail.carriers import smtp
from webmail.delivery_reports import TooEarly
from webmail.ingress_mail import ReportAddress, read_address
from webmail.mailbox import INBOX, SENT, MailboxError, open_mailbox
from webmail.models import OutgoingMail, OutgoingMailRecipient, OutgoingMailRound, UnsentAnswer
from webmail.ordinary import answering, carrying, filing, in_transit, unsent
from webmail.outgoing import CannotSend

pytestmark = pytest.mark.django_db

WORDS = "Keep it at the desk, please."


@pytest.fixture
def sink(settings: Settings) -> Iterator[SmtpSink]:
    """The mail server through which all mail leaves."""
    with SmtpSink() as running:
        settings.SMTP_RELAY_URL = running.url
        yield running


def mail_to(account: Account, *, cc: str = "", sender: str = "Parcel desk <desk@parcels.example>") -> bytes:
    own = own_addresses.address_of(account.did)
    copies = f"Cc: {cc}\r\n" if cc else ""
    return (
        f"From: {sender}\r\nTo: {own}\r\n{copies}Subject: A parcel\r\nMessage-ID: <one@parcels.example>\r\n"
        "Date: Tue, 17 Nov 2026 17:44:00 +0100\r\n\r\nHello Alice,\r\n\r\nyour parcel waits.\r\n"
    ).encode()


def write(client: Client, arrival_pk: int, **changes: str) -> HttpResponse:
    """What the page's form sends."""
    given = {"text": WORDS, "token": str(uuid4()), "to": "sender"} | changes
    return client.post(f"/mail/{arrival_pk}/answer/", given)  # type: ignore[return-value]


def work(now: datetime | None = None) -> None:
    """What the workers do with what waits."""
    now = now or timezone.now()
    for recipient_pk in carrying.due(now):
        carrying.carry(recipient_pk, now=now)
    for mail_pk in filing.due(now + timedelta(seconds=1)):
        filing.file(mail_pk, now=now)


def in_folder(account: Account, folder: str) -> list[bytes]:
    with open_mailbox(account.did) as mailbox:
        return [each.raw for each in mailbox.fetch(folder, mailbox.uids_after(folder, 0)).values()]


def report_token(sender: str) -> str:
    read = read_address(sender, domains=own_addresses.own_domains(), secret=django_settings.SECRET_KEY)
    assert isinstance(read, ReportAddress)
    return read.token


def report_of(mail: OutgoingMail, status: str = "5.1.1", action: str = "failed") -> bytes:
    return (
        "From: MAILER-DAEMON@b.example\r\nContent-Type: multipart/report; report-type=delivery-status; "
        "boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; b.example"
        f"\r\n\r\nFinal-Recipient: rfc822; x@b.example\r\nAction: {action}\r\nStatus: {status}\r\n\r\n"
        "--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        f"Message-ID: {filing.message_id_of(mail.name)}\r\n\r\n--b--\r\n"
    ).encode()


def test_the_form_says_where_it_goes_and_that_it_is_not_encrypted(alice: Account) -> None:
    arrival = arrived(alice, mail_to(alice))
    page = browser_of(alice).get(f"/mail/{arrival.pk}/").content.decode()
    assert "Your answer is not encrypted." in page
    assert "Send without encryption" in page
    assert "Re: A parcel" in page
    assert own_addresses.address_of(alice.did) in page
    assert 'value="all"' not in page


def test_an_answer_leaves_once_and_a_copy_lies_in_the_sent_folder(alice: Account, sink: SmtpSink) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice))
    token = str(uuid4())
    for _ in range(2):
        answer = write(browser, arrival.pk, token=token, quote="1")
        assert answer.status_code == 302
        assert answer["Location"] == f"/mail/{arrival.pk}/#answers"
    page = browser.get(f"/mail/{arrival.pk}/").content.decode()
    assert "Waiting to be sent" in page
    assert WORDS in page
    work()
    work()
    (mail,) = sink.mails
    assert mail.recipients == ["desk@parcels.example"]
    assert mail.message["From"] == f"Alice <{own_addresses.address_of(alice.did)}>"
    assert mail.message["To"] == "desk@parcels.example"
    assert mail.message["In-Reply-To"] == mail.message["References"] == "<one@parcels.example>"
    assert mail.message["Auto-Submitted"] is None
    words = mail.message.get_content().replace("\r\n", "\n")
    assert words.startswith(
        f"{WORDS}\n\nParcel desk wrote on 17 November 2026:\n> Hello Alice,\n> \n> your parcel"
    )
    # The envelope's sender is never the empty one, and says nothing of its person.
    assert mail.sender.startswith("b+")
    assert alice.did.rpartition(":")[2] not in mail.sender
    assert in_folder(alice, SENT) == [mail.raw]
    assert OutgoingMail.objects.get().sealed is None
    page = browser.get(f"/mail/{arrival.pk}/").content.decode()
    assert "Handed over" in page
    assert WORDS in page
    assert "Answered" in browser.get("/mail/").content.decode()


def test_an_answer_to_all_goes_to_each_of_them_by_itself(alice: Account, sink: SmtpSink) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice, cc="Bo <bo@b.example>, evil@intranet, desk@parcels.example"))
    page = browser.get(f"/mail/{arrival.pk}/").content.decode()
    assert 'value="all"' in page
    assert write(browser, arrival.pk, to="all").status_code == 302
    work()
    assert sorted(mail.recipients[0] for mail in sink.mails) == ["bo@b.example", "desk@parcels.example"]
    assert {(mail.message["To"], mail.message["Cc"]) for mail in sink.mails} == {
        ("desk@parcels.example", "bo@b.example")
    }
    assert len({mail.sender for mail in sink.mails}) == 2
    assert len(in_folder(alice, SENT)) == 1


def test_whom_it_goes_to_is_not_for_the_page_to_say(alice: Account, sink: SmtpSink) -> None:
    arrival = arrived(alice, mail_to(alice))
    forged = {"to": "victim@v.example", "cc": "victim@v.example", "subject": "x\r\nBcc: victim@v.example"}
    assert write(browser_of(alice), arrival.pk, **forged).status_code == 302
    work()
    assert [mail.recipients for mail in sink.mails] == [["desk@parcels.example"]]
    assert b"victim" not in sink.mails[0].raw


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"text": " \n"}, "Write something first"),
        ({"text": "x" * 48_001}, "too long"),
        ({"token": "none"}, "too old"),
        ({"text": "a\0b"}, "cannot be sent"),
    ],
)
def test_what_cannot_be_sent_stays_in_the_form(
    alice: Account, sink: SmtpSink, changes: dict[str, str], sentence: str
) -> None:
    arrival = arrived(alice, mail_to(alice, cc="bo@b.example"))
    answer = write(browser_of(alice), arrival.pk, **({"to": "all"} | changes))
    assert answer.status_code == 422
    page = answer.content.decode()
    assert sentence in page
    assert re.search('value="all" checked', page)
    assert changes.get("text", WORDS).strip()[:100] in page
    assert not OutgoingMail.objects.exists()


@pytest.mark.parametrize(
    ("sender", "sentence"),
    [
        ("ä@b.example", "letters beyond those of English"),
        ("MAILER-DAEMON@b.example", "nobody reads what is sent to its address"),
        ("a@b.example, c@d.example, nonsense", "no address that an answer"),
    ],
)
def test_what_has_no_answer_says_so(alice: Account, sink: SmtpSink, sender: str, sentence: str) -> None:
    arrival = arrived(alice, mail_to(alice, sender=sender))
    page = browser_of(alice).get(f"/mail/{arrival.pk}/").content.decode()
    assert "This mail cannot be answered from here." in page
    assert sentence in page
    assert "<textarea" not in page
    assert write(browser_of(alice), arrival.pk).status_code == 422
    assert not OutgoingMail.objects.exists()


def test_only_so_many_addresses_in_an_hour(alice: Account, bob: Account, settings: Settings) -> None:
    settings.ORDINARY_ANSWERS_PER_HOUR = 3
    browser, now = browser_of(alice), timezone.now()
    arrival = arrived(alice, mail_to(alice, cc="bo@b.example"))
    assert write(browser, arrival.pk, to="all").status_code == 302
    # Both of them together would be more than there may be.
    refused = write(browser, arrival.pk, to="all", text="one too many")
    assert refused.status_code == 422
    assert "3 addresses in an hour" in refused.content.decode()
    assert "one too many" in refused.content.decode()
    assert write(browser, arrival.pk).status_code == 302
    assert write(browser, arrival.pk).status_code == 422
    assert write(browser_of(bob), arrived(bob, mail_to(bob)).pk).status_code == 302
    OutgoingMailRound.objects.update(begun_at=now - timedelta(minutes=61))
    assert write(browser, arrival.pk).status_code == 302
    assert OutgoingMailRound.objects.filter(account=alice).count() == 1


def test_an_operator_may_have_no_ordinary_mail_sent(alice: Account, settings: Settings) -> None:
    settings.ORDINARY_ANSWERS_PER_HOUR = 0
    arrival = arrived(alice, mail_to(alice))
    page = browser_of(alice).get(f"/mail/{arrival.pk}/").content.decode()
    assert "This server sends no ordinary mail." in page
    assert "<textarea" not in page
    assert write(browser_of(alice), arrival.pk).status_code == 422


def test_a_server_that_is_away_is_tried_again_with_growing_gaps_for_five_days(
    alice: Account, settings: Settings
) -> None:
    settings.SMTP_RELAY_URL = f"smtp://127.0.0.1:{free_port()}"
    arrival = arrived(alice, mail_to(alice))
    write(browser_of(alice), arrival.pk)
    now = timezone.now()
    gaps = []
    for _ in range(4):
        work(now)
        recipient = OutgoingMailRecipient.objects.get()
        assert (recipient.state, recipient.failure_code) == ("waiting", "server-unreachable")
        assert recipient.next_attempt_at is not None
        gaps.append((recipient.next_attempt_at - now).total_seconds())
        work(now)
        assert OutgoingMailRecipient.objects.get().attempts == len(gaps)
        now = recipient.next_attempt_at
    assert gaps == settings.DELIVERY_GAPS_SECONDS[:4]
    page = browser_of(alice).get(f"/mail/{arrival.pk}/").content.decode()
    assert "Not yet: their server could not be reached." in page
    # It is still needed; nothing of it can be read in the database.
    sealed = bytes(OutgoingMail.objects.get().sealed or b"")
    assert sealed
    assert WORDS.encode() not in sealed
    work(now + timedelta(days=5))
    page = browser_of(alice).get(f"/mail/{arrival.pk}/").content.decode()
    assert "Not delivered: their server could not be reached." in page
    assert OutgoingMail.objects.get().sealed is None


def test_what_was_refused_is_sent_again_from_its_copy(alice: Account, sink: SmtpSink) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice))
    write(browser, arrival.pk)
    sink.answer = "550 5.1.1 no such user"
    work()
    page = browser.get(f"/mail/{arrival.pk}/").content.decode()
    assert "Not delivered: their server does not know this person." in page
    assert "5.1.1 no such user" in page
    row = OutgoingMail.objects.get()
    assert row.sealed is None
    sink.answer = "250 kept"
    for _ in range(2):
        again = browser.post(f"/mail/answers/{row.pk}/retry/")
        assert again["Location"] == f"/mail/{arrival.pk}/#answers"
    work()
    (mail,) = sink.mails
    assert [mail.raw] == in_folder(alice, SENT)
    assert OutgoingMailRecipient.objects.get().state == "handed-over"
    assert OutgoingMail.objects.get().sealed is None


def test_a_copy_that_is_gone_can_not_be_sent_again(alice: Account, sink: SmtpSink) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice))
    write(browser, arrival.pk)
    sink.answer = "554 no"
    work()
    with open_mailbox(alice.did) as mailbox:
        mailbox.expunge(SENT, mailbox.uids_after(SENT, 0))
    row = OutgoingMail.objects.get()
    for headers in ({}, {"HX-Request": "true"}):
        again = browser.post(f"/mail/answers/{row.pk}/retry/", headers=headers)
        assert again.status_code == 422
        assert "no longer in your Sent folder" in again.content.decode()
    assert "not in your Sent folder" in browser.get(f"/mail/{arrival.pk}/").content.decode()


def test_a_report_says_on_the_page_why_it_did_not_arrive(alice: Account, sink: SmtpSink) -> None:
    browser, now = browser_of(alice), timezone.now()
    arrival = arrived(alice, mail_to(alice))
    write(browser, arrival.pk)
    row = OutgoingMail.objects.get()
    first = carrying.token_of(row.recipients.get())
    with pytest.raises(TooEarly):
        carrying.take_report(first, report_of(row), now=now)
    work()
    assert report_token(sink.mails[0].sender) == first
    for _ in range(2):
        assert carrying.take_report(first, report_of(row), now=now) is None
    page = browser.get(f"/mail/{arrival.pk}/answers/").content.decode()
    assert "Not delivered: their server does not know this person." in page
    browser.post(f"/mail/answers/{row.pk}/retry/")
    work()
    # Once more about the first time: that says nothing of the second.
    carrying.take_report(first, report_of(row, "5.2.1"), now=now)
    assert OutgoingMailRecipient.objects.get().state == "handed-over"
    assert report_token(sink.mails[1].sender) != first
    assert sink.mails[1].raw == sink.mails[0].raw


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What open pages were told since the answer was carried."""
    names: list[str] = []
    monkeypatch.setattr(carrying.events, "publish", lambda _account, *more: names.extend(more))
    return names


def noted(recipient: OutgoingMailRecipient) -> tuple[object, ...]:
    recipient.refresh_from_db()
    return recipient.state, recipient.failure_code, recipient.failure_reply, recipient.finished_at


def test_a_report_that_comes_again_tells_nobody_again(
    alice: Account, sink: SmtpSink, told: list[str]
) -> None:
    write(browser_of(alice), arrived(alice, mail_to(alice)).pk)
    work()
    row, now = OutgoingMail.objects.get(), timezone.now()
    recipient = row.recipients.get()
    token = carrying.token_of(recipient)
    for raw, state in ((report_of(row, "4.4.1", "delayed"), "handed-over"), (report_of(row), "failed")):
        told.clear()
        assert carrying.take_report(token, raw, now=now) is None
        after = noted(recipient)
        assert (after[0], told) == (state, ["answers"])
        assert carrying.take_report(token, raw, now=now + timedelta(hours=1)) is None
        assert (noted(recipient), told) == (after, ["answers"])


@pytest.mark.parametrize("state", ["handed-over", "accepted", "uncertain", "failed"])
@pytest.mark.parametrize(
    ("status", "action"),
    [
        ("2.1.5", "delivered"),
        ("2.1.9", "relayed"),
        ("2.1.5", "expanded"),
        ("4.4.1", "delayed"),
        ("5.1.1", "failed"),
    ],
)
def test_a_report_changes_what_it_knows_better_and_nothing_else(
    alice: Account, sink: SmtpSink, told: list[str], state: str, status: str, action: str
) -> None:
    write(browser_of(alice), arrived(alice, mail_to(alice)).pk)
    work()
    row, now = OutgoingMail.objects.get(), timezone.now()
    known = {"failure_code": "server-full", "failure_reply": "452 before"} if state == "failed" else {}
    known |= {"failure_code": "perhaps-arrived"} if state == "uncertain" else {}
    row.recipients.update(state=state, **known)
    recipient = row.recipients.get()
    before = noted(recipient)
    told.clear()
    carrying.take_report(carrying.token_of(recipient), report_of(row, status, action), now=now)
    after = noted(recipient)
    if action == "failed" and state != "failed":
        assert (after[:2], after[3], told) == (("failed", "address-unknown"), now, ["answers"])
    elif action == "delayed" and state in ("handed-over", "accepted"):
        assert (after[:2], after[3], told) == ((state, "server-unreachable"), before[3], ["answers"])
    else:
        assert (after, told) == (before, [])


def test_what_programs_answer_to_it_reaches_its_writer(alice: Account, sink: SmtpSink) -> None:
    write(browser_of(alice), arrived(alice, mail_to(alice)).pk)
    work()
    row = OutgoingMail.objects.get()
    away = (
        b"From: desk@parcels.example\r\nAuto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nBack in May.\r\n"
    )
    token = report_token(sink.mails[0].sender)
    assert carrying.take_report(token, away, now=timezone.now()) == alice.did
    other = OutgoingMail(name="cd" * 32)
    assert carrying.take_report(token, report_of(other), now=timezone.now()) == alice.did
    assert row.recipients.get().state == "handed-over"
    assert carrying.take_report("m999999.1", away, now=timezone.now()) is None


def test_the_copies_of_several_answers_are_fetched_at_once(
    alice: Account, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice))
    texts = ["The first.", "The second.", "The third."]
    for text in texts:
        write(browser, arrival.pk, text=text)
    work()
    names = list(OutgoingMail.objects.order_by("pk").values_list("name", flat=True))
    fetched: list[int] = []
    with open_mailbox(alice.did) as mailbox:
        whole, kind = type(mailbox).fetch, type(mailbox)

    def fetch(self: object, folder: str, uids: list[int]) -> object:
        fetched.append(len(uids))
        return whole(self, folder, uids)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "fetch", fetch)
    found = filing.copies(alice, [*names, "ef" * 32])
    assert [text.encode() in found[name] for name, text in zip(names, texts, strict=True)] == [True] * 3
    assert (len(found), fetched) == (3, [3])
    assert filing.copies(alice, ["ef" * 32]) == {}


def test_what_was_written_is_read_for_the_page_and_not_for_its_news(
    alice: Account, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice))
    asked: list[list[str]] = []
    whole = filing.copies

    def copies(account: Account, names: list[str]) -> dict[str, bytes]:
        asked.append(names)
        return whole(account, names)

    def news_of(page: str) -> str:
        (path,) = re.findall(r'id="answers"[^>]* hx-get="([^"]+)"', page)
        asked.clear()
        return str(browser.get(path).content.decode())

    monkeypatch.setattr(filing, "copies", copies)
    write(browser, arrival.pk)
    work()
    (first,) = OutgoingMail.objects.all()
    page = browser.get(f"/mail/{arrival.pk}/").content.decode()
    assert WORDS in page
    assert asked[-1] == [first.name]
    OutgoingMailRecipient.objects.update(state="accepted")
    news = news_of(page)
    assert "Their server has it" in news
    assert f'<div id="w{first.pk}" hx-preserve></div>' in news
    assert WORDS not in news
    assert [name for names in asked for name in names] == []
    # One that was written on another page meanwhile.
    write(browser, arrival.pk, text="One more thing.")
    work()
    second = OutgoingMail.objects.latest("pk")
    news = news_of(news)
    assert "One more thing." in news
    assert WORDS not in news
    assert asked == [[second.name]]
    assert "One more thing." not in news_of(news)
    # Whatever else a page may ask for.
    for has in ("x", "1,", "9" * 40, f"{first.pk},x", "1," * 5000):
        assert WORDS in browser.get(f"/mail/{arrival.pk}/answers/", {"has": has}).content.decode()


def test_what_lies_in_a_mailbox_that_is_away_is_not_said_to_be_gone(
    alice: Account, sink: SmtpSink, settings: Settings
) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice))
    write(browser, arrival.pk)
    work()
    there, settings.MAILBOX_URL = settings.MAILBOX_URL, f"imap://127.0.0.1:{free_port()}"
    page = browser.get(f"/mail/{arrival.pk}/answers/").content.decode()
    assert "lies in the mailbox, which cannot be reached just now" in page
    assert "not in your Sent folder" not in page
    settings.MAILBOX_URL = there
    (path,) = re.findall(r'hx-get="([^"]+)"', page)
    assert WORDS in browser.get(path).content.decode()


def test_answers_of_others_are_not_there(alice: Account, bob: Account, sink: SmtpSink) -> None:
    arrival = arrived(alice, mail_to(alice))
    write(browser_of(alice), arrival.pk)
    row, browser = OutgoingMail.objects.get(), browser_of(bob)
    assert write(browser, arrival.pk).status_code == 404
    assert browser.get(f"/mail/{arrival.pk}/answers/").status_code == 404
    assert browser.post(f"/mail/answers/{row.pk}/retry/").status_code == 404
    assert Client().post(f"/mail/{arrival.pk}/answer/", {"text": WORDS}).status_code in (302, 401)
    strict = browser_of(alice)
    strict.handler.enforce_csrf_checks = True
    assert write(strict, arrival.pk).status_code == 403


def test_what_somebody_wrote_who_is_signed_out_meanwhile_is_shown_again(alice: Account) -> None:
    answer = Client().post(
        f"/mail/{arrived(alice, mail_to(alice)).pk}/answer/", {"text": WORDS, "quote": "1"}
    )
    assert answer.status_code == 401
    assert WORDS in answer.content.decode()
    assert 'name="quote"' in answer.content.decode()


def test_a_mailbox_that_is_away_loses_nothing(alice: Account, sink: SmtpSink, settings: Settings) -> None:
    arrival = arrived(alice, mail_to(alice))
    write(browser_of(alice), arrival.pk)
    there = settings.MAILBOX_URL
    settings.MAILBOX_URL = f"imap://127.0.0.1:{free_port()}"
    (recipient_pk,) = carrying.due(timezone.now())
    carrying.carry(recipient_pk)
    row = OutgoingMail.objects.get()
    with pytest.raises(MailboxError):
        filing.file(row.pk, now=timezone.now())
    assert len(sink.mails) == 1
    settings.MAILBOX_URL = there
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
    there, settings.MAILBOX_URL = settings.MAILBOX_URL, f"imap://127.0.0.1:{free_port()}"
    given = {"to": "all", "quote": "1", "text": f"{WORDS} <b>", "token": str(uuid4())} | changes
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
    settings.MAILBOX_URL = there
    for _ in range(2):
        assert write(browser, arrival.pk, **fields, quote="1").status_code == 302
    assert OutgoingMail.objects.get().recipients.count() == 2


def test_a_mail_whose_mailbox_is_away_is_not_said_to_be_missing(
    alice: Account, bob: Account, settings: Settings
) -> None:
    arrival = arrived(alice, mail_to(alice))
    settings.MAILBOX_URL = f"imap://127.0.0.1:{free_port()}"
    answer = browser_of(alice).get(f"/mail/{arrival.pk}/")
    assert answer.status_code == 503
    assert "The mailbox cannot be reached just now. Nothing is lost" in answer.content.decode()
    assert browser_of(bob).get(f"/mail/{arrival.pk}/").status_code == 404


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
    there, settings.MAILBOX_URL = settings.MAILBOX_URL, f"imap://127.0.0.1:{free_port()}"
    assert write(browser, arrival.pk, text="A first thought.", to="all").status_code == 503
    assert write(browser, arrival.pk, to="all").status_code == 503
    assert write(browser_of(bob), arrival.pk).status_code == 404
    assert WORDS.encode() not in bytes(UnsentAnswer.objects.get().sealed)
    # Somebody who comes back, before the mailbox does and after.
    away = browser.get(path)
    assert away.status_code == 503
    for page in (away.content.decode(), None):
        if page is None:
            settings.MAILBOX_URL = there
            page = browser.get(path).content.decode()
        assert kept in page
        assert form_in(page)["text"] == WORDS
        assert f'formaction="{path}answer/discard/"' in page
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
    settings.MAILBOX_URL = f"imap://127.0.0.1:{free_port()}"
    write(browser, arrival.pk)
    unsent.drop_old(now + timedelta(days=29))
    browser_of(bob).post(f"/mail/{arrival.pk}/answer/discard/")
    assert WORDS in browser.get(f"/mail/{arrival.pk}/").content.decode()
    unsent.drop_old(now + timedelta(days=31))
    assert WORDS not in browser.get(f"/mail/{arrival.pk}/").content.decode()
    write(browser, arrival.pk)
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
    settings.MAILBOX_URL = f"imap://127.0.0.1:{free_port()}"
    again = browser.post(f"/mail/answers/{row.pk}/retry/", headers=headers)
    assert again.status_code == 503
    page = again.content.decode()
    assert "The mailbox cannot be reached just now. Nothing was sent" in page
    assert f'action="/mail/answers/{row.pk}/retry/"' in page
    # By this the page's script shows it, and nothing else that comes with 503.
    assert again.headers.get("HX-Reswap") == ("outerHTML" if headers else None)
    assert ("<main" in page) == (not headers)
    assert OutgoingMailRecipient.objects.get().state == "failed"


def test_under_another_secret_key_what_waited_fails_and_says_so(
    alice: Account, sink: SmtpSink, settings: Settings
) -> None:
    arrival = arrived(alice, mail_to(alice))
    write(browser_of(alice), arrival.pk)
    filing.file(OutgoingMail.objects.get().pk, now=timezone.now())
    settings.SECRET_KEY = "another" * 10
    work()
    assert sink.mails == []
    recipient = OutgoingMailRecipient.objects.get()
    assert (recipient.state, recipient.failure_code) == ("failed", "copy-unreadable")
    # The copy in the mailbox is another matter.
    answering.retry(alice, recipient.mail_id, now=timezone.now())
    assert OutgoingMailRecipient.objects.get().state == "waiting"


def test_an_answer_that_a_wrong_key_does_not_open_waits_for_the_right_one(
    alice: Account, sink: SmtpSink, settings: Settings
) -> None:
    write(browser_of(alice), arrived(alice, mail_to(alice)).pk)
    row, now, right = OutgoingMail.objects.get(), timezone.now(), settings.SECRET_KEY
    settings.SECRET_KEY = "another" * 10
    filing.file(row.pk, now=now)
    assert bytes(OutgoingMail.objects.get().sealed or b"") == bytes(row.sealed or b"")
    # Nobody asks every few seconds whether the key is the right one by now.
    assert filing.due(now + timedelta(minutes=5)) == []
    settings.SECRET_KEY = right
    later = now + timedelta(minutes=11)
    assert filing.due(later) == [row.pk]
    filing.file(row.pk, now=later)
    assert len(in_folder(alice, SENT)) == 1
    assert WORDS.encode() in in_folder(alice, SENT)[0]


def test_an_answer_that_nobody_opens_is_kept_for_five_days(
    alice: Account, sink: SmtpSink, settings: Settings
) -> None:
    write(browser_of(alice), arrived(alice, mail_to(alice)).pk)
    row = OutgoingMail.objects.get()
    settings.SECRET_KEY = "another" * 10
    filing.file(row.pk, now=row.created_at + timedelta(days=5) - timedelta(minutes=1))
    assert OutgoingMail.objects.get().sealed is not None
    filing.file(row.pk, now=row.created_at + timedelta(days=5))
    assert OutgoingMail.objects.get().sealed is None


def test_each_time_that_it_is_sent_again_counts_for_the_hour(
    alice: Account, sink: SmtpSink, settings: Settings
) -> None:
    settings.ORDINARY_ANSWERS_PER_HOUR = 3
    write(browser_of(alice), arrived(alice, mail_to(alice)).pk)
    row, now = OutgoingMail.objects.get(), timezone.now()
    sink.answer = "554 no"
    for _ in range(2):
        work(now)
        answering.retry(alice, row.pk, now=now)
    work(now)
    with pytest.raises(CannotSend, match="too-often"):
        answering.retry(alice, row.pk, now=now)
    assert OutgoingMailRecipient.objects.get().state == "failed"
    answering.retry(alice, row.pk, now=now + timedelta(minutes=61))


def test_an_answer_whose_fate_is_unknown_is_not_sent_again_by_itself(alice: Account, sink: SmtpSink) -> None:
    browser = browser_of(alice)
    arrival = arrived(alice, mail_to(alice))
    write(browser, arrival.pk)
    sink.hangs_up = True
    now = timezone.now()
    for days in range(7):
        work(now + timedelta(days=days))
    assert len(sink.mails) == 1
    page = browser.get(f"/mail/{arrival.pk}/").content.decode()
    assert "Perhaps arrived: their server got all of it, and then gave no answer." in page
    assert "Not delivered" not in page
    sink.hangs_up = False
    row = OutgoingMail.objects.get()
    assert browser.post(f"/mail/answers/{row.pk}/retry/").status_code == 302
    work()
    assert sink.mails[1].raw == sink.mails[0].raw
    assert OutgoingMailRecipient.objects.get().state == "handed-over"


def test_nobody_else_carries_an_answer_while_its_server_takes_its_time(
    alice: Account, sink: SmtpSink
) -> None:
    write(browser_of(alice), arrived(alice, mail_to(alice)).pk)
    (recipient_pk,) = carrying.due(timezone.now())
    now = timezone.now()
    assert carrying._claim(recipient_pk, now)
    longest = timedelta(seconds=smtp.BEFORE_DOT_SECONDS + smtp.FINAL_REPLY_SECONDS)
    stopped = timedelta(seconds=tasks.carry_answer.time_limit)
    assert longest < stopped
    assert carrying.due(now + stopped) == []
    assert carrying.due(now + carrying.LEASE) == [recipient_pk]


def test_erasing_an_account_leaves_no_copy(alice: Account, sink: SmtpSink) -> None:
    write(browser_of(alice), arrived(alice, mail_to(alice)).pk)
    work()
    _empty_mailbox(alice.did)
    assert in_folder(alice, SENT) == in_folder(alice, INBOX) == []
