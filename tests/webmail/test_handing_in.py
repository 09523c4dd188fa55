"""What pressing "Send" costs before it is answered."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from crypto_agent.client import AgentClient
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from webmail import pending
from webmail.models import Conversation, PendingMessage

pytestmark = pytest.mark.django_db

TEXT = "The train leaves at twenty past eight."


@pytest.fixture
def with_bob(agent_process: AgentProcess, settings: Settings) -> Conversation:
    settings.UNDO_SECONDS = 10
    return received(new_account("alice"), peer("bob").did, "Hello").conversation


@pytest.fixture
def at_alices(with_bob: Conversation) -> Client:
    return browser_of(with_bob.account)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of the agent that are called, in their order."""
    called: list[str] = []
    call = AgentClient._call

    def noted(self: AgentClient, verb: str, method: str, **request: Any) -> Any:
        called.append(method)
        return call(self, verb, method, **request)

    monkeypatch.setattr(AgentClient, "_call", noted)
    return called


def hand_in(browser: Client, conversation: Conversation) -> None:
    address = reverse("conversation-send", args=[conversation.conversation_id])
    answer = browser.post(address, {"text": TEXT, "token": str(uuid4())}, headers={"HX-Request": "true"})
    assert answer.status_code == 200


def test_the_agent_is_called_once(with_bob: Conversation, at_alices: Client, calls: list[str]) -> None:
    hand_in(at_alices, with_bob)
    assert calls == ["compose"]
    (waiting,) = pending.in_conversation(with_bob.account, with_bob)
    assert waiting.content is not None
    assert waiting.content.text == TEXT
    assert PendingMessage.objects.count() == 1


def test_the_database_is_asked_for_nothing_that_the_message_does_not_need(
    with_bob: Conversation, at_alices: Client
) -> None:
    """Without files, drafts and mentions; the people in the conversation are accepted already."""
    hand_in(at_alices, with_bob)
    with CaptureQueriesContext(connection) as asked:
        hand_in(at_alices, with_bob)
    tables = [re.search(r'(?:FROM|INTO|UPDATE) "(\w+)"', query["sql"]) for query in asked.captured_queries]
    assert [found[1] for found in tables if found] == [
        *("django_session", "accounts_oauthsession", "webmail_conversation"),
        # Whether the page was handed in before.
        *("webmail_message", "webmail_pendingmessage"),
        # For how long it is held.
        "webmail_undochoice",
        *("webmail_conversation", "webmail_contact", "webmail_pendingmessage", "webmail_draft"),
    ]


def test_what_a_page_had_still_to_send_is_sent_in_its_order_and_once(
    with_bob: Conversation, at_alices: Client
) -> None:
    address = reverse("conversation-send-all", args=[with_bob.conversation_id])
    forms = [[["text", f"n{number}"], ["token", str(uuid4())]] for number in range(4)]
    # Too short to be one that the server takes.
    forms[1][1][1] = "0"
    for _again in range(2):
        assert at_alices.post(address, {"message": [json.dumps(form) for form in forms]}).status_code == 204
    waiting = pending.in_conversation(with_bob.account, with_bob)
    assert [each.content.text for each in waiting if each.content] == ["n0", "n2", "n3"]


@pytest.mark.parametrize("message", ["", "{", "1", "[[1, 2, 3]]", "[" * 50_000])
def test_what_is_no_form_is_not_sent(with_bob: Conversation, at_alices: Client, message: str) -> None:
    address = reverse("conversation-send-all", args=[with_bob.conversation_id])
    assert at_alices.post(address, {"message": message}).status_code == 400


def test_nobody_sends_what_a_page_had_left_for_somebody_else(with_bob: Conversation) -> None:
    address = reverse("conversation-send-all", args=[with_bob.conversation_id])
    form = {"message": json.dumps([["text", TEXT], ["token", str(uuid4())]])}
    assert Client().post(address, form).status_code == 401
    browser_of(new_account("mallory")).post(address, form)
    assert not PendingMessage.objects.exists()
