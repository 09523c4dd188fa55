"""What lies in an export in plain words, in the language of whoever asked for it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as configured
from django.urls import reverse
from pytest_django import Settings

from accounts.models import Account
from tests.webmail.installation import browser_of
from tests.webmail.sent_files import pages_ask_as_web
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
