"""Readable exports, made and read back: mbox by ``mailbox``, JSON by the schema."""

from __future__ import annotations

import io
import json
import mailbox
import zipfile
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings as configured
from django.utils import timezone
from jsonschema import Draft202012Validator

from accounts.models import Account
from crypto_agent.client import AgentClient
from webmail.readable_export import export

SCHEMA = json.loads((Path(configured.BASE_DIR) / "docs/readable-export.schema.json").read_text())


def taken(account: Account, agent: AgentClient, form: export.Form, *, with_files: bool = True) -> bytes:
    made = export.begin(
        account, "waxwing.test", agent, form, with_files=with_files, language="en", now=timezone.now()
    )
    return b"".join(made.chunks())


def opened(archive: bytes) -> zipfile.ZipFile:
    found = zipfile.ZipFile(io.BytesIO(archive))
    assert found.testzip() is None
    return found


def mails(archive: bytes, tmp_path: Path) -> dict[str, list[EmailMessage]]:
    """The mails of each mbox, as Python's own reader finds them."""
    read: dict[str, list[EmailMessage]] = {}
    parser = BytesParser(policy=policy.default)
    with opened(archive) as found:
        for name in found.namelist():
            if name.endswith(".mbox"):
                data = found.read(name)
                assert data.isascii()
                assert b"\r" not in data
                assert all(len(line) <= 998 for line in data.split(b"\n"))
                path = tmp_path / uuid4().hex
                path.write_bytes(data)
                box = mailbox.mbox(path, factory=lambda file: parser.parse(file), create=False)
                read[name] = list(box)  # type: ignore[arg-type]
                box.close()
    return read


def conversations(archive: bytes) -> list[dict[str, Any]]:
    """The conversations in their order, each held to the schema, with the octets of its files."""
    validator = Draft202012Validator(SCHEMA)
    with opened(archive) as found:
        index = json.loads(found.read("export.json"))
        validator.validate(index)
        listed = []
        for one in index["conversations"]:
            conversation = json.loads(found.read(f"{one['path']}/messages.json"))
            validator.validate(conversation)
            assert (conversation["id"], conversation["title"]) == (one["id"], one["title"])
            for message in conversation["messages"]:
                for file in message.get("files", ()):
                    if "path" in file:
                        file["data"] = found.read(file["path"])
                        assert len(file["data"]) == file["size"]
            listed.append(conversation)
    return listed


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    text: str = body.get_content()
    return text
