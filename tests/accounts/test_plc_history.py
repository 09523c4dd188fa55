"""The PLC directory's log: the real directory's is read, and one that was rewritten is noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts import identities, peers, plc_history, plc_log
from accounts.models import Peer, PeerEvent
from accounts.plc_log import PlcLogError
from demo.local_network import NetworkInfo
from tests.accounts.http_server import Server, reply
from tests.services.plc_operations import KEY, OTHER_KEY, cid_of, did_of, key_text, log_of, operation, sign

GENESIS = operation(None)
SECOND = operation(cid_of(GENESIS), handle="dora.example")
THIRD = operation(cid_of(SECOND), pds="https://elsewhere.test")
DID = did_of(GENESIS)
LOG_PATH = f"/{DID}/log/audit"


def test_a_log_is_read_with_what_it_says() -> None:
    operations = plc_log.read(log_of(GENESIS, SECOND, THIRD), DID)
    assert [each.cid for each in operations] == [cid_of(body) for body in (GENESIS, SECOND, THIRD)]
    assert [each.handle for each in operations] == ["dora.test", "dora.example", "dora.test"]
    assert operations[-1].pds_url == "https://elsewhere.test"
    assert operations[0].rotation_keys == (key_text(KEY), key_text(OTHER_KEY))
    assert operations[0].signing_key == key_text(KEY)


def test_the_first_form_of_an_entry() -> None:
    body = {
        "type": "create",
        "signingKey": key_text(KEY),
        "recoveryKey": key_text(OTHER_KEY),
        "handle": "old.test",
        "service": "https://pds.test",
        "prev": None,
    }
    genesis = sign(body, KEY)
    (read,) = plc_log.read(log_of(genesis), did_of(genesis))
    assert (read.handle, read.pds_url, read.signing_key) == ("old.test", "https://pds.test", key_text(KEY))
    assert read.rotation_keys == (key_text(OTHER_KEY), key_text(KEY))


def test_an_entry_that_was_undone_by_a_higher_key() -> None:
    instead = operation(cid_of(GENESIS), handle="back.test")
    log = log_of(GENESIS, SECOND, instead, nullified=(1,))
    assert [each.nullified for each in plc_log.read(log, DID)] == [False, True, False]


def _changed(log: list[dict[str, Any]], number: int, **fields: Any) -> list[dict[str, Any]]:
    return [{**entry, **fields} if at == number else entry for at, entry in enumerate(log)]


LOG = log_of(GENESIS, SECOND, THIRD)
STRANGER = operation(cid_of(SECOND), signed_by=OTHER_KEY, rotation_keys=[key_text(OTHER_KEY)])
BROKEN: dict[str, Any] = {
    "nothing": [],
    "no list": {"error": "no"},
    "too long": LOG * 400,
    "an entry twice": [*LOG, LOG[-1]],
    "one left out": [LOG[0], LOG[2]],
    "the first left out": LOG[1:],
    "another order": [LOG[0], LOG[2], LOG[1]],
    "another DID": _changed(LOG, 1, did="did:plc:" + "a" * 24),
    "another CID": _changed(LOG, 1, cid=LOG[2]["cid"]),
    "other content": _changed(LOG, 2, operation={**THIRD, "alsoKnownAs": ["at://evil.test"]}),
    "no content": _changed(LOG, 2, operation=None),
    "a float": _changed(LOG, 2, operation={**THIRD, "x": 1.5}),
    "no time": _changed(LOG, 2, createdAt="yesterday"),
    "all undone": [{**entry, "nullified": True} for entry in LOG],
    "a fork that counts twice": log_of(GENESIS, SECOND, operation(cid_of(GENESIS))),
    "signed by nobody": log_of(GENESIS, {**SECOND, "sig": "A" * 86}),
    "signed by a key of its own": log_of(
        operation(None, rotation_keys=[key_text(KEY)]),
        operation(
            cid_of(operation(None, rotation_keys=[key_text(KEY)])),
            signed_by=OTHER_KEY,
            rotation_keys=[key_text(OTHER_KEY)],
        ),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_log_that_does_not_hold_together_is_refused(name: str) -> None:
    log = BROKEN[name]
    did = log[0]["did"] if isinstance(log, list) and log and name != "another DID" else DID
    with pytest.raises(PlcLogError):
        plc_log.read(log, did)


@pytest.mark.django_db
def test_the_real_directorys_log_is_read_and_pinned(local_network: NetworkInfo) -> None:
    did = local_network.accounts["bob"].did
    peers.refresh(did)
    peer = plc_history.read(did)
    assert peer is not None
    assert peer.plc_problem == ""
    head = plc_history.head_of(peer)
    assert head is not None
    assert (head.handle, head.pds_url) == ("bob.test", peer.pds_url)
    assert PeerEvent.objects.count() == 0
    assert plc_history.due(timezone.now()) == []


@pytest.mark.django_db
class TestRewriting:
    @pytest.fixture
    def peer(self, server: Server, settings: Settings) -> Peer:
        settings.PLC_URL = server.url
        return Peer.objects.create(did=DID, checked_at=timezone.now(), known_since=timezone.now())

    def read(self, server: Server, log: list[dict[str, Any]]) -> list[tuple[str, str]]:
        body = json.dumps(log).encode()
        server.answer = lambda handler: reply(handler, 200 if handler.path == LOG_PATH else 404, body)
        plc_history.read(DID)
        return list(PeerEvent.objects.order_by("pk").values_list("kind", "subject"))

    def test_what_is_added_is_a_change(self, server: Server, peer: Peer) -> None:
        assert self.read(server, log_of(GENESIS)) == []
        assert self.read(server, log_of(GENESIS, SECOND)) == [("log-grew", cid_of(SECOND))]
        assert self.read(server, log_of(GENESIS, SECOND)) == [("log-grew", cid_of(SECOND))]

    def test_a_known_entry_that_is_missing(self, server: Server, peer: Peer) -> None:
        self.read(server, log_of(GENESIS, SECOND))
        instead = operation(cid_of(GENESIS), handle="evil.test")
        expected = [("log-grew", cid_of(instead)), ("log-rewritten", cid_of(SECOND))]
        assert self.read(server, log_of(GENESIS, instead)) == expected
        # It is said once.
        assert self.read(server, log_of(GENESIS, instead)) == expected
        head = plc_history.head_of(peer)
        assert head is not None
        assert head.cid == cid_of(instead)

    def test_an_entry_that_was_undone(self, server: Server, peer: Peer) -> None:
        self.read(server, log_of(GENESIS, SECOND))
        instead = operation(cid_of(GENESIS), handle="back.test")
        assert self.read(server, log_of(GENESIS, SECOND, instead, nullified=(1,))) == [
            ("log-undone", cid_of(SECOND)),
            ("log-grew", cid_of(instead)),
        ]

    def test_a_broken_log_takes_nothing_away(self, server: Server, peer: Peer) -> None:
        self.read(server, log_of(GENESIS, SECOND))
        assert self.read(server, [log_of(GENESIS, SECOND)[1]]) == []
        peer.refresh_from_db()
        assert peer.plc_problem == "plc-log-broken"
        assert peer.plc_operations.filter(missing_since=None).count() == 2

    def test_a_directory_that_is_away(self, settings: Settings, peer: Peer) -> None:
        settings.PLC_URL = "http://localhost:9"
        with pytest.raises(identities.IdentityError):
            plc_history.read(DID)
        peer.refresh_from_db()
        assert peer.plc_problem == "network"
