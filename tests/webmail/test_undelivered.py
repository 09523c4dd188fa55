"""That somebody did not get a message is told whichever message it is, until its sender has looked."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import peers
from accounts.models import Account
from crypto_agent.client import AgentClient, AgentError, AgentLocked, AgentRefused, AgentUnavailable
from tests.webmail.conftest import Write, carry, seal
from tests.webmail.test_news import OpenPage
from webmail import (
    changing,
    conversations,
    delivery_reports,
    forgetting,
    held_messages,
    not_arrived,
    queues,
    sealing,
    undelivered,
)
from webmail.carriers import Accepted, Outcome, Refused
from webmail.list_counts import list_counts
from webmail.models import Conversation, Delivery, Message, Receipt
from webmail.outgoing import CannotSend
from webmail.push import notices

pytestmark = pytest.mark.django_db

FULL = Refused("mailbox-full", "5.2.2 full")
LINE = "1 message was not delivered"


@pytest.fixture
def wakes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The accounts whose browsers are woken; everybody has one."""
    woken: list[int] = []
    monkeypatch.setattr(notices, "any_browser", lambda _account: True)
    monkeypatch.setattr(notices, "something_came", woken.append)
    return woken


@pytest.fixture
def bounced(alice: Account, bob: Account, write: Write, answers: list[Outcome], wakes: list[int]) -> Message:
    """A message that comes back after a newer one has arrived."""
    answers[:] = [Accepted("taken", relayed=True)]
    messages = [write(alice, [bob], text) for text in ("Lost on the way", "Arrived")]
    for message in messages:
        seal(message)
        carry(message, bob)
    bounce(messages[0])
    return messages[0]


def bounce(message: Message) -> None:
    token = str(message.deliveries.earliest("pk").pk)
    delivery_reports.note_report(token, FULL, now=timezone.now())


def marked(account: Account) -> tuple[int, list[int]]:
    rows = conversations.list_conversations(account).rows
    return list_counts(account).undelivered, [row.undelivered for row in rows]


def test_the_list_says_so_until_somebody_has_looked(
    alice: Account, bounced: Message, at_alices: Client, wakes: list[int]
) -> None:
    assert wakes == [alice.pk]
    assert marked(alice) == (1, [1])
    inbox = at_alices.get(reverse("inbox")).content.decode()
    assert LINE in inbox
    assert '<span class="sr">Not delivered </span>' in inbox
    leads_to = at_alices.get(reverse("undelivered")).headers["Location"]
    assert leads_to.endswith(f"?around={bounced.message_id}#m{bounced.message_id}")
    notice = notices.notice_for(alice)
    assert notice is not None
    assert (notice.body, notice.path) == (LINE, reverse("undelivered"))
    # That the page was asked for says nothing about who looks at it.
    page = OpenPage(at_alices, bounced.conversation.conversation_id)
    page.news(seen=False)
    assert marked(alice) == (1, [1])
    page.news()
    assert marked(alice) == (0, [0])
    assert LINE not in at_alices.get(reverse("inbox")).content.decode()
    assert notices.notice_for(alice) is None
    assert at_alices.get(reverse("undelivered")).headers["Location"] == reverse("inbox")
    # The same report again is nothing new.
    bounce(bounced)
    assert (marked(alice), wakes) == ((0, [0]), [alice.pk])


def test_without_script_a_button_says_that_one_has_looked(
    alice: Account, bounced: Message, at_alices: Client
) -> None:
    page = reverse("conversation", args=[bounced.conversation.conversation_id])
    assert "Mark as read" in at_alices.get(page).content.decode()
    seen = reverse("conversation-seen", args=[bounced.conversation.conversation_id])
    at_alices.post(seen, {"shown": "01" * 32})
    assert marked(alice) == (1, [1])
    at_alices.post(seen, {"shown": bounced.message_id})
    assert marked(alice) == (0, [0])


