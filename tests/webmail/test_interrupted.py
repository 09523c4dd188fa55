"""What is found half done, as a worker that was killed leaves it, or another that was at it too."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import Account
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.test_journey import folder, texts
from webmail import archive, arrivals, intake, kept_aside, queues, tasks
from webmail.mailbox import ARCHIVE, INBOX, QUARANTINE, open_mailbox
from webmail.mailbox.envelope_mail import archive_in_mail, mail_with_archive, mail_with_envelope
from webmail.mailbox.names import mailbox_name
from webmail.models import Arrival, Message

pytestmark = pytest.mark.django_db

LATER = timedelta(hours=1)


def put_in(account: Account, name: str, envelope: bytes) -> int:
    with open_mailbox(account.did) as mailbox:
        return mailbox.append(name, mail_with_envelope(envelope)).uid


def test_a_message_that_was_sealed_but_not_archived_is_archived(
    alice: Account, bob: Account, write: Write
) -> None:
    message = write(alice, [bob], "killed between the two")
    seal(message)
    with open_mailbox(alice.did) as mailbox:
        mailbox.expunge(ARCHIVE, mailbox.uids_after(ARCHIVE, 0))
    Message.objects.update(archived_at=None)

    assert archive.due(timezone.now(), older_than=LATER) == []
    assert archive.due(timezone.now() + LATER, older_than=timedelta()) == [alice.pk]
    tasks.archive_waiting(alice.pk)
    assert len(folder(alice, ARCHIVE)) == 1
    assert archive.due(timezone.now() + archive.LATE / 2, older_than=timedelta()) == []


def test_a_message_that_is_not_sealed_yet_is_not_for_the_archive(
    alice: Account, bob: Account, write: Write
) -> None:
    write(alice, [bob], "not signed yet")
    assert archive.due(timezone.now() + LATER, older_than=timedelta()) == []
    tasks.archive_waiting(alice.pk)
    assert folder(alice, ARCHIVE) == []


def test_two_workers_that_archive_at_once_leave_one_copy(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = write(alice, [bob], "archived twice")
    seal(message)
    with open_mailbox(alice.did) as mailbox:
        (uid,) = mailbox.uids_after(ARCHIVE, 0)
        blob = archive_in_mail(mailbox.fetch(ARCHIVE, [uid])[uid].raw)
        mailbox.expunge(ARCHIVE, [uid])
        assert blob
        # The other worker is faster by the moment between looking and storing.
        kind = type(mailbox)
    append_all = kind.append_all

    def after_another(self: object, name: str, raws: list[bytes]) -> object:
        append_all(self, name, [mail_with_archive(blob, message.message_id)])  # type: ignore[arg-type]
        return append_all(self, name, raws)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "append_all", after_another)
    Message.objects.update(archived_at=None)
    archive.archive(list(Message.objects.select_related("account", "conversation")), now=timezone.now())
    assert len(folder(alice, ARCHIVE)) == 1


def test_much_mail_is_shown_batch_by_batch_and_goes_on_where_it_stopped(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("one", "two", "three"):
        put_in(bob, INBOX, seal(write(alice, [bob], text))[bob.did][0])
    monkeypatch.setattr(intake, "BATCH", 1)

    assert intake.pull_part(bob, seconds=0)
    assert texts(bob) == [["one"]]
    # What is shown comes before the archive.
    assert folder(bob, ARCHIVE) == []
    parts = 1
    while intake.pull_part(bob, seconds=0):
        parts += 1
    assert parts > 3
    assert texts(bob) == [["one", "two", "three"]]
    assert folder(bob, INBOX) == []
    assert len(folder(bob, ARCHIVE)) == 3


def test_a_worker_gives_what_is_left_of_much_mail_to_the_queue_again(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("one", "two"):
        put_in(bob, INBOX, seal(write(alice, [bob], text))[bob.did][0])
    monkeypatch.setattr(intake, "BATCH", 1)
    monkeypatch.setattr(tasks, "PULL_TURN_SECONDS", 0.0)
    given: list[tuple[str, int]] = []
    monkeypatch.setattr(queues, "give", lambda task, key, **_more: given.append((task, key)))

    tasks.pull(bob.pk)
    assert texts(bob) == [["one"]]
    assert (queues.PULL, bob.pk) in given


def test_a_renumbered_mailbox_loses_nothing_that_waits(alice: Account, bob: Account, write: Write) -> None:
    for text in ("one", "two", "three"):
        put_in(bob, INBOX, seal(write(alice, [bob], text))[bob.did][0])
    with open_mailbox(bob.did) as mailbox:
        list(arrivals.note(bob, mailbox, at_once=100))
    home = Path(settings.MAILBOX_URL.removeprefix("maildir://")) / mailbox_name(bob.did)
    (home / "waxwing-uids").unlink()

    intake.pull(bob)
    assert texts(bob) == [["one", "two", "three"]]
    assert folder(bob, INBOX) == []
    assert len(folder(bob, ARCHIVE)) == 3


def test_a_number_that_names_another_mail_now_is_not_trusted(
    alice: Account, bob: Account, write: Write
) -> None:
    put_in(bob, INBOX, seal(write(alice, [bob], "one"))[bob.did][0])
    with open_mailbox(bob.did) as mailbox:
        list(arrivals.note(bob, mailbox, at_once=100))
        mailbox.append(INBOX, b"Subject: plain\r\n\r\nmail\r\n")
        plain = mailbox.uids_after(INBOX, 0)[-1]
    Arrival.objects.update(uid=plain)

    intake.pull(bob)
    assert texts(bob) == [["one"]]
    with open_mailbox(bob.did) as mailbox:
        assert plain in mailbox.uids_after(INBOX, 0)


def test_one_killed_while_it_was_set_aside_is_found_there(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    envelope = seal(write(alice, [bob], "for bob"))[bob.did][0]
    put_in(carol, INBOX, envelope)
    with open_mailbox(carol.did) as mailbox:
        list(arrivals.note(carol, mailbox, at_once=100))
        mailbox.append(QUARANTINE, mail_with_envelope(envelope))
        mailbox.expunge(INBOX, mailbox.uids_after(INBOX, 0))

    intake.pull(carol)
    assert [each.code for each in kept_aside.kept_aside(carol)] == ["cannot-open"]
    assert len(folder(carol, QUARANTINE)) == 1


def test_one_that_was_gone_is_opened_when_it_comes_again(alice: Account, bob: Account, write: Write) -> None:
    envelope = seal(write(alice, [bob], "here again"))[bob.did][0]
    uid = put_in(bob, INBOX, envelope)
    with open_mailbox(bob.did) as mailbox:
        list(arrivals.note(bob, mailbox, at_once=100))
        mailbox.expunge(INBOX, [uid])
    intake.pull(bob)
    assert [each.code for each in kept_aside.kept_aside(bob)] == ["gone"]
    hand_over(bob, [envelope])
    assert texts(bob) == [["here again"]]
    assert kept_aside.kept_aside(bob) == []


def test_one_that_was_set_aside_and_removed_is_kept_when_it_comes_again(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    (envelope,) = seal(write(alice, [carol], "not for bob"))[carol.did]
    hand_over(bob, [envelope])
    with open_mailbox(bob.did) as mailbox:
        mailbox.expunge(QUARANTINE, mailbox.uids_after(QUARANTINE, 0))
    hand_over(bob, [envelope])
    assert len(folder(bob, QUARANTINE)) == 1
    assert [each.code for each in kept_aside.kept_aside(bob)] == ["cannot-open"]


def test_a_slower_worker_does_not_set_aside_what_another_opened(
    alice: Account, bob: Account, write: Write
) -> None:
    put_in(bob, INBOX, seal(write(alice, [bob], "opened by another"))[bob.did][0])
    with open_mailbox(bob.did) as mailbox:
        list(arrivals.note(bob, mailbox, at_once=100))
    seen_by_the_slower_one = list(Arrival.objects.all())
    intake.pull(bob)
    with open_mailbox(bob.did) as mailbox:
        for opening in intake._opened_ahead(bob, mailbox, [(seen_by_the_slower_one, {})]):
            intake._settle(bob, mailbox, opening, timezone.now())
    assert kept_aside.kept_aside(bob) == []
    assert Arrival.objects.get().state == Arrival.State.DONE
