"""An app of somebody's: the AT Protocol SDK's client as it is, signed in at their PDS, and a grant."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from atproto import Client
from atproto_client.exceptions import RequestErrorBase
from atproto_client.models.dot_dict import DotDict

from crypto_agent.atsms.json_bytes import to_json
from crypto_agent.client import NAMESPACE, AgentClient, Device, Grant
from crypto_agent.client_json import prekey_json
from crypto_agent.grants import GrantedPurpose
from crypto_agent.plain_json import plain
from demo.local_network import NetworkInfo
from tests.crypto_agent.running_agent import LEXICONS

Json = dict[str, Any]

PURPOSES = [purpose.value for purpose in GrantedPurpose]
RECORD = {"$type": "dev.test.badge", "text": "Was there", "signatures": []}
METADATA = {"$type": "dev.test.attestation", "purpose": "test"}


class Refused(Exception):
    """A call that the agent refused; ``code`` is its XRPC error."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@dataclass
class App:
    """Calls the agent through the PDS, and holds every answer and error to the lexicon."""

    session: Client
    service: str
    grant: str

    def call(self, method: str, **fields: Any) -> Json:
        described = LEXICONS.methods[f"{NAMESPACE}.app.{method}"]
        try:
            response = self.session.invoke_procedure(
                described.nsid,
                data=DotDict({"grant": self.grant, **fields}),  # type: ignore[arg-type]
                input_encoding="application/json",
                output_encoding="application/json",
                headers={"atproto-proxy": self.service},
            )
        except RequestErrorBase as error:
            refused = _refused(error)
            if refused.code not in described.errors | {"InvalidRequest"}:
                raise AssertionError(f"{method} does not declare {refused.code}") from error
            raise refused from error
        answer = response.content
        assert isinstance(answer, dict)
        LEXICONS.output(described, answer)
        return answer


def _refused(error: RequestErrorBase) -> Refused:
    assert error.response is not None
    content: Any = error.response.content
    code = content["error"] if isinstance(content, dict) else content.error
    return Refused(code, error.response.status_code)


#: Makes an app to which alice, or `did`, granted the purposes.
MakeApp = Callable[..., tuple[App, Grant]]


def session_of(network: NetworkInfo, name: str) -> Client:
    """The person's session at their PDS, with their password."""
    person = network.accounts[name].person
    session = Client(network.pds_url)
    session.login(person.handle, person.password, fetch_bsky_profile=False)
    return session


def device_of(network: NetworkInfo, name: str, web: AgentClient) -> Device:
    account = network.accounts[name]
    return web.create_device(account.did, account.person.handle, "mail.test")


def target_json(device: Device) -> dict[str, Any]:
    assert device.prekey is not None
    return {
        "did": device.did,
        "fingerprint": device.fingerprint,
        "certificatePem": device.certificate_pem,
        "prekey": json.loads(plain(prekey_json(device.prekey))),
    }


def arguments(alice: Device, bob: Device, envelope: bytes = b"envelope") -> dict[str, dict[str, Any]]:
    """Well-formed fields for every method."""
    message = {"recipients": [bob.did], "text": "From an app"}
    return {
        "status": {},
        "sign": {"message": message},
        "attest": {"record": RECORD, "metadata": METADATA, "repository": alice.did},
        "seal": {"message": message, "targets": [target_json(bob)]},
        "open": {"envelopes": [to_json(envelope)]},
    }
