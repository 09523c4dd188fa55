"""The real servers of the mail tests, and the two kinds of mailbox."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from tests.services.dovecot import DovecotServer, dovecot_server

BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


@pytest.fixture(scope="session")
def dovecot() -> Iterator[DovecotServer]:
    with dovecot_server() as server:
        yield server


@pytest.fixture
def in_maildir(settings: Settings, tmp_path: Path) -> None:
    settings.MAILBOX_URL = f"maildir://{tmp_path / 'mail'}"


@pytest.fixture
def in_dovecot(settings: Settings, dovecot: DovecotServer) -> None:
    settings.MAILBOX_URL = dovecot.url
    settings.MAIL_TOKEN_KEY_FILE = dovecot.token_key


@pytest.fixture(params=["maildir", "dovecot"])
def mailboxes(request: pytest.FixtureRequest) -> str:
    """Both adapters, one after the other: open_mailbox opens the one whose name this is."""
    request.getfixturevalue(f"in_{request.param}")
    return str(request.param)


@pytest.fixture
def new_did() -> Callable[[], str]:
    """Makes a DID that no other test has used."""
    return lambda: "did:plc:" + "".join(random.SystemRandom().choices(BASE32, k=24))


@pytest.fixture
def did(new_did: Callable[[], str]) -> str:
    return new_did()
