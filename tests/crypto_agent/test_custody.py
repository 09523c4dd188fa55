"""Data keys and the contexts that bind what they encrypt; how often the database is asked."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crypto_agent import archiving, composing, devices, opening, reading, sealing
from crypto_agent.atsms import cbor
from crypto_agent.client_values import ArchiveItem
from crypto_agent.custody import AccountKeys, UnwrappedKeys, encrypt_with, unwrap_account_keys
from crypto_agent.errors import CannotUnseal, OperatorKeyMismatch
from crypto_agent.new_message import NewMessage
from crypto_agent.operator_keys.in_memory import OperatorKeysInMemory
from crypto_agent.prekey_secrets import decrypt_prekey, prekey_contexts
from crypto_agent.prepared_query import PreparedQuery
from crypto_agent.purposes import ABOVE_DATA_KEYS, Context, Purpose
from tests.crypto_agent.people import ALICE, BOB, target

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OPERATOR_KEY = OperatorKeysInMemory({1: bytes(range(32))})
CONTEXT = Context(Purpose.INCOMING_CONTENT, ALICE, "device", "conversation", "message")
OTHERS = {
    "purpose": Purpose.OUTGOING_CONTENT,
    "did": BOB,
    "device": "another",
    "conversation": "another",
    "message": "another",
}


def _keys(did: str = ALICE, versions: int = 1) -> AccountKeys:
    rows = [
        (version, OPERATOR_KEY.wrap(os.urandom(32), did, version, os.urandom), 1)
        for version in range(1, versions + 1)
    ]
    return unwrap_account_keys(did, rows, OPERATOR_KEY)


def test_every_field_of_the_context_is_authenticated() -> None:
    assert set(Context._fields) == OTHERS.keys()
    keys = _keys()
    ciphertext = keys.encrypt(CONTEXT, b"content", os.urandom)
    assert keys.decrypt(CONTEXT, ciphertext, 1) == b"content"
    for name, other in OTHERS.items():
        with pytest.raises(CannotUnseal):
            keys.decrypt(CONTEXT._replace(**{name: other}), ciphertext, 1)


def test_each_purpose_refuses_what_another_made() -> None:
    keys = _keys()
    purposes = [purpose for purpose in Purpose if purpose not in ABOVE_DATA_KEYS]
    for made in purposes:
        ciphertext = keys.encrypt(CONTEXT._replace(purpose=made), b"content", os.urandom)
        for asked in purposes:
            if asked is not made:
                with pytest.raises(CannotUnseal):
                    keys.decrypt(CONTEXT._replace(purpose=asked), ciphertext, 1)


@pytest.mark.parametrize("purpose", ABOVE_DATA_KEYS)
def test_a_data_key_encrypts_no_keys_above_it(purpose: Purpose) -> None:
    for act in (_keys().encrypt, _keys().decrypt):
        with pytest.raises(CannotUnseal):
            act(Context(purpose, ALICE), b"x" * 32, 1)  # type: ignore[operator]


def test_an_older_version_still_opens_and_the_newest_encrypts() -> None:
    first = unwrap_account_keys(ALICE, [(1, wrapped := _wrapped(), 1)], OPERATOR_KEY)
    old = first.encrypt(CONTEXT, b"content", os.urandom)
    both = unwrap_account_keys(ALICE, [(1, wrapped, 1), (2, _wrapped(version=2), 1)], OPERATOR_KEY)
    assert both.current_version == 2
    assert both.decrypt(CONTEXT, old, 1) == b"content"
    new = both.encrypt(CONTEXT, b"content", os.urandom)
    assert both.decrypt(CONTEXT, new, 2) == b"content"
    for ciphertext, version in ((old, 2), (new, 1), (new, 3)):
        with pytest.raises(CannotUnseal):
            both.decrypt(CONTEXT, ciphertext, version)


def test_a_version_that_was_made_meanwhile_is_read_once_and_not_for_nothing() -> None:
    older, newer = AESGCM(os.urandom(32)), AESGCM(os.urandom(32))
    asked: list[int] = []

    def read_again() -> dict[int, AESGCM]:
        asked.append(1)
        return {1: older, 2: newer}

    new = AccountKeys(ALICE, {1: older, 2: newer}).encrypt(CONTEXT, b"content", os.urandom)
    keys = AccountKeys(ALICE, {1: older}, read_again)
    old = keys.encrypt(CONTEXT, b"content", os.urandom)
    assert keys.decrypt(CONTEXT, old, 1) == b"content"
    assert not asked
    for _ in range(3):
        assert keys.decrypt(CONTEXT, new, 2) == b"content"
        with pytest.raises(CannotUnseal):
            keys.decrypt(CONTEXT, new, 3)
    assert asked == [1]


def _wrapped(did: str = ALICE, version: int = 1) -> bytes:
    return OPERATOR_KEY.wrap(os.urandom(32), did, version, os.urandom)


def test_a_wrapped_data_key_belongs_to_its_account_version_and_operator_key() -> None:
    wrapped = _wrapped()
    assert len(OPERATOR_KEY.unwrap(wrapped, ALICE, 1, 1)) == 32
    for key, did, number, version in (
        (OPERATOR_KEY, BOB, 1, 1),
        (OPERATOR_KEY, ALICE, 2, 1),
        (OPERATOR_KEY, ALICE, 1, 2),
        (OperatorKeysInMemory({1: bytes(32)}), ALICE, 1, 1),
    ):
        with pytest.raises(OperatorKeyMismatch):
            key.unwrap(wrapped, did, number, version)


def test_one_that_was_wrapped_before_its_version_was_named_still_opens() -> None:
    data_key = os.urandom(32)
    former = encrypt_with(AESGCM(bytes(range(32))), Context(Purpose.DATA_KEY, ALICE), 1, data_key, os.urandom)
    assert OPERATOR_KEY.unwrap(former, ALICE, 2, 1) == data_key


def test_a_data_key_that_is_remembered_stays_with_its_version() -> None:
    kept = UnwrappedKeys()
    wrapped = _wrapped()
    unwrap_account_keys(ALICE, [(1, wrapped, 1)], OPERATOR_KEY, kept)
    with pytest.raises(OperatorKeyMismatch):
        unwrap_account_keys(ALICE, [(1, wrapped, 1), (2, wrapped, 1)], OPERATOR_KEY, kept)


def test_a_prekeys_secret_belongs_to_its_generation() -> None:
    keys = _keys()
    for purpose in (Purpose.PREKEY_SECRET, Purpose.PREKEY_SIGNING_KEY):
        context, former = prekey_contexts(purpose, ALICE, "ab" * 32, 3)
        wrapped = keys.encrypt(context, b"secret", os.urandom)
        assert decrypt_prekey(keys, purpose, "ab" * 32, 3, wrapped, 1) == b"secret"
        for fingerprint, generation in (("ab" * 32, 1), ("cd" * 32, 3)):
            with pytest.raises(CannotUnseal):
                decrypt_prekey(keys, purpose, fingerprint, generation, wrapped, 1)
        before = keys.encrypt(former, b"secret", os.urandom)
        assert decrypt_prekey(keys, purpose, "ab" * 32, 3, before, 1) == b"secret"


def test_the_associated_data_is_as_documented() -> None:
    expected = cbor.encode([1, "incoming-content", ALICE, "device", "conversation", "message", 7])
    assert CONTEXT.associated_data(7) == expected
    key = os.urandom(32)
    keys = AccountKeys(ALICE, {7: AESGCM(key)})
    ciphertext = keys.encrypt(CONTEXT, b"content", os.urandom)
    assert AESGCM(key).decrypt(ciphertext[:12], ciphertext[12:], expected) == b"content"


class CountingOperatorKey(OperatorKeysInMemory):
    unwraps = 0

    def unwrap(self, wrapped: bytes, did: str, data_key_version: int, version: int) -> bytes:
        self.unwraps += 1
        return super().unwrap(wrapped, did, data_key_version, version)


def test_unwrapped_keys_are_remembered_and_not_without_end() -> None:
    operator_key = CountingOperatorKey({1: bytes(range(32))})
    kept = UnwrappedKeys(most_accounts=10)
    wrapped = _wrapped()
    for _ in range(3):
        unwrap_account_keys(ALICE, [(1, wrapped, 1)], operator_key, kept)
    assert operator_key.unwraps == 1
    for number in range(20):
        did = f"did:plc:{number}"
        unwrap_account_keys(did, [(1, _wrapped(did), 1)], operator_key, kept)
    assert len(kept) == 10
    assert ALICE not in kept


def test_a_forgotten_key_is_not_remembered_by_who_read_its_row_before() -> None:
    kept = UnwrappedKeys()
    unwrap_account_keys(ALICE, [(1, wrapped := _wrapped(), 1)], OPERATOR_KEY, kept, kept.epoch)
    assert ALICE in kept
    epoch = kept.epoch
    kept.forget(ALICE)
    assert ALICE not in kept
    unwrap_account_keys(ALICE, [(1, wrapped, 1)], OPERATOR_KEY, kept, epoch)
    assert ALICE not in kept
    unwrap_account_keys(ALICE, [(1, wrapped, 1)], OPERATOR_KEY, kept, kept.epoch)
    assert ALICE in kept


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager[None]]:
    """Holds a block to so many queries; prepared ones pass by Django's own count."""
    prepared = []
    rows = PreparedQuery.rows

    def counted(query: PreparedQuery, *arguments: str) -> list[tuple[Any, ...]]:
        prepared.append(query)
        return rows(query, *arguments)

    @contextmanager
    def asked(times: int) -> Iterator[None]:
        prepared.clear()
        with CaptureQueriesContext(connection) as captured:
            yield
        assert len(captured) + len(prepared) == times

    monkeypatch.setattr(PreparedQuery, "rows", counted)
    return asked


