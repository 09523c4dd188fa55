"""What goes with a message that an account lets go of, and what stays."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from accounts.models import Account
from crypto_agent.atsms.content import GROUP_UPDATE, Expiry, InlinePart
from crypto_agent.client import Expires, NewGroupUpdate, NewMessage
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.other_client import OtherClient
from tests.webmail.strangers import arrives
from webmail import blocking, changing, forgetting, left_groups, outgoing, threads
from webmail.conversations import list_conversations
from webmail.models import Conversation, Message

pytestmark = pytest.mark.django_db


def texts(account: Account, message: Message) -> list[str]:
    return [
        "".join(segment.text for segment in entry.segments)
        for entry in threads.thread(account, message.conversation).entries
    ]


def carry_newest(sender: Account, recipient: Account) -> Message:
    """What a sender did last, as its recipient has it."""
    sent = Message.objects.filter(account=sender, state="composed").latest("pk")
    hand_over(recipient, seal(sent)[recipient.did])
    return Message.objects.get(account=recipient, message_id=sent.message_id)


@pytest.mark.parametrize("by", ["deleting", "its time"])
def test_an_answer_stays_as_it_was_edited_when_what_it_answers_goes(
    alice: Account, bob: Account, write: Write, by: str
) -> None:
    question = arrives(write, bob, [alice], "When?", expires=Expires(True, 60) if by == "its time" else None)
    answer = write(alice, [bob], "At six", in_reply_to=question.message_id)
    seal(answer)
    changing.edit(alice, answer.message_id, "At seven", str(uuid4()))
    carry_newest(alice, bob)
    if by == "deleting":
        forgetting.forget(alice, question.message_id, now=timezone.now())
    else:
        Message.objects.filter(pk=question.pk).update(expires_at=timezone.now())
        assert forgetting.forget_expired(timezone.now()) == 1
    forgetting.erase(alice, now=timezone.now())
    assert texts(alice, question) == ["At seven"]
    forgotten = Message.objects.filter(account=alice, forgotten_at__isnull=False)
    assert set(forgotten.values_list("message_id", flat=True)) == {question.message_id}


def test_reactions_go_with_a_message_and_so_does_that_they_were_taken_back(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    message = arrives(write, alice, [bob, carol], "hello")
    changing.react(bob, message.message_id, "👍", str(uuid4()))
    reaction = carry_newest(bob, alice)
    changing.react(bob, message.message_id, "👍", str(uuid4()))
    taken_back = carry_newest(bob, alice)
    assert taken_back.replaces == reaction.message_id
    blocking.block(alice, bob.did, timezone.now())
    forgetting.forget(alice, message.message_id, now=timezone.now())
    forgetting.erase(alice, now=timezone.now())
    assert [bytes(row.sealed) for row in Message.objects.filter(account=alice)] == [b"", b"", b""]


def test_a_reaction_that_comes_after_its_message_went_is_not_kept(
    alice: Account, bob: Account, write: Write
) -> None:
    message = write(alice, [bob], "hello")
    hand_over(bob, seal(message)[bob.did])
    forgetting.forget(alice, message.message_id, now=timezone.now())
    changing.react(bob, message.message_id, "👍", str(uuid4()))
    reaction = carry_newest(bob, alice)
    forgetting.erase(alice, now=timezone.now())
    reaction.refresh_from_db()
    assert bytes(reaction.sealed) == b""
    answer = arrives(write, bob, [alice], "Hello to you", in_reply_to=message.message_id)
    assert texts(alice, answer) == ["Hello to you"]
    changing.edit(bob, answer.message_id, "Hello, Alice", str(uuid4()))
    carry_newest(bob, alice)
    forgetting.erase(alice, now=timezone.now())
    assert texts(alice, answer) == ["Hello, Alice"]


@pytest.mark.parametrize("written", ["before", "while blocked"])
def test_what_a_blocked_person_answered_is_there_again_though_the_question_went(
    alice: Account, bob: Account, write: Write, written: str
) -> None:
    question = write(alice, [bob], "When?")
    hand_over(bob, seal(question)[bob.did])

    def answer() -> None:
        arrives(write, bob, [alice], "At six", in_reply_to=question.message_id)

    if written == "before":
        answer()
    blocking.block(alice, bob.did, timezone.now())
    if written == "while blocked":
        answer()
    forgetting.forget(alice, question.message_id, now=timezone.now())
    forgetting.erase(alice, now=timezone.now())
    blocking.unblock(alice, bob.did)
    assert texts(alice, question) == ["At six"]


def test_what_was_answered_in_a_group_that_was_left_is_there_on_coming_back(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    question = write(alice, [bob, carol], "When?")
    hand_over(bob, seal(question)[bob.did])
    left_groups.leave(alice, question.conversation, now=timezone.now())
    arrives(write, bob, [alice, carol], "At six", in_reply_to=question.message_id)
    forgetting.forget(alice, question.message_id, now=timezone.now())
    forgetting.erase(alice, now=timezone.now())
    question.conversation.refresh_from_db()
    left_groups.come_back(alice, question.conversation, now=timezone.now())
    assert texts(alice, question) == ["At six"]


@pytest.fixture
def named_for_a_minute(
    alice: Account, bob: Account, carol: Account, write: Write, phone: OtherClient
) -> Message:
    """A message in a group of alice's, which she named "Walks" and bob's other program for a minute anew."""
    hello = arrives(write, bob, [alice, carol], "hello")
    update = NewMessage(group_update=NewGroupUpdate(title="Walks"))
    outgoing.send_message(alice, [bob.did, carol.did], update, str(uuid4()))
    until = int(timezone.now().timestamp()) + 60
    name = InlinePart(GROUP_UPDATE, {"title": "For a minute"})
    hand_over(alice, phone.write([alice, carol], [name], expires=Expiry(False, until)))
    assert listed(alice) == {"For a minute": "hello"}
    return hello


def listed(account: Account) -> dict[str, str]:
    return {row.title: row.preview for row in list_conversations(account).rows}


def test_a_group_whose_name_disappeared_goes_by_the_one_before(
    alice: Account, bob: Account, write: Write, named_for_a_minute: Message
) -> None:
    arrives(write, bob, [alice], "between us")
    later = timezone.now() + timedelta(minutes=2)
    assert forgetting.forget_expired(later) == 1
    assert sorted(listed(alice).values()) == ["between us", "hello"]
    forgetting.erase(alice, now=later)
    found = listed(alice)
    assert found.pop("Walks") == "hello"
    assert list(found.values()) == ["between us"]


def test_a_group_that_went_by_an_erased_name_is_mended(alice: Account, named_for_a_minute: Message) -> None:
    group = named_for_a_minute.conversation
    group.refresh_from_db()
    erased, later = group.named_by, timezone.now() + timedelta(minutes=2)
    forgetting.forget_expired(later)
    forgetting.erase(alice, now=later)
    Conversation.objects.update(named_by=erased, pictured_by=erased)
    # What can't be read any more costs its own name alone.
    assert list(listed(alice).values()) == ["hello"]
    assert "Walks" not in listed(alice)
    with connection.schema_editor() as editor:
        import_module("webmail.migrations.0051_groups_without_erased_names").name_anew(apps, editor)
    assert listed(alice) == {"Walks": "hello"}
    group.refresh_from_db()
    assert group.pictured_by is None