def test_a_mark_beside_what_is_unread_or_being_written_has_words(
    alice: Account, bounced: Message, at_alices: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    undelivered.looked_at(Conversation.objects.get(account=alice))
    newest = Message.objects.filter(account=alice, shown=True).latest("pk")
    newest.deliveries.update(state=Delivery.State.FAILED, failure_code="gone")
    conversation = Conversation.objects.get(account=alice)
    inbox = at_alices.get(reverse("inbox")).content.decode()
    assert '<span class="row__fault">Not delivered</span>' in inbox
    assert '<span class="sr">Not delivered </span>' not in inbox
    monkeypatch.setattr(conversations.drafts, "in_conversations", lambda *_found: {conversation.pk: "half"})
    Conversation.objects.update(unread_count=3)
    inbox = at_alices.get(reverse("inbox")).content.decode()
    assert "half" in inbox
    assert '<span class="sr">Not delivered </span>' in inbox
    assert inbox.count('<span class="fault">') == 1


def test_each_way_of_failing_counts(
    alice: Account,
    bob: Account,
    carol: Account,
    write: Write,
    answers: list[Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as without_devices:
        without_devices.setattr(peers, "devices_of", lambda *_did, **_more: [])
        seal(write(alice, [carol], "to no device"))
    assert marked(alice) == (1, [1])
    answers[:] = [FULL]
    refused = write(alice, [bob], "refused")
    seal(refused)
    carry(refused, bob)
    assert marked(alice) == (2, [1, 1])
    waited = write(alice, [bob], "not looked at")
    held_messages.hold(waited, {bob.did})
    held_messages.give_up(timezone.now() + timedelta(days=31))
    assert marked(alice) == (3, [2, 1])
    # Trying it again is having seen it; deleting it takes it away.
    not_arrived.retry(alice, refused.message_id)
    assert marked(alice) == (2, [1, 1])
    forgetting.forget(alice, waited.message_id, now=timezone.now())
    assert marked(alice) == (1, [0, 1])


@pytest.mark.parametrize(
    "error", [AgentLocked("AccountLocked", ""), AgentUnavailable("Away", ""), AgentRefused("AnyOther", "")]
)
def test_who_has_no_device_counts_though_the_agent_fails_for_the_others(
    alice: Account,
    bob: Account,
    carol: Account,
    write: Write,
    wakes: list[int],
    monkeypatch: pytest.MonkeyPatch,
    error: AgentError,
) -> None:
    def fails(*_any: object, **_more: object) -> None:
        raise error

    devices_of = peers.devices_of
    monkeypatch.setattr(
        peers, "devices_of", lambda did, **more: [] if did == carol.did else devices_of(did, **more)
    )
    message = write(alice, [bob, carol], "to both")
    with monkeypatch.context() as without_agent:
        without_agent.setattr(AgentClient, "seal", fails)
        with pytest.raises(type(error)):
            sealing.seal_message(message.pk)
    assert marked(alice) == (1, [1])
    assert wakes == [alice.pk]
    # The next try is for the other one alone.
    sealing.seal_message(message.pk, now=timezone.now() + timedelta(hours=1))
    assert marked(alice) == (1, [1])
    states = message.deliveries.values_list("recipient_did", "state")
    assert dict(states) == {bob.did: Delivery.State.SEALED, carol.did: Delivery.State.FAILED}


def test_what_was_changed_counts_as_its_message_and_what_nobody_sees_does_not(
    alice: Account, bob: Account, write: Write, answers: list[Outcome]
) -> None:
    message = write(alice, [bob], "Supper?")
    seal(message)
    answers[:] = [Accepted("ok"), FULL]
    carry(message, bob)
    changing.react(alice, message.message_id, "👍", str(uuid4()))
    reaction = Message.objects.filter(account=alice).latest("pk")
    seal(reaction)
    carry(reaction, bob)
    assert marked(alice) == (0, [0])
    changing.edit(alice, message.message_id, "Lunch?", str(uuid4()))
    edit = Message.objects.get(account=alice, replaces=message.message_id)
    seal(edit)
    carry(edit, bob)
    assert marked(alice) == (1, [1])
    found = undelivered.newest(alice)
    assert found is not None
    assert found.message_id == message.message_id


def test_who_has_opened_it_has_it(alice: Account, bob: Account, bounced: Message) -> None:
    Message.objects.update(undelivered=False)
    Receipt.objects.create(message=bounced, recipient_did=bob.did, fingerprint="ab", opened_at=timezone.now())
    now = timezone.now()
    bounced.deliveries.update(state=Delivery.State.FAILED, finished_at=now)
    undelivered.note(bounced, failed_at=now)
    assert not Message.objects.filter(undelivered=True).exists()


def test_browsers_are_woken_once_for_what_fails_close_together(
    alice: Account, bob: Account, write: Write, answers: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    cache.clear()
    monkeypatch.setattr(notices, "any_browser", lambda _account: True)
    monkeypatch.setattr(queues, "give", lambda task, *_key, **_more: given.append(task))
    answers[:] = [FULL]
    for text in ("one", "two"):
        message = write(alice, [bob], text)
        seal(message)
        carry(message, bob)
    assert given.count(queues.WAKE) == 1
    notice = notices.notice_for(alice)
    assert notice is not None
    assert notice.body == "2 messages were not delivered"


def test_nothing_is_tried_again_for_whom_one_blocks(alice: Account, bounced: Message) -> None:
    Conversation.objects.filter(pk=bounced.conversation_id).update(blocked=True)
    with pytest.raises(CannotSend) as refused:
        not_arrived.retry(alice, bounced.message_id)
    assert refused.value.code == "blocked"
    assert {row.state for row in bounced.deliveries.all()} == {Delivery.State.FAILED}
