"""What lies in an export in plain words, in the language of whoever asked for it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as configured
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from crypto_agent.atsms.content import text_part
from crypto_agent.client import AgentClient
from tests.webmail.conftest import hand_over
from tests.webmail.installation import browser_of
from tests.webmail.other_client import OtherClient
from tests.webmail.sent_files import pages_ask_as_web
from webmail import account_export, archive, outgoing
from webmail.mailbox import MailboxError
from webmail.models import Message
from webmail.views import leaving as page

PASSPHRASE = "correct horse battery"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Without the passphrase nobody can read it."),
        ("de", "Ohne die Passphrase kann es niemand lesen."),
        ("pt", "Sem a frase secreta ninguém consegue ler."),
        ("ja", "パスフレーズがなければ、誰にも読めません。"),
    ],
)
def test_an_export_says_what_it_is_in_the_language_of_the_page(
    language: str,
    words: str,
    alice: Account,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages_ask_as_web(settings, tmp_path, monkeypatch, page)
    browser = browser_of(alice)
    browser.cookies[configured.LANGUAGE_COOKIE_NAME] = language
    answer = browser.post(reverse("account-export"), {"passphrase": PASSPHRASE, "again": PASSPHRASE})

    async def read() -> bytes:
        return b"".join([chunk async for chunk in answer.streaming_content])  # type: ignore[attr-defined]

    with tarfile.open(fileobj=io.BytesIO(async_to_sync(read)())) as tar:
        part = tar.extractfile("README.txt")
        assert part
        readme = part.read().decode()
    assert words in readme
    assert alice.did in readme
    assert configured.PUBLIC_HOST in readme
    assert readme.count("\n\n") == 3


@pytest.mark.django_db
def test_what_another_device_sent_comes_along_while_the_mailbox_is_full(
    bob: Account, alice: Account, phone: OtherClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no message that was composed here, and its envelope is still in the mailbox."""

    def full(*_: object, **__: object) -> None:
        raise MailboxError("full", "the mailbox is full")

    monkeypatch.setattr(archive, "archive_in", full)
    # One of these is for bob's device here; the others can't be opened, and lie there as well.
    envelopes = phone.write([bob, alice], [text_part("from my phone")])
    with pytest.raises(MailboxError):
        hand_over(bob, envelopes)
    of_phone = Message.objects.get(account=bob)
    assert (of_phone.direction, of_phone.archived_at) == (Message.Direction.OUT, None)
    outgoing.send(bob, [alice.did], "from here", str(uuid4()))
    web = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")
    export = account_export.begin(bob, "here.test", web, PASSPHRASE, now=timezone.now())
    with tarfile.open(fileobj=io.BytesIO(b"".join(export.chunks()))) as tar:
        folders = [name.split("/")[0] for name in tar.getnames() if "/" in name]
    assert (folders.count("unsent"), folders.count("pending")) == (1, len(envelopes))
