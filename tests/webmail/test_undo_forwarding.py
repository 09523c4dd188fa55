"""A forwarded message may be taken back for a moment, as any other one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import new_account, peer, received
from tests.webmail.test_pages import assert_nothing_inline, html_of
from webmail import blocking, conversation_settings, drafts, forwarding, outgoing, pending, threads
from webmail.blobs import attaching
from webmail.conversations import NotFound
from webmail.draft_content import DraftContent
from webmail.draft_places import DraftOnPage, DraftPlace
from webmail.models import Conversation, Draft, Message, PendingMessage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

TEXT = "The ferry goes at nine."


@pytest.fixture
def alice(db: None, agent_process: AgentProcess, settings: Settings, tmp_path: Path) -> Account:
    settings.BLOB_DIR = tmp_path / "blobs"
    settings.UNDO_SECONDS = 10
    return new_account("alice")


@pytest.fixture
def bobs(alice: Account) -> Message:
    return received(alice, peer("bob", display_name="Bob").did, TEXT)


@pytest.fixture
def with_carol(alice: Account) -> Conversation:
    return received(alice, peer("carol", display_name="Carol").did, "Hello").conversation


def forward(browser: Client, message: Message, to: Conversation, token: str = "") -> PendingMessage:
    form = {"to": to.conversation_id, "token": token or str(uuid4())}
    answer = browser.post(reverse("message-forward", args=[message.message_id]), form)
    (row,) = PendingMessage.objects.all()
    page = reverse("conversation", args=[to.conversation_id])
    assert answer.headers["Location"] == f"{page}#p{row.pk}"
    return row


def sent_by(account: Account) -> list[Message]:
    return list(Message.objects.filter(account=account, direction=Message.Direction.OUT))


def test_it_waits_says_so_and_goes_out_once(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation
) -> None:
    token = str(uuid4())
    for _twice in range(2):
        row = forward(at_alices, bobs, with_carol, token)
    html = html_of(at_alices, reverse("conversation", args=[with_carol.conversation_id]))
    assert_nothing_inline(html)
    assert html.count("Sending in a moment") == 2
    assert TEXT in html
    assert sent_by(alice) == []
    sent = pending.release(row.pk, now=row.release_at)
    assert sent is not None
    assert sent_by(alice) == [sent]
    (segment,) = threads.entry(alice, sent.message_id).segments
    assert segment.text == TEXT
    assert sent.conversation == with_carol
    assert pending.release(row.pk, now=row.release_at) is None


def test_taken_back_it_is_forwarded_to_nobody_and_may_be_chosen_again(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation
) -> None:
    now = timezone.now()
    on_page = DraftOnPage(DraftPlace(with_carol))
    drafts.keep(alice, on_page, DraftContent("Half a"), now=now)
    row = forward(at_alices, bobs, with_carol)
    answer = at_alices.post(reverse("pending-undo", args=[row.pk]), headers={"HX-Request": "true"})
    again = answer.headers["HX-Redirect"]
    assert again == f"{reverse('message-forward', args=[bobs.message_id])}?undone"
    html = html_of(at_alices, again)
    assert_nothing_inline(html)
    assert "It was not forwarded to anybody." in html
    assert pending.release(row.pk, now=row.release_at) is None
    assert sent_by(alice) == []
    # What was being written there is as it was.
    found = drafts.of_conversation(alice, with_carol)
    assert found is not None
    assert found.content is not None
    assert found.content.text == "Half a"
    row = forward(at_alices, bobs, with_carol)
    # Without script; and once the message itself is gone there is nothing to choose any more.
    assert at_alices.post(reverse("pending-undo", args=[row.pk])).headers["Location"] == again
    row = forward(at_alices, bobs, with_carol)
    at_alices.post(reverse("message-delete", args=[bobs.message_id]))
    answer = at_alices.post(reverse("pending-undo", args=[row.pk]))
    assert answer.headers["Location"] == reverse("conversation", args=[with_carol.conversation_id])


def test_its_files_go_with_it(alice: Account, at_alices: Client, with_carol: Conversation) -> None:
    blob = attaching.attach(alice, "way.pdf", "application/pdf", 3, [b"abc"], now=timezone.now())
    own = outgoing.send(alice, [alice.did], "", str(uuid4()), files=[blob])
    row = forward(at_alices, own, with_carol)
    html = html_of(at_alices, reverse("conversation", args=[with_carol.conversation_id]))
    assert "way.pdf" in html
    sent = pending.release(row.pk, now=row.release_at)
    assert sent is not None
    assert [file.name for file in threads.entry(alice, sent.message_id).files] == ["way.pdf"]


def test_a_disappearing_conversation_has_it_disappear(
    at_alices: Client, bobs: Message, with_carol: Conversation
) -> None:
    with_carol.expires_after = 86_400
    with_carol.save()
    row = forward(at_alices, bobs, with_carol)
    sent = pending.release(row.pk, now=row.release_at)
    assert sent is not None
    assert sent.expires_after == 86_400
    # From when somebody's server has it.
    assert sent.expires_at is None


def test_to_people_who_were_blocked_meanwhile_it_waits_and_is_not_written_anew(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation
) -> None:
    row = forward(at_alices, bobs, with_carol)
    (carol,) = [did for did in with_carol.participants if did != alice.did]
    blocking.block(alice, carol, now=timezone.now())
    assert pending.release(row.pk, now=row.release_at) is None
    html = html_of(at_alices, reverse("scheduled"))
    assert TEXT in html
    assert "Send now" in html
    assert reverse("pending-time", args=[row.pk]) not in html
    refused = at_alices.post(reverse("pending-send", args=[row.pk]))
    assert "You block them" in refused.content.decode()
    with pytest.raises(outgoing.CannotSend):
        pending.change_time(alice, row.pk, timezone.now() + timedelta(days=1), now=timezone.now())
    blocking.unblock(alice, carol)
    at_alices.post(reverse("pending-send", args=[row.pk]))
    assert len(sent_by(alice)) == 1
    assert not PendingMessage.objects.exists()
    assert not Draft.objects.exists()


def test_who_switched_undo_off_forwards_at_once(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation
) -> None:
    at_alices.post(reverse("undo-send"), {"seconds": 0})
    at_alices.post(
        reverse("message-forward", args=[bobs.message_id]),
        {"to": with_carol.conversation_id, "token": str(uuid4())},
    )
    assert len(sent_by(alice)) == 1


def test_it_goes_to_people_with_whom_there_is_no_conversation_and_may_be_taken_back_there_as_well(
    alice: Account, at_alices: Client, bobs: Message
) -> None:
    html = html_of(at_alices, f"{reverse('new-conversation')}?forward={bobs.message_id}")
    assert_nothing_inline(html)
    assert TEXT in html
    assert '<textarea class="input" id="text"' not in html
    dave, erin = peer("dave"), peer("erin")
    row = forwarding.forward_to(
        alice, bobs.message_id, [dave.did, erin.did], str(uuid4()), now=timezone.now()
    )
    assert isinstance(row, PendingMessage)
    assert row.conversation.participants == sorted([alice.did, dave.did, erin.did])
    sent = pending.release(row.pk, now=row.release_at)
    assert sent is not None
    assert [segment.text for segment in threads.entry(alice, sent.message_id).segments] == [TEXT]


def test_a_request_is_forwarded_to_nobody(alice: Account, at_alices: Client, bobs: Message) -> None:
    Conversation.objects.update(standing=Conversation.Standing.REQUEST)
    page = f"{reverse('new-conversation')}?forward={bobs.message_id}"
    assert at_alices.get(page).status_code == 404
    with pytest.raises(NotFound):
        forwarding.forward_to(alice, bobs.message_id, [peer("dave").did], str(uuid4()), now=timezone.now())


def test_what_waits_longer_disappears_as_is_chosen_while_it_waits_and_says_what_it_said(
    alice: Account, at_alices: Client, with_carol: Conversation
) -> None:
    blob = attaching.attach(alice, "way.pdf", "application/pdf", 3, [b"abc"], now=timezone.now())
    own = outgoing.send(
        alice, [alice.did], f"{TEXT} [Times](https://ferry.test/)", str(uuid4()), files=[blob]
    )
    row = forward(at_alices, own, with_carol)
    (carol,) = [did for did in with_carol.participants if did != alice.did]
    blocking.block(alice, carol, now=timezone.now())
    assert pending.release(row.pk, now=row.release_at) is None
    at_alices.post(reverse("message-delete", args=[own.message_id]))
    conversation_settings.choose_time(alice, with_carol, 86_400, now=timezone.now())
    blocking.unblock(alice, carol)
    at_alices.post(reverse("pending-send", args=[row.pk]))
    (sent,) = [message for message in sent_by(alice) if message.conversation == with_carol]
    assert sent.expires_after == 86_400
    entry = threads.entry(alice, sent.message_id)
    assert entry.disappears
    assert [(each.text, each.url) for each in entry.segments] == [
        (f"{TEXT} ", None),
        ("Times", "https://ferry.test/"),
    ]
    assert [file.name for file in entry.files] == ["way.pdf"]
