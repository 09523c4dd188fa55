"""Certificates are renewed before they end: an agent that lives ten years later, and the real PDS."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import enrolment, peers, tasks
from accounts.agent import kept_client
from accounts.models import Account, Device
from accounts.records import CERTIFICATES
from crypto_agent.atsms import certificates
from crypto_agent.client import AgentClient
from demo.local_network import NetworkInfo
from demo.ports import free_port
from tests.accounts.conftest import SignIn
from tests.accounts.repository import Repository
from tests.services.agent import AgentProcess, agent_process

pytestmark = pytest.mark.django_db(transaction=True)

YEARS = 3650


@pytest.fixture
def own_agent(tmp_path: Path, settings: Any) -> Iterator[AgentProcess]:
    """An agent for one test, which may live later."""
    with agent_process(tmp_path, free_port()) as process:
        settings.AGENT_URL = process.url
        kept_client.cache_clear()
        yield process
    kept_client.cache_clear()


@pytest.fixture
def alice(client: Client, sign_in: SignIn, own_agent: AgentProcess) -> Account:
    account = sign_in(client, "alice")
    assert client.post("/welcome/").status_code == 302
    account.refresh_from_db()
    return account


@contextmanager
def _days_later(process: AgentProcess, days: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentClient]:
    """The agent with its clock moved, and a client in its time; the PDS stays in ours."""
    command = tuple(
        "tests.services.moved_clock" if part == "crypto_agent.wsgi" else part for part in process.spec.command
    )
    environment = {**process.spec.environment, "WAXWING_TEST_CLOCK_DAYS": str(days)}
    process.stop()
    process.spec = replace(process.spec, command=command, environment=environment)
    process.start()
    later = AgentClient(
        process.url, process.token_secret, "worker", now=lambda: time.time() + days * 24 * 3600
    )
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "agent", lambda: later)
        yield later
    later.close()


def _published(network: NetworkInfo, device: Device) -> dict[str, Any]:
    alice = Repository(network, network.accounts["alice"])
    record: dict[str, Any] = alice.records(CERTIFICATES)[device.fingerprint]
    return record


def _ends_in(device: Device, days: float) -> None:
    """As the web would know it, if its clock were as late as the agent's."""
    device.not_after = timezone.now() + timedelta(days=days)
    device.save(update_fields=["not_after"])


def test_a_certificate_is_renewed_and_published_under_the_same_record_key(
    alice: Account,
    own_agent: AgentProcess,
    local_network: NetworkInfo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = alice.devices.get()
    before = _published(local_network, device)
    with _days_later(own_agent, YEARS - 59, monkeypatch):
        enrolment.renew_certificates(alice)
        assert _published(local_network, device) == before, "the web does not ask before it is time"
        _ends_in(device, 59)
        enrolment.renew_certificates(alice)
        device.refresh_from_db()
        after = _published(local_network, device)
        enrolment.renew_certificates(alice)
        assert _published(local_network, device) == after, "once is enough"
    old, new = (certificates.parse_certificate(record["certificate"]) for record in (before, after))
    assert new.public_key == old.public_key
    assert device.certificate_pem == after["certificate"] == new.pem
    assert (device.serial, device.not_after) == (after["serialNumber"], new.not_after)
    assert new.not_after - old.not_after == pytest.approx(
        timedelta(days=YEARS - 59), abs=timedelta(minutes=5)
    )
    assert after["createdAt"] == before["createdAt"]
    assert "revokedAt" not in after
    assert device.late == []


def test_who_knows_the_old_certificate_goes_on_verifying(
    alice: Account,
    own_agent: AgentProcess,
    local_network: NetworkInfo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = alice.devices.get()
    old_pem, signed_at = device.certificate_pem, timezone.now()
    peers.refresh(alice.did)
    with _days_later(own_agent, YEARS - 10, monkeypatch):
        _ends_in(device, 10)
        enrolment.renew_certificates(alice)
    device.refresh_from_db()
    assert device.certificate_pem != old_pem
    for pem in (old_pem, device.certificate_pem):
        for fresh in (False, True):
            verdict = peers.check_signer(alice.did, device.fingerprint, pem, at=signed_at, fresh=fresh)
            assert verdict.code == "ok"
    assert peers.devices_of(alice.did, fresh=True)[0].certificate_pem == device.certificate_pem


@pytest.mark.parametrize("dies_at", ["_put_confirmed", "forget"])
def test_killed_anywhere_it_goes_on_where_it_was(
    alice: Account,
    own_agent: AgentProcess,
    local_network: NetworkInfo,
    monkeypatch: pytest.MonkeyPatch,
    dies_at: str,
) -> None:
    device = alice.devices.get()

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with _days_later(own_agent, YEARS - 59, monkeypatch) as later:
        _ends_in(device, 59)
        with monkeypatch.context() as patch:
            patch.setattr(peers if dies_at == "forget" else enrolment, dies_at, die)
            with pytest.raises(KeyboardInterrupt):
                enrolment.renew_certificates(alice)
        enrolment.renew_certificates(alice)
        (renewed,) = later.list_devices(alice.did)
    device.refresh_from_db()
    assert device.certificate_pem == renewed.certificate_pem
    assert _published(local_network, device)["certificate"] == renewed.certificate_pem


def test_a_device_that_was_marked_as_revoked_from_elsewhere_stays_so(
    alice: Account,
    own_agent: AgentProcess,
    local_network: NetworkInfo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = alice.devices.get()
    record = _published(local_network, device)
    repository = Repository(local_network, local_network.accounts["alice"])
    repository.put(CERTIFICATES, device.fingerprint, {**record, "revokedAt": record["createdAt"]})
    with _days_later(own_agent, YEARS - 59, monkeypatch):
        _ends_in(device, 59)
        enrolment.renew_certificates(alice)
    assert _published(local_network, device)["revokedAt"] == record["createdAt"]


def test_the_scheduled_task_renews_and_what_is_late_is_shown_as_late(
    alice: Account,
    own_agent: AgentProcess,
    local_network: NetworkInfo,
    monkeypatch: pytest.MonkeyPatch,
    admin_client: Client,
) -> None:
    device = alice.devices.get()
    _ends_in(device, 45)
    assert list(Device.objects.late()) == []
    _ends_in(device, 29)
    assert list(Device.objects.late()) == [device]
    late = admin_client.get("/admin/accounts/device/", {"late": "yes"}).content.decode()
    assert "certificate ends soon" in late
    with _days_later(own_agent, YEARS - 29, monkeypatch):
        tasks.renew_prekeys_of(alice.pk)
    device.refresh_from_db()
    assert list(Device.objects.late()) == []
    assert device.not_after > timezone.now() + timedelta(days=YEARS)
