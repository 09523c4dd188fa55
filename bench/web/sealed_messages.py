"""Seals the messages of the benchmark at rest, in bulk and by the agent's own functions.

python -m bench.web.sealed_messages FILE SIZE…    within the environment of an agent that has its database

Writes CBOR items one after the other: the device, then each message as a list (see ``_rows``). As
many of them as are to be searched are in the agent's search index.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cbor2
import django

django.setup()

from bench.web.account import DID, HANDLE, Size  # noqa: E402
from bench.web.asked import RARE_WORD  # noqa: E402
from crypto_agent import devices, stored_segments  # noqa: E402
from crypto_agent.atsms.content import SALT_BYTES, encode_content, new_content, text_part  # noqa: E402
from crypto_agent.atsms.ids import message_id  # noqa: E402
from crypto_agent.content_at_rest import RestingContent, seal_content  # noqa: E402
from crypto_agent.custody import AccountKeys  # noqa: E402
from crypto_agent.key_store import account_keys  # noqa: E402
from crypto_agent.models import Account  # noqa: E402
from crypto_agent.purposes import Purpose  # noqa: E402
from crypto_agent.search_segments import Entry  # noqa: E402
from crypto_agent.search_text import fold  # noqa: E402

WORDS = """the train leaves at twenty past eight from platform four and I bring bread cheese apples""".split()  # noqa: SIM905 (words)


#: One message of so many has the rare word.
RARE = 1_000


@dataclass(frozen=True)
class _Row:
    """A message as it is written to the file, and as the search index has it."""

    written: list[object]
    entry: Entry


def main(path: Path, size: Size) -> None:
    now = datetime.now(UTC)
    device = devices.create_device(DID, HANDLE, "mail.test", now, os.urandom)
    account, keys = account_keys(DID)
    searched: list[Entry] = []
    with path.open("wb") as file:
        cbor2.dump({"fingerprint": device.fingerprint, "certificate": device.certificate_pem}, file)
        for row in _rows(keys, size, now):
            cbor2.dump(row.written, file)
            if len(searched) < size.searched:
                searched.append(row.entry)
    stored_segments.add_entries(Account.objects.get(pk=account.pk), keys, searched, now, os.urandom)


def _rows(keys: AccountKeys, size: Size, now: datetime) -> Iterator[_Row]:
    """Written: the conversation's number, its id, the message's id, whether it is the account's own, when,
    and its content sealed."""
    for number, (other, count) in enumerate(size.each_conversation()):
        newest = now - timedelta(minutes=20 + 7 * number)
        for index in range(count):
            own = index % 2 == 0
            sender, reader = (DID, other) if own else (other, DID)
            at = newest - timedelta(minutes=3 * (count - index))
            sent_ms = int(at.timestamp() * 1000)
            salt = os.urandom(SALT_BYTES)
            text = _text(number + index)
            content = new_content(sender, [reader], [text_part(text)], salt=salt, created_at=sent_ms)
            encoded = encode_content(content)
            conversation = content.conversation_id.hex()
            message = message_id(sender, content.conversation_id, encoded, salt).hex()
            purpose = Purpose.OUTGOING_CONTENT if own else Purpose.INCOMING_CONTENT
            sealed = seal_content(
                keys, conversation, message, RestingContent(purpose, encoded, None), os.urandom
            )
            yield _Row(
                [number, conversation, message, own, at.timestamp(), sealed],
                Entry(message, conversation, sender, sent_ms, 0, fold(text).encode()),
            )


def _text(number: int) -> str:
    words = [WORDS[(number * 7 + step) % len(WORDS)] for step in range(6 + number % 20)]
    return " ".join([*words, *[RARE_WORD] * (number % RARE == 1)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Size.of(sys.argv[2:]))
