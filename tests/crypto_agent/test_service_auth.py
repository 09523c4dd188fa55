"""Inter-service tokens: only a fresh one of the user, for this agent and method, is taken, and only once."""

import base64
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from crypto_agent.app_calls import MOST_ARRIVING
from crypto_agent.client import NAMESPACE
from crypto_agent.errors import IdentityUnavailable, InvalidToken
from crypto_agent.user_keys import (
    FRESH_AFTER_S,
    KEPT_S,
    MOST_AT_ONCE,
    UserKeys,
    document_url,
    signing_key,
)
from crypto_agent.views import APP_BODY_S
from demo.ports import free_port
from tests.crypto_agent.people import ALICE
from tests.crypto_agent.running_agent import LEXICONS, Agent, running_agent
from tests.crypto_agent.web_person import WebPerson, key_in_document, web_person

NSID = f"{NAMESPACE}.app.status"
CURVES = {"ES256": ec.SECP256R1(), "ES256K": ec.SECP256K1()}
ORDER_K256 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
COUNT = "SELECT count(*) FROM crypto_agent_auditentry"


@pytest.fixture(scope="module")
def dora() -> Iterator[WebPerson]:
    with web_person(CURVES["ES256K"]) as person:
        yield person


@pytest.fixture(scope="module")
def grant(agent: Agent, dora: WebPerson) -> str:
    return grant_of(agent, dora)


def grant_of(agent: Agent, person: WebPerson) -> str:
    """A device for the person, and a grant for what these tests call."""
    web = agent.client("web")
    web.create_device(person.did, "dora.test", "mail.test")
    made = web.create_grant(
        person.did,
        "An app",
        ["status"],
        expires_at=datetime.now(UTC) + timedelta(days=1),
        hourly_limit=1000,
    )
    return made.token


