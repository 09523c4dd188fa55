"""An account's repository at the local PDS, written with its password, as its owner's other apps would."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from accounts.records import CERTIFICATES, INBOX, PREKEYS
from demo.local_network import LocalAccount, NetworkInfo


class Repository:
    def __init__(self, network: NetworkInfo, account: LocalAccount) -> None:
        self.network = network
        self.did = account.did
        self._token = _token(network.pds_url, account.person.handle, account.person.password)

    def put(self, collection: str, rkey: str, record: Mapping[str, Any]) -> None:
        body = {"repo": self.did, "collection": collection, "rkey": rkey, "record": dict(record)}
        self.call("com.atproto.repo.putRecord", body)

    def delete(self, collection: str, rkey: str) -> None:
        self.call("com.atproto.repo.deleteRecord", {"repo": self.did, "collection": collection, "rkey": rkey})

    def records(self, collection: str) -> dict[str, dict[str, Any]]:
        answer = httpx.get(
            f"{self.network.pds_url}/xrpc/com.atproto.repo.listRecords",
            params={"repo": self.did, "collection": collection, "limit": 100},
        )
        found = answer.raise_for_status().json()["records"]
        return {record["uri"].rpartition("/")[2]: record["value"] for record in found}

    def upload(self, data: bytes, content_type: str) -> dict[str, Any]:
        answer = httpx.post(
            f"{self.network.pds_url}/xrpc/com.atproto.repo.uploadBlob",
            content=data,
            headers={"content-type": content_type, "authorization": f"Bearer {self._token}"},
        )
        blob: dict[str, Any] = answer.raise_for_status().json()["blob"]
        return blob

    def call(self, nsid: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._token}"}
        answer = httpx.post(f"{self.network.pds_url}/xrpc/{nsid}", json=body, headers=headers)
        found: dict[str, Any] = answer.raise_for_status().json() if answer.content else {}
        return found


@cache
def _token(pds_url: str, handle: str, password: str) -> str:
    """Good for two hours; a PDS takes its time over each password."""
    answer = httpx.post(
        f"{pds_url}/xrpc/com.atproto.server.createSession",
        json={"identifier": handle, "password": password},
    )
    token: str = answer.raise_for_status().json()["accessJwt"]
    return token


def empty_repository(network: NetworkInfo, account: LocalAccount) -> None:
    """Takes back every record of the three collections, if there is any."""
    described = httpx.get(
        f"{network.pds_url}/xrpc/com.atproto.repo.describeRepo", params={"repo": account.did}
    ).json()
    present = {CERTIFICATES, PREKEYS, INBOX} & set(described["collections"])
    if not present:
        return
    repository = Repository(network, account)
    for collection in present:
        for rkey in repository.records(collection):
            repository.delete(collection, rkey)
