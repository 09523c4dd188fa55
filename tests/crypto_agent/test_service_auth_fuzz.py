"""Whatever comes as a token or a DID document, there is a verdict with a name."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from crypto_agent.errors import AuthenticationRequired, InvalidToken
from crypto_agent.service_auth import Keys, verify_user_token
from crypto_agent.user_keys import signing_key
from tests.crypto_agent.people import ALICE
from tests.crypto_agent.web_person import WebPerson

AGENT, NSID, NOW = "did:web:agent.test", "dev.test.method", 1_800_000_000
DORA = WebPerson(1, ec.generate_private_key(ec.SECP256K1()))
KEYS = Keys(lambda _did: DORA.key.public_key(), lambda _did: DORA.key.public_key())
CLAIMS = {"iss": ALICE, "aud": AGENT, "lxm": NSID, "iat": NOW, "exp": NOW + 60, "jti": "0123456789"}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["ES256", "ES256K", "none", "HS256"]) | json_values,
        "typ": st.just("JWT") | json_values,
        **dict.fromkeys(("crit", "b64", "jwk", "jku", "kid", "x5c", "zip"), json_values),
    },
)
claims = st.fixed_dictionaries(
    {}, optional={name: st.just(value) | json_values for name, value in CLAIMS.items()}
)


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _verdict(authorization: str) -> None:
    with pytest.raises((AuthenticationRequired, InvalidToken)):
        verify_user_token(authorization, NSID, [AGENT], KEYS, NOW)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    _verdict(f"Bearer {text}")
    _verdict(text)


@given(headers | json_values, claims | json_values, st.binary(max_size=80))
def test_any_header_claims_and_signature(header: Any, claimed: Any, signature: bytes) -> None:
    encoded = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    _verdict(f"Bearer {_part(header)}.{_part(claimed)}.{encoded}")


@given(claims)
def test_claims_that_are_signed_are_judged_by_what_they_say(claimed: dict[str, Any]) -> None:
    token = DORA.token(AGENT, NSID, **{**dict.fromkeys(CLAIMS), **claimed})
    if claimed == CLAIMS:
        assert verify_user_token(f"Bearer {token}", NSID, [AGENT], KEYS, NOW).did == ALICE
    else:
        try:
            user = verify_user_token(f"Bearer {token}", NSID, [AGENT], KEYS, NOW)
        except InvalidToken:
            return
        assert (claimed["aud"], claimed["lxm"], user.did) == (AGENT, NSID, claimed["iss"])
        assert NOW < claimed["exp"] <= NOW + 3600


@given(json_values | st.fixed_dictionaries({"id": st.just(ALICE), "verificationMethod": json_values}))
def test_any_document(document: Any) -> None:
    with pytest.raises(InvalidToken):
        signing_key(document, ALICE)
