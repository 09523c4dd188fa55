"""Other people's devices as their PDS shows them, whether they are in order or not."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.cache import cache
from django.utils import timezone
from pytest_django import Settings

from accounts import lookups, peers, people, records, repositories
from accounts.lookups import _Host
from accounts.models import Peer, PeerCertificate
from accounts.peers import PeerError, check_signer, devices_of, refresh
from accounts.records import CERTIFICATES, INBOX, PREKEYS
from crypto_agent.atsms import certificates, prekeys
from crypto_agent.atsms.certificates import EndpointCertificate
from demo.local_network import NetworkInfo
from tests.accounts.repository import Repository

pytestmark = pytest.mark.django_db

SERIAL = bytes(range(1, 17))


class PublishedDevice:
    """A device of another installation: its key, and what it publishes in bob's repository."""

    def __init__(self, repository: Repository, *, did: str = "", valid_days: int = 3650) -> None:
        self.repository = repository
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.now = timezone.now()
        der = certificates.issue_certificate(
            self.key,
            did or repository.did,
            "bob.test",
            "mail.test",
            SERIAL,
            self.now - timedelta(days=3651),
            self.now + timedelta(days=valid_days),
        )
        self.certificate: EndpointCertificate = certificates.parse_certificate(der)
        self.fingerprint = self.certificate.fingerprint

    def record(self, **changes: Any) -> dict[str, Any]:
        return {
            "$type": CERTIFICATES,
            "certificate": self.certificate.pem,
            "serialNumber": self.certificate.serial_hex,
            "createdAt": records.iso_time(self.now),
            **changes,
        }

    def prekey(self, *, expires: timedelta = timedelta(days=7)) -> prekeys.Prekey:
        times = records.iso_time(self.now - timedelta(days=8)), records.iso_time(self.now + expires)
        return prekeys.sign_prekey(b"\x01" * 32, b"\x02" * 32, *times, self.key)

    def publish(self, *, prekey: prekeys.Prekey | None = None, rkey: str = "", **changes: Any) -> None:
        self.repository.put(CERTIFICATES, rkey or self.fingerprint, self.record(**changes))
        if prekey is not None:
            self.repository.put(PREKEYS, self.fingerprint, prekey.record())


@pytest.fixture
def bob(local_network: NetworkInfo) -> Repository:
    return Repository(local_network, local_network.accounts["bob"])


def test_a_device_with_its_prekey(bob: Repository) -> None:
    device = PublishedDevice(bob)
    device.publish(prekey=device.prekey())
    (found,) = devices_of(bob.did)
    assert (found.did, found.fingerprint) == (bob.did, device.fingerprint)
    assert found.certificate_pem == device.certificate.pem
    assert found.prekey is not None
    assert found.prekey.signed_prekey == b"\x01" * 32
    peer = Peer.objects.get(did=bob.did)
    assert (peer.handle, peer.display_name, peer.problems) == ("bob.test", "Bob", [])


def test_somebody_without_devices(bob: Repository) -> None:
    assert devices_of(bob.did) == []


Break = Callable[[PublishedDevice], None]
BROKEN: dict[str, Break] = {
    "bad-certificate": lambda device: device.publish(certificate="nonsense"),
    "bad-certificate of another kind": lambda device: device.publish(certificate=17),
    "bad-certificate that is empty": lambda device: device.publish(certificate=""),
    "wrong-record-key": lambda device: device.publish(rkey="0" * 64),
    "wrong-record-key of no fingerprint": lambda device: device.publish(rkey="self"),
    "bad-certificate with a broken signature": lambda device: device.publish(
        certificate=tampered(device.certificate)
    ),
}


