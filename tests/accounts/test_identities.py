"""Handles and DIDs, resolved both ways against the real directory and PDS, and by DNS."""

import json
from http.server import BaseHTTPRequestHandler

import dns.exception
import dns.resolver
import httpx
import pytest
from pytest_django import Settings

import outbound
from accounts import did_documents, identities, lookups
from accounts.did_documents import DocumentError
from accounts.identities import IdentityError, resolve
from accounts.lookups import HostResting
from demo.local_network import NetworkInfo
from tests.accounts.http_server import Server, reply

pytestmark = pytest.mark.usefixtures("redis_server")


def code_of(identifier: str, **options: bool) -> str:
    with pytest.raises(IdentityError) as raised:
        resolve(identifier, **options)
    assert str(raised.value)
    return raised.value.code


def test_a_handle_and_its_did_lead_to_each_other(local_network: NetworkInfo) -> None:
    did = local_network.accounts["alice"].did
    for identifier in ("alice.test", "@Alice.test", did):
        identity = resolve(identifier)
        assert (identity.did, identity.handle) == (did, "alice.test")
        assert identity.pds_url == local_network.pds_url
        assert identity.document["id"] == did


def test_what_leads_nowhere(local_network: NetworkInfo, settings: Settings) -> None:
    assert code_of("nobody.test") == "handle-not-found"
    assert code_of("nobody") == "not-a-handle"
    assert code_of("did:plc:" + "a" * 24) == "did-not-found"
    settings.HANDLE_RESOLVER_URL = "http://localhost:9"
    assert code_of("nobody2.test") == "network"
    settings.PLC_URL = "http://localhost:9"
    assert code_of("did:plc:" + "b" * 24) == "network"


def test_answers_are_used_again_until_asked_freshly(local_network: NetworkInfo, settings: Settings) -> None:
    did = local_network.accounts["bob"].did
    assert resolve(did).handle == "bob.test"
    settings.PLC_URL = "http://localhost:9"
    settings.HANDLE_RESOLVER_URL = "http://localhost:9"
    assert resolve("bob.test").did == did
    assert code_of("bob.test", fresh=True) == "network"


def serve(server: Server, documents: dict[str, object]) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        found = documents.get(path)
        reply(handler, 404 if found is None else 200, json.dumps(found).encode())

    server.answer = answer


@pytest.fixture
def directory(server: Server, settings: Settings) -> Server:
    """A directory and handle resolver that claim what a real one would not."""
    settings.PLC_URL = settings.HANDLE_RESOLVER_URL = server.url
    return server


DID = "did:plc:" + "c" * 24
PDS_SERVICE = {
    "id": "#atproto_pds",
    "type": "AtprotoPersonalDataServer",
    "serviceEndpoint": "http://localhost:2583",
}


def document(**changes: object) -> dict[str, object]:
    return {"id": DID, "alsoKnownAs": ["at://carol.test"], "service": [PDS_SERVICE], **changes}


def test_a_handle_that_its_did_does_not_claim_is_refused(directory: Server) -> None:
    names = {"/xrpc/com.atproto.identity.resolveHandle": {"did": DID}}
    serve(directory, {**names, f"/{DID}": document()})
    assert code_of("mallory.test") == "handle-mismatch"
    assert resolve("carol.test").did == DID


def test_a_handle_that_a_did_claims_in_vain_is_shown_as_invalid(directory: Server) -> None:
    elsewhere = {"/xrpc/com.atproto.identity.resolveHandle": {"did": "did:plc:" + "d" * 24}}
    serve(directory, {**elsewhere, f"/{DID}": document()})
    assert resolve(DID).handle == "handle.invalid"
    serve(directory, {f"/{DID}": document(alsoKnownAs=[])})
    assert resolve(DID, fresh=True).handle == "handle.invalid"


