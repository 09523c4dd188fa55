"""What other servers report of an answer to ordinary mail, and what of that its page says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from accounts.models import Account
from tests.services.smtp_sink import SmtpSink
from tests.webmail.installation import browser_of
from tests.webmail.ordinary_mail import arrived, mail_to, work, write
from webmail import own_addresses
from webmail.delivery_reports import TooEarly
from webmail.ingress_mail import ReportAddress, read_address
from webmail.models import OutgoingMail, OutgoingMailRecipient
from webmail.ordinary import carrying, filing

pytestmark = pytest.mark.django_db


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


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What open pages were told since the answer was carried."""
    names: list[str] = []
    monkeypatch.setattr(carrying.events, "publish", lambda _account, *more: names.extend(more))
    return names


def noted(recipient: OutgoingMailRecipient) -> tuple[object, ...]:
    recipient.refresh_from_db()
    return recipient.state, recipient.failure_code, recipient.failure_reply, recipient.finished_at


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
