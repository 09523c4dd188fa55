"""What people whom an account may not know write to it, and what of it the account sees."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

import outbound
from accounts.models import Account
from tests.webmail.conftest import Write, hand_over, seal
from webmail import (
    requests,
)
from webmail.conversations import list_conversations
from webmail.models import Delivery, Message


def arrives(write: Write, sender: Account, recipients: list[Account], text: str, **more: object) -> Message:
    """The message as the first of the recipients has it."""
    message = write(sender, recipients, text, **more)
    hand_over(recipients[0], seal(message)[recipients[0].did])
    message.deliveries.update(state=Delivery.State.ACCEPTED)
    return Message.objects.get(account=recipients[0], message_id=message.message_id)


def titles(account: Account) -> list[str]:
    return [row.preview for row in list_conversations(account).rows]


def waiting(account: Account) -> list[str]:
    return [message.text for card in requests.list_requests(account).cards for message in card.messages]


@contextmanager
def asked_of_others(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The addresses that this process asks for while the block runs; none of them is."""
    asked: list[str] = []

    def refuse(self: httpx.Client, request: httpx.Request, **_: object) -> httpx.Response:
        asked.append(str(request.url))
        raise httpx.ConnectError("nobody is to be asked", request=request)

    with monkeypatch.context() as patch:
        patch.setattr(type(outbound.shared_client()), "send", refuse)
        yield asked
