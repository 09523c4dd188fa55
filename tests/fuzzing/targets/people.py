"""What people publish, and what the servers say that they name: any answer may come from anybody."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import httpx
from django.db import transaction

import outbound
from accounts import (
    authorization_servers,
    certificate_fields,
    did_documents,
    dpop,
    handles,
    identities,
    oauth,
    peers,
    plc_log,
    profiles,
    records,
    repositories,
    routes,
    token_encryption,
)
from accounts.authorization_servers import AuthorizationServer, ServerError
from accounts.identities import IdentityError
from accounts.models import Account, Peer, PeerCertificate
from accounts.pds import PdsClient, PdsError
from accounts.peers import PeerError
from accounts.repositories import RepositoryError
from crypto_agent.atsms.errors import AtsmsError
from tests.crypto_agent.atsms.reference import ALICE, DEVICES
from tests.fuzzing.target import json_bytes, json_of, target
from tests.services import plc_operations
from webmail import identity_facts
from webmail.carriers import smtp
from webmail.carriers.mail_servers import MailServersError

NOW = datetime(2026, 11, 20, tzinfo=UTC)
DID = ALICE.certificate.did
PDS = "https://pds.test"
DOCUMENT = {
    "@context": ["https://www.w3.org/ns/did/v1"],
    "id": DID,
    "alsoKnownAs": ["at://alice.example.com"],
    "verificationMethod": [
        {"id": f"{DID}#atproto", "type": "Multikey", "controller": DID, "publicKeyMultibase": "zDnaerDaTF5B"}
    ],
    "service": [
        {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": PDS},
        {"id": "#atsms_smtp", "type": "AtsmsSmtpService", "serviceEndpoint": "smtp://mx.test:25"},
    ],
}
SERVER = AuthorizationServer(PDS, f"{PDS}/par", f"{PDS}/authorize", f"{PDS}/token", None)


@contextmanager
def _everybody_answers(answers: dict[str, bytes], other: bytes = b"{}") -> Iterator[None]:
    """Every server answers with the bytes for the last part of the path that is asked for."""

    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        collection = request.url.params.get("collection", "")
        return httpx.Response(200, content=answers.get(f"{name}:{collection}", answers.get(name, other)))

    client = outbound._Client(transport=httpx.MockTransport(answer))
    with ExitStack() as stack:
        stack.enter_context(patch.object(outbound, "shared_client", lambda: client))
        stack.enter_context(patch("dns.resolver.resolve", side_effect=identities.dns.resolver.NoAnswer))
        stack.enter_context(transaction.atomic())
        yield
        transaction.set_rollback(True)


def _storable(value: object) -> bool:
    """Whether PostgreSQL's text takes it."""
    stored = json.dumps(value, ensure_ascii=False)
    return "\\u0000" not in json.dumps(value) and stored.encode() != b""


@target(
    lambda: (b"alice.example.com", b"@Alice.Example.com.", b"at://did:plc:x", "bücher.example".encode()),
    words=(b"xn--", b"did:plc:", b"did:web:", b"%3A", b"\xe3\x80\x82", b"\xc2\xad", b"at://", b".test"),
)
def handle_target(data: bytes) -> None:
    typed = data.decode("utf-8", "replace")
    cleaned = handles.cleaned(typed)
    assert not handles.is_handle(cleaned) or handles.cleaned(cleaned) == cleaned
    assert not (handles.is_handle(cleaned) and handles.is_did(cleaned))
    try:
        with _everybody_answers({}, b"{}"):
            identities.resolve(typed)
    except IdentityError:
        return


@target(
    lambda: (json_bytes(DOCUMENT),), words=(b'"#atproto_pds"', b"at://", b'"serviceEndpoint":'), is_json=True
)
def did_document_target(data: bytes) -> None:
    """As the document of a DID, from whichever server it comes."""
    try:
        with _everybody_answers({}, data):
            identity = identities.resolve(DID, fresh=True)
    except IdentityError:
        pass
    else:
        assert outbound.web_origin(identity.pds_url) == identity.pds_url
    document = json_of(data)
    if isinstance(document, dict):
        with suppress(did_documents.DocumentError):
            assert _storable(did_documents.service_endpoint(document, "#atsms_smtp", "AtsmsSmtpService"))
            assert _storable(did_documents.claimed_handles(document))
        with suppress(did_documents.DocumentError):
            did_documents.signing_key_as_written(document)
            did_documents.signing_key(document)


