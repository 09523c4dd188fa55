"""The real servers of the mail tests, and the two kinds of mailbox."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Account
from tests.services.dovecot import DovecotServer, dovecot_server
from tests.services.ingress import IngressProcess, ingress_process
from tests.services.programs import need
from webmail.models import Conversation, Delivery, Message

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


@pytest.fixture
def account(transactional_db: None, did: str) -> Account:
    """Somebody who receives here, in a database that other processes see."""
    return Account.objects.create(did=did, handle="alice.test", pds_url="http://localhost")


@pytest.fixture
def shared_database(transactional_db: None) -> None:
    """A database that another process can open."""
    if connection.vendor == "sqlite":
        need("PostgreSQL")


@pytest.fixture(scope="module")
def lmtp_process(
    django_db_setup: None, dovecot: DovecotServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IngressProcess]:
    if connection.vendor == "sqlite":
        need("PostgreSQL")
    variables = {"WAXWING_MAILBOX_URL": dovecot.url, "WAXWING_MAIL_TOKEN_KEY_PATH": dovecot.token_key}
    with ingress_process(tmp_path_factory.mktemp("lmtp"), variables=variables) as ingress:
        yield ingress


@pytest.fixture
def lmtp(in_dovecot: None, shared_database: None, lmtp_process: IngressProcess) -> IngressProcess:
    """The LMTP ingress in front of Dovecot; a test may kill it."""
    lmtp_process.make_sure_it_runs()
    return lmtp_process


@pytest.fixture
def envelope() -> bytes:
    """A well-framed envelope with random content, that nobody can open."""
    return b"\x85\x01\x01\x01\x58\x20" + os.urandom(32) + b"\x59\x04\x10" + os.urandom(1040)


@pytest.fixture
def delivery(account: Account, new_did: Callable[[], str]) -> Delivery:
    """A delivery to somebody whom nobody knows, that was handed to the relay."""
    conversation = Conversation.objects.create(
        account=account, conversation_id="01" + os.urandom(32).hex(), participants=[account.did]
    )
    message = Message.objects.create(
        account=account,
        conversation=conversation,
        message_id=os.urandom(32).hex(),
        direction="out",
        sender_did=account.did,
        trust="verified",
        created_at=timezone.now(),
        placed_at=timezone.now(),
        sealed=b"",
    )
    return Delivery.objects.create(
        message=message, recipient_did=new_did(), state=Delivery.State.HANDED_OVER, next_attempt_at=None
    )