def ask(agent: Agent, token: str, grant: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{agent.url}/xrpc/{NSID}", json={"grant": grant}, headers=headers)


def test_the_agent_says_who_and_where_it_is(agent: Agent) -> None:
    document = httpx.get(f"{agent.url}/.well-known/did.json").json()
    assert document["id"] == agent.did
    assert document["service"] == [
        {
            "id": "#waxwing_agent",
            "type": "WaxwingCryptoAgent",
            "serviceEndpoint": agent.environment["WAXWING_AGENT_PUBLIC_URL"],
        }
    ]
    assert agent.client().list_grants(ALICE).service == f"{agent.did}#waxwing_agent"


@pytest.mark.parametrize("fragment", ["", "#waxwing_agent"])
@pytest.mark.parametrize("dialect", ["multikey", "2019"])
@pytest.mark.parametrize("curve", CURVES)
def test_each_kind_of_key_in_each_dialect_is_taken(
    agent: Agent, curve: str, dialect: str, fragment: str
) -> None:
    with web_person(CURVES[curve], dialect) as person:
        token = person.token(agent.did + fragment, NSID)
        answer = ask(agent, token, grant_of(agent, person))
    assert answer.status_code == 200, answer.text
    LEXICONS.output(LEXICONS.methods[NSID], answer.json())
    assert answer.json()["did"] == person.did


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def _unsigned(agent: Agent, dora: WebPerson) -> str:
    """With the signature of a token that was taken, under the header of none."""
    token = dora.token(agent.did, NSID)
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{token.partition('.')[2]}"


def _tampered(agent: Agent, dora: WebPerson) -> str:
    head, _, signature = dora.token(agent.did, NSID).split(".")
    claims = _claims_of(dora.token(agent.did, NSID, exp=int(time.time()) + 1800))
    return f"{head}.{_part(claims)}.{signature}"


def _by_another_key(agent: Agent, dora: WebPerson) -> str:
    mallory = WebPerson(dora.port, ec.generate_private_key(dora.key.curve))
    return mallory.token(agent.did, NSID)


def _by_a_key_of_another_curve(agent: Agent, dora: WebPerson) -> str:
    mallory = WebPerson(dora.port, ec.generate_private_key(ec.SECP256R1()))
    return mallory.token(agent.did, NSID)


def _by_a_secret_known_to_all(agent: Agent, dora: WebPerson) -> str:
    """The public key taken for a secret of HMAC."""
    secret = OctKey.import_key(json.dumps(key_in_document(dora.key.public_key(), "multikey")))
    return jwt.encode({"alg": "HS256"}, _claims_of(dora.token(agent.did, NSID)), secret)


def _by_the_key_that_it_brings(agent: Agent, dora: WebPerson) -> str:
    key = ECKey.import_key(ec.generate_private_key(ec.SECP256K1()))
    header = {"alg": "ES256K", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, _claims_of(dora.token(agent.did, NSID)), key, algorithms=["ES256K"])


def _with_a_high_s(agent: Agent, dora: WebPerson) -> str:
    signed, _, signature = dora.token(agent.did, NSID).rpartition(".")
    compact = base64.urlsafe_b64decode(signature + "==")
    high = ORDER_K256 - int.from_bytes(compact[32:], "big")
    other = base64.urlsafe_b64encode(compact[:32] + high.to_bytes(32, "big")).rstrip(b"=").decode()
    return f"{signed}.{other}"


def _claiming(**changed: Any) -> Callable[[Agent, WebPerson], str]:
    return lambda agent, dora: dora.token(agent.did, NSID, **changed)


def _at(**seconds: int) -> Callable[[Agent, WebPerson], str]:
    def token(agent: Agent, dora: WebPerson) -> str:
        now = int(time.time())
        return dora.token(agent.did, NSID, **{name: now + offset for name, offset in seconds.items()})

    return token


BAD_TOKENS: dict[str, Callable[[Agent, WebPerson], str]] = {
    "expired": _at(iat=-120, exp=-1),
    "no end": _claiming(exp=None),
    "more than an hour": _at(iat=0, exp=3700),
    "more than an hour in all": _at(iat=-3000, exp=3000),
    "from the future": _at(iat=120, exp=180),
    "ends before it begins": _at(iat=20, exp=10),
    "no beginning": _claiming(iat=None),
    "an end in text": _claiming(exp="tomorrow"),
    "an end that is true": _claiming(exp=True),
    "another method": _claiming(lxm=f"{NAMESPACE}.app.open"),
    "a method of this installation": _claiming(lxm=f"{NAMESPACE}.open"),
    "all methods": _claiming(lxm="*"),
    "no method": _claiming(lxm=None),
    "another audience": _claiming(aud="did:web:agent.test"),
    "another service of the agent": lambda agent, dora: dora.token(f"{agent.did}#atproto_pds", NSID),
    "this installation's audience": _claiming(aud="waxwing-agent"),
    "a list of audiences": lambda agent, dora: dora.token(agent.did, NSID, aud=[agent.did]),
    "no audience": _claiming(aud=None),
    "no issuer": _claiming(iss=None),
    "an issuer that is no DID": _claiming(iss="dora.test"),
    "another service of the user": lambda agent, dora: dora.token(
        agent.did, NSID, iss=f"{dora.did}#atproto_labeler"
    ),
    "this installation as issuer": _claiming(iss="web"),
    "no id": _claiming(jti=None),
    "a short id": _claiming(jti="1"),
    "a long id": _claiming(jti="1" * 300),
    "an id of another kind": _claiming(jti=12345678901234567890),
    "an access token": lambda agent, dora: dora.token(agent.did, NSID, header={"typ": "at+jwt"}),
    "a DPoP proof": lambda agent, dora: dora.token(agent.did, NSID, header={"typ": "dpop+jwt"}),
    "algorithm none": _unsigned,
    "tampered": _tampered,
    "another key": _by_another_key,
    "a key of another curve": _by_a_key_of_another_curve,
    "a secret known to all": _by_a_secret_known_to_all,
    "a key that it brings": _by_the_key_that_it_brings,
    "a high s": _with_a_high_s,
    "cut short": lambda agent, dora: dora.token(agent.did, NSID)[:-4],
    "no signature": lambda agent, dora: dora.token(agent.did, NSID).rpartition(".")[0] + ".",
    "not a token": lambda _agent, _dora: "token",
    "two dots": lambda _agent, _dora: "..",
    "claims that are no object": lambda agent, dora: "{}.{}.{}".format(
        *(dora.token(agent.did, NSID).split(".")[0], _part([1]), "AAAA")
    ),
}


@pytest.mark.parametrize("bad", BAD_TOKENS)
def test_a_bad_token_is_refused_and_not_put_on_record(
    agent: Agent, dora: WebPerson, grant: str, bad: str
) -> None:
    before = agent.execute(COUNT)
    answer = ask(agent, BAD_TOKENS[bad](agent, dora), grant)
    assert (answer.status_code, answer.json()["error"]) == (401, "InvalidToken"), answer.text
    assert agent.execute(COUNT) == before


def test_the_token_that_those_were_made_from_is_taken(agent: Agent, dora: WebPerson, grant: str) -> None:
    assert ask(agent, dora.token(agent.did, NSID), grant).status_code == 200


def test_a_token_of_this_installation_does_not_do(agent: Agent, grant: str) -> None:
    token = agent.client("web")._token(NSID)
    assert ask(agent, token, grant).json()["error"] == "InvalidToken"


def test_a_token_of_a_user_does_not_do_for_what_this_installation_calls(
    agent: Agent, dora: WebPerson
) -> None:
    nsid = f"{NAMESPACE}.listDevices"
    for audience in (agent.did, "waxwing-agent"):
        headers = {"Authorization": f"Bearer {dora.token(audience, nsid)}"}
        answer = httpx.get(f"{agent.url}/xrpc/{nsid}", params={"did": dora.did}, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "InvalidToken")


def test_a_token_is_taken_once(either_agent: Agent, dora: WebPerson) -> None:
    grant = grant_of(either_agent, dora)
    # The agent asks for few documents at once; from here on it has hers.
    assert ask(either_agent, dora.token(either_agent.did, NSID), grant).status_code == 200
    token = dora.token(either_agent.did, NSID)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(either_agent, token, grant), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 15
    assert {answer.json().get("error") for answer in answers} == {None, "ReplayedToken"}
    assert either_agent.command("verify_audit").returncode == 0


def test_the_id_of_one_users_token_is_free_to_another(agent: Agent, dora: WebPerson, grant: str) -> None:
    with web_person(CURVES["ES256"]) as other:
        others_grant = grant_of(agent, other)
        for person, token in ((dora, grant), (other, others_grant)):
            signed = person.token(agent.did, NSID, jti="the same for both")
            assert ask(agent, signed, token).status_code == 200


def test_a_strangers_document_is_never_asked_for(agent: Agent, grant: str) -> None:
    with web_person(CURVES["ES256"]) as stranger:
        answer = ask(agent, stranger.token(agent.did, NSID), grant)
        assert (answer.status_code, answer.json()["error"]) == (400, "NoSuchAccount")
        assert stranger.asked == []


def test_nor_is_a_users_for_a_token_that_is_wrong_in_itself(agent: Agent) -> None:
    with web_person(CURVES["ES256"]) as person:
        grant = grant_of(agent, person)
        for token in (
            person.token(agent.did, NSID, lxm="x.y.z"),
            person.token("did:web:agent.test", NSID),
            person.token(agent.did, NSID, exp=1),
        ):
            assert ask(agent, token, grant).json()["error"] == "InvalidToken"
        assert person.asked == []


def test_an_agent_without_a_public_address_serves_no_apps(tmp_path: Path, dora: WebPerson) -> None:
    with running_agent(tmp_path, WAXWING_AGENT_PUBLIC_URL="") as agent:
        grant = grant_of(agent, dora)
        assert agent.client().list_grants(dora.did).service is None
        answer = ask(agent, dora.token(agent.did, NSID), grant)
        assert (answer.status_code, answer.json()["error"]) == (501, "MethodNotImplemented")
        # Nor with the audience that an empty setting might be taken for.
        assert ask(agent, dora.token("", NSID), grant).status_code == 501
        assert httpx.get(f"{agent.url}/.well-known/did.json").status_code == 404


def test_a_public_address_without_tls_is_for_loopback_alone(own_agent: Agent) -> None:
    for network, url, fine in (
        ("live", "http://agent.test", False),
        ("live", "https://agent.test", True),
        ("loopback", "http://localhost:8700", True),
    ):
        checked = own_agent.command("check", WAXWING_AGENT_NETWORK=network, WAXWING_AGENT_PUBLIC_URL=url)
        assert (checked.returncode == 0) == fine
        assert fine or "has to begin with https://" in checked.stderr


def test_documents_that_are_slow_to_come_hold_up_nothing_else(agent: Agent) -> None:
    """More calls than the agent asks for documents at once: the others are told to try later, at once."""
    with ExitStack() as stack:
        slow = [stack.enter_context(web_person(CURVES["ES256"])) for _ in range(MOST_AT_ONCE + 2)]
        grants = [grant_of(agent, person) for person in slow]
        for person in slow:
            person.seconds = 3.0
        with ThreadPoolExecutor(len(slow)) as pool:
            asked = [
                pool.submit(ask, agent, person.token(agent.did, NSID), grant)
                for person, grant in zip(slow, grants, strict=True)
            ]
            time.sleep(1)
            begun = time.monotonic()
            assert agent.client().status().state == "open"
            assert time.monotonic() - begun < 1
            statuses = [answer.result().status_code for answer in asked]
    assert sorted(statuses) == [200] * MOST_AT_ONCE + [503] * 2


def test_bodies_that_never_end_hold_up_nothing_else(agent: Agent, dora: WebPerson, grant: str) -> None:
    """The pages and the worker get answers meanwhile, and apps do once the agent has waited long enough."""
    assert ask(agent, dora.token(agent.did, NSID), grant).status_code == 200
    token = dora.token(agent.did, NSID)
    with ExitStack() as stack:
        slow = [stack.enter_context(_begun_call(agent, token)) for _ in range(MOST_ARRIVING + 4)]
        time.sleep(1)
        begun = time.monotonic()
        assert agent.client().status().state == "open"
        assert time.monotonic() - begun < 1
        busy = ask(agent, dora.token(agent.did, NSID), grant)
        assert (busy.status_code, busy.json()["error"]) == (503, "AgentBusy")
        statuses = Counter(_status_of(connection) for connection in slow)
    # The token is used up by the first of them that is put on record.
    assert statuses == {400: 1, 401: MOST_ARRIVING - 1, 503: 4}
    assert ask(agent, dora.token(agent.did, NSID), grant).status_code == 200


def _begun_call(agent: Agent, token: str) -> socket.socket:
    """A call whose body begins and does not go on."""
    address = urlsplit(agent.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=3 * APP_BODY_S)
    head = (
        f"POST /xrpc/{NSID} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    connection.sendall(head.encode())
    return connection


def _status_of(connection: socket.socket) -> int:
    return int(connection.makefile("rb").readline().split()[1])


def _keys() -> UserKeys:
    return UserKeys(f"http://localhost:{free_port()}", loopback=True)


@pytest.fixture
def loopback(settings: Any) -> None:
    settings.NETWORK = "loopback"


@pytest.mark.usefixtures("loopback")
def test_a_key_is_kept_and_a_fresh_one_asked_for_at_most_every_few_seconds() -> None:
    with web_person(CURVES["ES256"]) as person:
        keys, now = _keys(), 1_000_000.0
        first = keys.key(person.did, now)
        person.key = ec.generate_private_key(ec.SECP256K1())
        assert keys.key(person.did, now + KEPT_S - 1) == first
        assert keys.fresh_key(person.did, now + FRESH_AFTER_S - 1) == first
        assert len(person.asked) == 1
        assert keys.fresh_key(person.did, now + FRESH_AFTER_S) == person.key.public_key()
        assert keys.key(person.did, now + FRESH_AFTER_S + KEPT_S) == person.key.public_key()
        assert len(person.asked) == 3


@pytest.mark.usefixtures("loopback")
def test_a_document_that_cannot_be_had_is_not_asked_for_again_at_once() -> None:
    with web_person(CURVES["ES256"]) as person:
        keys, now = _keys(), 1_000_000.0
        person.status = 503
        for seconds in (0.0, 1.0, FRESH_AFTER_S - 1):
            with pytest.raises(IdentityUnavailable):
                keys.key(person.did, now + seconds)
        assert len(person.asked) == 1
        person.status = 200
        assert keys.key(person.did, now + FRESH_AFTER_S) == person.key.public_key()


@pytest.mark.usefixtures("loopback")
def test_a_key_outlives_a_document_that_cannot_be_had() -> None:
    with web_person(CURVES["ES256"]) as person:
        keys, now = _keys(), 1_000_000.0
        first = keys.key(person.did, now)
        person.status = 503
        for seconds in (FRESH_AFTER_S, FRESH_AFTER_S + 1):
            with pytest.raises(IdentityUnavailable):
                keys.fresh_key(person.did, now + seconds)
            assert keys.key(person.did, now + seconds) == first
        assert len(person.asked) == 2
        with pytest.raises(IdentityUnavailable):
            keys.key(person.did, now + KEPT_S)
        person.status = 200
        assert keys.key(person.did, now + KEPT_S + FRESH_AFTER_S) == first


def test_a_key_that_was_replaced_is_found_by_one_retry(own_agent: Agent) -> None:
    with web_person(CURVES["ES256K"]) as person:
        grant = grant_of(own_agent, person)
        assert ask(own_agent, person.token(own_agent.did, NSID), grant).status_code == 200
        time.sleep(FRESH_AFTER_S)
        person.key = ec.generate_private_key(ec.SECP256R1())
        assert ask(own_agent, person.token(own_agent.did, NSID), grant).status_code == 200
        assert len(person.asked) == 2


@pytest.mark.parametrize(
    ("did", "url"),
    [
        (ALICE, f"https://plc.test/{ALICE}"),
        ("did:web:pds.test", "https://pds.test/.well-known/did.json"),
    ],
)
def test_where_documents_are(did: str, url: str) -> None:
    assert document_url(did, "https://plc.test", loopback=False) == url


@pytest.mark.parametrize(
    "did",
    [
        "did:plc:short",
        "did:plc:alicealicealicealicealic/../x",
        "did:web:localhost%3A80",
        "did:web:pds.test%3A8443",
        "did:web:pds.test:path",
        "did:web:user%40pds.test",
        "did:web:pds.test%2Fpath",
        "did:web:[::1]",
        "did:key:zDnaezdieGGxHKPeeL4FtJux5jDmJ7XRb6yrfq9iEXmAEQtKH",
    ],
)
def test_dids_that_are_not_looked_up(did: str) -> None:
    with pytest.raises(InvalidToken):
        document_url(did, "https://plc.test", loopback=False)


def _document(**changed: Any) -> dict[str, Any]:
    key = key_in_document(ec.generate_private_key(ec.SECP256R1()).public_key(), "multikey")
    return {"id": ALICE, "verificationMethod": [{"id": "#atproto", **key}], **changed}


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        _document(id="did:plc:bobbobbobbobbobbobbobbob"),
        _document(verificationMethod=None),
        _document(verificationMethod=[]),
        _document(verificationMethod=[None, 1, "#atproto"]),
        _document(verificationMethod=[{"id": "#atproto", "type": "Multikey"}]),
        _document(verificationMethod=[{"id": "#atproto", "type": "Multikey", "publicKeyMultibase": "zz"}]),
        _document(verificationMethod=[{**_document()["verificationMethod"][0], "id": "#other"}]),
        _document(verificationMethod=[{**_document()["verificationMethod"][0], "type": "JsonWebKey2020"}]),
        _document(verificationMethod=_document()["verificationMethod"] * 51),
    ],
)
def test_documents_without_a_usable_key(document: Any) -> None:
    with pytest.raises(InvalidToken):
        signing_key(document, ALICE)