def test_a_handle_that_nobody_was_asked_for_is_not_in_vain(directory: Server) -> None:
    serve(directory, {f"/{DID}": document()})
    identities.document_of(DID)
    with lookups.within(0):
        identity = resolve(DID)
    assert (identity.handle, identity.unasked_handle) == ("handle.invalid", "carol.test")
    assert identity.handle_after("carol.test") == "carol.test"
    # What the document claims no longer is no name to go on with, nor is one that was never seen to hold.
    for known in ("robert.test", "handle.invalid", ""):
        assert identity.handle_after(known) == "handle.invalid"
    identity = resolve(DID)
    assert (identity.unasked_handle, identity.handle_after("carol.test")) == ("", "handle.invalid")


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (document(id="did:plc:" + "e" * 24), "did-not-found"),
        ([], "did-not-found"),
        ({"id": DID, "service": "x"}, "did-not-found"),
        ("deep" * 100_000, "network"),
        (document(service=[]), "no-pds"),
        (document(service=[{**PDS_SERVICE, "serviceEndpoint": "https://user@pds.test"}]), "no-pds"),
        (document(service=[{**PDS_SERVICE, "serviceEndpoint": "ftp://pds.test"}]), "no-pds"),
        (document(service=[{**PDS_SERVICE, "serviceEndpoint": {"uri": "x"}}]), "no-pds"),
        (document(service=[{**PDS_SERVICE, "serviceEndpoint": "https://1.2.3.999"}]), "no-pds"),
        (document(service=[PDS_SERVICE] * 51), "did-not-found"),
    ],
)
def test_broken_documents(directory: Server, found: object, code: str) -> None:
    serve(directory, {f"/{DID}": found})
    assert code_of(DID) == code


def test_a_tombstone_is_nobody(directory: Server) -> None:
    directory.answer = lambda handler: reply(handler, 410, b"{}")
    assert code_of(DID) == "did-not-found"


def test_did_web_on_a_loopback_network(server: Server) -> None:
    did = f"did:web:localhost%3A{server.port}"
    serve(server, {"/.well-known/did.json": document(id=did, alsoKnownAs=[])})
    assert resolve(did).did == did


@pytest.mark.parametrize(
    "did",
    ["did:web:localhost%3A8700", "did:web:127.0.0.1", "did:web:example.org%3A8443", "did:web:1.2.3.999"],
)
def test_did_web_on_the_live_network_is_no_way_in(settings: Settings, did: str) -> None:
    settings.NETWORK = "live"
    assert code_of(did) == "did-not-found"


class Answer(list[object]):
    """What dnspython returns for TXT records."""


class Text:
    def __init__(self, text: str) -> None:
        self.strings = [text.encode()]


