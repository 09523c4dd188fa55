"""Malformed calls: every one gets InvalidRequest with the place of the fault, none a traceback."""

import json
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from crypto_agent.app_methods import APP_METHODS
from crypto_agent.client import NAMESPACE, AgentClient
from crypto_agent.framed_json import STREAM, head
from crypto_agent.tokens import PERMITTED
from tests.crypto_agent.calls import DONE_FOR_NOTHING, NOBODY
from tests.crypto_agent.people import ALICE, BOB
from tests.crypto_agent.running_agent import LEXICONS, Agent

Json = dict[str, Any]

HEX32, HEX33 = "ab" * 32, "01" * 33
BYTES = {"$bytes": "AQID"}
CONTENT = {"conversationId": HEX33, "messageId": HEX32, "sealed": BYTES}
TARGET = {"did": BOB, "fingerprint": HEX32, "certificatePem": "-----BEGIN"}
ATTACHMENT = {"fileId": "1", "sealed": BYTES, "url": "https://a.test/x", "expiresAt": "2026-11-20T12:00:00Z"}
TIME = "2026-11-20T12:00:00Z"
GRANT = {
    "did": ALICE,
    "name": "An app",
    "purposes": ["status"],
    "expiresAt": (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds"),
    "hourlyLimit": 10,
}
#: Only its user knows it.
PASSPHRASE = {"passphrase": "correct horse battery"}
LOCKING = {"did": NOBODY, "secret": PASSPHRASE, "lifetimeSeconds": 60}
PROVEN = {"did": NOBODY, "proof": PASSPHRASE}
ITEM = {**CONTENT, "receivedAt": TIME, "direction": "in", "deliveredTo": []}

WELL_FORMED: dict[str, Json] = {
    "indexMessages": {"did": ALICE, "items": [{**CONTENT, "senderDid": BOB, "at": TIME}]},
    "forgetMessages": {"did": ALICE, "messageIds": [HEX32]},
    "search": {"did": ALICE, "query": "hello", "limit": 20},
    "emptyIndex": {"did": NOBODY},
    "listDevices": {"did": ALICE},
    "createDevice": {"did": ALICE, "handle": "alice.test", "mailDomain": "mail.test"},
    "revokeDevice": {"did": ALICE, "fingerprint": HEX32},
    "rotatePrekey": {"did": ALICE, "fingerprint": HEX32},
    "compose": {"did": ALICE, "recipients": [BOB], "text": "Hello", "createdAt": TIME},
    "composeReceipt": {
        "did": ALICE,
        "recipients": [BOB],
        "receipt": {"status": "read", "ids": ["01" * 32]},
        "createdAt": TIME,
    },
    "encryptFile": {"did": ALICE, "fileId": "1", "name": "a.txt", "mediaType": "text/plain", "size": 0},
    "decryptFile": {"did": ALICE, "message": CONTENT, "part": 0},
    "sealDraft": {"did": ALICE, "draftId": "ab" * 16, "draft": BYTES},
    "openDrafts": {"did": ALICE, "items": [{"draftId": "ab" * 16, "sealed": BYTES}]},
    "seal": {"did": ALICE, "message": CONTENT, "targets": [TARGET]},
    "open": {"did": ALICE, "envelopes": [BYTES]},
    "read": {"did": ALICE, "items": [CONTENT]},
    "archive": {"did": ALICE, "items": [ITEM]},
    "readArchive": {"did": ALICE, "items": [BYTES]},
    "createGrant": GRANT,
    "listGrants": {"did": ALICE},
    "revokeGrant": {"did": ALICE, "grantId": "ab" * 8},
    "checkAttestations": {
        "did": ALICE,
        "record": {"$type": "dev.test.record"},
        "repository": BOB,
        "trustedKeys": [],
        "trustedProofs": [],
    },
    "getCustody": {"did": NOBODY},
    "makeLocked": LOCKING,
    "makeManaged": PROVEN,
    "unlock": LOCKING,
    "lock": {"did": NOBODY, "everywhere": False},
    "addLockSecret": {**PROVEN, "secret": PASSPHRASE},
    "removeLockSecret": {**PROVEN, "secretId": "ab" * 8},
    "changePassphrase": {**PROVEN, **PASSPHRASE},
    "newRecoveryCode": PROVEN,
    "rotateDataKey": {"did": NOBODY},
    "sealAgain": {"did": ALICE, "items": [{"kind": "file", "fileId": "1", "sealed": BYTES}]},
    "listFormerDataKeys": {},
    "destroyDataKeys": {"did": ALICE, "oldest": 1},
    "beginPasskey": {"did": NOBODY, "userName": "alice.test"},
    "addPasskey": {"did": NOBODY, "name": "A phone", "credential": {}},
    "removePasskey": {"did": NOBODY, "passkeyId": "ab" * 8},
    "passkeyChallenge": {"did": NOBODY, "purpose": "sign-in"},
    "confirmPasskey": {"did": NOBODY, "credential": {}},
    "requirePasskey": {"did": NOBODY, "required": False, "proof": {"recoveryCode": "x"}},
    "renewCertificate": {
        "did": ALICE,
        "fingerprint": HEX32,
        "handle": "alice.test",
        "mailDomain": "mail.test",
    },
    "listUses": {"did": ALICE},
    "listUseEntries": {
        "did": ALICE,
        "caller": "web",
        "purpose": "read",
        "outcome": "ok",
        "oldest": "1",
        "newest": "9",
    },
    "listAlarms": {},
    "getKeyStatus": {},
    "exportAccount": {"did": NOBODY, **PASSPHRASE},
    "beginReadableExport": {"did": NOBODY},
    "readForExport": {"did": ALICE, "permit": BYTES, "items": [CONTENT]},
    "decryptFileForExport": {"did": ALICE, "permit": BYTES, "message": CONTENT, "part": 0},
    "sealExportPart": {"did": ALICE, "exportKey": BYTES, "name": "account", "state": BYTES},
    "openExportPart": {"did": ALICE, "importKey": BYTES, "name": "account", "part": BYTES},
    "sealUnsent": {"did": ALICE, "exportKey": BYTES, "items": [CONTENT]},
    "openUnsent": {"did": ALICE, "importKey": BYTES, "parts": [BYTES]},
    "importAccount": {"did": NOBODY, **PASSPHRASE, "keys": BYTES, "revoked": []},
    "eraseAccount": {"did": NOBODY},
}
OF_ALL_ACCOUNTS = ("listAlarms", "getKeyStatus", "listFormerDataKeys")
QUERIES = ("listDevices", "listGrants", "getCustody", "listUses", "listUseEntries", *OF_ALL_ACCOUNTS)
OF_AN_ACCOUNT = [method for method in WELL_FORMED if method not in OF_ALL_ACCOUNTS]

#: Method, what is changed in its well-formed call (None takes a field away), and where the fault is.
MALFORMED: list[tuple[str, Json, str]] = [
    *((method, {"did": None}, "did: missing") for method in OF_AN_ACCOUNT),
    *((method, {"did": "alice.test"}, "did: not a did") for method in OF_AN_ACCOUNT),
    *((method, {"did": "did:plc:" + "x" * 2100}, "did: not a did") for method in OF_AN_ACCOUNT),
    *((method, {"extra": "x"}, "extra: unknown field") for method in WELL_FORMED),
    *((method, {"did": 7}, "did: not a string") for method in WELL_FORMED if method not in QUERIES),
    ("renewCertificate", {"fingerprint": "ab"}, "fingerprint: fewer than 64 bytes"),
    ("listUses", {"show": "some"}, "show: not one of all, refused, apps"),
    ("listUses", {"limit": "0"}, "limit: out of range"),
    ("listUses", {"cursor": "x"}, "cursor: not one of this method"),
    ("listFormerDataKeys", {"cursor": "x"}, "cursor: not one of this method"),
    ("listUses", {"timeZone": "../etc/passwd"}, "timeZone: not a known time zone"),
    ("listUseEntries", {"oldest": "-1"}, "oldest: not an integer"),
    ("exportAccount", {"passphrase": ""}, "passphrase: fewer than 1 bytes"),
    ("exportAccount", {"assertion": "x"}, "assertion: not an object"),
    ("beginReadableExport", {"assertion": "x"}, "assertion: not an object"),
    ("readForExport", {"permit": None}, "permit: missing"),
    ("readForExport", {"items": [CONTENT] * 101}, "items: more than 100 items"),
    ("decryptFileForExport", {"permit": {"$bytes": ""}}, "permit: fewer than 1 bytes"),
    ("sealExportPart", {"exportKey": {"$bytes": ""}}, "exportKey: fewer than 1 bytes"),
    ("openExportPart", {"name": ""}, "name: fewer than 1 bytes"),
    ("sealUnsent", {"items": [CONTENT] * 101}, "items: more than 100 items"),
    ("openUnsent", {"parts": []}, "parts: fewer than 1 items"),
    ("importAccount", {"revoked": ["ab"]}, "revoked[0]: fewer than 64 bytes"),
    ("importAccount", {"keys": None}, "keys: missing"),
    ("compose", {"text": None, "copiesWanted": ["zz" * 32]}, "copiesWanted: not lowercase hex"),
    ("compose", {"copiesWanted": ["ab" * 32]}, "copiesWanted: not beside anything else"),
    ("composeReceipt", {"receipt": {"status": "opened", "ids": ["01" * 32]}}, "receipt.status: "),
    ("composeReceipt", {"receipt": {"status": "read", "ids": []}}, "receipt.ids: fewer than 1 items"),
    ("composeReceipt", {"receipt": {"status": "read", "ids": ["zz" * 32]}}, "receipt.ids: not lowercase hex"),
    ("compose", {"draft": {"draftId": "xy" * 16, "draft": BYTES}}, "draft.draftId: not lowercase hex"),
    ("compose", {"draft": {"draftId": "ab" * 16}}, "draft.draft: missing"),
    ("encryptFile", {"width": 10}, "width: not without height"),
    ("encryptFile", {"width": 0, "height": 1}, "width: out of range"),
    ("sealDraft", {"draftId": "xy" * 16}, "draftId: not lowercase hex"),
    ("sealDraft", {"draft": {"$bytes": ""}}, "draft: fewer than 1 bytes"),
    ("openDrafts", {"items": []}, "items: fewer than 1 items"),
    (
        "sealAgain",
        {"items": [{"kind": "key", "sealed": BYTES}]},
        "items[0].kind: not one of message, draft, file",
    ),
    ("sealAgain", {"items": [{"kind": "draft", "sealed": BYTES}]}, "items[0]: without the ids of its kind"),
    (
        "sealAgain",
        {"items": [{**CONTENT, "kind": "message", "messageId": "x" * 64}]},
        "items[0].messageId: not",
    ),
    ("destroyDataKeys", {"oldest": 0}, "oldest: out of range"),
    (
        "openDrafts",
        {"items": [{"draftId": "AB" * 16, "sealed": BYTES}]},
        "items[0].draftId: not lowercase hex",
    ),
    ("search", {"limit": 0}, "limit: out of range"),
    ("search", {"query": "x" * 201}, "query: more than 200 characters"),
    ("search", {"query": " "}, "query: blank"),
    ("search", {"cursor": "1-zz"}, "cursor: not one from here"),
    ("search", {"has": ["gold"]}, "has[0]: not one of file, image, link"),
    ("search", {"conversationIds": ["01"]}, "conversationIds[0]: fewer than 66"),
    (
        "indexMessages",
        {"items": [{**CONTENT, "senderDid": "bob", "at": TIME}]},
        "items[0].senderDid: not a did",
    ),
    ("indexMessages", {"items": []}, "items: fewer than 1 items"),
    ("forgetMessages", {"messageIds": [HEX32] * 1001}, "messageIds: more than 1000 items"),
    ("createDevice", {"handle": "not a handle"}, "handle: not a handle"),
    ("createDevice", {"handle": "alice"}, "handle: not a handle"),
    ("createDevice", {"handle": "a" * 250 + ".test"}, "handle: not a handle"),
    ("createDevice", {"mailDomain": ""}, "mailDomain: fewer than 1 bytes"),
    ("createDevice", {"mailDomain": "x" * 254}, "mailDomain: more than 253 bytes"),
    ("createDevice", {"mailDomain": "mail.test\r\n"}, "mailDomain: not a domain"),
    ("revokeDevice", {"fingerprint": "ab"}, "fingerprint: fewer than 64 bytes"),
    ("rotatePrekey", {"fingerprint": HEX33}, "fingerprint: more than 64 bytes"),
    ("rotatePrekey", {"force": "yes"}, "force: not true or false"),
    ("rotatePrekey", {"force": 1}, "force: not true or false"),
    ("compose", {"text": ""}, "text: fewer than 1 bytes"),
    ("compose", {"text": " \r\n\t "}, "text: blank"),
    ("compose", {"text": "é" * 30_001}, "text: more than 60000 bytes"),
    ("compose", {"text": "\ud800"}, "text: not Unicode text"),
    ("compose", {"text": {"$bytes": "AQ"}}, "text: not a string"),
    ("compose", {"recipients": []}, "recipients: fewer than 1 items"),
    ("compose", {"recipients": [BOB] * 101}, "recipients: more than 100 items"),
    ("compose", {"recipients": BOB}, "recipients: not an array"),
    ("compose", {"recipients": [BOB, "bob.test"]}, "recipients[1]: not a did"),
    ("compose", {"recipients": [BOB, None]}, "recipients[1]: not a string"),
    ("compose", {"createdAt": "2026-11-20T12:00:00"}, "createdAt: not a datetime"),
    ("compose", {"createdAt": "2026-02-30T12:00:00Z"}, "createdAt: not a datetime"),
    ("compose", {"createdAt": "1969-12-31T23:59:59Z"}, "createdAt: before 1970"),
    ("compose", {"createdAt": 1_800_000_000}, "createdAt: not a string"),
    ("compose", {"inReplyTo": "xy" * 32}, "inReplyTo: not lowercase hex"),
    ("compose", {"inReplyTo": "AB" * 32}, "inReplyTo: not lowercase hex"),
    ("compose", {"inReplyTo": "ab"}, "inReplyTo: fewer than 64 bytes"),
    ("compose", {"text": None}, "text: blank"),
    ("compose", {"attachments": [{"fileId": "1", "sealed": BYTES}]}, "attachments[0].url: missing"),
    ("compose", {"attachments": [{**ATTACHMENT, "fileId": ""}]}, "attachments[0].fileId: fewer than 1 bytes"),
    ("encryptFile", {"fileId": "1" * 65}, "fileId: more than 64 bytes"),
    ("sealAgain", {"items": [{"kind": "file", "sealed": BYTES}]}, "items[0]: without the ids of its kind"),
    ("compose", {"attachments": [ATTACHMENT] * 11}, "attachments: more than 10 items"),
    ("compose", {"attachments": [{**ATTACHMENT, "url": "x"}]}, "attachments[0].url: not a uri"),
    ("makeLocked", {"secret": {}}, "secret: not one secret"),
    ("makeLocked", {"secret": {**PASSPHRASE, "recoveryCode": "x"}}, "secret: not one secret"),
    ("makeLocked", {"secret": {**PASSPHRASE, "prf": BYTES}}, "secret.prf: fewer than 32 bytes"),
    ("makeLocked", {"secret": {"recoveryCode": "x"}}, "secret: the agent makes recovery codes itself"),
    ("makeLocked", {"secret": {"passphrase": "x" * 1025}}, "secret.passphrase: more than 1024 bytes"),
    ("makeLocked", {"secret": {"credential": []}}, "secret.credential: not an object"),
    ("makeLocked", {"lifetimeSeconds": 59}, "lifetimeSeconds: out of range"),
    ("unlock", {"lifetimeSeconds": 2_592_001}, "lifetimeSeconds: out of range"),
    ("lock", {"everywhere": None}, "everywhere: missing"),
    ("passkeyChallenge", {"purpose": "register"}, "purpose: not one of sign-in"),
    ("requirePasskey", {"required": 1}, "required: not true or false"),
    ("encryptFile", {"size": -1}, "size: out of range"),
    ("encryptFile", {"size": 104_857_601}, "size: out of range"),
    ("encryptFile", {"size": 1}, "size: not that of the body"),
    ("encryptFile", {"name": "x" * 256}, "name: more than 255 bytes"),
    ("encryptFile", {"name": "\ud800"}, "name: not Unicode text"),
    ("encryptFile", {"mediaType": ""}, "mediaType: fewer than 3 bytes"),
    ("decryptFile", {"part": -1}, "part: out of range"),
    ("decryptFile", {"part": "0"}, "part: not an integer"),
    ("decryptFile", {"message": {"sealed": BYTES}}, "message.conversationId: missing"),
    ("seal", {"message": "text"}, "message: not an object"),
    ("seal", {"message": {**CONTENT, "sealed": "AQID"}}, "message.sealed: not"),
    ("seal", {"message": {**CONTENT, "sealed": {"$bytes": "*"}}}, "message.sealed: not base64"),
    ("seal", {"message": {**CONTENT, "sealed": {"$bytes": ""}}}, "message.sealed: fewer than 1 bytes"),
    ("seal", {"message": {"sealed": BYTES}}, "message.conversationId: missing"),
    ("seal", {"targets": [TARGET] * 101}, "targets: more than 100 items"),
    ("seal", {"targets": [TARGET, {**TARGET, "prekeyy": {}}]}, "targets[1].prekeyy: unknown field"),
    ("seal", {"targets": [{**TARGET, "certificatePem": "x" * 16_385}]}, "targets[0].certificatePem: more"),
    ("seal", {"targets": [{**TARGET, "prekey": {}}]}, "targets[0].prekey.signedPrekey: missing"),
    ("open", {"envelopes": []}, "envelopes: fewer than 1 items"),
    ("open", {"envelopes": [BYTES] * 101}, "envelopes: more than 100 items"),
    ("open", {"envelopes": [BYTES, {"$bytes": "A" * 174_768}]}, "envelopes[1]: not a byte string of at most"),
    ("open", {"envelopes": [{"$bytes": "AQID", "x": 1}]}, "envelopes[0]: not a byte string"),
    ("open", {"envelopes": [{"$bytes": "AQ=ID"}]}, "envelopes[0]: not base64"),
    ("open", {"envelopes": ["AQID"]}, "envelopes[0]: not a byte string"),
    ("read", {"items": []}, "items: fewer than 1 items"),
    ("read", {"items": [CONTENT] * 101}, "items: more than 100 items"),
    ("read", {"items": [CONTENT, {**CONTENT, "messageId": 1}]}, "items[1].messageId: not a string"),
    ("archive", {"items": [{**ITEM, "direction": "up"}]}, "items[0].direction: not one of in, out"),
    ("archive", {"items": [{**ITEM, "receivedAt": ""}]}, "items[0].receivedAt: not a datetime"),
    ("archive", {"items": [{**ITEM, "envelopeId": "zz" * 32}]}, "items[0].envelopeId: not lowercase hex"),
    ("archive", {"items": [{**ITEM, "conversationId": "zz" * 33}]}, "items[0].conversationId: not lowercase"),
    ("archive", {"items": [{**ITEM, "deliveredTo": [BOB] * 1001}]}, "items[0].deliveredTo: more than 1000"),
    ("createGrant", {"name": "  "}, "name: blank"),
    ("createGrant", {"name": "x" * 101}, "name: more than 100 bytes"),
    ("createGrant", {"purposes": []}, "purposes: fewer than 1 items"),
    ("createGrant", {"purposes": ["decrypt"]}, "purposes[0]: not one of status, sign, attest, seal, open"),
    ("createGrant", {"purposes": ["sign"] * 6}, "purposes: more than 5 items"),
    ("createGrant", {"expiresAt": "2026-01-01T00:00:00Z"}, "expiresAt: not within 366 days"),
    ("createGrant", {"expiresAt": "2126-01-01T00:00:00Z"}, "expiresAt: not within 366 days"),
    ("createGrant", {"hourlyLimit": 0}, "hourlyLimit: out of range"),
    ("createGrant", {"hourlyLimit": 10_001}, "hourlyLimit: out of range"),
    ("revokeGrant", {"grantId": "ab"}, "grantId: fewer than 16 bytes"),
    ("checkAttestations", {"record": {"$type": "a.b.c", "text": "x" * (1 << 20)}}, "record: more than"),
    ("checkAttestations", {"record": []}, "record: not an object"),
    ("checkAttestations", {"record": {"signatures": {}}}, "record.signatures: not an array"),
    ("checkAttestations", {"record": {"signatures": [{}] * 101}}, "record.signatures: not an array"),
    ("checkAttestations", {"repository": "bob.test"}, "repository: not a did"),
    ("checkAttestations", {"trustedKeys": [{"name": "x"}]}, "trustedKeys[0].didKey: missing"),
    ("checkAttestations", {"trustedProofs": [{"uri": "x", "value": {}}]}, "trustedProofs[0].uri: not a uri"),
    ("readArchive", {"items": [None]}, "items[0]: not a byte string"),
    ("readArchive", {"items": {}}, "items: not an array"),
]

#: Bodies of a call of ``open`` that are no JSON object at all.
BROKEN_BODIES = {
    "nothing": b"",
    "not JSON": b"envelope",
    "half an object": b'{"did": "did:plc:x"',
    "two objects": b"{}{}",
    "an array": b"[]",
    "text": b'"text"',
    "a number too large": b'{"did": ' + b"9" * 5000 + b"}",
    "not a number": b'{"did": NaN}',
    "not UTF-8": b'{"did": "\xff"}',
    "a name twice": b'{"did": "did:plc:x", "did": "did:plc:y"}',
    "nested deep": b'{"did": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.fixture
def http(agent: Agent) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{agent.url}/xrpc/{NAMESPACE}.") as client:
        yield client


def _token(agent: Agent, method: str) -> str:
    caller = next(caller for caller, methods in PERMITTED.items() if method in methods)
    now = int(time.time())
    claims = {
        "iss": caller,
        "aud": "waxwing-agent",
        "lxm": f"{NAMESPACE}.{method}",
        "iat": now,
        "exp": now + 30,
        "jti": secrets.token_hex(16),
    }
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(agent.token_secret))


def _post(agent: Agent, http: httpx.Client, method: str, **request: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {_token(agent, method)}", "Content-Type": "application/json"}
    return http.post(f"{agent.url}/xrpc/{NAMESPACE}.{method}", **{"headers": headers, **request})


def _call(agent: Agent, http: httpx.Client, method: str, fields: Json) -> httpx.Response:
    if LEXICONS.methods[f"{NAMESPACE}.{method}"].is_query:
        headers = {"Authorization": f"Bearer {_token(agent, method)}"}
        return http.get(f"{agent.url}/xrpc/{NAMESPACE}.{method}", params=fields, headers=headers)
    if LEXICONS.methods[f"{NAMESPACE}.{method}"].carries_file:
        headers = {"Authorization": f"Bearer {_token(agent, method)}", "Content-Type": STREAM}
        return _post(agent, http, method, content=head(fields), headers=headers)
    # As escapes, so that text that is not Unicode can be sent too.
    return _post(agent, http, method, content=json.dumps(fields).encode())


def _refused(answer: httpx.Response, name: str, status: int) -> str:
    assert (answer.status_code, answer.json()["error"]) == (status, name), answer.text
    assert "Traceback" not in answer.text
    message: str = answer.json()["message"]
    return message


@pytest.mark.usefixtures("devices")
@pytest.mark.parametrize("method", WELL_FORMED)
def test_the_calls_below_are_well_formed_before_they_are_changed(
    agent: Agent, http: httpx.Client, method: str
) -> None:
    answer = _call(agent, http, method, WELL_FORMED[method])
    assert answer.status_code == 200 or answer.json()["error"] in DONE_FOR_NOTHING | {"WrongSecret"}


@pytest.mark.usefixtures("devices")
@pytest.mark.parametrize(
    ("method", "change", "fault"),
    MALFORMED,
    ids=[f"{method} {fault}" for method, _, fault in MALFORMED],
)
def test_a_malformed_call_names_the_field(
    agent: Agent, http: httpx.Client, method: str, change: Json, fault: str
) -> None:
    changed = {**WELL_FORMED[method], **change}
    fields = {name: value for name, value in changed.items() if not (name in change and value is None)}
    message = _refused(_call(agent, http, method, fields), "InvalidRequest", 400)
    assert message.startswith(fault)


def test_every_method_is_among_them() -> None:
    methods = {nsid.removeprefix(f"{NAMESPACE}.") for nsid in LEXICONS.methods} - {"getStatus", *APP_METHODS}
    assert set(WELL_FORMED) == methods == {method for method, _, _ in MALFORMED}


@pytest.mark.parametrize("body", BROKEN_BODIES)
def test_a_broken_body_is_refused(agent: Agent, http: httpx.Client, body: str) -> None:
    _refused(_post(agent, http, "open", content=BROKEN_BODIES[body]), "InvalidRequest", 400)


def test_a_body_of_another_type_is_refused(agent: Agent, http: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {_token(agent, 'open')}"}
    answer = _post(agent, http, "open", data={"did": ALICE}, headers=headers)
    assert "application/json" in _refused(answer, "InvalidRequest", 400)


def test_a_body_that_is_too_large_is_refused(agent: Agent, http: httpx.Client) -> None:
    _refused(_post(agent, http, "open", content=b" " * (16 * 1024 * 1024 + 1)), "PayloadTooLarge", 413)


def test_a_query_is_asked_by_get_and_a_procedure_by_post(agent: Agent, http: httpx.Client) -> None:
    _refused(_post(agent, http, "listDevices", content=b"{}"), "InvalidRequest", 400)
    headers = {"Authorization": f"Bearer {_token(agent, 'compose')}"}
    got = http.get(f"{agent.url}/xrpc/{NAMESPACE}.compose", headers=headers)
    _refused(got, "InvalidRequest", 400)


def test_a_parameter_given_twice_is_refused(agent: Agent, http: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {_token(agent, 'listDevices')}"}
    twice = [("did", ALICE), ("did", BOB)]
    answer = http.get(f"{agent.url}/xrpc/{NAMESPACE}.listDevices", params=twice, headers=headers)
    assert _refused(answer, "InvalidRequest", 400).startswith("did: given more than once")


@pytest.mark.parametrize(
    "nsid", ["dev.waxwing.agent.decrypt", "com.atproto.server.getSession", "at.atsms.x509", "x"]
)
def test_a_method_that_is_not_there(agent: Agent, nsid: str) -> None:
    _refused(httpx.post(f"{agent.url}/xrpc/{nsid}", json={}), "MethodNotImplemented", 501)


def test_another_path_is_not_there(agent: Agent) -> None:
    for path in ("/", "/xrpc/", "/xrpc/a/b", "/admin/", "/healthz/"):
        _refused(httpx.get(f"{agent.url}{path}"), "NotFound", 404)


def test_the_agent_still_answers_after_all_that(web: AgentClient) -> None:
    assert web.status().state == "open"
