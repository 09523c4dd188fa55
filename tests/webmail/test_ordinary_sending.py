"""Sending an answer to ordinary mail: from the form on the mail's page to a server and the Sent folder."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from demo.ports import free_port
from tests.services.smtp_sink import SmtpSink
from tests.webmail.installation import browser_of
from tests.webmail.ordinary_mail import WORDS, arrived, in_folder, mail_to, work, write
from webmail import own_addresses, tasks
from webmail.account_erasure import _empty_mailbox
from webmail.carriers import smtp
from webmail.mailbox import INBOX, SENT, open_mailbox
from webmail.models import OutgoingMail, OutgoingMailRecipient, OutgoingMailRound
from webmail.ordinary import answering, carrying, filing
from webmail.outgoing import CannotSend

pytestmark = pytest.mark.django_db


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
        ("ä\u202e@b.example", "letters beyond those of English"),
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


@pytest.mark.parametrize(
    ("sender", "goes_to"),
    [
        ("Jürgen <jürgen@bücher.example>", "jürgen@xn--bcher-kva.example"),
        ("Desk <desk@bücher.example>", "desk@xn--bcher-kva.example"),
    ],
)
def test_an_address_beyond_ascii_is_answered(
    alice: Account, sink: SmtpSink, sender: str, goes_to: str
) -> None:
    arrival = arrived(alice, mail_to(alice, sender=sender))
    browser = browser_of(alice)
    assert goes_to in browser.get(f"/mail/{arrival.pk}/").content.decode()
    assert write(browser, arrival.pk).status_code == 302
    work()
    (mail,) = sink.mails
    assert mail.recipients == [goes_to]
    assert f"To: {goes_to}\r\n".encode() in mail.raw
    assert mail.message["To"] == goes_to
    assert in_folder(alice, SENT) == [mail.raw]
    page = browser.get(f"/mail/{arrival.pk}/").content.decode()
    assert "Handed over" in page
    assert WORDS in page


def test_where_the_next_server_takes_no_such_address_the_page_says_so(
    alice: Account, sink: SmtpSink, settings: Settings
) -> None:
    with SmtpSink(takes_utf8=False) as older:
        settings.SMTP_RELAY_URL = older.url
        jurgen = arrived(alice, mail_to(alice, sender="jürgen@b.example"))
        desk = arrived(alice, mail_to(alice, sender="desk@bücher.example"))
        browser = browser_of(alice)
        for arrival in (jurgen, desk):
            assert write(browser, arrival.pk).status_code == 302
        work()
        # A domain has a name of ASCII, which any server takes.
        assert [mail.recipients for mail in older.mails] == [["desk@xn--bcher-kva.example"]]
    assert sink.mails == []
    recipient = OutgoingMailRecipient.objects.get(mail__arrival=jurgen)
    assert (recipient.state, recipient.failure_code) == ("failed", "no-utf8")
    page = browser.get(f"/mail/{jurgen.pk}/").content.decode()
    assert "letters beyond those of English, which the next mail server does not take." in page
    # Its writer may try again, when that server is another.
    assert "Retry" in page
    settings.SMTP_RELAY_URL = sink.url
    answering.retry(alice, OutgoingMail.objects.get(arrival=jurgen).pk, now=timezone.now())
    work()
    assert [mail.recipients for mail in sink.mails] == [["jürgen@b.example"]]


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
