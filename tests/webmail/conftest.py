"""People of this installation with real devices in a real agent and real records in a real PDS."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from accounts import enrolment
from accounts.agent import kept_client
from accounts.models import Account, Device, OAuthSession
from crypto_agent.client import AgentClient
from demo.local_network import NetworkInfo
from tests.accounts.conftest import begin, come_back
from tests.services import sign_in as consent
from tests.services.agent import AgentProcess
from tests.services.smtp_sink import SmtpSink
from tests.webmail.installation import browser_of, peer, received
from tests.webmail.other_client import OtherClient
from webmail import carriers, deliveries, ingress, intake, outgoing, sealing
from webmail.carriers import Deferred, Outcome
from webmail.models import Conversation, Delivery, DeliveryCopy, Message


@dataclass
class Enrolled:
    """The rows that a sign-in and an enrolment left, to be put into each test's empty database."""

    account: Account
    session: OAuthSession
    devices: list[Device]


class _Undo(Exception):
    pass


@pytest.fixture(scope="session")
def enrolled(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    local_network: NetworkInfo,
    agent_process: AgentProcess,
) -> dict[str, Enrolled]:
    """alice, bob and carol signed in and enrolled, once in a run."""
    found: dict[str, Enrolled] = {}
    kept_client.cache_clear()
    with django_db_blocker.unblock():
        cache.clear()
        try:
            with transaction.atomic():
                for name, local in local_network.accounts.items():
                    client = Client()
                    url = begin(client, local.person.handle)
                    come_back(client, consent.approve(url, local.person.handle, local.person.password))
                    account = Account.objects.get(did=local.did)
                    enrolment.enrol(account)
                    found[name] = Enrolled(account, account.oauth_sessions.get(), list(account.devices.all()))
                raise _Undo
        except _Undo:
            pass
    return found


@pytest.fixture
def people(
    db: None,
    enrolled: dict[str, Enrolled],
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, Account]]:
    """The three of them, with empty mailboxes."""
    settings.MAILBOX_URL = f"maildir://{tmp_path / 'mail'}"
    settings.AGENT_CALLER = "worker"
    kept_client.cache_clear()
    # Pages write as "web", which may not do what the worker does.
    as_web = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")
    monkeypatch.setattr(outgoing, "agent", lambda: as_web)
    cache.clear()
    for one in enrolled.values():
        one.account.save(force_insert=True)
        one.session.save(force_insert=True)
        for device in one.devices:
            device.save(force_insert=True)
    yield {name: Account.objects.get(pk=one.account.pk) for name, one in enrolled.items()}
    kept_client.cache_clear()


@pytest.fixture
def alice(people: dict[str, Account]) -> Account:
    return people["alice"]


@pytest.fixture
def bob(people: dict[str, Account]) -> Account:
    return people["bob"]


@pytest.fixture
def carol(people: dict[str, Account]) -> Account:
    return people["carol"]


@pytest.fixture
def at_alices(alice: Account) -> Client:
    """A browser in which the test's alice is signed in."""
    return browser_of(alice)


@pytest.fixture
def with_bob(alice: Account) -> Conversation:
    """Alice's conversation with a Bob of another installation, who wrote "Hello"."""
    return received(alice, peer("bob", display_name="Bob").did, "Hello").conversation


#: write(sender, [recipients], text) gives a stored message; seal(message) its envelopes by recipient.
Write = Callable[..., Message]


@pytest.fixture
def write() -> Write:
    """Sends as a page does, each time with a token of its own."""
    from uuid import uuid4

    def write(sender: Account, recipients: list[Account], text: str, **more: object) -> Message:
        dids = [recipient.did for recipient in recipients]
        return outgoing.send(sender, dids, text, str(uuid4()), **more)  # type: ignore[arg-type]

    return write


Publish = Callable[..., OtherClient]


@pytest.fixture
def publish() -> Iterator[Publish]:
    """`publish(bob)` adds a device to his repository, run by another program."""
    made: list[OtherClient] = []

    def publish(account: Account) -> OtherClient:
        device = OtherClient.of(account)
        device.publish()
        made.append(device)
        return device

    yield publish
    for device in made:
        device.withdraw()


def seal(message: Message) -> dict[str, list[bytes]]:
    """Seals a message; the envelopes that would travel, by the recipient's DID."""
    sealing.seal_message(message.pk)
    found: dict[str, list[bytes]] = {}
    for copy in DeliveryCopy.objects.filter(delivery__message=message).select_related("delivery"):
        found.setdefault(copy.delivery.recipient_did, []).append(bytes(copy.envelope or b""))
    return found


UNREACHABLE = Deferred("server-unreachable", "no connection")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """What others' servers answer, the last one for good; none can be reached at first."""
    outcomes: list[Outcome] = [UNREACHABLE]

    def carry(_way: object, envelopes: Sequence[bytes], **_more: object) -> list[Outcome]:
        answer = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        return [answer] * len(envelopes)

    monkeypatch.setattr(carriers, "carry", carry)
    monkeypatch.setattr(deliveries.own_door, "is_at", lambda *_way: False)
    return outcomes


def carry(message: Message, recipient: Account) -> None:
    """One try at carrying a sealed message to one of its recipients, however long it would be until that."""
    delivery = Delivery.objects.get(message=message, recipient_did=recipient.did)
    deliveries.deliver(delivery.pk, now=delivery.next_attempt_at or timezone.now())


def hand_over(recipient: Account, envelopes: list[bytes]) -> None:
    """What a carrier does at the recipient's door, and the pull after it."""
    for envelope in envelopes:
        ingress.accept(recipient.did, envelope, now=timezone.now())
    intake.pull(recipient)


@pytest.fixture
def phone(bob: Account) -> Iterator[OtherClient]:
    """A device of bob's, run by another program."""
    device = OtherClient.of(bob)
    device.publish()
    yield device
    device.withdraw()


@pytest.fixture
def sink(settings: Settings) -> Iterator[SmtpSink]:
    """The mail server through which all mail leaves."""
    with SmtpSink() as running:
        settings.SMTP_RELAY_URL = running.url
        yield running
