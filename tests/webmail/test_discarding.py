"""Throwing away what was delivered to nobody."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer
from tests.webmail.test_pages import html_of
from webmail import outgoing
from webmail.models import Delivery, Message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice")


def failed(alice: Account, *states: Delivery.State) -> Message:
    dids = [peer(f"bob{number}").did for number in range(len(states))]
    message = outgoing.send(alice, dids, "never mind", str(uuid4()))
    for delivery, state in zip(message.deliveries.all(), states, strict=True):
        delivery.state, delivery.failure_code = state, "no-device" if state == Delivery.State.FAILED else ""
        delivery.save()
    return message


@pytest.mark.parametrize(
    "other", [Delivery.State.FAILED, Delivery.State.QUEUED, Delivery.State.HELD, Delivery.State.SEALED]
)
def test_what_nobody_got_can_be_thrown_away(alice: Account, at_alices: Client, other: str) -> None:
    """What is on its way to somebody else is stopped with it."""
    message = failed(alice, Delivery.State.FAILED, Delivery.State(other))
    page = reverse("conversation", args=[message.conversation.conversation_id])
    address = reverse("message-discard", args=[message.message_id])
    assert address in html_of(at_alices, page)
    assert browser_of(new_account("mallory")).post(address).status_code == 404
    question = html_of(at_alices, address)
    assert "Discard this message?" in question
    assert "never mind" in question
    assert Message.objects.filter(pk=message.pk, shown=True).exists()
    for _again in range(2):
        assert at_alices.post(address).headers["Location"] == page
    html = html_of(at_alices, page)
    assert "never mind" not in html
    assert "Not delivered" not in html
    assert set(message.deliveries.values_list("state", flat=True)) == {Delivery.State.WITHDRAWN}


@pytest.mark.parametrize(
    "other", [Delivery.State.SEALED, Delivery.State.HANDED_OVER, Delivery.State.ACCEPTED]
)
def test_what_somebody_has_or_may_get_stays(alice: Account, at_alices: Client, other: str) -> None:
    message = failed(alice, Delivery.State.FAILED, Delivery.State(other))
    # Somebody is just carrying it.
    message.deliveries.filter(state=Delivery.State.SEALED).update(open_tries=1)
    page = reverse("conversation", args=[message.conversation.conversation_id])
    address = reverse("message-discard", args=[message.message_id])
    assert address not in html_of(at_alices, page)
    at_alices.post(address)
    part = at_alices.post(address, headers={"HX-Request": "true"})
    assert "Nothing was discarded" in part.content.decode()
    assert "never mind" in html_of(at_alices, page)
