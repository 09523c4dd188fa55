"""An account's own repository held to what was published there, and what its owner says of the rest."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import identities, own_entries, rate_limits, records
from accounts.models import Account, PublishedEntry
from accounts.pds import PdsClient
from accounts.sessions import OAUTH_SESSION_KEY
from accounts.tasks import audit_account
from tests.webmail.conftest import Publish, Write, carry, seal
from webmail import not_arrived
from webmail.carriers import Outcome, Refused
from webmail.models import Delivery, DeliveryCopy

pytestmark = pytest.mark.django_db


def browser_of(account: Account) -> Client:
    """Signed in with the session by which records can be written as well."""
    client = Client()
    session = client.session
    session[OAUTH_SESSION_KEY] = account.oauth_sessions.get().pk
    session.save()
    return client


def test_an_unknown_device_in_the_own_repository_gets_no_copy(
    alice: Account, bob: Account, write: Write, publish: Publish
) -> None:
    own_entries.audit(alice)
    stranger = publish(alice)
    seal(write(alice, [bob], "not for strangers"))
    assert not DeliveryCopy.objects.filter(fingerprint=stranger.fingerprint).exists()
    (entry,) = own_entries.troubles(alice)
    assert (entry.kind, entry.value, entry.unknown) == ("device", stranger.fingerprint, True)
    own_entries.accept(alice, entry.pk)
    seal(write(alice, [bob], "hers after all"))
    assert DeliveryCopy.objects.filter(fingerprint=stranger.fingerprint).exists()


def test_nor_does_it_get_one_of_what_is_sealed_again_for_the_own_devices(
    alice: Account, bob: Account, write: Write, publish: Publish, answers: list[Outcome]
) -> None:
    phone = publish(alice)
    own_entries.audit(alice)
    message = write(alice, [bob], "not for strangers either")
    seal(message)
    publish(alice)

    def sealed_for() -> list[str]:
        return list(delivery.copies.values_list("fingerprint", flat=True))

    delivery = message.deliveries.get(recipient_did=alice.did)
    assert sealed_for() == [phone.fingerprint]
    answers[:] = [Refused("gone", "410")]
    carry(message, alice)
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.QUEUED
    seal(message)
    assert sealed_for() == [phone.fingerprint]
    carry(message, alice)
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.FAILED
    not_arrived.retry(alice, message.message_id)
    seal(message)
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.SEALED
    assert sealed_for() == [phone.fingerprint]


def test_what_was_published_here_and_before_is_known(alice: Account, publish: Publish) -> None:
    publish(alice)
    assert own_entries.audit(alice) == []
    kinds = {entry.kind for entry in alice.published_entries.all()}
    assert kinds == {"device", "endpoint", "server", "signing-key", "rotation-key"}
    assert len(own_entries.own_fingerprints(alice)) == 2


@pytest.mark.parametrize(
    ("type_", "key", "shown"),
    [
        ("EcdsaSecp256k1VerificationKey2019", "zabc", "zabc"),
        ("Multikey", "z" * 600, "z" * 256),
        ("Multikey", "z\0" * 600, "z\\x00" * 102 + "z\\"),
    ],
)
def test_a_signing_key_that_is_none_is_told_as_another_one(
    alice: Account, monkeypatch: pytest.MonkeyPatch, type_: str, key: str, shown: str
) -> None:
    own_entries.audit(alice)
    published = identities.document_of(alice.did)
    method = {"id": "#atproto", "type": type_, "controller": alice.did, "publicKeyMultibase": key}
    # No directory but that of a did:web takes such a key.
    changed = {**published, "verificationMethod": [method]}
    monkeypatch.setattr(identities, "document_of", lambda *_, **__: changed)
    audit_account(alice.pk)
    (entry,) = own_entries.troubles(alice)
    assert (entry.kind, entry.value, entry.unknown) == ("signing-key", shown, True)
    page = browser_of(alice).get("/devices/").content.decode()
    assert "Another key signs your repository." in page


def test_a_changed_inbox_record_is_told_until_it_is_known(alice: Account) -> None:
    own_entries.audit(alice)
    pds = PdsClient(alice)
    before = dict(pds.get_record(records.INBOX, "self").value)  # type: ignore[union-attr]
    try:
        pds.put_record(records.INBOX, "self", {"endpoints": [{"uri": "https://evil.example/inbox"}]})
        found = {(entry.value, entry.unknown, entry.missing) for entry in own_entries.audit(alice)}
        assert found == {
            ("https://evil.example/inbox", True, False),
            *((uri, False, True) for uri in alice.published_endpoints),
        }
        for entry in own_entries.troubles(alice):
            own_entries.accept(alice, entry.pk)
        assert own_entries.audit(alice) == []
    finally:
        pds.put_record(records.INBOX, "self", before)
    assert own_entries.audit(alice) == []


def test_a_device_is_taken_out_of_the_repository(alice: Account, publish: Publish) -> None:
    own_entries.audit(alice)
    stranger = publish(alice)
    (entry,) = own_entries.audit(alice)
    assert own_entries.take_out(alice, entry.pk)
    assert own_entries.troubles(alice) == []
    assert PdsClient(alice).get_record(records.CERTIFICATES, stranger.fingerprint) is None


def test_a_device_that_is_gone_is_told(alice: Account) -> None:
    own_entries.audit(alice)
    device = alice.devices.get()
    pds = PdsClient(alice)
    record = dict(pds.get_record(records.CERTIFICATES, device.fingerprint).value)  # type: ignore[union-attr]
    try:
        pds.delete_record(records.CERTIFICATES, device.fingerprint)
        (entry,) = own_entries.audit(alice)
        assert (entry.value, entry.missing) == (device.fingerprint, True)
    finally:
        pds.put_record(records.CERTIFICATES, device.fingerprint, record)
    assert own_entries.audit(alice) == []


def test_each_account_once_a_day(alice: Account) -> None:
    now = timezone.now()
    assert alice.pk in own_entries.due(now)
    own_entries.audit(alice, now=now)
    assert alice.pk not in own_entries.due(now + timedelta(hours=23))
    assert alice.pk in own_entries.due(now + timedelta(hours=24))


def test_entries_have_one_row_each(alice: Account) -> None:
    own_entries.audit(alice)
    own_entries.audit(alice)
    values = list(PublishedEntry.objects.values_list("kind", "value"))
    assert len(values) == len(set(values))


def test_the_devices_page_tells_and_asks(alice: Account, publish: Publish) -> None:
    browser = browser_of(alice)
    own_entries.audit(alice)
    publish(alice)
    audit_account(alice.pk)
    html = browser.get("/devices/").content.decode()
    assert "Somebody added a device to your repository." in html
    (entry,) = own_entries.troubles(alice)
    path = f"/devices/published/{entry.pk}/"
    assert browser.post(path, {"do": "know"}).status_code == 302
    html = browser.get("/devices/").content.decode()
    assert "Somebody added a device" not in html
    assert "Devices of other apps" in html
    assert browser.post(f"/devices/published/{entry.pk + 1}/", {"do": "know"}).status_code == 404
    assert browser.get(path).status_code == 405


def test_nobody_says_anything_of_anothers_entries(alice: Account, bob: Account, publish: Publish) -> None:
    own_entries.audit(alice)
    publish(alice)
    (entry,) = own_entries.audit(alice)
    for do in ("know", "take-out"):
        assert browser_of(bob).post(f"/devices/published/{entry.pk}/", {"do": do}).status_code == 404
    assert own_entries.troubles(alice) == [entry]


def test_a_look_by_hand(alice: Account, publish: Publish) -> None:
    own_entries.audit(alice)
    stranger = publish(alice)
    assert browser_of(alice).post("/devices/published/look/").status_code == 302
    assert [entry.value for entry in own_entries.all_troubles()] == [stranger.fingerprint]


def test_looking_by_hand_ends_after_some_looks(alice: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "LOOKS_OF_ONE", 1)
    browser = browser_of(alice)
    assert browser.post("/devices/published/look/").status_code == 302
    looked_at = Account.objects.get(pk=alice.pk).audited_at
    answer = browser.post("/devices/published/look/")
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert Account.objects.get(pk=alice.pk).audited_at == looked_at


def test_what_came_and_went_leaves_no_rows_without_end(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_entries, "MOST_ABSENT", 2)
    own_entries.audit(alice)
    there = set(alice.published_entries.values_list("value", flat=True))
    now = timezone.now()
    seen = [f"{number:064x}" for number in range(4)]
    for minutes, fingerprint in enumerate([*seen, ""]):
        present = {(PublishedEntry.Kind.DEVICE, fingerprint)} if fingerprint else set()
        present.add((PublishedEntry.Kind.DEVICE, alice.devices.get().fingerprint))
        own_entries._note(alice, present, [PublishedEntry.Kind.DEVICE], now + timedelta(minutes=minutes))
    assert set(alice.published_entries.values_list("value", flat=True)) == {*there, *seen[2:]}
