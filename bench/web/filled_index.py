"""Puts the sealed messages into the webmail's database, and signs a browser in.

python -m bench.web.filled_index FILE SIZE…    within the environment of a web process that has its database

Prints as JSON the cookies of the browser, and which conversation and message the figures are about.
"""

import json
import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import cbor2
import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from accounts.models import Account, Peer, skeletons_of  # noqa: E402
from accounts.whose_page import secret_of  # noqa: E402
from bench.web.account import DID, HANDLE, Size  # noqa: E402
from bench.web.new_account import new_account  # noqa: E402
from tests.services.browser_sessions import cookies_of_new_browser  # noqa: E402
from webmail.models import Contact, Conversation, ConversationMember, Delivery, Message  # noqa: E402

#: Conversations that are written at once.
AT_ONCE = 500


def main(path: Path, size: Size) -> None:
    with path.open("rb") as file:
        device = cbor2.load(file)
        account = new_account(DID, HANDLE, device)
        browser = cookies_of_new_browser(account)
        by_conversation = groupby(_items(file), key=itemgetter(0))
        long_one = before = ""
        others = [did for did, _count in size.each_conversation()]
        Peer.objects.bulk_create(map(_peer, range(len(others)), others), batch_size=1000)
        Contact.objects.bulk_create(
            (Contact(account=account, did=did, standing=Contact.Standing.ACCEPTED) for did in others),
            batch_size=1000,
        )
        groups = ((number, list(rows)) for number, rows in by_conversation)
        while chunk := list(islice(groups, AT_ONCE)):
            _write(account, device, others, chunk)
            if not long_one:
                long_one, before = chunk[0][1][0][1], chunk[0][1][-min(50, size.long)][2]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    csrf = secret_of(secrets.token_hex(16), account)
    print(  # noqa: T201
        json.dumps(
            {
                "cookies": {**browser, settings.CSRF_COOKIE_NAME: csrf},
                "csrf": csrf,
                "conversation": long_one,
                "before": before,
            }
        )
    )


def _peer(number: int, did: str) -> Peer:
    handle = f"person{number}.test"
    handle_skeleton, name_skeleton = skeletons_of(handle, "")
    return Peer(did=did, handle=handle, handle_skeleton=handle_skeleton, name_skeleton=name_skeleton)


def _items(file: Any) -> Iterator[list[Any]]:
    while True:
        try:
            yield cbor2.load(file)
        except cbor2.CBORDecodeEOF:
            return


@transaction.atomic
def _write(
    account: Account, device: dict[str, str], others: list[str], chunk: list[tuple[int, list[list[Any]]]]
) -> None:
    rows = dict(chunk)
    made = Conversation.objects.bulk_create(
        Conversation(
            account=account,
            conversation_id=messages[0][1],
            participants=sorted((DID, others[number])),
            last_activity=_time(messages[-1]),
            unread_count=number % 5 == 1,
        )
        for number, messages in rows.items()
    )
    ConversationMember.objects.bulk_create(
        ConversationMember(conversation=conversation, did=others[number])
        for number, conversation in zip(rows, made, strict=True)
    )
    messages = Message.objects.bulk_create(
        (
            _message(account, conversation, device, others[number], item, unread)
            for (number, items), conversation in zip(rows.items(), made, strict=True)
            for item in items
            for unread in [bool(conversation.unread_count) and item is items[-1]]
        ),
        batch_size=1000,
    )
    Delivery.objects.bulk_create(
        (
            Delivery(
                message=message,
                recipient_did=others[number],
                state=Delivery.State.ACCEPTED,
                next_attempt_at=None,
                finished_at=message.placed_at,
            )
            for message, number in zip(
                messages, (number for number, items in rows.items() for _ in items), strict=True
            )
            if message.direction == Message.Direction.OUT
        ),
        batch_size=1000,
    )
    last = {message.conversation_id: message for message in messages}
    for conversation in made:
        conversation.last_message = last[conversation.pk]
    Conversation.objects.bulk_update(made, ["last_message"], batch_size=500)


def _message(
    account: Account,
    conversation: Conversation,
    device: dict[str, str],
    other: str,
    item: list[Any],
    unread: bool,
) -> Message:
    own = item[3]
    return Message(
        account=account,
        conversation=conversation,
        message_id=item[2],
        direction=Message.Direction.OUT if own else Message.Direction.IN,
        state=Message.State.PLACED,
        sender_did=DID if own else other,
        sender_fingerprint=device["fingerprint"],
        sender_certificate_pem=device["certificate"],
        trust=Message.Trust.OWN if own else Message.Trust.SIGNED,
        created_at=_time(item),
        placed_at=_time(item),
        unread=unread,
        sealed=item[5],
        archived_at=_time(item),
        indexed_at=_time(item),
    )


def _time(item: list[Any]) -> datetime:
    return datetime.fromtimestamp(item[4], UTC)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Size.of(sys.argv[2:]))
