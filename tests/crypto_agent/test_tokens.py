"""Service tokens: only a fresh one, for this agent, this method and this caller is taken, and only once."""

import base64
import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from crypto_agent.app_methods import APP_METHODS
from crypto_agent.client import NAMESPACE, AgentClient, AgentRefused
from crypto_agent.errors import InvalidToken
from crypto_agent.tokens import PERMITTED, verify_token
from tests.crypto_agent.calls import CALLS, DONE_FOR_NOTHING
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT
from tests.crypto_agent.running_agent import LEXICONS, Agent

NSID = f"{NAMESPACE}.listDevices"
Claims = dict[str, Any]


def _claims(**changed: Any) -> Claims:
    now = int(time.time())
    claims = {
        "iss": "web",
        "aud": "waxwing-agent",
        "lxm": NSID,
        "iat": now,
        "exp": now + 30,
        "jti": secrets.token_hex(16),
        **changed,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _signed(agent: Agent, claims: Claims, algorithm: str = "HS256") -> str:
    key = OctKey.import_key(agent.token_secret)
    return jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])


def _ask(agent: Agent, token: str | None, did: str = ALICE) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{agent.url}/xrpc/{NSID}", params={"did": did}, headers=headers)


def _unsigned(_agent: Agent) -> str:
    def part(value: Claims) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(_claims())}."


def _by_another_key(_agent: Agent) -> str:
    return jwt.encode({"alg": "HS256"}, _claims(), OctKey.import_key(secrets.token_urlsafe(32)))


def _by_a_public_key_algorithm(_agent: Agent) -> str:
    return jwt.encode({"alg": "ES256"}, _claims(), ECKey.generate_key("P-256"))


def _with_other_claims_put_in(agent: Agent) -> str:
    head, _, signature = _signed(agent, _claims()).split(".")
    claims = json.dumps(_claims(iss="worker")).encode()
    return f"{head}.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}.{signature}"


def _claiming(**changed: Any) -> Callable[[Agent], str]:
    return lambda agent: _signed(agent, _claims(**changed))


NOW = time.time
BAD_TOKENS: dict[str, Callable[[Agent], str]] = {
    "expired": lambda agent: _signed(agent, _claims(iat=int(NOW()) - 61, exp=int(NOW()) - 1)),
    "from the future": lambda agent: _signed(agent, _claims(iat=int(NOW()) + 60, exp=int(NOW()) + 90)),
    "too long a life": lambda agent: _signed(agent, _claims(exp=int(NOW()) + 3600)),
    "ends before it begins": lambda agent: _signed(agent, _claims(exp=int(NOW()) - 1)),
    "no end": _claiming(exp=None),
    "no beginning": _claiming(iat=None),
    "an end in text": _claiming(exp="tomorrow"),
    "an end that is true": _claiming(exp=True),
    "another method": _claiming(lxm=f"{NAMESPACE}.read"),
    "no method": _claiming(lxm=None),
    "all methods": _claiming(lxm="*"),
    "another audience": _claiming(aud="waxwing-web"),
    "no audience": _claiming(aud=None),
    "a list of audiences": _claiming(aud=["waxwing-agent"]),
    "an unknown caller": _claiming(iss="admin"),
    "a caller of another kind": _claiming(iss=["web"]),
    "no caller": _claiming(iss=None),
    "no id": _claiming(jti=None),
    "a short id": _claiming(jti="1"),
    "a long id": _claiming(jti="1" * 200),
    "an id of another kind": _claiming(jti=12345678901234567890),
    "algorithm none": _unsigned,
    "another key": _by_another_key,
    "another algorithm": _by_a_public_key_algorithm,
    "a longer hash": lambda agent: _signed(agent, _claims(), "HS512"),
    "claims put in": _with_other_claims_put_in,
    "cut short": lambda agent: _signed(agent, _claims())[:-4],
    "not a token": lambda _agent: "token",
    "two dots": lambda _agent: "..",
    "letters of other scripts": lambda _agent: "токен".encode().decode("latin-1"),
}


