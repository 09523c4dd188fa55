"""The three records: strict when made, lenient when read."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from accounts import certificate_fields, did_documents, records
from accounts.records import RecordError
from crypto_agent.atsms import certificates, prekeys

DID = "did:plc:" + "a" * 24
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(**changes: Any) -> certificates.EndpointCertificate:
    fields = {
        "key": KEY,
        "did": DID,
        "handle": "alice.test",
        "mail_domain": "mail.test",
        "serial": b"\x01" * 16,
        "not_before": NOW - timedelta(days=1),
        "not_after": NOW + timedelta(days=1),
        **changes,
    }
    return certificates.parse_certificate(certificates.issue_certificate(**fields))


def test_a_certificate_record_reads_back() -> None:
    made = records.certificate_record(DID, certificate().pem, created_at=NOW, now=NOW)
    assert made["createdAt"] == "2026-11-20T12:00:00.000Z"
    read = records.read_certificate_record(DID, certificate().fingerprint, made)
    assert (read.certificate.der, read.revoked_at) == (certificate().der, None)
    revoked = records.certificate_record(DID, certificate().pem, created_at=NOW, now=NOW, revoked_at=NOW)
    assert records.read_certificate_record(DID, certificate().fingerprint, revoked).revoked_at == NOW


@pytest.mark.parametrize(
    ("did", "changes", "code"),
    [
        ("did:plc:" + "b" * 24, {}, "wrong-account"),
        (DID, {"not_after": NOW - timedelta(hours=1)}, "expired-certificate"),
        (DID, {"not_before": NOW + timedelta(hours=1)}, "expired-certificate"),
    ],
)
def test_no_certificate_is_published_that_a_reader_would_refuse(
    did: str, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(RecordError) as raised:
        records.certificate_record(did, certificate(**changes).pem, created_at=NOW, now=NOW)
    assert raised.value.code == code


def test_an_expired_device_can_still_be_revoked() -> None:
    expired = certificate(not_after=NOW - timedelta(hours=1))
    made = records.certificate_record(DID, expired.pem, created_at=NOW, now=NOW, revoked_at=NOW)
    assert made["revokedAt"] == "2026-11-20T12:00:00.000Z"


def test_no_prekey_is_published_that_a_reader_would_refuse() -> None:
    times = records.iso_time(NOW), records.iso_time(NOW + timedelta(days=7))
    prekey = prekeys.sign_prekey(b"\x01" * 32, b"\x02" * 32, *times, KEY)
    made = records.prekey_record(prekey, certificate().pem, now=NOW)
    assert records.read_prekey_record(made, certificate(), NOW) == prekey
    for other, now, code in (
        (certificate(key=ec.generate_private_key(ec.SECP256R1())), NOW, "bad-prekey"),
        (certificate(), NOW + timedelta(days=7), "expired-prekey"),
    ):
        with pytest.raises(RecordError) as raised:
            records.prekey_record(prekey, other.pem, now=now)
        assert raised.value.code == code


@pytest.mark.parametrize(
    ("did", "local_part"),
    [(DID, "did!plc!" + "a" * 24), ("did:web:bob.example", "did!web!bob%23example")],
)
def test_own_endpoints(did: str, local_part: str) -> None:
    https = f"https://mail.test/inbox/{did.replace(':', '%3A')}"
    assert records.own_endpoints(did, "https://mail.test", None) == [https]
    assert records.own_endpoints(did, "https://mail.test", "mail.test") == [
        https,
        f"mailto:{local_part}@mail.test",
    ]


def test_an_inbox_record_must_carry_https() -> None:
    assert records.inbox_record(["mailto:a@b.test", "https://c.test/inbox"])["endpoints"] == [
        {"uri": "mailto:a@b.test"},
        {"uri": "https://c.test/inbox"},
    ]
    for endpoints in ([], ["mailto:a@b.test"], ["http://127.0.0.1/inbox"]):
        with pytest.raises(RecordError) as raised:
            records.inbox_record(endpoints)
        assert raised.value.code == "no-https-endpoint"
    assert records.inbox_record(["http://127.0.0.1/inbox"], development=True)


def test_an_inbox_record_is_bounded() -> None:
    for endpoints in (["https://a.test"] * 21, ["https://" + "a" * 2048]):
        with pytest.raises(RecordError) as raised:
            records.inbox_record(endpoints)
        assert raised.value.code == "too-many-endpoints"


@pytest.mark.parametrize(
    ("present", "formerly_ours", "merged"),
    [
        ([], [], ["a", "b"]),
        (["x"], [], ["a", "b", "x"]),
        (["x", "a"], [], ["b", "x", "a"]),
        (["b", "x", "a"], [], ["b", "x", "a"]),
        (["old", "x"], ["old"], ["a", "b", "x"]),
        (["a", "old"], ["a", "old"], ["b", "a"]),
    ],
)
def test_merging_keeps_what_others_listed(
    present: list[str], formerly_ours: list[str], merged: list[str]
) -> None:
    assert records.merged_endpoints(["a", "b"], present, formerly_ours) == merged
    assert records.merged_endpoints(["a", "b"], merged, ["a", "b"]) == merged


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\n"])
def test_characters_that_no_database_stores_are_skipped(text: str) -> None:
    value = {"endpoints": [{"uri": f"https://a.test/{text}"}, {"uri": "https://b.test/"}]}
    assert records.read_inbox_endpoints(value) == ["https://b.test/"]
    with pytest.raises(RecordError) as raised:
        records.read_certificate_record("did:web:a.test", "0" * 64, {"certificate": f"-----BEGIN{text}"})
    assert raised.value.code == "bad-certificate"
    service = {"id": "#s", "type": "T", "serviceEndpoint": f"smtp://a.test/{text}"}
    assert did_documents.service_endpoint({"id": "did:web:a.test", "service": [service]}, "#s", "T") is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "\ud800", 17])
def test_a_revocation_at_a_time_that_no_database_stores_holds_for_ever(text: object) -> None:
    device = certificate()
    value = {"certificate": device.pem, "revokedAt": text}
    read = records.read_certificate_record(DID, device.fingerprint, value)
    assert read.revoked_at == datetime.fromtimestamp(0, UTC)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        # The version, and the curve of the key.
        (bytes.fromhex("a003020102"), bytes.fromhex("a003020122")),
        (bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0209")),
    ],
)
def test_a_certificate_of_a_kind_that_nobody_knows_is_a_broken_record(good: bytes, bad: bytes) -> None:
    assert good in certificate().der
    lines = base64.encodebytes(certificate().der.replace(good, bad)).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n"
    with pytest.raises(RecordError) as caught:
        records.read_certificate_record(DID, certificate().fingerprint, {"certificate": pem})
    assert caught.value.code == "bad-certificate"
    assert certificate_fields.read(pem) is None
