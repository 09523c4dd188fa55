"""Publishing a device, revoking it, and renewing its prekey: the real agent, the real PDS."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import enrolment, oauth, tasks
from accounts.agent import agent
from accounts.models import Account, Device
from accounts.pds import SignInAgain
from accounts.records import CERTIFICATES, INBOX, PREKEYS
from crypto_agent.atsms import certificates, prekeys
from crypto_agent.client import AgentUnavailable, PasskeyUse
from demo.local_network import NetworkInfo
from tests.accounts.conftest import SignIn
from tests.accounts.repository import Repository
from tests.crypto_agent.authenticator import Authenticator
from tests.services.agent import AgentProcess

pytestmark = pytest.mark.django_db


def test_the_welcome_page_shows_what_will_be_published_before_anything_is(
    client: Client, sign_in: SignIn, agent_process: AgentProcess, local_network: NetworkInfo
) -> None:
    account = sign_in(client, "alice")
    in_agent = agent().list_devices(account.did)
    response = client.get("/welcome/")
    page = response.content.decode()
    for words in (CERTIFICATES, PREKEYS, INBOX, "http://127.0.0.1:8000/inbox/did%3Aplc%3A"):
        assert words in page
    alice = Repository(local_network, local_network.accounts["alice"])
    assert alice.records(CERTIFICATES) == alice.records(PREKEYS) == alice.records(INBOX) == {}
    assert agent().list_devices(account.did) == in_agent
    assert not Device.objects.exists()


def test_enrolling_publishes_three_records_that_hold_what_they_must(
    client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    assert account.enrolled_at is not None
    device = account.devices.get()
    assert device.state is Device.State.ACTIVE
    alice = Repository(local_network, local_network.accounts["alice"])

    record = alice.records(CERTIFICATES)[device.fingerprint]
    assert set(record) == {"$type", "certificate", "serialNumber", "createdAt", "validUntil"}
    certificate = certificates.parse_certificate(record["certificate"])
    assert (certificate.did, certificate.handle) == (account.did, "alice.test")
    assert certificate.fingerprint == device.fingerprint
    assert certificate.serial_hex == record["serialNumber"] == device.serial
    assert datetime.fromisoformat(record["validUntil"]) == device.not_after

    prekey = prekeys.Prekey.from_record(alice.records(PREKEYS)[device.fingerprint])
    prekeys.verify_prekey(prekey, certificate.public_key, timezone.now())
    assert device.prekey_expires_at == prekeys.parse_time(prekey.expires_at)
    assert device.prekey_expires_at - timezone.now() > timedelta(days=6)

    inbox = alice.records(INBOX)["self"]
    assert inbox["endpoints"] == [{"uri": f"http://127.0.0.1:8000/inbox/{account.did.replace(':', '%3A')}"}]
    assert client.get("/welcome/done/").status_code == 200
    assert client.get("/welcome/").headers["location"] == "/welcome/lock/"


def test_no_certificate_names_a_handle_that_could_not_be_asked_for(
    client: Client, sign_in: SignIn, local_network: NetworkInfo, settings: Settings
) -> None:
    account = sign_in(client, "alice")
    Account.objects.update(handle="handle.invalid")
    resolver, settings.HANDLE_RESOLVER_URL = settings.HANDLE_RESOLVER_URL, "http://localhost:9"
    response = client.post("/welcome/")
    assert response.status_code == 503
    assert "Your handle does not lead to you" in response.context["error"]
    alice = Repository(local_network, local_network.accounts["alice"])
    assert alice.records(CERTIFICATES) == {}
    settings.HANDLE_RESOLVER_URL = resolver
    assert client.post("/welcome/").status_code == 302
    (record,) = alice.records(CERTIFICATES).values()
    assert certificates.parse_certificate(record["certificate"]).handle == "alice.test"
    account.refresh_from_db()
    assert account.handle == "alice.test"
    # What there is already is published again whether the handle holds or not.
    Account.objects.update(handle="handle.invalid")
    settings.HANDLE_RESOLVER_URL = "http://localhost:9"
    enrolment.enrol(Account.objects.get())


def test_enrolling_twice_changes_nothing(
    client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    alice = Repository(local_network, local_network.accounts["alice"])
    before = [alice.records(collection) for collection in (CERTIFICATES, PREKEYS, INBOX)]
    enrolment.enrol(account)
    assert [alice.records(collection) for collection in (CERTIFICATES, PREKEYS, INBOX)] == before
    assert account.devices.count() == 1


def test_enrolling_goes_on_where_it_died(
    client: Client,
    sign_in: SignIn,
    agent_process: AgentProcess,
    local_network: NetworkInfo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = sign_in(client, "alice")
    alice = Repository(local_network, local_network.accounts["alice"])

    def die(*_: object) -> None:
        raise ConnectionAbortedError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "_publish_prekey", die)
        with pytest.raises(ConnectionAbortedError):
            enrolment.enrol(account)
    (fingerprint,) = alice.records(CERTIFICATES)
    assert alice.records(PREKEYS) == {}
    account.refresh_from_db()
    assert account.enrolled_at is None
    assert client.post("/welcome/").headers["location"] == "/welcome/lock/"
    assert set(alice.records(CERTIFICATES)) == set(alice.records(PREKEYS)) == {fingerprint}


def test_the_agent_being_away_is_said_and_loses_nothing(
    client: Client, sign_in: SignIn, agent_process: AgentProcess
) -> None:
    account = sign_in(client, "alice")
    agent_process.stop()
    try:
        response = client.post("/welcome/")
        assert response.status_code == 503
        assert "The key agent does not answer" in response.context["error"]
    finally:
        agent_process.start()
    account.refresh_from_db()
    assert account.enrolled_at is None
    assert client.post("/welcome/").status_code == 302


def test_endpoints_of_others_stay_in_the_inbox_record(
    client: Client,
    sign_in: SignIn,
    agent_process: AgentProcess,
    local_network: NetworkInfo,
    settings: Settings,
) -> None:
    settings.SMTP_PUBLIC_URL = "smtp://mail.test:25"
    account = sign_in(client, "alice")
    alice = Repository(local_network, local_network.accounts["alice"])
    theirs = {"uri": "https://relay.example.org/inbox/alice"}
    alice.put(INBOX, "self", {"$type": INBOX, "endpoints": [theirs]})
    enrolment.enrol(account)
    own_https = {"uri": f"http://127.0.0.1:8000/inbox/{account.did.replace(':', '%3A')}"}
    own_mail = {"uri": f"mailto:{account.did.replace(':', '!')}@mail.test"}
    assert alice.records(INBOX)["self"]["endpoints"] == [own_https, own_mail, theirs]

    settings.PUBLIC_URL = "http://127.0.0.1:8001"
    enrolment.enrol(account)
    moved = {"uri": own_https["uri"].replace(":8000", ":8001")}
    assert alice.records(INBOX)["self"]["endpoints"] == [moved, own_mail, theirs]


def test_revoking_marks_the_record_and_takes_the_prekey_back(
    client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    device = account.devices.get()
    alice = Repository(local_network, local_network.accounts["alice"])
    certificate = alice.records(CERTIFICATES)[device.fingerprint]
    url = f"/devices/{device.fingerprint}/revoke/"
    assert client.get(url).status_code == 200
    device.refresh_from_db()
    assert device.revoked_at is None

    assert client.post(url).headers["location"] == "/devices/"
    device.refresh_from_db()
    assert device.state is Device.State.REVOKED
    assert not device.withdrawal_pending
    record = alice.records(CERTIFICATES)[device.fingerprint]
    revoked_at = datetime.fromisoformat(record.pop("revokedAt"))
    assert record == certificate
    assert abs(revoked_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert alice.records(PREKEYS) == {}
    assert [
        one.revoked_at for one in agent().list_devices(account.did) if one.fingerprint == device.fingerprint
    ] != [None]
    page = client.get("/devices/")
    assert page.context["needs_device"] is True
    assert "The device is revoked" in page.context["notice"]


def test_after_revoking_a_new_device_can_be_made(
    client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    first = account.devices.get()
    enrolment.revoke(account, first.fingerprint)
    assert client.get("/welcome/").status_code == 200
    assert client.post("/welcome/").headers["location"] == "/welcome/lock/"
    second = account.devices.active().get()
    assert second.fingerprint != first.fingerprint
    alice = Repository(local_network, local_network.accounts["alice"])
    assert set(alice.records(CERTIFICATES)) == {first.fingerprint, second.fingerprint}
    assert set(alice.records(PREKEYS)) == {second.fingerprint}


def test_a_revocation_without_a_session_is_published_at_the_next_sign_in(
    client: Client, enrolled: SignIn, sign_in: SignIn, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    device = account.devices.get()
    client.post("/sign-out/")
    with pytest.raises(SignInAgain):
        enrolment.revoke(account, device.fingerprint)
    device.refresh_from_db()
    assert device.revoked_at is not None
    assert device.withdrawal_pending
    alice = Repository(local_network, local_network.accounts["alice"])
    assert "revokedAt" not in alice.records(CERTIFICATES)[device.fingerprint]

    sign_in(client, "alice")
    assert "revokedAt" in alice.records(CERTIFICATES)[device.fingerprint]
    assert alice.records(PREKEYS) == {}
    device.refresh_from_db()
    assert not device.withdrawal_pending


def test_a_device_that_was_marked_revoked_elsewhere_is_not_published_again(
    client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    device = account.devices.get()
    alice = Repository(local_network, local_network.accounts["alice"])
    record = alice.records(CERTIFICATES)[device.fingerprint]
    alice.put(CERTIFICATES, device.fingerprint, record | {"revokedAt": "2026-01-01T00:00:00.000Z"})
    client.get("/devices/")
    device.refresh_from_db()
    assert device.published_at is None
    enrolment.enrol(account)
    device.refresh_from_db()
    assert device.revoked_at is not None
    assert "revokedAt" in alice.records(CERTIFICATES)[device.fingerprint]
    assert account.devices.active().get().fingerprint != device.fingerprint


def test_the_passkey_is_asked_for_once_where_a_device_was_marked_revoked_elsewhere(
    client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    did, device = account.did, account.devices.get()
    alice = Repository(local_network, local_network.accounts["alice"])
    record = alice.records(CERTIFICATES)[device.fingerprint]
    alice.put(CERTIFICATES, device.fingerprint, record | {"revokedAt": "2026-01-01T00:00:00.000Z"})
    web, passkey = agent(), Authenticator(origin="http://localhost:8000")

    def shown(purpose: str) -> dict[str, Any]:
        return passkey.get(web.passkey_challenge(did, purpose))

    web.add_passkey(did, "Key", passkey.create(web.begin_passkey(did, "alice.test")))
    web.require_passkey(did, True, PasskeyUse(shown("require-passkey")))
    try:
        enrolment.enrol(account, assertion=shown("create-device"))
        assert account.devices.active().get().fingerprint != device.fingerprint
    finally:
        web.require_passkey(did, False, PasskeyUse(shown("require-passkey")))
        for kept in web.custody(did).passkeys:
            web.remove_passkey(did, kept.passkey_id)


def test_a_device_that_vanished_from_the_repository_is_shown_as_not_published(
    client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    device = account.devices.get()
    Repository(local_network, local_network.accounts["alice"]).delete(CERTIFICATES, device.fingerprint)
    response = client.get("/devices/")
    assert [one.state for one in response.context["devices"]] == [Device.State.UNPUBLISHED]
    assert client.post("/welcome/").status_code == 302
    device.refresh_from_db()
    assert device.state is Device.State.ACTIVE


def test_prekeys_are_renewed_when_the_agent_says_so(
    client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    device = account.devices.get()
    alice = Repository(local_network, local_network.accounts["alice"])
    before = alice.records(PREKEYS)[device.fingerprint]
    tasks.renew_prekeys_of(account.pk)
    assert alice.records(PREKEYS)[device.fingerprint] == before

    agent().rotate_prekey(account.did, device.fingerprint, force=True)
    tasks.renew_prekeys_of(account.pk)
    after = alice.records(PREKEYS)[device.fingerprint]
    assert after["signedPrekey"] != before["signedPrekey"]
    device.refresh_from_db()
    assert device.prekey_expires_at == datetime.fromisoformat(after["expiresAt"])


def test_renewing_without_a_session_fails_quietly_and_keeps_the_state(
    client: Client, enrolled: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    account = enrolled(client, "alice")
    oauth.revoke(account.oauth_sessions.get())
    agent().rotate_prekey(account.did, account.devices.get().fingerprint, force=True)
    before = account.devices.get().prekey_expires_at
    tasks.renew_prekeys_of(account.pk)
    assert "sign-in-again" in caplog.text
    assert account.devices.get().prekey_expires_at == before


def test_one_persons_devices_are_out_of_another_ones_reach(client: Client, enrolled: SignIn) -> None:
    fingerprint = enrolled(client, "alice").devices.get().fingerprint
    other = Client()
    enrolled(other, "bob")
    assert other.get(f"/devices/{fingerprint}/revoke/").status_code == 404
    assert other.post(f"/devices/{fingerprint}/revoke/").status_code == 404
    assert Device.objects.get(fingerprint=fingerprint).revoked_at is None


def test_nothing_is_revoked_when_the_agent_is_away(
    client: Client, enrolled: SignIn, agent_process: AgentProcess, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    device = account.devices.get()
    agent_process.stop()
    try:
        with pytest.raises(AgentUnavailable):
            enrolment.revoke(account, device.fingerprint)
        assert client.post(f"/devices/{device.fingerprint}/revoke/").status_code == 503
    finally:
        agent_process.start()
    assert Account.objects.get(pk=account.pk).devices.active().exists()


def test_the_record_of_a_revoked_device_goes_after_thirty_days(
    client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    account = enrolled(client, "alice")
    device = account.devices.get()
    enrolment.revoke(account, device.fingerprint)
    alice = Repository(local_network, local_network.accounts["alice"])
    account.devices.update(withdrawn_at=timezone.now() - timedelta(days=30) + timedelta(hours=1))
    tasks.renew_prekeys_of(account.pk)
    assert "revokedAt" in alice.records(CERTIFICATES)[device.fingerprint]

    account.devices.update(withdrawn_at=timezone.now() - timedelta(days=30))
    for _ in range(2):
        tasks.renew_prekeys_of(account.pk)
        assert alice.records(CERTIFICATES) == {}
    device.refresh_from_db()
    removed_at = device.tombstone_removed_at
    assert removed_at is not None
    page = client.get("/devices/").content.decode()
    assert "Taken out of your repository" in page
    device.refresh_from_db()
    assert (device.state, device.tombstone_removed_at) == (Device.State.REVOKED, removed_at)


def test_a_person_reads_what_is_late(client: Client, enrolled: SignIn) -> None:
    account = enrolled(client, "alice")
    page = client.get("/devices/").content.decode()
    assert "should have been replaced" not in page
    assert "The certificate should have been renewed" not in page
    now = timezone.now()
    account.devices.update(prekey_published_at=now - timedelta(days=9), not_after=now + timedelta(days=10))
    page = client.get("/devices/").content.decode()
    assert "The sealing key should have been replaced by now" in page
    assert "The certificate should have been renewed" in page