def tampered(certificate: EndpointCertificate) -> str:
    der = bytearray(certificate.der)
    der[-1] ^= 1
    body = base64.b64encode(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("name", BROKEN)
def test_one_broken_record_hides_no_other(bob: Repository, name: str) -> None:
    BROKEN[name](PublishedDevice(bob))
    sound = PublishedDevice(bob)
    sound.publish()
    assert [device.fingerprint for device in devices_of(bob.did)] == [sound.fingerprint]
    (problem,) = Peer.objects.get(did=bob.did).problems
    assert problem["code"] == name.split(" ")[0]


def test_somebody_elses_certificate_is_not_theirs(bob: Repository, local_network: NetworkInfo) -> None:
    PublishedDevice(bob, did=local_network.accounts["alice"].did).publish()
    assert devices_of(bob.did) == []
    assert Peer.objects.get(did=bob.did).problems[0]["code"] == "wrong-account"


@pytest.mark.parametrize("revoked_at", ["2026-01-01T00:00:00Z", "not a time", ""])
def test_a_revoked_device_is_not_written_to(bob: Repository, revoked_at: str) -> None:
    PublishedDevice(bob).publish(revokedAt=revoked_at)
    assert devices_of(bob.did) == []
    assert PeerCertificate.objects.get().state is PeerCertificate.State.REVOKED


def test_an_expired_device_is_not_written_to(bob: Repository) -> None:
    PublishedDevice(bob, valid_days=-1).publish()
    assert devices_of(bob.did) == []
    assert PeerCertificate.objects.get().state is PeerCertificate.State.EXPIRED


@pytest.mark.parametrize("kind", ["expired", "of another device", "malformed", "none"])
def test_without_a_good_prekey_the_device_stays(bob: Repository, kind: str) -> None:
    device, other = PublishedDevice(bob), PublishedDevice(bob)
    device.publish()
    if kind == "expired":
        bob.put(PREKEYS, device.fingerprint, device.prekey(expires=timedelta(minutes=-1)).record())
    elif kind == "of another device":
        bob.put(PREKEYS, device.fingerprint, other.prekey().record())
    elif kind == "malformed":
        bob.put(PREKEYS, device.fingerprint, {"$type": PREKEYS, "signedPrekey": "x"})
    (found,) = devices_of(bob.did)
    assert found.prekey is None
    expected = {"expired": "expired-prekey", "none": ""}.get(kind, "bad-prekey")
    assert PeerCertificate.objects.get().prekey_problem == expected


def test_a_prekey_that_expires_while_it_is_cached_is_not_used(bob: Repository) -> None:
    device = PublishedDevice(bob)
    device.publish(prekey=device.prekey(expires=timedelta(seconds=2)))
    assert devices_of(bob.did)[0].prekey is not None
    row = PeerCertificate.objects.get()
    assert row.prekey is not None
    row.prekey["expiresAt"] = records.iso_time(timezone.now() - timedelta(seconds=1))
    row.save()
    assert devices_of(bob.did)[0].prekey is None


def test_what_is_known_is_used_for_a_day_and_then_asked_again(bob: Repository) -> None:
    first = PublishedDevice(bob)
    first.publish()
    assert len(devices_of(bob.did)) == 1
    PublishedDevice(bob).publish()
    assert len(devices_of(bob.did)) == 1
    assert len(devices_of(bob.did, fresh=True)) == 2
    bob.delete(CERTIFICATES, first.fingerprint)
    Peer.objects.update(checked_at=timezone.now() - timedelta(hours=24))
    assert len(devices_of(bob.did)) == 1
    PublishedDevice(bob).publish()
    peers.forget(bob.did)
    assert len(devices_of(bob.did)) == 2


def test_a_server_that_is_away_is_no_empty_answer(bob: Repository, settings: Settings) -> None:
    PublishedDevice(bob).publish()
    assert len(devices_of(bob.did)) == 1
    settings.PLC_URL = "http://localhost:9"
    assert len(devices_of(bob.did)) == 1
    with pytest.raises(PeerError) as raised:
        devices_of(bob.did, fresh=True)
    assert raised.value.code == "peer-unreachable"
    with pytest.raises(PeerError) as raised:
        devices_of(bob.did, max_age=timedelta(0))


@pytest.mark.parametrize("read", ["all", "one"])
def test_a_handle_that_could_not_be_asked_for_stays_as_it_was(
    bob: Repository, settings: Settings, read: str
) -> None:
    device = PublishedDevice(bob)
    device.publish()
    refresh(bob.did)
    settings.HANDLE_RESOLVER_URL = "http://localhost:9"
    # The worker next door asks that host at this moment.
    cache.add(_Host(settings.HANDLE_RESOLVER_URL)._asked, 1)
    Peer.objects.filter(did=bob.did).update(profile_checked_at=None)
    with lookups.sparing() as spared:
        if read == "all":
            refresh(bob.did)
        else:
            assert verdict(device, fresh=True) == "ok"
    assert spared.seconds
    peer = Peer.objects.get(did=bob.did)
    assert (peer.handle, peer.events.count()) == ("bob.test", 0)
    assert people.look_up(bob.did).handle == "bob.test"


def test_nobody_is_unknown(local_network: NetworkInfo) -> None:
    with pytest.raises(PeerError) as raised:
        devices_of("did:plc:" + "a" * 24)
    assert raised.value.code == "peer-unknown"


def test_no_more_devices_are_read_than_the_bound(bob: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        PublishedDevice(bob).publish()
    monkeypatch.setattr(peers, "MAX_DEVICES", 2)
    assert len(devices_of(bob.did)) == 2


def verdict(device: PublishedDevice, *, at: datetime | None = None, fresh: bool = False) -> str:
    found = check_signer(
        device.repository.did,
        device.fingerprint,
        device.certificate.pem,
        at=at or timezone.now(),
        fresh=fresh,
    )
    assert found.ok is (found.code == "ok")
    return found.code


def test_a_published_signer(bob: Repository) -> None:
    device = PublishedDevice(bob)
    assert verdict(device) == "signer-not-published"
    device.publish()
    assert verdict(device) == "ok"


def test_a_signer_that_signed_before_its_revocation_still_holds(bob: Repository) -> None:
    device = PublishedDevice(bob)
    moment = datetime(2026, 6, 1, tzinfo=UTC)
    device.publish(revokedAt=records.iso_time(moment))
    assert verdict(device, at=moment - timedelta(seconds=1)) == "ok"
    assert verdict(device, at=moment) == "signer-revoked"
    assert verdict(device) == "signer-revoked"


def test_a_revocation_is_seen_at_once_when_asked_freshly(bob: Repository) -> None:
    device = PublishedDevice(bob)
    device.publish()
    assert verdict(device) == "ok"
    device.publish(revokedAt=records.iso_time(timezone.now() - timedelta(minutes=1)))
    assert verdict(device) == "ok"
    assert verdict(device, fresh=True) == "signer-revoked"


def test_an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one(
    bob: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, later = PublishedDevice(bob), PublishedDevice(bob)
    device.publish()
    assert len(devices_of(bob.did)) == 1
    get_record = repositories.get_record

    def overtaken(*args: Any) -> Any:
        """The last question of a look-up, during which everything changes and somebody else looks."""
        monkeypatch.setattr(repositories, "get_record", get_record)
        found = get_record(*args)
        device.publish(revokedAt=records.iso_time(timezone.now() - timedelta(minutes=1)))
        later.publish()
        bob.put(INBOX, "self", {"$type": INBOX, "endpoints": [{"uri": "https://new.example.org/inbox"}]})
        newer()
        return found

    def newer() -> None:
        assert [found.fingerprint for found in devices_of(bob.did, fresh=True)] == [later.fingerprint]

    monkeypatch.setattr(repositories, "get_record", overtaken)
    assert [found.fingerprint for found in devices_of(bob.did, fresh=True)] == [later.fingerprint]
    assert peers.known_peer(bob.did).inbox_endpoints == ["https://new.example.org/inbox"]


@pytest.mark.parametrize("of_all", [True, False])
def test_a_revocation_that_was_seen_is_not_unseen_by_a_slower_look(
    bob: Repository, monkeypatch: pytest.MonkeyPatch, of_all: bool
) -> None:
    device = PublishedDevice(bob)
    device.publish()
    assert verdict(device) == "ok"
    get_record = repositories.get_record

    def overtaken(*args: Any) -> Any:
        monkeypatch.setattr(repositories, "get_record", get_record)
        found = get_record(*args)
        device.publish(revokedAt=records.iso_time(timezone.now() - timedelta(minutes=1)))
        assert verdict(device, fresh=True) == "signer-revoked"
        return found

    monkeypatch.setattr(repositories, "get_record", overtaken)
    if of_all:
        peers.refresh(bob.did)
    else:
        verdict(device, fresh=True)
    assert verdict(device) == "signer-revoked"


def test_a_device_that_was_seen_is_not_gone_by_a_slower_look(
    bob: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = PublishedDevice(bob)
    list_records = repositories.list_records

    def overtaken(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(repositories, "list_records", list_records)
        found = list_records(*args, **more)
        device.publish()
        assert verdict(device, fresh=True) == "ok"
        return found

    monkeypatch.setattr(repositories, "list_records", overtaken)
    peers.refresh(bob.did)
    assert verdict(device) == "ok"


@pytest.mark.parametrize("of_all", [True, False])
def test_what_a_clock_that_was_wrong_noted_does_not_stay(bob: Repository, of_all: bool) -> None:
    device = PublishedDevice(bob)
    device.publish()
    assert verdict(device) == "ok"
    ahead = timezone.now() + timedelta(days=300)
    Peer.objects.update(checked_at=ahead)
    PeerCertificate.objects.update(checked_at=ahead)
    device.publish(revokedAt=records.iso_time(timezone.now() - timedelta(minutes=1)))
    if of_all:
        peers.refresh(bob.did)
    assert verdict(device, fresh=not of_all) == "signer-revoked"


def test_a_signer_that_was_taken_down(bob: Repository) -> None:
    device = PublishedDevice(bob)
    device.publish()
    assert verdict(device) == "ok"
    bob.delete(CERTIFICATES, device.fingerprint)
    assert verdict(device, fresh=True) == "signer-not-published"


def test_a_record_with_another_key_in_its_place(bob: Repository) -> None:
    device, other = PublishedDevice(bob), PublishedDevice(bob)
    other.publish(rkey=device.fingerprint)
    assert verdict(device) == "signer-key-differs"


def test_an_expired_signer(bob: Repository) -> None:
    device = PublishedDevice(bob, valid_days=-1)
    device.publish()
    assert verdict(device) == "signer-expired"
    assert verdict(device, at=timezone.now() - timedelta(days=2)) == "ok"


def test_a_certificate_that_is_not_what_the_message_says(bob: Repository, local_network: NetworkInfo) -> None:
    device, other = PublishedDevice(bob), PublishedDevice(bob)
    device.publish()
    now = timezone.now()
    alice = local_network.accounts["alice"].did
    for did, fingerprint, pem in (
        (bob.did, device.fingerprint, other.certificate.pem),
        (bob.did, other.fingerprint, device.certificate.pem),
        (alice, device.fingerprint, device.certificate.pem),
        (bob.did, device.fingerprint, "nonsense"),
    ):
        assert check_signer(did, fingerprint, pem, at=now).code == "bad-certificate"


def test_a_server_that_is_away_gives_no_verdict(bob: Repository, settings: Settings) -> None:
    device = PublishedDevice(bob)
    device.publish()
    settings.PLC_URL = "http://localhost:9"
    assert verdict(device) == "signer-unreachable"


def test_a_signer_seen_for_the_first_time_is_written_to_with_its_prekey(bob: Repository) -> None:
    first, second = PublishedDevice(bob), PublishedDevice(bob)
    first.publish(prekey=first.prekey())
    assert len(devices_of(bob.did)) == 1
    second.publish(prekey=second.prekey())
    assert verdict(second) == "ok"
    assert all(device.prekey for device in devices_of(bob.did))
    assert len(devices_of(bob.did)) == 2


def test_the_inbox_record_is_read_leniently(bob: Repository) -> None:
    endpoints = [
        {"uri": "https://a.example.org/inbox"},
        {"url": "x"},
        7,
        {"uri": 8},
        {"uri": "mailto:b@example.org"},
    ]
    bob.put(INBOX, "self", {"$type": INBOX, "endpoints": endpoints})
    assert peers.known_peer(bob.did).inbox_endpoints == [
        "https://a.example.org/inbox",
        "mailto:b@example.org",
    ]
