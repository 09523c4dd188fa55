"""An app that signed in by OAuth calls the agent through the PDS, with the scope for that and no other."""

import base64
import hashlib
import secrets
from datetime import timedelta
from urllib.parse import quote, urlencode

import httpx
from django.utils import timezone
from joserfc.jwk import ECKey

from accounts import dpop
from accounts.agent import agent
from demo.local_network import NetworkInfo
from tests.services import sign_in as consent
from tests.services.agent import AgentProcess

REDIRECT = "http://127.0.0.1:9/callback"
NAMESPACE = "dev.waxwing.agent.app"


class OAuthApp:
    """A public client of its own on loopback, signed in as somebody with one scope."""

    def __init__(self, network: NetworkInfo, name: str, scope: str) -> None:
        self.pds_url = network.pds_url
        self.key: ECKey = dpop.new_key()
        self.http = httpx.Client(timeout=20)
        scope = f"atproto {scope}"
        client_id = "http://localhost?" + urlencode({"redirect_uri": REDIRECT, "scope": scope})
        server = self.http.get(f"{network.pds_url}/.well-known/oauth-authorization-server").json()
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        person = network.accounts[name].person
        pushed = self._ask(
            server["pushed_authorization_request_endpoint"],
            client_id=client_id,
            redirect_uri=REDIRECT,
            response_type="code",
            scope=scope,
            state=secrets.token_urlsafe(16),
            code_challenge=challenge.decode(),
            code_challenge_method="S256",
            login_hint=person.handle,
        )
        query = urlencode({"client_id": client_id, "request_uri": pushed["request_uri"]})
        page = f"{server['authorization_endpoint']}?{query}"
        came_back = consent.callback_parameters(consent.approve(page, person.handle, person.password))
        tokens = self._ask(
            server["token_endpoint"],
            client_id=client_id,
            grant_type="authorization_code",
            code=came_back["code"],
            redirect_uri=REDIRECT,
            code_verifier=verifier,
        )
        self.access = tokens["access_token"]

    def _ask(self, url: str, **fields: str) -> dict[str, str]:
        response = dpop.send(self.http, self.key, "POST", url, data=fields)
        assert response.is_success, response.text
        answer: dict[str, str] = response.json()
        return answer

    def call(self, method: str, service: str, **fields: object) -> httpx.Response:
        return dpop.send(
            self.http,
            self.key,
            "POST",
            f"{self.pds_url}/xrpc/{NAMESPACE}.{method}",
            access_token=self.access,
            headers={"atproto-proxy": service},
            json=fields,
        )


def test_an_app_calls_with_the_scope_for_it(local_network: NetworkInfo, agent_process: AgentProcess) -> None:
    did = local_network.accounts["alice"].did
    agent().create_device(did, "alice.test", "mail.test")
    service = agent().list_grants(did).service
    assert service is not None
    granted = agent().create_grant(
        did,
        "By OAuth",
        ["status", "attest"],
        expires_at=timezone.now() + timedelta(days=1),
        hourly_limit=10,
    )
    app = OAuthApp(local_network, "alice", f"rpc:{NAMESPACE}.status?aud={quote(service, safe=':')}")
    answer = app.call("status", service, grant=granted.token)
    assert answer.status_code == 200, answer.text
    assert answer.json()["did"] == did
    # The PDS holds the app to its scope, the agent to its grant.
    outside_scope = app.call("attest", service, grant=granted.token, record={}, metadata={}, repository=did)
    assert outside_scope.status_code == 403
    assert "scope" in outside_scope.text
    assert app.call("status", service, grant="A" * 43).json()["error"] == "NotGranted"
    (shown,) = [one for one in agent().list_grants(did).grants if one.grant_id == granted.grant.grant_id]
    assert shown.uses == 1
    agent().revoke_grant(did, granted.grant.grant_id)
    assert app.call("status", service, grant=granted.token).json()["error"] == "NotGranted"