@pytest.mark.django_db
def test_a_batch_asks_the_database_no_more_often_than_one(
    asked: Callable[[int], AbstractContextManager[None]],
) -> None:
    for did, handle in ((ALICE, "alice.test"), (BOB, "bob.test")):
        devices.create_device(did, handle, "mail.test", NOW, os.urandom)
    (bob,) = devices.list_devices(BOB)
    composed = composing.compose(ALICE, [BOB], NewMessage("Hello"), NOW, os.urandom)
    with asked(1):
        sealed = sealing.seal(ALICE, composed.content, [target(bob)] * 50, NOW, os.urandom)
    with asked(2):
        opened = opening.open_envelopes(BOB, [copy.envelope for copy in sealed.copies], NOW, os.urandom)
    messages = [item.message for item in opened if item.message]
    assert len(messages) == 50
    assert all(one.sealed != other.sealed for one, other in pairwise(messages))
    with asked(1):
        assert len(reading.read(BOB, [message.content for message in messages])) == 50
    items = [
        ArchiveItem(message.conversation_id, message.message_id, message.sealed, NOW, NOW, "in")
        for message in messages
    ]
    with asked(2):
        archived = archiving.archive(BOB, items, NOW, os.urandom)
    with asked(3):
        archiving.read_archive(BOB, archived, os.urandom)


@pytest.mark.django_db
@pytest.mark.parametrize("length", [1, 400, 460, 470, 480, 490, 500, 1400, 1500, 3500, 20_000, 59_000])
def test_an_archived_message_says_little_by_its_size(length: int) -> None:
    devices.create_device(ALICE, "alice.test", "mail.test", NOW, os.urandom)
    composed = composing.compose(ALICE, [BOB], NewMessage("x" * length), NOW, os.urandom)
    sealed = sealing.seal(ALICE, composed.content, [], NOW, os.urandom).sealed
    item = ArchiveItem(composed.conversation_id, composed.message_id, sealed, NOW, None, "out")
    (archived,) = archiving.archive(ALICE, [item], NOW, os.urandom)
    plaintext = len(archived) - 5 - 32 - 16
    # A power of two, and what the padding's own head adds.
    assert plaintext - (1 << (plaintext.bit_length() - 1)) <= 4
    assert archiving.read_archive(ALICE, [archived], os.urandom)[0].error is None
