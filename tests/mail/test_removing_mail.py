"""Deleted ordinary mail, and nothing else, leaves a mailbox for good: a real Dovecot's, and a Maildir."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Account
from tests.mail.test_ordinary_marks import arrived, mail
from tests.services.dovecot import dovecot_server
from webmail import events, intake, mailbox_room
from webmail.conversations import NotFound
from webmail.ingress import accept_mail
from webmail.mailbox import DELETED, INBOX, MailboxError, open_mailbox
from webmail.mailbox.envelope_mail import mail_with_envelope
from webmail.mailbox_room import Fullness, fullness
from webmail.models import Arrival, MailboxCursor, OutgoingMail, UnsentAnswer
from webmail.ordinary import marks, removing
from webmail.ordinary.removing import Stays


def uids(account: Account) -> list[int]:
    with open_mailbox(account.did) as mailbox:
        return mailbox.uids_after(INBOX, 0)


def deleted(account: Account, *numbers: int) -> list[Arrival]:
    rows = arrived(account, *(mail(number) for number in numbers))
    for row in rows:
        marks.delete(account, row.pk)
        row.refresh_from_db()
    return rows


@pytest.mark.usefixtures("mailboxes")
def test_one_is_removed_and_that_may_be_asked_twice(account: Account) -> None:
    first, second = deleted(account, 1, 2)
    removed = removing.remove(account, first.pk, now=timezone.now())
    assert (removed.count, removed.staying.total(), removed.away) == (1, 0, False)
    assert uids(account) == [second.uid]
    assert list(Arrival.objects.all()) == [second]
    with pytest.raises(NotFound):
        removing.remove(account, first.pk, now=timezone.now())


@pytest.mark.usefixtures("mailboxes")
def test_what_another_program_has_expunged_goes_out_of_the_index(account: Account) -> None:
    (row,) = deleted(account, 1)
    with open_mailbox(account.did) as mailbox:
        mailbox.expunge(INBOX, [row.uid])
    assert removing.remove(account, row.pk, now=timezone.now()).count == 1
    assert not Arrival.objects.exists()


@pytest.mark.usefixtures("mailboxes")
def test_all_that_was_deleted_until_it_was_asked_is_removed_and_nothing_else(
    account: Account, envelope: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "MOST_AT_ONCE", 2)
    rows = deleted(account, *range(5))
    (kept,) = arrived(account, mail(10))
    asked_at = timezone.now()
    (later,) = deleted(account, 11)
    with open_mailbox(account.did) as mailbox:
        # Another program may mark anything as deleted: an envelope leaves by no door for ordinary mail.
        sealed = mailbox.append(INBOX, mail_with_envelope(envelope)).uid
        mailbox.mark(INBOX, [sealed, kept.uid], add=[DELETED])
    heard: list[str] = []
    monkeypatch.setattr(events, "publish", lambda _account, *names, **_more: heard.extend(names))
    for count in (5, 0):
        removed = removing.empty(account, until=asked_at, now=timezone.now())
        assert (removed.count, removed.staying.total(), removed.away) == (count, 0, False)
    assert heard == ["mail"]
    assert uids(account) == [kept.uid, later.uid, sealed]
    assert not Arrival.objects.filter(pk__in=[row.pk for row in rows]).exists()


@pytest.mark.usefixtures("mailboxes")
def test_what_was_put_back_elsewhere_stays(account: Account) -> None:
    back, gone = deleted(account, 1, 2)
    with open_mailbox(account.did) as mailbox:
        mailbox.mark(INBOX, [back.uid], remove=[DELETED])
    removed = removing.empty(account, until=timezone.now(), now=timezone.now())
    assert (removed.count, removed.staying) == (1, {Stays.PUT_BACK: 1})
    back.refresh_from_db()
    assert back.deleted_at is None
    assert uids(account) == [back.uid]
    with pytest.raises(NotFound):
        removing.remove(account, back.pk, now=timezone.now())
    assert not Arrival.objects.filter(pk=gone.pk).exists()


@pytest.mark.usefixtures("mailboxes")
def test_what_an_answer_needs_that_is_nowhere_else_stays(account: Account) -> None:
    unsent, on_its_way, free = deleted(account, 1, 2, 3)
    now = timezone.now()
    UnsentAnswer.objects.create(account=account, arrival=unsent, sealed=b"x", written_at=now)
    OutgoingMail.objects.create(account=account, arrival=on_its_way, token="1", name="2", sealed=b"x")
    OutgoingMail.objects.create(account=account, arrival=free, token="3", name="4")
    staying = {Stays.ANSWER_UNSENT: 1, Stays.ANSWER_ON_ITS_WAY: 1}
    removable = removing.removable(account)
    assert (removable.count, removable.staying, removable.answered) == (1, staying, True)
    one = removing.removable(account, arrival_id=unsent.pk)
    assert (one.count, +one.staying, one.answered) == (0, {Stays.ANSWER_UNSENT: 1}, False)
    assert removing.remove(account, unsent.pk, now=now).count == 0
    removed = removing.empty(account, until=timezone.now(), now=now)
    assert (removed.count, removed.staying) == (1, staying)
    assert uids(account) == [unsent.uid, on_its_way.uid]
    assert UnsentAnswer.objects.exists()


@pytest.mark.usefixtures("mailboxes")
def test_an_answer_that_is_written_meanwhile_is_not_lost(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = deleted(account, 1)
    with open_mailbox(account.did) as mailbox:
        kind = type(mailbox)
    expunge = kind.expunge

    def answered_meanwhile(self: object, folder: str, numbers: list[int]) -> None:
        expunge(self, folder, numbers)  # type: ignore[arg-type]
        OutgoingMail.objects.create(account=account, arrival=row, token="1", name="2", sealed=b"x")

    monkeypatch.setattr(kind, "expunge", answered_meanwhile)
    assert removing.remove(account, row.pk, now=timezone.now()).count == 1
    assert uids(account) == []
    assert OutgoingMail.objects.count() == 1


@pytest.mark.usefixtures("mailboxes")
def test_mail_of_a_renumbered_mailbox_waits_until_it_is_known_where_it_is(account: Account) -> None:
    (row,) = deleted(account, 1)
    Arrival.objects.update(uid_validity=1)
    MailboxCursor.objects.update(uid_validity=1)
    removed = removing.remove(account, row.pk, now=timezone.now())
    assert (removed.count, +removed.staying) == (0, {Stays.RENUMBERED: 1})
    assert Arrival.objects.filter(pk=row.pk).exists()
    intake.pull(account)
    assert removing.remove(account, row.pk, now=timezone.now()).count == 1
    assert uids(account) == []


@pytest.mark.usefixtures("mailboxes")
def test_mail_that_a_renumbered_mailbox_has_no_more_is_forgotten(account: Account) -> None:
    gone, _there = deleted(account, 1, 2)
    Arrival.objects.filter(pk=gone.pk).update(uid_validity=1)
    assert removing.remove(account, gone.pk, now=timezone.now()).count == 1


def test_while_the_mailbox_is_away_nothing_is_forgotten(
    account: Account, settings: Settings, in_maildir: None
) -> None:
    (row,) = deleted(account, 1)
    settings.MAILBOX_URL = "imap://127.0.0.1:1"
    removed = removing.remove(account, row.pk, now=timezone.now())
    assert (removed.count, removed.away) == (0, True)
    assert Arrival.objects.filter(pk=row.pk).exists()


def test_what_was_removed_before_the_mailbox_went_away_counts(
    account: Account, in_maildir: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "MOST_AT_ONCE", 1)
    deleted(account, 1, 2)
    opened: list[str] = []

    def once(did: str) -> object:
        opened.append(did)
        if len(opened) > 1:
            raise MailboxError("unavailable", "away")
        return open_mailbox(did)

    monkeypatch.setattr(removing, "open_mailbox", once)
    removed = removing.empty(account, until=timezone.now(), now=timezone.now())
    assert (removed.count, removed.away) == (1, True)
    assert len(uids(account)) == 1


@pytest.fixture
def in_small_dovecot(settings: Settings) -> Iterator[None]:
    with dovecot_server(storage="1M") as server:
        settings.MAILBOX_URL, settings.MAIL_TOKEN_KEY_FILE = server.url, server.token_key
        yield


def test_it_makes_room_at_once_in_a_full_mailbox(account: Account, in_small_dovecot: None) -> None:
    now = timezone.now()
    for number in range(10):
        accept_mail(account.did, mail(number) + (b"x" * 76 + b"\r\n") * 1200, now=now)
    intake.pull(account, now=now)

    def full() -> Fullness:
        return fullness(mailbox_room.room_of(MailboxCursor.objects.get(account=account)))

    assert full() != Fullness.ENOUGH
    for row in Arrival.objects.all()[:5]:
        marks.delete(account, row.pk)
    assert full() != Fullness.ENOUGH
    removed = removing.empty(account, until=timezone.now(), now=now + timedelta(seconds=1))
    assert removed.count == 5
    # Its server said so meanwhile.
    assert full() == Fullness.ENOUGH
    assert len(uids(account)) == 5