def _log_seeds() -> Iterator[bytes]:
    genesis = plc_operations.operation(None)
    second = plc_operations.operation(plc_operations.cid_of(genesis))
    yield json_bytes(plc_operations.log_of(genesis, second))
    yield json_bytes(plc_operations.log_of(genesis, second, nullified=(1,)))


@target(_log_seeds, words=(b'"prev":null', b'"type":"create"', b'"plc_tombstone"', b'"sig":"'), is_json=True)
def plc_log_target(data: bytes) -> None:
    """As the directory's log, once as it is, and once with the CIDs that its content has."""
    try:
        with _everybody_answers({"audit": data}):
            raw = identities.plc_log_of(DID)
    except IdentityError:
        return
    did = raw[0].get("did") if isinstance(raw, list) and raw and isinstance(raw[0], dict) else DID
    for log in (raw, _with_cids(raw)):
        try:
            operations = plc_log.read(log, str(did))
        except plc_log.PlcLogError:
            continue
        for operation in operations:
            assert _storable([operation.handle, operation.pds_url, *operation.rotation_keys])


def _with_cids(log: object) -> object:
    if not isinstance(log, list):
        return log
    fixed = []
    for entry in log:
        body = entry.get("operation") if isinstance(entry, dict) else None
        with suppress(AtsmsError):
            entry = {**entry, "cid": plc_operations.cid_of(body)} if isinstance(body, dict) else entry
        fixed.append(entry)
    return fixed


def _repository_seeds() -> Iterator[bytes]:
    certificates, prekeys = [], []
    for device in DEVICES.values():
        if device.certificate.did != DID:
            continue
        record = records.certificate_record(
            DID, device.certificate.pem, created_at=NOW, now=device.certificate.not_before
        )
        uri = f"at://{DID}/at.atsms.x509/{device.certificate.fingerprint}"
        certificates.append({"uri": uri, "cid": "bafy", "value": record})
        if device.prekey:
            prekeys.append({"uri": uri, "cid": "bafy", "value": device.prekey.record()})
    inbox = records.inbox_record(records.own_endpoints(DID, "https://mail.test", "mail.test"))
    yield json_bytes({"x509": {"records": certificates}, "prekey": {"records": prekeys}, "inbox": inbox})
    revoked = [
        {**entry, "value": {**entry["value"], "revokedAt": "2026-01-01T00:00:00Z"}} for entry in certificates
    ]
    yield json_bytes({"x509": {"records": revoked, "cursor": "1"}, "prekey": {"records": []}, "inbox": {}})


@target(
    _repository_seeds, words=(b'"uri":"', b'"revokedAt":"', b'"cursor":"', b"mailto:", b"%23"), is_json=True
)
def repository_target(data: bytes) -> None:
    """What a PDS lists of a person's devices and addresses, as it is read and kept."""
    listed = json_of(data)
    if not isinstance(listed, dict):
        return
    document = json_bytes(DOCUMENT)
    entry = {"uri": f"at://{DID}/at.atsms.inbox/self", "cid": "bafy", "value": listed.get("inbox")}
    answers = {
        DID: document,
        "com.atproto.repo.listRecords:at.atsms.x509": json_bytes(listed.get("x509")),
        "com.atproto.repo.listRecords:at.atsms.prekey": json_bytes(listed.get("prekey")),
        "com.atproto.repo.getRecord:at.atsms.inbox": json_bytes(entry),
    }
    with _everybody_answers(answers, document):
        try:
            peer = peers.refresh(DID)
        except PeerError:
            return
        assert all(_storable(value) for value in (peer.handle, peer.inbox_endpoints, peer.problems))
        for row in PeerCertificate.objects.filter(peer=peer):
            assert _storable(row.certificate_pem)
        peers.devices_of(DID)
        routes.routes_for(DID)


def _profile_seeds() -> Iterator[bytes]:
    yield json_bytes({"displayName": "Alice \u202eecilA", "avatar": {"ref": {"$link": "b" + "a" * 58}}})
    yield json_bytes({"displayName": "", "avatar": None})


