"""Where a message can be handed over, in the order of protocol §8."""

import re

import dns.exception
import dns.resolver
import httpx
import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts import routes
from accounts.models import Peer
from accounts.records import INBOX
from accounts.routes import Route, routes_for
from demo.local_network import LocalAccount, NetworkInfo, person
from tests.accounts.repository import Repository
from tests.services.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db

DID = "did:plc:" + "a" * 24


def peer(**fields: object) -> Peer:
    return Peer.objects.create(did=DID, handle="alice.test", checked_at=timezone.now(), **fields)


@pytest.fixture
def mail_domains(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str] | Exception]:
    """MX records by domain; no name server that tests may ask knows any."""
    known: dict[str, list[str] | Exception] = {}

    class Exchange:
        def __init__(self, name: str) -> None:
            self.exchange = dns.name.from_text(name)

    def resolve(domain: str, kind: str, **_: object) -> list[Exchange]:
        assert kind == "MX"
        found = known.get(domain, dns.resolver.NXDOMAIN())
        if isinstance(found, Exception):
            raise found
        return [Exchange(name) for name in found]

    monkeypatch.setattr(dns.resolver, "resolve", resolve)
    return known


def test_the_did_document_comes_first_then_the_inbox_record_in_its_order(
    mail_domains: dict[str, list[str] | Exception],
) -> None:
    mail_domains["alice.test"] = ["mx.alice.test."]
    peer(
        smtp_endpoint="smtp://mx.example.org:2525",
        inbox_endpoints=["xmpp:alice@example.org", "mailto:did!plc!x@b.example", "https://c.example/inbox/x"],
    )
    found = routes_for(DID)
    assert [(route.kind, route.target, route.source, route.address) for route in found] == [
        ("smtp", "smtp://mx.example.org:2525", "did-document", f"did!plc!{'a' * 24}@mx.example.org"),
        ("smtp", "b.example", "inbox-record", "did!plc!x@b.example"),
        ("https", "https://c.example/inbox/x", "inbox-record", None),
    ]
    assert all("alice.test" in route.reason for route in found)


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("smtp://mx.example.org", "smtp://mx.example.org"),
        ("smtp://mx.example.org/", "smtp://mx.example.org"),
        ("smtp://[2001:db8::1]:25", "smtp://[2001:db8::1]:25"),
        ("smtp://user@mx.example.org", None),
        ("smtp://mx.example.org/path", None),
        ("smtp://mx.example.org?x", None),
        ("smtp://mx.example.org:port", None),
        ("smtp://[broken", None),
        ("smtp://", None),
        ("https://mx.example.org", None),
        ("mx.example.org", None),
        ("", None),
    ],
)
def test_smtp_endpoints_of_the_did_document(
    mail_domains: dict[str, list[str] | Exception], endpoint: str, target: str | None
) -> None:
    peer(smtp_endpoint=endpoint)
    assert [route.target for route in routes_for(DID)] == ([target] if target else [])


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mailto:did!web!bob#example@mail.test", "did!web!bob#example@mail.test"),
        ("mailto:did!web!bob%23example@mail.test", "did!web!bob#example@mail.test"),
        ("MAILTO:bob@mail.test", "bob@mail.test"),
        ("mailto:bob@mail.test?subject=x", "bob@mail.test"),
        ("mailto:bob", None),
        ("mailto:@mail.test", None),
        ("mailto:bob@", None),
        ("mailto:bob@mail.test,eve@mail.test", None),
        ("mailto:bob%0d%0aRCPT TO:<eve@mail.test>@mail.test", None),
        ("mailto:bob@m%C3%A4il.test", None),
    ],
)
def test_mail_endpoints_are_read_by_hand(
    mail_domains: dict[str, list[str] | Exception], uri: str, address: str | None
) -> None:
    peer(inbox_endpoints=[uri])
    assert [route.address for route in routes_for(DID)] == ([address] if address else [])


def test_plain_http_and_inner_hosts_are_ways_on_a_loopback_network_only(
    mail_domains: dict[str, list[str] | Exception], settings: Settings
) -> None:
    peer(inbox_endpoints=["http://127.0.0.1:8000/inbox/x", "http://elsewhere.example/inbox/x"])
    assert [route.target for route in routes_for(DID)] == ["http://127.0.0.1:8000/inbox/x"]
    settings.NETWORK = "live"
    assert routes_for(DID) == []


def test_the_mail_domain_of_the_handle_is_the_last_way(
    mail_domains: dict[str, list[str] | Exception],
) -> None:
    known = peer()
    assert routes_for(DID) == []
    mail_domains["alice.test"] = ["."]
    assert routes_for(DID) == []
    mail_domains["alice.test"] = dns.exception.Timeout()
    assert routes_for(DID) == []
    mail_domains["alice.test"] = ["mx.alice.test."]
    (found,) = routes_for(DID)
    assert found == Route("smtp", "alice.test", "mx", found.reason, f"plc.{'a' * 24}@alice.test")
    known.handle = "handle.invalid"
    known.save()
    mail_domains["handle.invalid"] = ["mx.alice.test."]
    assert routes_for(DID) == []


def test_only_so_many_ways_are_tried(mail_domains: dict[str, list[str] | Exception]) -> None:
    peer(inbox_endpoints=[f"https://{number}.example/inbox" for number in range(20)])
    assert len(routes_for(DID)) == routes.MAX_ROUTES


def test_a_real_did_document_and_a_real_inbox_record(local_network: NetworkInfo, smtp_sink: SmtpSink) -> None:
    """An account of its own, whose DID document gets the service by a PLC operation through the PDS."""
    dave = person("dave")
    made = httpx.post(
        f"{local_network.pds_url}/xrpc/com.atproto.server.createAccount",
        json={"handle": dave.handle, "email": dave.email, "password": dave.password},
    )
    repository = Repository(local_network, LocalAccount(dave, made.raise_for_status().json()["did"]))
    repository.put(
        INBOX, "self", {"$type": INBOX, "endpoints": [{"uri": "http://127.0.0.1:8000/inbox/dave"}]}
    )
    add_smtp_service(repository, smtp_sink, dave.email, "smtp://127.0.0.1:2525")
    found = routes_for(repository.did)
    assert [(route.kind, route.target, route.source) for route in found] == [
        ("smtp", "smtp://127.0.0.1:2525", "did-document"),
        ("https", "http://127.0.0.1:8000/inbox/dave", "inbox-record"),
    ]
    assert found[0].address == f"{repository.did.replace(':', '!')}@127.0.0.1"


def add_smtp_service(repository: Repository, sink: SmtpSink, email: str, endpoint: str) -> None:
    repository.call("com.atproto.identity.requestPlcOperationSignature", None)
    mail = next(mail for mail in reversed(sink.mails) if email in mail.recipients)
    body = mail.message.get_body(("plain", "html"))
    assert body is not None
    token = re.search(r"\b[A-Z2-7]{5}-[A-Z2-7]{5}\b", body.get_content())
    assert token is not None
    data = httpx.get(f"{repository.network.plc_url}/{repository.did}/data").raise_for_status().json()
    services = {**data["services"], "atsms_smtp": {"type": "AtsmsSmtpService", "endpoint": endpoint}}
    signed = repository.call(
        "com.atproto.identity.signPlcOperation", {"token": token.group(), "services": services}
    )
    repository.call("com.atproto.identity.submitPlcOperation", {"operation": signed["operation"]})
