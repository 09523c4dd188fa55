"""Files in messages, as people here and programs elsewhere send them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import agent as accounts_agent
from accounts.models import Account
from crypto_agent.atsms.content import ExternalPart
from crypto_agent.atsms.external import external_file
from crypto_agent.client import AgentClient
from tests.accounts.http_server import Answer, reply
from tests.webmail.conftest import hand_over, seal
from tests.webmail.other_client import OtherClient
from webmail import outgoing
from webmail.blobs import attaching, fetching, store
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.models import Blob, Message

LARGE = 100_000
KEY, NONCE, DATA = bytes(range(16)), bytes(range(12)), os.urandom(LARGE)
ENCRYPTED = AESGCM(KEY).encrypt(NONCE, DATA, None)


def pages_ask_as_web(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *more: ModuleType
) -> AgentClient:
    """Pages ask the agent as "web", with the browser's unlock token, and files lie where the test can look.

    ``more`` are modules that ask it besides those of files.
    """
    settings.BLOB_DIR, settings.SPOOL_DIR = tmp_path / "blobs", tmp_path / "spool"
    as_web = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")

    def agent() -> AgentClient:
        token = accounts_agent._unlock_token.get()
        return as_web.unlocked(token) if token else as_web

    for module in (attaching, fetching, outgoing, *more):
        monkeypatch.setattr(module, "agent", agent)
    return as_web


def upload(browser: Client, data: bytes, media_type: str = "image/jpeg", name: str = "a") -> Any:
    """What the page is told of a file that somebody chose on it."""
    headers = {"X-File-Name": name, "X-File-Type": media_type}
    octets = "application/octet-stream"
    return browser.post(reverse("file-upload"), data, content_type=octets, headers=headers)


def attach(account: Account, data: bytes, name: str = "a file.pdf", **more: object) -> Blob:
    now = more.pop("now", timezone.now())
    return attaching.attach(account, name, "application/pdf", len(data), [data], now=now)  # type: ignore[arg-type]


def send(sender: Account, recipients: list[Account], files: list[Blob], text: str = "") -> Message:
    return outgoing.send(sender, [each.did for each in recipients], text, str(uuid4()), files=files)


def received(recipient: Account, sent: Message) -> Message:
    hand_over(recipient, seal(sent)[recipient.did])
    return Message.objects.get(account=recipient, message_id=sent.message_id)


def saved(account: Account, message: Message, part: int = 0) -> bytes:
    _file, plaintext = fetching.download(account, message.message_id, part, now=timezone.now())
    with plaintext:
        return b"".join(plaintext.chunks())


def refused(account: Account, message: Message, part: int = 0) -> str:
    with pytest.raises(CannotFetch) as failure:
        saved(account, message, part)
    assert failure.value.sentence
    return failure.value.code


def kept_files() -> list[Path]:
    return [path for path in store.root().rglob("*") if path.is_file()]


def part_at(url: str, **more: object) -> ExternalPart:
    fields = {
        "media_type": "image/png",
        "name": "from elsewhere.png",
        "url": url,
        "size": LARGE,
        "key": KEY,
        "nonce": NONCE,
        "content_hash": hashlib.sha256(ENCRYPTED).digest(),
        "url_expires": int(timezone.now().timestamp()) + 3600,
        **more,
    }
    return external_file(**fields)  # type: ignore[arg-type]


def from_phone(alice: Account, phone: OtherClient, *parts: object) -> Message:
    hand_over(alice, phone.write([alice], list(parts)))  # type: ignore[arg-type]
    return Message.objects.filter(account=alice).latest("pk")


def giving(body: bytes, status: int = 200, **headers: str) -> Answer:
    return lambda request: reply(request, status, body, **headers)