@target(_profile_seeds, words=(b"\\u200f", b"\\ud83d", b"\xe3\x85\xa4", b'"$link":"'), is_json=True)
def profile_target(data: bytes) -> None:
    value = json_of(data)
    entry = json_bytes({"uri": "at://x/y/self", "cid": "bafy", "value": value})
    with _everybody_answers({DID: json_bytes(DOCUMENT), "com.atproto.repo.getRecord": entry}, data):
        peer = profiles.refresh(identities.resolve(DID))
    assert _storable([peer.display_name, peer.avatar])
    assert "\n" not in peer.display_name
    assert profiles.clean_name(peer.display_name) == peer.display_name


@target(
    lambda: (b"https://pds.example.com", b"https://[2001:db8::1]:3000"),
    words=(b"https://", b"[::]", b"@", b":"),
)
def identity_facts_target(data: bytes) -> None:
    """A server's name from a DID document."""
    identity_facts.host_of(data.decode("utf-8", "replace"))


def _route_seeds() -> Iterator[bytes]:
    for endpoint in (*records.own_endpoints(DID, "https://mail.test", "mail.test"), "smtp://mx.test:25/"):
        yield endpoint.encode()
    yield b"smtp://[2001:db8::1]:25"


@target(_route_seeds, words=(b"smtp://", b"mailto:", b"https://", b"%23", b"%00", b"@", b"[::]", b":65536"))
def route_target(data: bytes) -> None:
    """An address that somebody publishes, as far as it is before a connection is opened."""
    uri = data.decode("utf-8", "replace")
    published = records.read_inbox_endpoints({"endpoints": [{"uri": uri}]})
    peer = Peer(did=DID, handle="alice.example.com", smtp_endpoint=uri, inbox_endpoints=published)
    for route in (*routes._from_document(peer), *routes._from_inbox(peer)):
        if route.kind == "https":
            assert outbound.is_web_address(route.target)
            continue
        assert route.address is not None
        try:
            address = smtp.checked_address(route.address)
            with patch("webmail.carriers.smtp.mail_servers", lambda domain: [domain]):
                servers = smtp.servers_of(route.target, address)
        except (smtp.SmtpAddressError, MailServersError):
            continue
        assert not any(character in address + servers[0].host for character in "\r\n\0 <>")
    outbound.web_origin(uri)
    try:
        outbound.shared_client().build_request("GET", uri)
    except httpx.InvalidURL:
        return


@target(lambda: (device.certificate.pem.encode() for device in DEVICES.values()), words=(b"-----BEGIN",))
def certificate_fields_target(data: bytes) -> None:
    fields = certificate_fields.read(data.decode("utf-8", "replace"))
    assert fields is None or len(fields.certificate_sha256) == 64


def _server_seeds() -> Iterator[bytes]:
    server = {
        "issuer": PDS,
        "resource": PDS,
        "authorization_servers": [PDS],
        "scopes_supported": ["atproto"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
        "pushed_authorization_request_endpoint": f"{PDS}/par",
        "authorization_endpoint": f"{PDS}/authorize",
        "token_endpoint": f"{PDS}/token",
    }
    yield json_bytes(server)
    tokens = {"access_token": "a", "refresh_token": "r", "token_type": "DPoP", "expires_in": 3600, "sub": DID}
    yield json_bytes({**server, **tokens, "scope": "atproto", "error": "use_dpop_nonce"})


@target(_server_seeds, words=(b'"expires_in":', b'"error":"', b'"scope":"', b'"issuer":"'), is_json=True)
def authorization_server_target(data: bytes) -> None:
    """What the server says where people sign in: of itself, with tokens, and when a record is written."""
    with _everybody_answers({}, data):
        for find in (authorization_servers.server_of, authorization_servers.server_named):
            try:
                found = find(PDS)
            except ServerError:
                continue
            assert outbound.is_web_address(found.token_endpoint)
    for status in (200, 400, 500):
        answer = httpx.Response(status, content=data, request=httpx.Request("POST", PDS))
        dpop._wants_nonce(answer)
        assert oauth._error_code(answer).isprintable()
        with suppress(PdsError):
            PdsClient(Account(did=DID, pds_url=PDS))._answer(answer)
        try:
            tokens = oauth._read_tokens(SERVER, answer)
        except oauth.SignInError:
            continue
        assert NOW + timedelta(seconds=tokens.expires_in)
        assert _storable(tokens.scope)
        token_encryption.seal(tokens.access_token + tokens.refresh_token)
    try:
        repositories._record(PDS, json_of(data))
    except RepositoryError:
        return
