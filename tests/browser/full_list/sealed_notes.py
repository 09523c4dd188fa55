"""python -m tests.browser.full_list.sealed_notes DID FILE    within the environment of an agent

Seals what was said last with each of those listed, and writes it as JSON: conversation, message and content.
"""

import json
import os
import sys
import time
from pathlib import Path

import django

django.setup()

from crypto_agent.atsms.content import SALT_BYTES, encode_content, new_content, text_part  # noqa: E402
from crypto_agent.atsms.ids import message_id  # noqa: E402
from crypto_agent.content_at_rest import RestingContent, seal_content  # noqa: E402
from crypto_agent.key_store import account_keys  # noqa: E402
from crypto_agent.purposes import Purpose  # noqa: E402
from tests.browser.full_list.people import listed  # noqa: E402


def main(did: str, path: Path) -> None:
    _account, keys = account_keys(did)
    notes = []
    for one in listed():
        sender, reader = (did, one.did) if one.own else (one.did, did)
        salt = os.urandom(SALT_BYTES)
        now_ms = int(time.time() * 1000)
        content = new_content(sender, [reader], [text_part(one.text)], salt=salt, created_at=now_ms)
        encoded = encode_content(content)
        message = message_id(sender, content.conversation_id, encoded, salt).hex()
        conversation = content.conversation_id.hex()
        purpose = Purpose.OUTGOING_CONTENT if one.own else Purpose.INCOMING_CONTENT
        sealed = seal_content(keys, conversation, message, RestingContent(purpose, encoded, None), os.urandom)
        notes.append([conversation, message, sealed.hex()])
    path.write_text(json.dumps(notes))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
