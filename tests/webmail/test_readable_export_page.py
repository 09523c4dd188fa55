"""The page of the readable export, and the download in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as configured
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from accounts.sessions import OAUTH_SESSION_KEY, PASSKEY_KEY
from crypto_agent.client import AgentClient
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.readable_archives import conversations, mails, opened, text_of
from tests.webmail.sent_files import pages_ask_as_web
from tests.webmail.test_locked import lock_account, unlock_in
from webmail.models import Message
from webmail.views import readable_export as page

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def as_pages(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentClient:
    return pages_ask_as_web(settings, tmp_path, monkeypatch, page)


PAGE = "/devices/export/readable/"
WANTED = {"format": "mbox", "with_files": "1", "understood": "1"}


def _downloaded(client: Client, **fields: str) -> tuple[str, bytes]:
    answer = client.post(PAGE, {**WANTED, **fields})
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Type"] == "application/zip"

    async def read() -> bytes:
        return b"".join([chunk async for chunk in answer.streaming_content])  # type: ignore[attr-defined]

    return answer.headers["Content-Disposition"], async_to_sync(read)()


@pytest.mark.usefixtures("agent_process")
def test_the_page_says_what_it_is_and_gives_both_forms(tmp_path: Path) -> None:
    alice = new_account("alice")
    received(alice, peer("bob").did, "hello")
    client = browser_of(alice)
    html = client.get(PAGE).content.decode()
    assert "Nothing protects this file" in html
    assert PAGE in client.get(reverse("leaving")).content.decode()
    for fields in ({"understood": ""}, {"format": "pdf"}):
        answer = client.post(PAGE, {**WANTED, **fields})
        assert answer.status_code == 422
        assert "hello" not in answer.content.decode()
    today = f"{timezone.now():%Y-%m-%d}"
    name, archive = _downloaded(client)
    assert name == f'attachment; filename="alice.test-{today}-mbox.zip"'
    ((mail,),) = mails(archive, tmp_path).values()
    assert text_of(mail) == "hello\n"
    _, archive = _downloaded(client, format="json")
    assert conversations(archive)[0]["messages"][0]["text"] == "hello"
    assert Client().post(PAGE, WANTED).headers["Location"].startswith("/sign-in/")


@pytest.mark.usefixtures("agent_process")
def test_it_is_in_the_language_of_the_page(tmp_path: Path) -> None:
    alice = new_account("alice")
    message = received(alice, peer("bob").did, "hello", trust=Message.Trust.UNCHECKED, trust_code="no-answer")
    client = browser_of(alice)
    client.cookies[configured.LANGUAGE_COOKIE_NAME] = "de"
    _, archive = _downloaded(client)
    assert "Klartext" in opened(archive).read("README.txt").decode()
    ((mail,),) = mails(archive, tmp_path).values()
    assert mail["Waxwing-State"] == "not-checked"
    assert text_of(mail).startswith("[")
    assert "hello" not in text_of(mail)
    assert message


@pytest.mark.usefixtures("agent_process")
def test_the_page_of_a_locked_account_leads_to_unlocking_and_then_gives_it(as_pages: AgentClient) -> None:
    alice = new_account("alice")
    received(alice, peer("bob").did, "behind the lock")
    lock_account(alice, as_pages)
    client = browser_of(alice)
    html = client.get(PAGE).content.decode()
    assert f"/unlock/?next={PAGE}" in html
    assert "Download as plain text" not in html
    refused = client.post(PAGE, WANTED)
    assert refused.status_code == 503
    assert "Your keys are locked" in refused.content.decode()
    unlock_in(client)
    _, archive = _downloaded(client, format="json")
    assert conversations(archive)[0]["messages"][0]["text"] == "behind the lock"


@pytest.mark.usefixtures("agent_process")
def test_an_account_that_requires_its_passkey_is_asked_for_it() -> None:
    alice = new_account("alice")
    client = browser_of(alice)
    assert 'data-purpose="export"' not in client.get(PAGE).content.decode()
    Account.objects.filter(pk=alice.pk).update(passkey_required=True)
    session = client.session
    session[PASSKEY_KEY] = session[OAUTH_SESSION_KEY]
    session.save()
    assert 'data-purpose="export"' in client.get(PAGE).content.decode()
