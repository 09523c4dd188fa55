"""What somebody publishes, changed with their password as another program of theirs would."""

import re
import time
from typing import Any

import httpx

from demo.local_network import LocalAccount
from tests.services.smtp_sink import SmtpSink

INBOX = "at.atsms.inbox"


class Repository:
    """One person's repository and DID document."""

    def __init__(self, pds_url: str, account: LocalAccount) -> None:
        self.did = account.did
        self._email = account.person.email
        self._client = httpx.Client(base_url=f"{pds_url}/xrpc/", timeout=20)
        session = self._call(
            "com.atproto.server.createSession",
            {"identifier": account.person.handle, "password": account.person.password},
        )
        self._client.headers["Authorization"] = f"Bearer {session['accessJwt']}"

    def inbox(self) -> list[str]:
        """The endpoints of the inbox record, in their order."""
        names = {"repo": self.did, "collection": INBOX, "rkey": "self"}
        answer = self._client.get("com.atproto.repo.getRecord", params=names)
        return [one["uri"] for one in answer.raise_for_status().json()["value"]["endpoints"]]

    def find(self, collection: str, rkey: str) -> dict[str, Any] | None:
        """A record, if there is one."""
        names = {"repo": self.did, "collection": collection, "rkey": rkey}
        answer = self._client.get("com.atproto.repo.getRecord", params=names)
        found: dict[str, Any] | None = answer.json().get("value")
        return found

    def records(self, collection: str) -> list[dict[str, Any]]:
        """All records of a collection."""
        names = {"repo": self.did, "collection": collection}
        answer = self._client.get("com.atproto.repo.listRecords", params=names)
        return [one["value"] for one in answer.raise_for_status().json()["records"]]

    def put_inbox(self, endpoints: list[str]) -> None:
        record = {"$type": INBOX, "endpoints": [{"uri": uri} for uri in endpoints]}
        names = {"repo": self.did, "collection": INBOX, "rkey": "self"}
        self._call("com.atproto.repo.putRecord", {**names, "record": record})

    def name_mail_server(self, url: str | None, mail_to_people: SmtpSink) -> None:
        """Puts an SMTP service into the DID document, or takes it out. The PDS sends a mail to allow it."""
        services: dict[str, Any] = dict(
            self._call("com.atproto.identity.getRecommendedDidCredentials")["services"]
        )
        if url:
            services["atsms_smtp"] = {"type": "AtsmsSmtpService", "endpoint": url}
        seen = len(mail_to_people.mails)
        self._call("com.atproto.identity.requestPlcOperationSignature", {})
        token = _token_in_mail(mail_to_people, seen)
        signed = self._call("com.atproto.identity.signPlcOperation", {"token": token, "services": services})
        self._call("com.atproto.identity.submitPlcOperation", {"operation": signed["operation"]})

    def _call(self, nsid: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._client.get(nsid) if body is None else self._client.post(nsid, json=body or None)
        assert answer.status_code == 200, f"{nsid}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found


def _token_in_mail(sink: SmtpSink, seen: int) -> str:
    deadline = time.monotonic() + 20
    while len(sink.mails) == seen:
        assert time.monotonic() < deadline, "the PDS sent no mail"
        time.sleep(0.05)
    body = sink.mails[-1].message.get_body(("plain", "html"))
    assert body
    found = re.search(r"\b([A-Z0-9]{5}-[A-Z0-9]{5})\b", body.get_content())
    assert found, body.get_content()
    return found[1]