@pytest.mark.parametrize("bad", BAD_TOKENS)
def test_a_bad_token_is_refused_and_not_put_on_record(agent: Agent, bad: str) -> None:
    count = "SELECT count(*) FROM crypto_agent_auditentry"
    before = agent.execute(count)
    header = f"Bearer {BAD_TOKENS[bad](agent)}".encode("latin-1")
    answer = httpx.get(f"{agent.url}/xrpc/{NSID}", params={"did": ALICE}, headers={b"Authorization": header})
    assert (answer.status_code, answer.json()["error"]) == (401, "InvalidToken")
    assert agent.execute(count) == before


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic d2ViOndlYg=="])
def test_a_token_is_needed(agent: Agent, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = httpx.get(f"{agent.url}/xrpc/{NSID}", params={"did": ALICE}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "AuthenticationRequired")


def test_a_token_is_taken_once(agent: Agent) -> None:
    token = _signed(agent, _claims())
    assert _ask(agent, token).status_code == 200
    # Several times, so that each worker process sees it.
    for _ in range(6):
        again = _ask(agent, token)
        assert (again.status_code, again.json()["error"]) == (401, "ReplayedToken")


def test_a_token_is_taken_once_even_for_a_request_that_was_refused(agent: Agent) -> None:
    token = _signed(agent, _claims())
    assert _ask(agent, token, did="nobody").json()["error"] == "InvalidRequest"
    assert _ask(agent, token).json()["error"] == "ReplayedToken"


def test_of_many_at_once_one_gets_an_answer(either_agent: Agent) -> None:
    token = _signed(either_agent, _claims())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _ask(either_agent, token), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 15
    assert either_agent.command("verify_audit").returncode == 0


@pytest.mark.usefixtures("devices")
@pytest.mark.parametrize("caller", ["web", "worker"])
@pytest.mark.parametrize("method", CALLS)
def test_each_caller_may_do_its_own_part(agent: Agent, method: str, caller: str) -> None:
    call = CALLS[method][1]
    if method in PERMITTED[caller]:
        try:
            call(agent.client(caller))
        except AgentRefused as refused:
            assert refused.code in DONE_FOR_NOTHING  # noqa: PT017
    else:
        with pytest.raises(AgentRefused) as refusal:
            call(agent.client(caller))
        assert refusal.value.code == "NotPermitted"


def test_with_secrets_of_their_own_one_caller_cannot_pass_for_the_other() -> None:
    own = {"web": "w" * 32, "worker": "k" * 32}

    def verified(signer: str, issuer: str) -> str:
        token = jwt.encode({"alg": "HS256"}, _claims(iss=issuer), OctKey.import_key(own[signer]))
        return verify_token(f"Bearer {token}", own, NSID, time.time()).name

    assert verified("web", "web") == "web"
    assert verified("worker", "worker") == "worker"
    for signer, issuer in (("web", "worker"), ("worker", "web")):
        with pytest.raises(InvalidToken):
            verified(signer, issuer)


def test_the_table_of_callers_names_methods_that_there_are() -> None:
    methods = {nsid.removeprefix(f"{NAMESPACE}.") for nsid in LEXICONS.methods}
    assert set().union(*PERMITTED.values()) == methods - set(APP_METHODS)
    assert not {"open", "seal", "archive", "readArchive"} & PERMITTED["web"]
    assert not {"compose", "createDevice"} & PERMITTED["worker"]


def test_a_client_whose_clock_is_far_off_is_refused(agent: Agent) -> None:
    late = AgentClient(agent.url, agent.token_secret, "web", now=lambda: time.time() - 3600)
    with pytest.raises(AgentRefused) as refused:
        late.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT)
    assert refused.value.code == "InvalidToken"
