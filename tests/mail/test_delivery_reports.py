"""What reports of other mail servers do to a delivery."""

import pytest
from django.utils import timezone

from webmail import delivery_reports, progress
from webmail.carriers import Accepted, Deferred, Outcome, Refused
from webmail.carriers.bounces import UnreadReport
from webmail.delivery_codes import CAME_BACK_UNREAD
from webmail.delivery_reports import TooEarly, note_report, note_unread
from webmail.ingress import accept_report
from webmail.models import Delivery, DeliveryCopy, Message, Receipt
from webmail.people import people_of

REFUSED = Refused("address-unknown", "5.1.1 no such user")


PHONE, LAPTOP, ANOTHER = "aa" * 32, "bb" * 32, "cc" * 32


def note(delivery: Delivery, outcome: Outcome, *envelope_ids: str) -> Delivery:
    note_report(str(delivery.pk), outcome, envelope_ids=frozenset(envelope_ids), now=timezone.now())
    delivery.refresh_from_db()
    return delivery


def test_a_failure_ends_the_delivery_and_may_come_twice(delivery: Delivery) -> None:
    first = note(delivery, REFUSED)
    assert (first.state, first.failure_code) == (Delivery.State.FAILED, "address-unknown")
    assert first.failure_reply == "5.1.1 no such user"
    finished = first.finished_at
    assert finished is not None
    again = note(delivery, Refused("gone", "5.1.6 moved"))
    assert (again.failure_code, again.finished_at) == ("address-unknown", finished)


def test_a_delay_is_noted_and_the_delivery_goes_on(delivery: Delivery) -> None:
    noted = note(delivery, Deferred("server-unreachable", "4.4.1 no answer"))
    assert noted.state == Delivery.State.HANDED_OVER
    assert noted.failure_reply == "4.4.1 no answer"


def test_a_report_of_success_changes_nothing(delivery: Delivery) -> None:
    assert note(delivery, Accepted("2.0.0")).state == Delivery.State.HANDED_OVER


@pytest.mark.parametrize("state", [Delivery.State.QUEUED, Delivery.State.SEALED])
def test_a_report_that_overtakes_is_to_come_again(delivery: Delivery, state: Delivery.State) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(state=state)
    with pytest.raises(TooEarly):
        note(delivery, REFUSED)


def test_a_delivery_that_is_gone_is_nobodys_loss(delivery: Delivery) -> None:
    delivery_pk = delivery.pk
    delivery.delete()
    note_report(str(delivery_pk), REFUSED, now=timezone.now())


@pytest.fixture
def two_copies(delivery: Delivery) -> Delivery:
    """The delivery with a copy for each of two devices, both handed over."""
    for envelope_id in (PHONE, LAPTOP):
        DeliveryCopy.objects.create(
            delivery=delivery,
            fingerprint=envelope_id,
            form=DeliveryCopy.Form.SEALED,
            envelope_id=envelope_id,
            accepted_at=timezone.now(),
        )
    return delivery


def lost(delivery: Delivery) -> set[str]:
    return set(delivery.copies.filter(accepted_at=None).values_list("envelope_id", flat=True))


@pytest.mark.parametrize("outcome", [REFUSED, Deferred("mailbox-full", "4.2.2 full")])
def test_a_report_about_another_message_changes_nothing(two_copies: Delivery, outcome: Outcome) -> None:
    noted = note(two_copies, outcome, ANOTHER)
    assert (noted.state, noted.failure_code) == (Delivery.State.HANDED_OVER, "")
    assert lost(two_copies) == set()


def test_only_the_copy_that_came_back_is_carried_anew(two_copies: Delivery) -> None:
    assert note(two_copies, REFUSED, PHONE).state == Delivery.State.FAILED
    assert lost(two_copies) == {PHONE}
    note(two_copies, REFUSED, LAPTOP)
    assert lost(two_copies) == {PHONE, LAPTOP}


def test_a_report_that_returns_nothing_is_about_all_copies(two_copies: Delivery) -> None:
    note(two_copies, REFUSED)
    assert lost(two_copies) == {PHONE, LAPTOP}


def test_a_delay_after_a_failure_changes_nothing(two_copies: Delivery) -> None:
    note(two_copies, REFUSED)
    assert note(two_copies, Deferred("mailbox-full", "4.2.2 full")).failure_code == "address-unknown"


def test_open_pages_hear_of_a_report_once(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(delivery_reports.events, "conversation_changed", lambda *what: told.append(what))
    for outcome in (Deferred("mailbox-full", "4.2.2"), REFUSED):
        for _time in range(3):
            note(delivery, outcome)
    assert len(told) == 2


def note_words(delivery: Delivery, words: str, *envelope_ids: str) -> Delivery:
    note_unread(str(delivery.pk), UnreadReport(words, frozenset(envelope_ids)))
    delivery.refresh_from_db()
    return delivery


@pytest.mark.parametrize("state", [Delivery.State.HANDED_OVER, Delivery.State.ACCEPTED])
def test_what_a_server_wrote_unreadably_is_kept_and_claims_no_failure(
    delivery: Delivery, state: Delivery.State
) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(state=state)
    raw = b"From: MAILER-DAEMON@mx.example\r\n\r\nSorry, no mailbox here by that name.\r\n"
    for words in (raw, raw.replace(b"Sorry", b"Again")):
        accept_report(str(delivery.pk), words, now=timezone.now())
    delivery.refresh_from_db()
    assert (delivery.state, delivery.failure_code) == (state, CAME_BACK_UNREAD)
    assert delivery.failure_reply == "Sorry, no mailbox here by that name.", "the first stays"
    message = delivery.message
    found = progress.of_message(message, people_of([delivery.recipient_did]))
    assert (found.words, found.failure, found.can_retry) == ("A mail server wrote about it", None, False)
    assert found.mark != progress.of_message(restored(delivery), {}).mark


def restored(delivery: Delivery) -> Message:
    """Its message, as if nobody had written about it."""
    Delivery.objects.filter(pk=delivery.pk).update(failure_code="")
    return Message.objects.get(pk=delivery.message_id)


def test_what_could_be_read_goes_before_what_could_not(delivery: Delivery) -> None:
    note_words(delivery, "Hm")
    assert note(delivery, REFUSED).failure_code == "address-unknown"
    assert note_words(delivery, "Hm").failure_code == "address-unknown"
    assert delivery.state == Delivery.State.FAILED


def test_nothing_is_noted_of_what_was_opened_or_is_about_another_message(two_copies: Delivery) -> None:
    assert note_words(two_copies, "Hm", ANOTHER).failure_code == ""
    Receipt.objects.create(
        message=two_copies.message,
        recipient_did=two_copies.recipient_did,
        fingerprint=PHONE,
        opened_at=timezone.now(),
    )
    assert note_words(two_copies, "Hm", PHONE).failure_code == ""


def test_a_holiday_notice_changes_nothing(delivery: Delivery) -> None:
    raw = b"From: bob@mx.example\r\nAuto-Submitted: auto-replied\r\n\r\nI am on holiday.\r\n"
    accept_report(str(delivery.pk), raw, now=timezone.now())
    delivery.refresh_from_db()
    assert (delivery.failure_code, delivery.failure_reply) == ("", "")


def test_an_unread_report_that_overtakes_is_to_come_again(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(state=Delivery.State.SEALED)
    with pytest.raises(TooEarly):
        note_words(delivery, "Hm")
