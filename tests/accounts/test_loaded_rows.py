"""Rows that are put together directly are as Django's own."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from accounts.loaded_rows import LoadedRows
from accounts.models import Account
from webmail.models import Conversation, Delivery, Draft, Message

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def message() -> Message:
    alice = Account.objects.create(did="did:plc:alice", handle="alice.test", pds_url="http://localhost:1")
    conversation = Conversation.objects.create(
        account=alice, conversation_id="00", participants=[alice.did], last_activity=NOON
    )
    return Message.objects.create(
        account=alice,
        conversation=conversation,
        message_id="01",
        direction=Message.Direction.OUT,
        sender_did=alice.did,
        trust=Message.Trust.OWN,
        created_at=NOON,
        placed_at=NOON,
        sealed=b"sealed",
    )


@pytest.mark.parametrize("model", [Conversation, Delivery, Draft, Message])
def test_those_of_long_pages_are_put_together_directly(model: type[models.Model]) -> None:
    assert issubclass(model, LoadedRows)


def test_they_have_what_django_gives_them(message: Message) -> None:
    rows = Message.objects.select_related("conversation__account")
    loaded = rows.get()
    with patch.object(LoadedRows, "from_db", classmethod(vars(models.Model)["from_db"].__func__)):
        usual = rows.get()
    assert _fields(loaded) == _fields(usual)
    assert _fields(loaded.conversation) == _fields(usual.conversation)
    assert (loaded._state.adding, loaded._state.db) == (False, "default")
    assert loaded == usual == message


def test_what_was_left_out_is_read_when_it_is_needed(message: Message) -> None:
    loaded = Message.objects.only("message_id").get()
    assert "sealed" in loaded.get_deferred_fields()
    with CaptureQueriesContext(connection) as asked:
        assert bytes(loaded.sealed) == b"sealed"
        assert loaded.conversation.conversation_id == "00"
    assert len(asked) == 3


def test_they_can_be_changed_and_read_again(message: Message) -> None:
    loaded = Message.objects.get()
    loaded.trust_code = "changed"
    loaded.save()
    message.refresh_from_db()
    assert (message.trust_code, Message.objects.count()) == ("changed", 1)


def _fields(row: models.Model) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if name != "_state"}
