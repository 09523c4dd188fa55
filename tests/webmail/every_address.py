"""Every address of the web process but the administrators', with something of somebody's to look at."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.agent import agent
from accounts.models import Account
from tests.webmail.installation import peer, received
from tests.webmail.ordinary_mail import arrived


def _addresses() -> Iterator[tuple[str, str]]:
    waiting: list[tuple[str, URLPattern | URLResolver]] = [("", each) for each in get_resolver().url_patterns]
    while waiting:
        prefix, each = waiting.pop(0)
        route = prefix + str(each.pattern)
        if isinstance(each, URLPattern):
            yield str(each.name), route
        elif each.namespace != "admin":
            waiting += [(route, inner) for inner in each.url_patterns]


#: Their routes by their names.
ADDRESSES = dict(_addresses())


def something_of(account: Account, mail: bytes, *, name: str = "Bob", text: str = "hello") -> dict[str, str]:
    """What stands in addresses, of the account's own where that is simply made: somebody of that name, what
    they wrote, and an ordinary mail."""
    bob = peer("bob", display_name=name).did
    message = received(account, bob, text)
    return {
        "did": bob,
        "conversation_id": message.conversation.conversation_id,
        "message_id": message.message_id,
        "arrival_id": str(arrived(account, mail).pk),
        "topic": "ab" * 32,
        "draft_id": "ab" * 16,
        "content_hash": "ab" * 32,
        "fingerprint": "ab" * 32,
        **dict.fromkeys(
            ("pending_pk", "blob_pk", "answer_id", "entry_pk", "session_pk", "number", "part"), "1"
        ),
        **dict.fromkeys(("secret", "name", "grant_id", "passkey_id"), "x"),
    }


def somebody(display_name: str = "Alice") -> Account:
    """Somebody with a device in the real agent, and a DID that a mailbox can have."""
    did = "did:plc:" + "".join(random.choices("abcdefghijklmnopqrstuvwxyz234567", k=24))
    account = Account.objects.create(
        did=did,
        handle="alice.test",
        display_name=display_name,
        pds_url="http://localhost:1",
        enrolled_at=timezone.now(),
        welcomed_at=timezone.now(),
    )
    agent().create_device(did, account.handle, "mail.test")
    return account


def path_of(name: str, values: dict[str, str]) -> str:
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values[found[1]], ADDRESSES[name])
