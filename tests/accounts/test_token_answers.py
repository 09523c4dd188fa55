"""Answers of token endpoints that no honest server gives."""

import json

import httpx
import pytest

from accounts import oauth
from accounts.authorization_servers import AuthorizationServer

PDS = "https://pds.test"
SERVER = AuthorizationServer(PDS, f"{PDS}/par", f"{PDS}/authorize", f"{PDS}/token", None)
GOOD = {
    "access_token": "access",
    "refresh_token": "refresh",
    "token_type": "DPoP",
    "expires_in": 3600,
    "scope": "atproto",
    "sub": "did:plc:" + "a" * 24,
}


def test_a_good_answer_is_read() -> None:
    tokens = oauth._read_tokens(SERVER, httpx.Response(200, json=GOOD))
    assert (tokens.access_token, tokens.refresh_token, tokens.expires_in) == ("access", "refresh", 3600)


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_in": -(10**30)},
        {"expires_in": -1},
        {"access_token": "\ud800"},
        {"refresh_token": "a\nb"},
        {"scope": "atproto\x00"},
        {"scope": "é"},
        {"access_token": ""},
        {"sub": "did:plc:a"},
        {"token_type": None},
    ],
)
def test_what_no_server_may_answer_is_a_failure_of_that_server(changes: dict[str, object]) -> None:
    with pytest.raises(oauth.SignInError) as caught:
        oauth._read_tokens(SERVER, httpx.Response(200, content=json.dumps({**GOOD, **changes})))
    assert caught.value.code == "server-error"
