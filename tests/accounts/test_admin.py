"""What administrators see of devices, and revoking one with a confirmation."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Device, OAuthSession, Peer, PeerCertificate
from accounts.records import CERTIFICATES, PREKEYS
from demo.local_network import NetworkInfo
from tests.accounts.conftest import SignIn
from tests.accounts.repository import Repository
from tests.accounts.test_records import certificate
from tests.services.agent import AgentProcess

pytestmark = pytest.mark.django_db

DEVICES = "/admin/accounts/device/"


def make_device(handle: str, *, did_letter: str, fingerprint: str = "", **fields: object) -> Device:
    now = timezone.now()
    account = Account.objects.create(
        did="did:plc:" + did_letter * 24, handle=handle, pds_url="http://localhost:9"
    )
    return Device.objects.create(
        account=account,
        fingerprint=fingerprint or did_letter * 64,
        **{
            "certificate_pem": certificate().pem,
            "serial": did_letter * 32,
            "not_before": now - timedelta(days=1),
            "not_after": now + timedelta(days=1),
            "published_at": now,
            **fields,
        },
    )


@pytest.fixture
def four_devices() -> dict[str, Device]:
    now = timezone.now()
    return {
        "active": make_device("ann.test", did_letter="a"),
        "revoked": make_device("ben.test", did_letter="b", revoked_at=now),
        "expired": make_device("cat.test", did_letter="c", not_after=now),
        "unpublished": make_device("dan.test", did_letter="d", published_at=None),
    }


def listed(response: object) -> set[str]:
    return {str(row.fingerprint) for row in response.context["cl"].result_list}  # type: ignore[attr-defined]


@pytest.mark.parametrize("state", ["active", "revoked", "expired", "unpublished"])
def test_filters_by_state(admin_client: Client, four_devices: dict[str, Device], state: str) -> None:
    assert four_devices[state].state == state
    assert listed(admin_client.get(DEVICES, {"state": state})) == {four_devices[state].fingerprint}


def test_lists_all_and_those_with_a_pending_revocation(
    admin_client: Client, four_devices: dict[str, Device]
) -> None:
    assert len(listed(admin_client.get(DEVICES))) == 4
    assert listed(admin_client.get(DEVICES, {"state": "pending"})) == {four_devices["revoked"].fingerprint}
    Device.objects.filter(revoked_at__isnull=False).update(withdrawn_at=timezone.now())
    assert listed(admin_client.get(DEVICES, {"state": "pending"})) == set()


@pytest.mark.parametrize("query", ["a" * 64, "aaaaaaaa", "ann.test", "did:plc:" + "a" * 24])
def test_searches(admin_client: Client, four_devices: dict[str, Device], query: str) -> None:
    assert listed(admin_client.get(DEVICES, {"q": query})) == {four_devices["active"].fingerprint}


def test_shows_the_fields_of_the_certificate_and_changes_nothing(
    admin_client: Client, four_devices: dict[str, Device]
) -> None:
    device = four_devices["active"]
    url = f"{DEVICES}{device.pk}/change/"
    page = admin_client.get(url).content.decode()
    shown = certificate()
    for text in (
        f"CN={shown.did}",
        f"URI: at://{shown.did}/at.atsms.x509/{shown.fingerprint}",
        "DNS: alice.test",
        f"email: {shown.email}",
        "digital signature, key agreement",
        "emailProtection",
        "ecdsa-with-SHA256",
        shown.serial_hex,
        device.fingerprint,
    ):
        assert text in page, text
    assert "<textarea" not in page
    assert 'name="_save"' not in page
    assert admin_client.post(url, {"fingerprint": "0" * 64}).status_code == 403
    assert admin_client.get(f"{DEVICES}add/").status_code == 403
    assert admin_client.get(f"{DEVICES}{device.pk}/delete/").status_code == 403
    device.refresh_from_db()
    assert device.fingerprint == "a" * 64


def revoke(client: Client, *devices: Device, confirm: bool = False) -> object:
    fields = {"action": "revoke_selected", "_selected_action": [device.pk for device in devices]}
    if confirm:
        fields["confirm"] = "yes"
    return client.post(DEVICES, fields, follow=True)


def test_revokes_after_a_confirmation(
    admin_client: Client, client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    owner = Client()
    device = enrolled(owner, "alice").devices.get()
    alice = Repository(local_network, local_network.accounts["alice"])
    page = revoke(admin_client, device).content.decode()  # type: ignore[attr-defined]
    assert device.fingerprint in page
    assert 'name="csrfmiddlewaretoken"' in page
    device.refresh_from_db()
    assert device.revoked_at is None

    response = revoke(admin_client, device, confirm=True)
    assert "is revoked, and its owner&#x27;s PDS says so" in response.content.decode()  # type: ignore[attr-defined]
    device.refresh_from_db()
    assert device.state is Device.State.REVOKED
    assert "revokedAt" in alice.records(CERTIFICATES)[device.fingerprint]
    assert alice.records(PREKEYS) == {}
    again = revoke(admin_client, device)
    assert "revoked already" in again.content.decode()  # type: ignore[attr-defined]


def test_without_the_owners_session_says_what_is_still_to_be_done(
    admin_client: Client, enrolled: SignIn, local_network: NetworkInfo
) -> None:
    owner = Client()
    device = enrolled(owner, "alice").devices.get()
    owner.post("/sign-out/")
    page = revoke(admin_client, device, confirm=True).content.decode()  # type: ignore[attr-defined]
    assert "its keys are destroyed" in page
    assert "when the owner next signs in" in page
    device.refresh_from_db()
    assert device.withdrawal_pending
    assert "not yet shown by the PDS" in admin_client.get(DEVICES).content.decode()


def test_says_when_the_agent_is_away_and_revokes_nothing(
    admin_client: Client, four_devices: dict[str, Device], agent_process: AgentProcess
) -> None:
    agent_process.stop()
    try:
        page = revoke(admin_client, four_devices["active"], confirm=True).content.decode()  # type: ignore[attr-defined]
    finally:
        agent_process.start()
    assert "is not revoked. The key agent does not answer" in page
    four_devices["active"].refresh_from_db()
    assert four_devices["active"].revoked_at is None


def test_revoking_needs_the_permission(client: Client, four_devices: dict[str, Device]) -> None:
    user = User.objects.create_user("looker", password="looker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_device"))
    client.force_login(user)
    assert client.get(DEVICES).status_code == 200
    assert "revoke_selected" not in client.get(DEVICES).content.decode()
    revoke(client, four_devices["active"], confirm=True)
    four_devices["active"].refresh_from_db()
    assert four_devices["active"].revoked_at is None


def test_sessions_show_no_token_or_key(admin_client: Client, client: Client, sign_in: SignIn) -> None:
    session: OAuthSession = sign_in(Client(), "alice").oauth_sessions.get()
    for url in ("/admin/accounts/oauthsession/", f"/admin/accounts/oauthsession/{session.pk}/change/"):
        page = admin_client.get(url).content.decode()
        for secret in (session.sealed_access_token, session.sealed_refresh_token, session.sealed_dpop_key):
            assert bytes(secret).decode() not in page
        assert session.issuer in page


def test_peers_certificates_by_state(admin_client: Client) -> None:
    now = timezone.now()
    peer = Peer.objects.create(did="did:plc:" + "e" * 24, handle="eve.test")
    later = now + timedelta(days=1)
    rows = {
        "active": {"not_after": later},
        "revoked": {"not_after": later, "revoked_at": now},
        "expired": {"not_after": now},
        "absent": {"not_after": later, "present": False},
        "broken": {"problem": "bad-certificate"},
    }
    for number, (state, fields) in enumerate(rows.items()):
        pem = certificate().pem if state != "broken" else "nonsense"
        row = PeerCertificate.objects.create(
            peer=peer, fingerprint=f"{number}" * 64, certificate_pem=pem, **fields
        )
        assert row.state == state
        url = "/admin/accounts/peercertificate/"
        assert listed(admin_client.get(url, {"state": state})) == {row.fingerprint}
        assert admin_client.get(f"{url}{row.pk}/change/").status_code == 200
    assert len(listed(admin_client.get("/admin/accounts/peercertificate/", {"q": "eve.test"}))) == 5


@pytest.mark.parametrize("model", ["account", "oauthsession", "peer"])
def test_the_other_lists(admin_client: Client, four_devices: dict[str, Device], model: str) -> None:
    response = admin_client.get(f"/admin/accounts/{model}/", {"q": "ann"})
    assert response.status_code == 200
    assert admin_client.get(f"/admin/accounts/{model}/add/").status_code == 403


def test_what_is_late_is_shown_as_late(admin_client: Client) -> None:
    now = timezone.now()
    in_time = {
        "prekey_published_at": now - timedelta(days=7),
        "published_at": now - timedelta(days=60),
        "not_after": now + timedelta(days=31),
    }
    unpublished = {**in_time, "published_at": None, "prekey_published_at": None}
    revoked = {**in_time, "revoked_at": now - timedelta(days=40)}
    hours_ago, days_ago = now - timedelta(hours=23), now - timedelta(days=32)
    make_device("ann.test", did_letter="a", **in_time)
    make_device("ben.test", did_letter="b", **{**in_time, "revoked_at": now, "withdrawn_at": now})
    unsealed = {**in_time, "prekey_published_at": None}
    make_device("cat.test", did_letter="c", **{**unsealed, "published_at": hours_ago})
    make_device("lea.test", did_letter="l", **unpublished, created_at=hours_ago)
    make_device("hal.test", did_letter="h", **{**revoked, "withdrawn_at": now - timedelta(days=30, hours=1)})
    make_device(
        "ida.test", did_letter="i", **{**revoked, "withdrawn_at": days_ago, "tombstone_removed_at": now}
    )
    late = {
        "sealing key not replaced": make_device(
            "dan.test", did_letter="d", **{**in_time, "prekey_published_at": now - timedelta(days=8)}
        ),
        "certificate ends soon": make_device(
            "eva.test", did_letter="e", **{**in_time, "not_after": now + timedelta(days=29)}
        ),
        "revocation pending": make_device("flo.test", did_letter="f", **{**in_time, "revoked_at": now}),
        "certificate has ended": make_device("gus.test", did_letter="g", **{**in_time, "not_after": now}),
        "not published by now": make_device(
            "mia.test", did_letter="m", **unpublished, created_at=now - timedelta(days=1)
        ),
        "sealing key never published": make_device("jan.test", did_letter="j", **unsealed),
        "record of the revoked device not removed": make_device(
            "kim.test", did_letter="k", **{**revoked, "withdrawn_at": days_ago}
        ),
    }
    response = admin_client.get(DEVICES, {"late": "yes"})
    assert listed(response) == {device.fingerprint for device in late.values()}
    for words, device in late.items():
        assert [one.label for one in device.late] == [words]
        assert words in response.content.decode()
        assert words in admin_client.get(f"{DEVICES}{device.pk}/change/").content.decode()
    assert len(listed(admin_client.get(DEVICES))) == 13


def test_the_agent_and_its_alarms_are_shown_to_those_who_may_see_accounts(
    admin_client: Client, client: Client, agent_process: AgentProcess
) -> None:
    assert "Key agent: state and alarms" in admin_client.get("/admin/").content.decode()
    before = admin_client.get("/admin/agent/").content.decode()
    assert "The key agent is <strong>open</strong>" in before
    device = make_device("ann.test", did_letter="a")
    now = str(timezone.now().replace(tzinfo=None))
    path = agent_process.spec.environment["WAXWING_AGENT_DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=20)) as database:
        for entry, did in ((10**9, device.account.did), (10**9 + 1, "")):
            database.execute(
                "INSERT INTO crypto_agent_alarm (entry, did, at, hour_began_at, things) "
                "VALUES (?, ?, ?, ?, 20123)",
                (entry, did, now, now),
            )
        database.commit()
        (account,) = database.execute(
            "INSERT INTO crypto_agent_account (did, created_at, last_search_segment)"
            " VALUES (?, ?, 0) RETURNING id",
            (f"{device.account.did}-old", now),
        ).fetchone()
        database.execute(
            "INSERT INTO crypto_agent_datakey"
            " (account_id, version, wrapped, key_version, lock_id, created_at)"
            " VALUES (?, 1, x'00', 1, '', '2024-01-01 00:00:00')",
            (account,),
        )
        database.execute(
            "INSERT INTO crypto_agent_operatorkeyversion (version, retired_at)"
            " VALUES (0, '2026-01-02 00:00:00')"
        )
        database.execute("UPDATE crypto_agent_datakey SET key_version = 7 WHERE account_id = ?", (account,))
        _keep_late_prekey(database, account)
        database.execute(
            "INSERT INTO crypto_agent_datakey"
            " (account_id, version, wrapped, key_version, lock_id, created_at)"
            " VALUES (?, 2, x'00', 7, '', '2024-02-01 00:00:00')",
            (account,),
        )
        database.execute("UPDATE crypto_agent_clearedfiles SET at = '2026-01-03 00:00:00'")
        database.commit()
        shown = admin_client.get("/admin/agent/").content.decode()
        database.execute("UPDATE crypto_agent_clearedfiles SET at = ?", (now,))
        database.execute("DELETE FROM crypto_agent_operatorkeyversion WHERE version = 0")
        database.execute("DELETE FROM crypto_agent_prekeysecret WHERE generation = 77")
        database.execute("DELETE FROM crypto_agent_devicekey WHERE account_id = ?", (account,))
        database.execute("DELETE FROM crypto_agent_alarm")
        database.execute("DELETE FROM crypto_agent_datakey WHERE account_id = ?", (account,))
        database.execute("DELETE FROM crypto_agent_account WHERE id = ?", (account,))
        database.commit()
    assert "Late: " not in before
    assert "<strong>Late: 1 account</strong> with a data key" in shown
    assert "<strong>2 alarms</strong> within the last day" in shown
    assert "ann.test</a>" in shown
    assert "All accounts together" in shown
    assert "20123" in shown
    assert "All data keys are wrapped by the newest." in before
    assert "Rewrapping is not done: 2 data keys left" in shown
    assert "retired 2026-01-02" in shown
    assert "to be replaced, <strong>absent</strong>" in shown
    assert "<strong>Late: 1 prekey</strong>" in shown
    assert "<strong>Late: 1 account</strong> with a former data key" in shown
    assert "<strong>Late: files of the agent's database</strong>" in shown
    assert "that were destroyed since Jan. 3, 2026" in shown
    User.objects.create_user("helper", password="x", is_staff=True)
    client.login(username="helper", password="x")
    assert client.get("/admin/agent/").status_code == 403
    agent_process.stop()
    try:
        assert "does not answer just now" in admin_client.get("/admin/agent/").content.decode()
    finally:
        agent_process.start()


def _keep_late_prekey(database: sqlite3.Connection, account: int) -> None:
    """As the agent leaves it where it fails to destroy it."""
    (device,) = database.execute(
        "INSERT INTO crypto_agent_devicekey"
        " (account_id, fingerprint, certificate, state, wrapped, key_version, created_at)"
        " VALUES (?, 'late', x'00', 'active', x'00', 1, '2026-01-01 00:00:00') RETURNING id",
        (account,),
    ).fetchone()
    long_ago = str((timezone.now() - timedelta(hours=4)).replace(tzinfo=None))
    database.execute(
        "INSERT INTO crypto_agent_prekeysecret (device_id, generation, signed_prekey, signing_pk, bundle_sig,"
        " wrapped_secret, wrapped_signing_key, key_version, created_at, expires_at, destroy_after)"
        " VALUES (?, 77, x'00', x'00', x'00', x'00', x'00', 1, ?, ?, ?)",
        (device, long_ago, long_ago, long_ago),
    )