@pytest.fixture
def by_name(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Handles by DNS and https, as on the live network; no name server that tests may ask knows them."""
    settings.HANDLE_RESOLVER_URL = ""
    texts: dict[str, object] = {}

    def resolve_txt(name: str, kind: str, **_: object) -> Answer:
        assert kind == "TXT"
        found = texts.get(name, dns.resolver.NXDOMAIN())
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, list)
        return Answer(Text(text) for text in found)

    monkeypatch.setattr(dns.resolver, "resolve", resolve_txt)
    return texts


def test_a_handle_by_dns(by_name: dict[str, object]) -> None:
    by_name["_atproto.dns-alice.test"] = ["v=spf1 -all", f"did={DID}"]
    assert identities.did_of_handle("dns-alice.test") == DID


def test_two_answers_in_dns_are_none(by_name: dict[str, object]) -> None:
    by_name["_atproto.dns-bob.test"] = [f"did={DID}", "did=did:plc:" + "d" * 24]
    with pytest.raises(IdentityError) as raised:
        identities.did_of_handle("dns-bob.test")
    assert raised.value.code == "handle-not-found"


def test_a_handle_by_its_own_web_server(by_name: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get(url: str, **_: object) -> httpx.Response:
        asked.append(url)
        return httpx.Response(200, text=f"{DID}\n")

    monkeypatch.setattr(outbound.shared_client(), "get", get)
    assert identities.did_of_handle("web-alice.test") == DID
    assert asked == ["https://web-alice.test/.well-known/atproto-did"]


def test_a_web_page_is_no_did(by_name: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    page = httpx.Response(200, text="<!doctype html>")
    monkeypatch.setattr(outbound.shared_client(), "get", lambda *_, **__: page)
    with pytest.raises(IdentityError) as raised:
        identities.did_of_handle("web-bob.test")
    assert raised.value.code == "handle-not-found"


@pytest.mark.parametrize(
    ("found", "dns_answers", "code"),
    [
        (httpx.ReadTimeout("slow"), True, "network"),
        (HostResting("asked by somebody else"), True, "network"),
        (httpx.ConnectError("nobody there"), True, "handle-not-found"),
        (httpx.Response(404), True, "handle-not-found"),
        # Where DNS alone knows a handle, what its web server says is no answer.
        (httpx.Response(404), False, "network"),
        (httpx.Response(200, text="<!doctype html>"), False, "network"),
    ],
)
def test_what_is_an_answer_about_a_handle(
    by_name: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    found: httpx.Response | Exception,
    dns_answers: bool,
    code: str,
) -> None:
    def get(*_: object, **__: object) -> httpx.Response:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(outbound.shared_client(), "get", get)
    if not dns_answers:
        by_name["_atproto.carol.test"] = dns.exception.Timeout()
    with pytest.raises(IdentityError) as raised:
        identities.did_of_handle("carol.test")
    assert raised.value.code == code


def test_no_name_server_is_no_verdict(by_name: dict[str, object]) -> None:
    by_name["_atproto.nobody.invalid-host.test"] = dns.exception.Timeout()
    with pytest.raises(IdentityError) as raised:
        identities.did_of_handle("nobody.invalid-host.test")
    assert raised.value.code == "network"


@pytest.mark.parametrize(
    ("type_", "key"),
    [
        ("Multikey", "zQ3shQo6TF2moaqMTrUZEM1jeuYRQXeHEx4evX9751y2qPqRA"),
        (
            "EcdsaSecp256k1VerificationKey2019",
            "zQYEBzXeuTM9UR3rfvNag6L3RNAs5pQZyYPsomTsgQhsxLdEgCrPTLgFna8yqCnxPpNT7DBk6Ym3dgPKNu86vt9GR",
        ),
    ],
)
def test_both_dialects_of_a_signing_key(type_: str, key: str) -> None:
    method = {"id": f"{DID}#atproto", "type": type_, "controller": DID, "publicKeyMultibase": key}
    found = did_documents.signing_key(document(verificationMethod=[method]))
    assert found is not None
    assert found.startswith("did:key:zQ3s")


def test_the_real_directorys_signing_key(local_network: NetworkInfo) -> None:
    found = did_documents.signing_key(resolve("alice.test").document)
    assert found is not None
    assert found.startswith("did:key:z")


def test_a_broken_signing_key_is_a_typed_error() -> None:
    for type_ in ("EcdsaSecp256k1VerificationKey2019", "EcdsaSecp256r1VerificationKey2019"):
        method = {"id": "#atproto", "type": type_, "controller": DID, "publicKeyMultibase": "z0OIl"}
        with pytest.raises(DocumentError):
            did_documents.signing_key(document(verificationMethod=[method]))
    assert did_documents.signing_key(document()) is None


def test_service_endpoints_of_any_scheme_are_read_as_written() -> None:
    service = {
        "id": f"{DID}#atsms_smtp",
        "type": "AtsmsSmtpService",
        "serviceEndpoint": "smtp://mx.example.org:2525",
    }
    found = document(service=[PDS_SERVICE, service])
    assert (
        did_documents.service_endpoint(found, "#atsms_smtp", "AtsmsSmtpService")
        == "smtp://mx.example.org:2525"
    )
    assert did_documents.service_endpoint(found, "#atsms_smtp", "Other") is None
    long = document(service=[{**service, "serviceEndpoint": "smtp://" + "x" * 600}])
    assert did_documents.service_endpoint(long, "#atsms_smtp", "AtsmsSmtpService") is None
