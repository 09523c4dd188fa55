"""What waits in the database of answers to ordinary mail goes when nobody needs it, and no earlier."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction
from django.db.models.signals import pre_save
from django.utils import timezone

from accounts.models import Account
from webmail.models import Arrival, OutgoingMail, OutgoingMailRecipient
from webmail.ordinary import answering, in_transit

State = OutgoingMailRecipient.State


def settled_mail(account: Account, number: int = 1, state: str = State.FAILED) -> OutgoingMail:
    """A mail whose copy lies in the mailbox, and whose one recipient is in that state."""
    arrival = Arrival.objects.create(
        account=account,
        envelope_id=str(number),
        uid_validity=1,
        uid=number,
        size=1,
        arrived_at=timezone.now(),
    )
    mail = OutgoingMail.objects.create(
        account=account,
        arrival=arrival,
        token=str(number),
        name=f"{number:064x}",
        sealed=in_transit.sealed(b"x"),
        filed_at=timezone.now(),
    )
    mail.recipients.create(address="a@b.example", state=state, next_attempt_at=None)
    return mail


def is_kept(mail: OutgoingMail) -> bool:
    return OutgoingMail.objects.filter(pk=mail.pk, sealed__isnull=False).exists()


def test_one_mail_goes_and_others_stay(account: Account) -> None:
    first, other = settled_mail(account), settled_mail(account, 2)
    waiting = settled_mail(account, 3, State.WAITING)
    unfiled = settled_mail(account, 4)
    OutgoingMail.objects.filter(pk=unfiled.pk).update(filed_at=None)
    assert in_transit.due_to_be_dropped() == [first.pk, other.pk]
    for mail in (first, waiting, unfiled):
        in_transit.let_go_of(mail.pk)
    assert [is_kept(mail) for mail in (first, other, waiting, unfiled)] == [False, True, True, True]
    assert in_transit.due_to_be_dropped() == [other.pk]


def test_what_is_sent_again_at_that_moment_stays(account: Account) -> None:
    mail = settled_mail(account)

    def let_go() -> None:
        in_transit.let_go_of(mail.pk)
        connection.close()

    dropping = threading.Thread(target=let_go)

    def meanwhile(**_: object) -> None:
        # Its mail is written to, its recipient does not wait yet.
        dropping.start()
        dropping.join(0.7)
        assert dropping.is_alive()

    pre_save.connect(meanwhile, sender=OutgoingMailRecipient)
    try:
        answering.retry(account, mail.pk, now=timezone.now())
    finally:
        pre_save.disconnect(meanwhile, sender=OutgoingMailRecipient)
    dropping.join(20)
    assert not dropping.is_alive()
    assert is_kept(mail)


def test_two_workers_that_settle_it_at_once_wait_for_each_other_and_leave_nothing(account: Account) -> None:
    mail = settled_mail(account, state=State.WAITING)
    mail.recipients.create(address="b@b.example", state=State.WAITING)
    settled, failures = threading.Barrier(2, timeout=20), []

    def settle(recipient_pk: int) -> None:
        try:
            OutgoingMailRecipient.objects.filter(pk=recipient_pk).update(state=State.ACCEPTED)
            settled.wait()
            in_transit.let_go_of(mail.pk)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    workers = [
        threading.Thread(target=settle, args=[pk]) for pk in mail.recipients.values_list("pk", flat=True)
    ]
    with transaction.atomic():
        # Somebody else has its row: both wait before they look at whether it is waited for.
        OutgoingMail.objects.select_for_update().get(pk=mail.pk)
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(0.5)
        assert all(worker.is_alive() for worker in workers)
    for worker in workers:
        worker.join(20)
    assert (failures, is_kept(mail)) == ([], False)


@pytest.mark.parametrize("state", [State.ACCEPTED, State.HANDED_OVER, State.UNCERTAIN, State.FAILED])
def test_whatever_came_of_it(account: Account, state: str) -> None:
    mail = settled_mail(account, state=state)
    for _ in range(2):
        in_transit.let_go_of(mail.pk)
    assert not is_kept(mail)
