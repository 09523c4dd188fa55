"""What reports of other mail servers do to a delivery."""

import pytest
from django.utils import timezone

from webmail.carriers import Accepted, Deferred, Outcome, Refused
from webmail.delivery_reports import TooEarly, note_report
from webmail.models import Delivery

REFUSED = Refused("address-unknown", "5.1.1 no such user")


def note(delivery: Delivery, outcome: Outcome) -> Delivery:
    note_report(str(delivery.pk), outcome, now=timezone.now())
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
