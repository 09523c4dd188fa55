"""Ordinary mail that is new, read, spam, deleted: the mailbox says which, and the index follows, on a real
Dovecot and in a Maildir."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from tests.webmail.installation import browser_of
from webmail import consent_export, intake
from webmail.conversations import NotFound
from webmail.list_counts import list_counts
from webmail.mailbox import DELETED, INBOX, JUNK, SEEN, MailboxError, open_mailbox
from webmail.models import (
    Arrival,
    BlockedAddress,
    MailboxCursor,
    OutgoingMail,
    UnsentAnswer,
)
from webmail.ordinary import marks, reading, removing
from webmail.push import notices, subscriptions

pytestmark = pytest.mark.usefixtures("mailboxes")


def mail(number: int, sender: str = "Desk <desk@parcels.example>") -> bytes:
    return f"From: {sender}\r\nSubject: {number}\r\n\r\nhello {number}\r\n".encode()


def arrived(account: Account, *mails: bytes) -> list[Arrival]:
    with open_mailbox(account.did) as mailbox:
        for each in mails:
            mailbox.append(INBOX, each)
    intake.pull(account)
    return list(Arrival.objects.filter(account=account).order_by("pk"))[-len(mails) :]


def flags_of(account: Account, row: Arrival) -> frozenset[str]:
    with open_mailbox(account.did) as mailbox:
        return mailbox.flags(INBOX, [row.uid])[row.uid]


def restored(account: Account) -> list[Arrival]:
    """The index made anew from the mailbox."""
    Arrival.objects.filter(account=account).delete()
    MailboxCursor.objects.filter(account=account).delete()
    intake.pull(account)
    return list(Arrival.objects.filter(account=account).order_by("uid"))


def state(row: Arrival) -> tuple[bool, bool, bool]:
    row.refresh_from_db()
    return row.unread, row.spam, row.deleted_at is not None


def test_new_mail_counts_until_it_is_read_and_again_when_it_is_marked_unread(account: Account) -> None:
    first, _second = arrived(account, mail(1), mail(2))
    assert (marks.count_waiting(account), list_counts(account).mail) == (2, 2)
    marks.mark_read(account, first.pk)
    assert flags_of(account, first) == {SEEN}
    assert (marks.count_waiting(account), list_counts(account).mail) == (1, 1)
    marks.mark_read(account, first.pk, read=False)
    assert flags_of(account, first) == frozenset()
    assert marks.count_waiting(account) == 2


def test_what_was_noted_survives_the_loss_of_the_index(account: Account) -> None:
    rows = arrived(account, *(mail(number) for number in range(4)))
    marks.mark_read(account, rows[0].pk)
    marks.mark_spam(account, rows[1].pk)
    marks.delete(account, rows[2].pk)
    again = restored(account)
    assert [state(row) for row in again] == [
        (False, False, False),
        (True, True, False),
        (True, False, True),
        (True, False, False),
    ]
    assert marks.count_waiting(account) == 1


def test_what_another_program_noted_is_followed(account: Account) -> None:
    rows = arrived(account, *(mail(number) for number in range(4)))
    with open_mailbox(account.did) as mailbox:
        mailbox.mark(INBOX, [rows[0].uid], add=[SEEN])
        mailbox.mark(INBOX, [rows[1].uid], add=[JUNK])
        mailbox.expunge(INBOX, [rows[2].uid])
    intake.pull(account)
    assert [state(row)[:2] for row in rows] == [(False, False), (True, True), (False, False), (True, False)]
    assert marks.count_waiting(account) == 1


def test_spam_and_deleted_mail_have_lists_of_their_own_and_come_back(account: Account) -> None:
    kept, spam, deleted = arrived(account, mail(1), mail(2), mail(3))
    marks.mark_spam(account, spam.pk)
    marks.delete(account, deleted.pk)

    def lists() -> list[list[int]]:
        return [[one.id for one in reading.listed(account, shown)[0]] for shown in reading.SHOWN]

    assert lists() == [[kept.pk], [spam.pk], [deleted.pk]]
    assert reading.keys(account) == [kept.pk, spam.pk]
    marks.mark_spam(account, spam.pk, spam=False)
    marks.delete(account, deleted.pk, back=True)
    assert lists() == [[deleted.pk, spam.pk, kept.pk], [], []]
    assert flags_of(account, spam) == {"$NotJunk"}


def test_later_mail_from_a_blocked_address_is_spam_whatever_its_letters_case(account: Account) -> None:
    (first,) = arrived(account, mail(1))
    marks.block_sender(account, first.pk, "Desk@Parcels.example")
    later, other = arrived(account, mail(2, "DESK@parcels.EXAMPLE"), mail(3, "else@parcels.example"))
    assert [state(row)[1] for row in (first, later, other)] == [True, True, False]
    assert flags_of(account, later) == {JUNK}
    assert [row.spam for row in restored(account)] == [True, True, False]
    assert marks.unblock(account, "desk@parcels.example")
    assert not arrived(account, mail(4))[0].spam


def test_blocked_addresses_go_along_in_an_export(account: Account) -> None:
    BlockedAddress.objects.create(account=account, address="desk@parcels.example")
    exported = list(consent_export.answers_json(account))
    BlockedAddress.objects.all().delete()
    for _twice in range(2):
        consent_export.take_answers(account, consent_export.answers_in(exported))
    assert [row.address for row in BlockedAddress.objects.all()] == ["desk@parcels.example"]
    too_long = consent_export.answers_in([{"kind": "blocked-address", "address": "x" * 501}])
    assert (too_long.addresses, too_long.left_out) == ([], 1)


def test_browsers_are_woken_for_what_is_new_and_for_no_spam(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[int] = []
    monkeypatch.setattr(notices, "something_came", woken.append)
    BlockedAddress.objects.create(account=account, address="spam@x.example")
    arrived(account, mail(1))
    assert woken == []
    browser_of(account)
    subscriptions.add(account, "https://push.example/1", account.oauth_sessions.get())
    arrived(account, mail(2, "spam@x.example"))
    assert woken == []
    arrived(account, mail(3))
    assert woken == [account.pk]
    notice = notices.notice_for(account)
    assert notice == notices.Notice("Ordinary mail", "2 unread mails, not sealed", "/mail/")
    for row in Arrival.objects.all():
        marks.mark_read(account, row.pk)
    assert notices.notice_for(account) is None


def test_deleted_mail_goes_for_good_after_its_time_unless_it_was_put_back(account: Account) -> None:
    rows = arrived(account, *(mail(number) for number in range(4)))
    for row in rows[:3]:
        marks.delete(account, row.pk)
    now = timezone.now()
    assert removing.prune(now + marks.KEPT - timedelta(minutes=1)) == 0
    with open_mailbox(account.did) as mailbox:
        # Put back in another program.
        mailbox.mark(INBOX, [rows[1].uid], remove=[DELETED])
    Arrival.objects.filter(pk=rows[2].pk).update(deleted_at=now + timedelta(days=1))
    assert removing.prune(now + marks.KEPT + timedelta(minutes=1)) == 1
    with open_mailbox(account.did) as mailbox:
        assert mailbox.uids_after(INBOX, 0) == [row.uid for row in rows[1:]]
    assert not Arrival.objects.filter(pk=rows[0].pk).exists()
    assert state(rows[1]) == (True, False, False)
    assert state(rows[2])[2]


def test_nothing_can_be_noted_of_mail_that_is_somebody_elses_or_gone(account: Account) -> None:
    (row,) = arrived(account, mail(1))
    other = Account.objects.create(did=account.did[:-1] + "z", handle="bob.test", pds_url="http://localhost")
    with pytest.raises(NotFound):
        marks.delete(other, row.pk)
    with open_mailbox(account.did) as mailbox:
        mailbox.expunge(INBOX, [row.uid])
    with pytest.raises(NotFound):
        marks.mark_spam(account, row.pk)


def test_deleted_mail_stays_while_an_answer_to_it_is_nowhere_else(account: Account) -> None:
    (row,) = arrived(account, mail(1))
    marks.delete(account, row.pk)
    later = timezone.now() + marks.KEPT + timedelta(days=1)
    unsent = UnsentAnswer.objects.create(account=account, arrival=row, sealed=b"x", written_at=timezone.now())
    assert removing.prune(later) == 0
    unsent.delete()
    sent = OutgoingMail.objects.create(account=account, arrival=row, token="1", name="2", sealed=b"x")
    assert removing.prune(later) == 0
    OutgoingMail.objects.filter(pk=sent.pk).update(sealed=None)
    assert removing.prune(later) == 1


def test_what_is_marked_elsewhere_meanwhile_stays_so(account: Account) -> None:
    (before,) = arrived(account, mail(1))
    marks.delete(account, before.pk)
    assert marks.note_flags(before, {SEEN})
    assert state(before) == (False, False, True)


def test_a_server_that_takes_no_mark_of_spam_holds_nothing_up(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_marks: object) -> None:
        raise MailboxError("refused", "no new keywords")

    BlockedAddress.objects.create(account=account, address="spam@x.example")
    with open_mailbox(account.did) as mailbox:
        monkeypatch.setattr(type(mailbox), "mark", refuse)
    assert [row.spam for row in arrived(account, mail(1, "spam@x.example"), mail(2))] == [True, False]
