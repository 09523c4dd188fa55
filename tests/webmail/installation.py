"""People of this installation and what they got, made without the network, for tests of pages."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from django.test import Client
from django.utils import timezone

from accounts.agent import agent
from accounts.models import Account, Peer
from tests.services.browser_sessions import cookies_of_new_browser
from webmail.models import Message
from webmail.placing import conversation_for, place


def new_account(name: str, *, display_name: str = "") -> Account:
    """An account with a device in the real agent, as if it had signed in and published."""
    did = f"did:plc:{name}{uuid4().hex[:8]}"
    account = Account.objects.create(
        did=did,
        handle=f"{name}.test",
        display_name=display_name,
        pds_url="http://localhost:1",
        enrolled_at=timezone.now(),
    )
    agent().create_device(did, account.handle, "mail.test")
    return account


def peer(name: str, *, display_name: str = "") -> Peer:
    """Somebody elsewhere, as far as this installation has heard of them."""
    return Peer.objects.create(
        did=f"did:plc:{name}{uuid4().hex[:8]}", handle=f"{name}.test", display_name=display_name
    )


def browser_of(account: Account) -> Client:
    """A browser that is signed in; it must send CSRF tokens, as real ones must."""
    client = Client()
    client.cookies.load(cookies_of_new_browser(account))
    return client


def received(
    account: Account,
    sender_did: str,
    text: str,
    *,
    others: tuple[str, ...] = (),
    at: datetime | None = None,
    trust: Message.Trust = Message.Trust.SIGNED,
    trust_code: str = "",
) -> Message:
    """A message in the index, its text sealed by the agent under the account's own key as opening does.

    The content names the account as its writer, since only the account's own agent can seal for it; pages
    take the sender from the index, which intake fills from the verified signature.
    """
    at = at or timezone.now()
    composed = agent().compose(account.did, [sender_did, *others], text, created_at=at)
    conversation = conversation_for(account, composed.conversation_id, [account.did, sender_did, *others], at)
    message = Message.objects.create(
        account=account,
        conversation=conversation,
        message_id=composed.message_id,
        direction=Message.Direction.IN,
        sender_did=sender_did,
        sender_fingerprint="ab" * 32,
        trust=trust,
        trust_code=trust_code,
        created_at=at,
        placed_at=at,
        unread=True,
        sealed=composed.sealed,
    )
    place([message])
    return message
