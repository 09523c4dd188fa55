"""Apps that call the agent through their user's real PDS: what a grant allows, and that it allows no more."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from crypto_agent.app_methods import APP_METHODS
from crypto_agent.atsms.json_bytes import from_json, to_json
from crypto_agent.atsms.oneshot import read_signed
from crypto_agent.client import AgentClient, Device, SealedContent
from demo.local_network import NetworkInfo
from tests.crypto_agent.app import (
    PURPOSES,
    App,
    MakeApp,
    Refused,
    arguments,
    device_of,
    session_of,
    target_json,
)
from tests.crypto_agent.people import receive, write
from tests.crypto_agent.running_agent import Agent


def test_there_is_a_purpose_for_each_method_and_the_tests_know_them(alice: Device, bob: Device) -> None:
    assert {name.removeprefix("app.") for name in APP_METHODS} == set(PURPOSES) == set(arguments(alice, bob))
    for name, method in APP_METHODS.items():
        assert name == f"app.{method.purpose}"


def test_the_audit_log_names_the_grant(agent: Agent, app: MakeApp, alice: Device, bob: Device) -> None:
    granted, grant = app("seal")
    granted.call("seal", **arguments(alice, bob)["seal"])
    with pytest.raises(Refused):
        granted.call("open", **arguments(alice, bob)["open"])
    rows = agent.execute(
        "SELECT did, purpose, count, outcome FROM crypto_agent_auditentry "  # noqa: S608
        f"WHERE caller = 'grant {grant.grant_id}' ORDER BY sequence"
    )
    assert [tuple(row) for row in rows] == [
        (alice.did, "app.seal", 1, "ok"),
        (alice.did, "app.open", 1, "PurposeNotGranted"),
    ]
    assert agent.command("verify_audit").returncode == 0


def test_what_an_app_seals_is_the_users_message(
    app: MakeApp, worker: AgentClient, web: AgentClient, alice: Device, bob: Device
) -> None:
    granted, _ = app("seal")
    sealed = granted.call("seal", **arguments(alice, bob)["seal"])
    (copy,) = sealed["copies"]
    assert (copy["did"], copy["form"], sealed["refused"]) == (bob.did, "sealed", [])
    received = receive(worker, bob.did, from_json(copy["envelope"], 1 << 17))
    assert (received.sender_did, received.sender_fingerprint) == (alice.did, alice.fingerprint)
    assert received.message_id == sealed["messageId"]
    assert web.read(bob.did, [received.content])[0].text == "From an app"


def test_a_message_for_more_devices_than_one_call_takes_stays_one_message(
    app: MakeApp, worker: AgentClient, web: AgentClient, alice: Device, bob: Device
) -> None:
    """The further calls get the same signed bytes; the app's own, and no other's."""
    granted, _ = app("seal")
    other, _ = app("seal")
    of_bob, _ = app("seal", did=bob.did)
    fields = arguments(alice, bob)["seal"]
    first = granted.call("seal", **fields)
    second = granted.call("seal", again=first["again"], targets=fields["targets"])
    third = granted.call("seal", again=second["again"], targets=fields["targets"])
    ids = ("conversationId", "messageId", "createdAt")
    assert [[one[name] for name in ids] for one in (second, third)] == [[first[name] for name in ids]] * 2
    received = [
        receive(worker, bob.did, from_json(one["copies"][0]["envelope"], 1 << 17)) for one in (first, third)
    ]
    assert {one.message_id for one in received} == {first["messageId"]}
    assert web.read(bob.did, [received[1].content])[0].text == "From an app"
    composed = web.compose(alice.did, [bob.did], "Mine", created_at=datetime.now(UTC))
    for asks, again in (
        (other, first["again"]),
        (of_bob, first["again"]),
        (granted, to_json(composed.sealed)),
        (granted, to_json(b"\x01")),
    ):
        with pytest.raises(Refused) as refused:
            asks.call("seal", again=again, targets=fields["targets"])
        assert refused.value.code in ("CannotUnseal", "NotGranted")
    blob = from_json(first["again"], 1 << 17)
    for data in (blob, b"\x01\x01" + blob[1:], b"\x01\x02" + blob[1:]):
        item = SealedContent(first["conversationId"], first["messageId"], data)
        assert web.read(alice.did, [item])[0].error == "cannot-unseal"
    for both_or_none in (fields | {"again": first["again"]}, {"targets": fields["targets"]}):
        with pytest.raises(Refused) as refused:
            granted.call("seal", **both_or_none)
        assert refused.value.code == "InvalidRequest"


def test_nothing_else_of_the_agents_is_taken_for_an_apps_message(
    app: MakeApp, worker: AgentClient, web: AgentClient, alice: Device, bob: Device
) -> None:
    granted, _ = app("seal")
    targets = [target_json(bob)]
    made = granted.call("seal", message={"recipients": [bob.did], "text": "Mine"}, targets=targets)["again"]
    _, sealed = write(web, worker, bob.did, [alice])
    kept = {
        "received": (6, receive(worker, alice.did, sealed.copies[0].envelope).sealed),
        "composed": (6, web.compose(alice.did, [bob.did], "Mine", created_at=datetime.now(UTC)).sealed),
        "draft": (5, web.seal_draft(alice.did, "ab" * 16, b"half")),
        "file": (5, web.encrypt_file(alice.did, "1", "a", "a/b", 3, [b"abc"], lambda _: None).sealed),
        "export key": (4, web.export_account(alice.did, "correct horse battery").export_key),
        "permit": (4, web.begin_readable_export(alice.did)),
    }
    head = from_json(made, 1 << 17)[:5]
    for name, (length, blob) in kept.items():
        for again in (blob, head + blob[length:]):
            with pytest.raises(Refused) as refused:
                granted.call("seal", again=to_json(again), targets=targets)
            assert refused.value.code == "CannotUnseal", name
    assert granted.call("seal", again=made, targets=targets)["copies"]


def test_a_copy_is_for_participants_alone(app: MakeApp, alice: Device, bob: Device) -> None:
    granted, _ = app("seal")
    message = {"recipients": [alice.did], "text": "To myself"}
    sealed = granted.call("seal", message=message, targets=[target_json(bob)])
    assert sealed["copies"] == []
    assert [refused["code"] for refused in sealed["refused"]] == ["not-a-participant"]


def test_what_an_app_signs_is_a_message_that_the_agent_made(app: MakeApp, alice: Device, bob: Device) -> None:
    granted, _ = app("sign")
    signed = granted.call("sign", **arguments(alice, bob)["sign"])
    message = read_signed(from_json(signed["signedData"], 1 << 17))
    assert (message.sender_did, message.sender_fingerprint) == (alice.did, alice.fingerprint)
    assert (message.message_id.hex(), message.content.text) == (signed["messageId"], "From an app")


def test_an_app_reads_what_it_opens(
    app: MakeApp, web: AgentClient, worker: AgentClient, alice: Device, bob: Device
) -> None:
    granted, _ = app("open")
    _, sealed = write(web, worker, bob.did, [alice], "For alice, see https://bob.test/")
    opened = granted.call("open", envelopes=[to_json(b"no envelope"), to_json(sealed.copies[0].envelope)])
    broken, whole = opened["opened"]
    assert set(broken) == {"envelopeId", "error"}
    assert whole["message"]["senderDid"] == bob.did
    assert whole["content"]["text"] == "For alice, see https://bob.test/"
    assert [facet["value"] for facet in whole["content"]["facets"]] == ["https://bob.test/"]
    assert "sealed" not in str(whole)


def test_status_is_what_the_app_may_know(app: MakeApp, alice: Device) -> None:
    granted, grant = app("status", "attest")
    status = granted.call("status")
    assert [device["fingerprint"] for device in status["devices"]] == [alice.fingerprint]
    assert status["purposes"] == ["status", "attest"]
    assert status["attestationKeys"] == list(grant.attestation_keys)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_no_purpose_includes_another(app: MakeApp, alice: Device, bob: Device, purpose: str) -> None:
    granted, _ = app(purpose)
    for method, fields in arguments(alice, bob).items():
        if method == purpose:
            granted.call(method, **fields)
        else:
            with pytest.raises(Refused) as refused:
                granted.call(method, **fields)
            assert (refused.value.code, refused.value.status) == ("PurposeNotGranted", 403)


@pytest.mark.parametrize("method", PURPOSES)
def test_after_it_is_revoked_or_has_expired_a_grant_is_for_nothing(
    app: MakeApp, web: AgentClient, alice: Device, bob: Device, method: str
) -> None:
    granted, grant = app(*PURPOSES)
    fields = arguments(alice, bob)[method]
    granted.call(method, **fields)
    assert web.revoke_grant(alice.did, grant.grant_id).revoked_at is not None
    with pytest.raises(Refused) as refused:
        granted.call(method, **fields)
    assert refused.value.code == "NotGranted"
    short, _ = app(*PURPOSES, seconds=1)
    time.sleep(1)
    with pytest.raises(Refused) as refused:
        short.call(method, **fields)
    assert refused.value.code == "GrantExpired"


@pytest.mark.parametrize("method", PURPOSES)
def test_another_accounts_grant_is_for_nothing(app: MakeApp, alice: Device, bob: Device, method: str) -> None:
    granted, _ = app(*PURPOSES, did=bob.did)
    with pytest.raises(Refused) as refused:
        granted.call(method, **arguments(alice, bob)[method])
    assert refused.value.code == "NotGranted"


def test_the_limit_counts_things_and_refuses_what_would_go_beyond(
    agent: Agent, app: MakeApp, web: AgentClient, alice: Device
) -> None:
    granted, grant = app("open", "status", limit=5)
    envelopes = [to_json(b"envelope")] * 4
    granted.call("open", envelopes=envelopes)
    with pytest.raises(Refused) as refused:
        granted.call("open", envelopes=envelopes)
    assert (refused.value.code, refused.value.status) == ("GrantLimitReached", 429)
    granted.call("status")
    with pytest.raises(Refused):
        granted.call("status")
    (shown,) = [one for one in web.list_grants(alice.did).grants if one.grant_id == grant.grant_id]
    assert shown.uses == 2
    assert shown.last_used_at is not None
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    agent.execute(
        f"UPDATE crypto_agent_grant SET hour_began_at = '{an_hour_ago}' WHERE grant_id = '{grant.grant_id}'"  # noqa: S608
    )
    granted.call("open", envelopes=envelopes)


def test_a_grants_token_is_kept_nowhere(own_agent: Agent, local_network: NetworkInfo) -> None:
    web = own_agent.client("web")
    alice = device_of(local_network, "alice", web)
    new = web.create_grant(
        alice.did, "Tests", ["status"], expires_at=datetime.now(UTC) + timedelta(days=1), hourly_limit=5
    )
    App(session_of(local_network, "alice"), f"{own_agent.did}#waxwing_agent", new.token).call("status")
    assert new.token not in repr(new)
    web.list_grants(alice.did)
    assert new.token not in str(web.answers[-1])
    files = b"".join(path.read_bytes() for path in own_agent.directory.iterdir() if path.is_file())
    assert new.grant.grant_id.encode() in files
    assert new.token.encode() not in files
