"""Messages that change what is there: they travel, are kept and count for nothing of their own."""

from __future__ import annotations

from uuid import uuid4

import pytest

from accounts.models import Account
from crypto_agent.client import NewGroupUpdate, NewMessage, Receipt, SealedContent
from tests.webmail.conftest import Write, hand_over, seal
from webmail import conversations, message_state, outgoing, rebuild, threads
from webmail.imported_parts import _store_unsent
from webmail.models import Conversation, Message

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "quiet",
    [
        NewMessage(reaction="👍", in_reply_to="01" * 32),
        NewMessage(receipt=Receipt("read", ["01" * 32])),
        NewMessage(group_update=NewGroupUpdate("Rowers")),
        NewMessage("another text", replaces="01" * 32),
        NewMessage(takes_back=True, replaces="01" * 32),
    ],
    ids=["reaction", "receipt", "group-update", "edit", "taking-back"],
)
def test_it_has_no_bubble_is_not_unread_and_moves_no_conversation(
    alice: Account, bob: Account, write: Write, quiet: NewMessage
) -> None:
    shown = write(alice, [bob], "a text")
    hand_over(bob, seal(shown)[bob.did])
    before = Conversation.objects.get(account=bob)
    message = outgoing.send_message(alice, [bob.did], quiet, str(uuid4()))
    hand_over(bob, seal(message)[bob.did])

    for account in (alice, bob):
        assert not Message.objects.get(account=account, message_id=message.message_id).shown
        conversation = Conversation.objects.get(account=account)
        # That a group got another name is a line between the bubbles.
        bubbles = [entry.id for entry in threads.thread(account, conversation).entries if not entry.event]
        assert bubbles == [shown.message_id]
        (row,) = conversations.list_conversations(account).rows
        assert row.preview == "a text"
    after = Conversation.objects.get(account=bob)
    assert (after.unread_count, after.last_activity) == (before.unread_count, before.last_activity)

    Message.objects.filter(account=bob).delete()
    rebuild.rebuild(bob)
    assert not Message.objects.get(account=bob, message_id=message.message_id).shown


def test_the_same_token_sends_it_once(alice: Account, bob: Account) -> None:
    token = str(uuid4())
    reaction = NewMessage(reaction="👍", in_reply_to="01" * 32)
    first = outgoing.send_message(alice, [bob.did], reaction, token)
    assert outgoing.send_message(alice, [bob.did], reaction, token) == first
    assert Message.objects.count() == 1


def test_an_edit_that_was_not_sealed_yet_is_still_one_after_a_move(alice: Account, bob: Account) -> None:
    edit = outgoing.send_message(alice, [bob.did], NewMessage("better", replaces="01" * 32), str(uuid4()))
    state = message_state.unsent_state_of(edit)
    sealed = SealedContent(edit.conversation.conversation_id, edit.message_id, bytes(edit.sealed))
    Message.objects.all().delete()
    _store_unsent(alice, sealed, state, edit.placed_at)
    taken = Message.objects.get()
    assert (taken.shown, taken.replaces) == (False, "01" * 32)
