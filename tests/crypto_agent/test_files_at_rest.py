import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto_agent import files_at_rest
from crypto_agent.atsms import cbor
from crypto_agent.custody import AccountKeys
from crypto_agent.errors import CannotUnseal
from crypto_agent.files_at_rest import FileDescription, seal_file, unseal_file
from crypto_agent.purposes import Context, Purpose
from tests.crypto_agent.people import ALICE, BOB
from tests.fuzzing.targets.custody import file_at_rest_target

FILE = FileDescription("a.png", "image/png", 3, bytes(16), bytes(12), bytes(32), b"abc", (640, 480))


def _keys(did: str = ALICE, key: bytes = bytes(32)) -> AccountKeys:
    return AccountKeys(did, {1: AESGCM(key)})


def test_a_description_opens_under_its_id_alone() -> None:
    sealed = seal_file(_keys(), "7", FILE, os.urandom)
    assert unseal_file(_keys(), "7", sealed) == FILE
    for keys, file_id, blob in (
        (_keys(), "8", sealed),
        (_keys(), "", sealed),
        (_keys(BOB), "7", sealed),
        (_keys(), "7", b"\x01" + sealed[1:]),
        (_keys(), "", b"\x01" + sealed[1:]),
    ):
        with pytest.raises(CannotUnseal):
            unseal_file(keys, file_id, blob)


def test_one_from_before_ids_opens_and_is_bound_once_it_is_sealed_again() -> None:
    values = ["a.txt", "text/plain", 3, bytes(16), bytes(12), bytes(32), None]
    encrypted = _keys().encrypt(Context(Purpose.FILE, ALICE), cbor.encode(values), os.urandom)
    former = b"\x01" + (1).to_bytes(4, "big") + encrypted
    found = unseal_file(_keys(), "7", former)
    assert (found.name, found.data, found.pixels) == ("a.txt", None, None)
    with pytest.raises(CannotUnseal):
        unseal_file(_keys(), "7", b"\x02" + former[1:])
    again = seal_file(_keys(), "7", found, os.urandom)
    assert unseal_file(_keys(), "7", again) == found
    with pytest.raises(CannotUnseal):
        unseal_file(_keys(), "8", again)


def test_the_fuzzer_puts_what_it_makes_up_under_both_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    def noted(keys: AccountKeys, file_id: str, sealed: bytes) -> FileDescription:
        found = unseal_file(keys, file_id, sealed)
        opened.append(sealed[0])
        return found

    monkeypatch.setattr(files_at_rest, "unseal_file", noted)
    file_at_rest_target.decode(cbor.encode(["a.txt", "text/plain", 3, bytes(16), bytes(12), bytes(32), None]))
    assert sorted(opened) == [1, 2]
