"""The local network that the demo and the tests stand on."""

from pathlib import Path

import httpx
import pytest

from demo.local_network import LocalNetwork, NetworkInfo, person


def resolved(network: NetworkInfo, handle: str) -> str:
    url = f"{network.pds_url}/xrpc/com.atproto.identity.resolveHandle"
    did: str = httpx.get(url, params={"handle": handle}).raise_for_status().json()["did"]
    return did


def document(network: NetworkInfo, did: str) -> dict[str, object]:
    answer: dict[str, object] = httpx.get(f"{network.plc_url}/{did}").raise_for_status().json()
    return answer


def test_everybody_has_an_account_that_resolves_both_ways(local_network: NetworkInfo) -> None:
    assert set(local_network.accounts) == {"alice", "bob", "carol"}
    for account in local_network.accounts.values():
        assert resolved(local_network, account.person.handle) == account.did
        assert document(local_network, account.did)["alsoKnownAs"] == [f"at://{account.person.handle}"]


def test_everybody_has_a_name_in_their_repository(local_network: NetworkInfo) -> None:
    names = set()
    for account in local_network.accounts.values():
        answer = httpx.get(
            f"{local_network.pds_url}/xrpc/com.atproto.repo.getRecord",
            params={"repo": account.did, "collection": "app.bsky.actor.profile", "rkey": "self"},
        )
        names.add(answer.raise_for_status().json()["value"]["displayName"])
    assert names == {"Alice", "Bob", "Carol"}


@pytest.mark.parametrize("server", ["pds_url", "plc_url"])
def test_the_servers_listen_on_the_loopback_address_alone(local_network: NetworkInfo, server: str) -> None:
    port = int(getattr(local_network, server).rsplit(":", 1)[1])
    listening = [
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    ]
    assert listening == [f"0100007F:{port:04X}"]


def test_accounts_survive_a_restart_at_other_ports(tmp_path: Path) -> None:
    alice = person("alice")
    with LocalNetwork(tmp_path, [alice]) as network:
        before = network.info
    with LocalNetwork(tmp_path, [alice]) as network:
        after = network.info
        assert after.pds_url != before.pds_url
        did = after.accounts["alice"].did
        assert did == before.accounts["alice"].did
        assert document(after, did)["service"] == [
            {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": after.pds_url}
        ]
        signed_in = httpx.post(
            f"{after.pds_url}/xrpc/com.atproto.server.createSession",
            json={"identifier": alice.handle, "password": alice.password},
        )
        assert signed_in.raise_for_status().json()["did"] == did


def test_an_operation_is_in_the_file_before_it_is_confirmed(tmp_path: Path) -> None:
    """The network is killed, not stopped, right after an account was made."""
    with LocalNetwork(tmp_path, []) as network:
        made = httpx.post(
            f"{network.info.pds_url}/xrpc/com.atproto.server.createAccount",
            json={"handle": "carol.test", "email": "carol@pds.test", "password": "carol-pass"},
        )
        did = made.raise_for_status().json()["did"]
        network.kill()
    with LocalNetwork(tmp_path, []) as network:
        assert resolved(network.info, "carol.test") == did
        assert document(network.info, did)["alsoKnownAs"] == ["at://carol.test"]
