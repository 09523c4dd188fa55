"""What open pages are told: which list or thread changed, never what it says.

Events travel through Redis from any process to the web processes that hold a stream. They are hints:
a page that missed some catches up by asking again when it reconnects.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import cache, partial

import redis
import redis.asyncio
from django.conf import settings
from django.db import transaction

from accounts.models import OAuthSession
from webmail.idle_connections import let_go_of_database
from webmail.open_streams import Place
from webmail.redis_client import redis_client

log = logging.getLogger(__name__)

#: Seconds between comments on a silent stream, so that proxies keep it open.
HEARTBEAT_SECONDS = 20.0
#: Milliseconds after which a browser reconnects.
RETRY_MILLISECONDS = 2000
SIGNED_OUT = b"event: signed-out\ndata: {}\n\n"


def channel_of(account_id: int) -> str:
    """The Redis channel of one account's open pages."""
    return f"events:{account_id}"


@cache
def _publisher() -> redis.Redis:
    return redis_client(settings.REDIS_URL)


def publish(account_id: int, *names: str, message: str | None = None) -> None:
    """Tell the account's open pages that something changed.

    `names` are "conversations", "settings" (of conversations), "kept-aside", "mail" (ordinary
    mail), "answers" (to it), "room" (in the mailbox), "custody" or "conversation:<hex id>"; `message` is the
    hex id of the message.
    A broker that cannot be reached is logged and otherwise ignored: the data is already stored.
    """
    _send(account_id, {"names": names, "message": message})


def on_session_ended(*, instance: OAuthSession, **_: object) -> None:
    """Ends the streams of a browser that is not signed in any more, whoever ended that."""
    ended: dict[str, object] = {"names": [], "message": None, "ended": instance.pk}
    transaction.on_commit(partial(_send, instance.account_id, ended))


def on_signed_in_again(*, former: OAuthSession, session: OAuthSession, **_: object) -> None:
    """The streams of a browser in which the same person signed in again go on, until that sign-in ends."""
    if former.account_id == session.account_id:
        event: dict[str, object] = {"names": [], "message": None, "moved": [former.pk, session.pk]}
        transaction.on_commit(partial(_send, session.account_id, event))


def _send(account_id: int, event: Mapping[str, object]) -> None:
    payload = json.dumps(event)
    try:
        _publisher().publish(channel_of(account_id), payload)
    except redis.RedisError as error:
        log.warning("open pages were not told of a change: %s", type(error).__name__)


def conversation_changed(account_id: int, conversation_id: str, message: str | None = None) -> None:
    """Tell the open pages that a conversation, and so the list, changed."""
    publish(account_id, "conversations", f"conversation:{conversation_id}", message=message)


def conversations_changed(account_id: int, changed: Mapping[str, str]) -> None:
    """Tell the open pages once that several conversations, and so the list, changed; without any, that the
    list did. Each comes with the hex id of a message in it."""
    message = next(iter(changed.values())) if len(changed) == 1 else None
    publish(account_id, "conversations", *(f"conversation:{each}" for each in changed), message=message)


def _is_signed_in(session_id: int) -> bool:
    try:
        return OAuthSession.objects.filter(pk=session_id).exists()
    finally:
        let_go_of_database()


async def stream(
    account_id: int,
    unlocked_s: float | None = None,
    place: Place | None = None,
    session_id: int | None = None,
) -> AsyncIterator[bytes]:
    """The server-sent events of one open page (WHATWG HTML §9.2), until its browser's sign-in ends, which is
    the one with the key ``session_id``, or the one that took its place.

    ``unlocked_s``: for how many more seconds the page's browser has the keys unlocked; it is told then.
    ``place``: what it holds of the streams that may be open.
    """
    locks_at = time.monotonic() + unlocked_s if unlocked_s is not None else None
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL)
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    try:
        await pubsub.subscribe(channel_of(account_id))
        # What happens from here on is heard; of what ended before it, only the database knows.
        await pubsub.get_message(timeout=HEARTBEAT_SECONDS)
        if session_id is not None and not await asyncio.to_thread(_is_signed_in, session_id):
            yield SIGNED_OUT
            return
        yield f"retry: {RETRY_MILLISECONDS}\nevent: ready\ndata: {{}}\n\n".encode()
        renewed_at = time.monotonic()
        while True:
            if place is not None and time.monotonic() - renewed_at >= HEARTBEAT_SECONDS:
                renewed_at = time.monotonic()
                await place.renew(client, time.time())
            left = HEARTBEAT_SECONDS if locks_at is None else max(locks_at - time.monotonic(), 0.0)
            received = await pubsub.get_message(timeout=min(left, HEARTBEAT_SECONDS))
            if locks_at is not None and time.monotonic() >= locks_at:
                locks_at = None
                yield b"event: custody\ndata: {}\n\n"
            if received is None:
                yield b": still here\n\n"
                continue
            event = json.loads(received["data"])
            if session_id is not None and event.get("moved", [None])[0] == session_id:
                session_id = event["moved"][1]
            if session_id is not None and event.get("ended") == session_id:
                yield SIGNED_OUT
                return
            data = json.dumps({"message": event["message"]})
            for name in event["names"]:
                yield f"event: {name}\ndata: {data}\n\n".encode()
    finally:
        if place is not None:
            with suppress(redis.RedisError):
                await place.leave(client)
        await pubsub.aclose()  # type: ignore[no-untyped-call]
        await client.aclose()
