"""An edit, a taking back or a group's name that does not arrive is told where its message is."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from crypto_agent.client import NewGroupUpdate, NewMessage
from tests.webmail.conftest import UNREACHABLE, Write, carry, seal
from tests.webmail.test_news import OpenPage
from webmail import changing, not_arrived, outgoing, progress, sealing, threads
from webmail.carriers import Accepted, Outcome, Refused
from webmail.message_info import message_info
from webmail.models import Conversation, Delivery, Message

pytestmark = pytest.mark.django_db

FULL = Refused("mailbox-full", "5.2.2 full")


@pytest.fixture
def sent(alice: Account, bob: Account, carol: Account, write: Write, answers: list[Outcome]) -> Message:
    """A message that both have."""
    message = write(alice, [bob, carol], "Supper?")
    seal(message)
    answers[:] = [Accepted("ok")]
    for recipient in (bob, carol):
        carry(message, recipient)
    return message


def change(message: Message, how: str) -> Message:
    if how == "edit":
        changing.edit(message.account, message.message_id, "Lunch?", str(uuid4()))
    else:
        assert changing.take_back(message.account, message.message_id, str(uuid4()))
    return Message.objects.get(account=message.account_id, replaces=message.message_id)


def state(message: Message) -> progress.Progress:
    found = threads.entry(message.account, message.message_id).state
    assert found is not None
    return found


@pytest.mark.parametrize(("how", "begins"), [("edit", "Edited"), ("take-back", "Taken back")])
def test_the_line_under_the_message_says_who_did_not_get_what_was_changed(
    alice: Account,
    bob: Account,
    carol: Account,
    sent: Message,
    answers: list[Outcome],
    at_alices: Client,
    how: str,
    begins: str,
) -> None:
    page = OpenPage(at_alices, sent.conversation.conversation_id)
    version = change(sent, how)
    page.news()
    seal(version)
    carry(version, carol)
    assert page.news() == ""
    answers[:] = [FULL]
    carry(version, bob)
    words = f"{begins}, but not for Bob: the mailbox is full."
    assert state(sent).failure == words
    assert words in page.news()
    html = at_alices.get(reverse("message", args=[sent.message_id])).content.decode()
    assert ("Taking it back" if how == "take-back" else "Delivery of the edit") in html
    info = message_info(alice, sent.message_id)
    assert {each.recipient.did: each.failed for each in info.newest} == {bob.did: True, carol.did: False}
    assert not any(each.failed for each in info.deliveries)
    # Tried again, it is what was changed that goes out.
    answers[:] = [Accepted("ok")]
    at_alices.post(reverse("message-retry", args=[sent.message_id]), headers={"HX-Request": "true"})
    assert state(sent).failure is None
    assert [row.state for row in sent.deliveries.all()] == [Delivery.State.ACCEPTED] * 2
    sealing.seal_message(version.pk)
    carry(version, bob)
    assert not version.deliveries.exclude(state=Delivery.State.ACCEPTED).exists()
    assert page.news()


def test_what_waits_is_said_as_well(
    alice: Account, bob: Account, carol: Account, sent: Message, answers: list[Outcome]
) -> None:
    version = change(sent, "take-back")
    seal(version)
    carry(version, carol)
    answers[:] = [UNREACHABLE]
    for _try in range(progress.SOME_TRIES):
        assert not state(sent).waits
        carry(version, bob)
    found = state(sent)
    assert found.words == "Taken back, but not yet for Bob: their server could not be reached."
    assert (found.waits, found.can_discard) == (True, False)


def test_that_the_original_came_back_is_of_no_account_once_it_was_taken_back(
    alice: Account, bob: Account, carol: Account, sent: Message
) -> None:
    version = change(sent, "take-back")
    seal(version)
    for recipient in (bob, carol):
        carry(version, recipient)
    sent.deliveries.filter(recipient_did=bob.did).update(
        state=Delivery.State.FAILED, failure_code="mailbox-full"
    )
    assert state(sent).failure is None
    not_arrived.retry(alice, sent.message_id, now=timezone.now())
    assert Delivery.State.QUEUED not in sent.deliveries.values_list("state", flat=True)


def test_a_message_that_failed_is_said_before_its_edit(
    alice: Account, bob: Account, carol: Account, sent: Message, answers: list[Outcome]
) -> None:
    version = change(sent, "edit")
    seal(version)
    answers[:] = [FULL]
    carry(version, bob)
    sent.deliveries.filter(recipient_did=bob.did).update(state=Delivery.State.FAILED, failure_code="gone")
    failure = state(sent).failure
    assert failure is not None
    assert failure.startswith("Not delivered to Bob")
    not_arrived.retry(alice, sent.message_id)
    for each in (sent, version):
        assert each.deliveries.get(recipient_did=bob.did).state == Delivery.State.QUEUED


def test_the_line_of_a_group_s_name_says_who_did_not_get_it(
    alice: Account, bob: Account, carol: Account, sent: Message, answers: list[Outcome], at_alices: Client
) -> None:
    naming = NewMessage(group_update=NewGroupUpdate("Rowers"))
    named = outgoing.send_message(alice, [bob.did, carol.did], naming, str(uuid4()))
    page = OpenPage(at_alices, Conversation.objects.get(account=alice).conversation_id)
    seal(named)
    carry(named, carol)
    assert page.news() == ""
    assert threads.entry(alice, named.message_id).state is None
    answers[:] = [FULL]
    carry(named, bob)
    html = page.news()
    assert f'<li class="event" id="m{named.message_id}" hx-swap-oob="true">' in html
    assert "Not delivered to Bob: the mailbox is full." in html
    address = reverse("message-retry", args=[named.message_id])
    assert address in html
    assert reverse("message-discard", args=[named.message_id]) not in html
    html = at_alices.post(address, headers={"HX-Request": "true"}).content.decode()
    assert "Rowers" in html
    assert "Not delivered" not in html
    assert named.deliveries.get(recipient_did=bob.did).state == Delivery.State.QUEUED
