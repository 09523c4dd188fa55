"""Reads an account's export from docs/account-export.md alone: the standard library and ``cryptography``.

It imports nothing of Waxwing's; that is what it is for.
"""

import base64
import email
import hashlib
import io
import json
import tarfile
import unicodedata
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


@dataclass
class Read:
    """What was in an export, opened."""

    did: str
    keys: dict[str, Any]
    #: The plaintexts of the archived messages.
    archive: list[list[Any]]
    states: list[dict[str, Any]]
    settings: list[dict[str, Any]]
    unsent: list[list[Any]]
    pending: list[bytes]
    account: dict[str, Any]


def read(file: bytes, passphrase: str) -> Read:
    """Opens every part of an export; fails at whatever does not fit."""
    with tarfile.open(fileobj=io.BytesIO(file)) as tar:
        parts = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    manifest = json.loads(parts["manifest.json"])
    assert (manifest["format"], manifest["version"]) == ("waxwing-account-export", 1)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    assert manifest["parts"] == {
        name: digest for name, digest in digests.items() if name not in ("manifest.json", "end.cbor")
    }
    did, keys = open_keys(parts["keys.cbor"], passphrase)
    assert did == manifest["did"]

    def opened(kind: str, name: str, data: bytes) -> bytes:
        label, version, nonce, ciphertext = decode(data)
        head = [label, version, did, kind, name]
        assert head[:2] == ["waxwing-account-part", 1]
        return AESGCM(keys["exportKey"]).decrypt(nonce, ciphertext, encode(head))

    assert opened("state", "end", parts["end.cbor"]) == hashlib.sha256(parts["manifest.json"]).digest()
    folders = {name: name.split("/")[0] for name in parts}
    return Read(
        did=did,
        keys=keys,
        archive=[
            open_archived(did, keys["archiveKeys"], body_of(parts[name]))
            for name in parts
            if folders[name] == "archive"
        ],
        states=[
            state
            for name in parts
            if folders[name] == "state"
            for state in json.loads(opened("state", name, parts[name]))
        ],
        settings=[
            each
            for name in parts
            if folders[name] == "settings"
            for each in json.loads(opened("state", name, parts[name]))
        ],
        unsent=[decode(opened("unsent", "", parts[name])) for name in parts if folders[name] == "unsent"],
        pending=[body_of(parts[name]) for name in parts if folders[name] == "pending"],
        account=json.loads(opened("state", "account", parts["account.cbor"])),
    )


def open_keys(data: bytes, passphrase: str) -> tuple[str, dict[str, Any]]:
    head, nonce, ciphertext = decode(data)
    kind, version, did, _created, memory, iterations, lanes, salt, check = head
    assert (kind, version) == ("waxwing-account-keys", 1)
    derived = Argon2id(salt=salt, length=64, iterations=iterations, lanes=lanes, memory_cost=memory).derive(
        unicodedata.normalize("NFC", passphrase).encode()
    )
    assert derived[32:] == check, "a wrong passphrase"
    return did, decode(AESGCM(derived[:32]).decrypt(nonce, ciphertext, encode(head)))


def open_archived(did: str, archive_keys: list[list[Any]], data: bytes) -> list[Any]:
    assert data[0] == 1
    generation = int.from_bytes(data[1:5], "big")
    (secret,) = [key for number, key, _created in archive_keys if number == generation]
    plaintext = hpke_open(secret, data[5:37], data[37:], b"waxwing-archive:v1", did.encode())
    found: list[Any] = decode(plaintext)
    return found


def body_of(mail: bytes) -> bytes:
    body = email.message_from_bytes(mail).get_payload()
    assert isinstance(body, str)
    return base64.b64decode(body)


def hpke_open(secret: bytes, enc: bytes, ciphertext: bytes, info: bytes, aad: bytes) -> bytes:
    """RFC 9180 §5.1.1 and §4.1: KEM 0x0020, KDF 0x0001, AEAD 0x0003, base mode, the first message."""
    key = X25519PrivateKey.from_private_bytes(secret)
    shared = key.exchange(X25519PublicKey.from_public_bytes(enc))
    kem = b"KEM" + (0x20).to_bytes(2, "big")
    context = enc + key.public_key().public_bytes_raw()
    prk = _extract(kem, b"", b"eae_prk", shared)
    shared_secret = _expand(kem, prk, b"shared_secret", context, 32)
    suite = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x20, 1, 3))
    schedule = b"\0" + _extract(suite, b"", b"psk_id_hash", b"") + _extract(suite, b"", b"info_hash", info)
    prk = _extract(suite, shared_secret, b"secret", b"")
    aead_key = _expand(suite, prk, b"key", schedule, 32)
    nonce = _expand(suite, prk, b"base_nonce", schedule, 12)
    return ChaCha20Poly1305(aead_key).decrypt(nonce, ciphertext, aad)


def _extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    mac = hmac.HMAC(salt or bytes(32), hashes.SHA256())
    mac.update(b"HPKE-v1" + suite + label + material)
    return mac.finalize()


def _expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return HKDFExpand(hashes.SHA256(), length, labelled).derive(prk)


def decode(data: bytes) -> Any:
    """The few kinds of CBOR that the format has."""
    value, end = _item(data, 0)
    assert end == len(data)
    return value


def _item(data: bytes, at: int) -> tuple[Any, int]:
    major, low = data[at] >> 5, data[at] & 31
    if major == 7:
        return {20: False, 21: True, 22: None}[low], at + 1
    at += 1
    if low < 24:
        argument = low
    else:
        width = 1 << (low - 24)
        argument, at = int.from_bytes(data[at : at + width], "big"), at + width
    if major == 0:
        return argument, at
    if major in (2, 3):
        octets = data[at : at + argument]
        return (octets if major == 2 else octets.decode()), at + argument
    items = []
    for _ in range(argument * (2 if major == 5 else 1)):
        item, at = _item(data, at)
        items.append(item)
    assert major in (4, 5)
    return (items if major == 4 else dict(zip(items[::2], items[1::2], strict=True))), at


def encode(value: Any) -> bytes:
    """CBOR of lists, texts, octets and integers."""
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    return _head(0, value)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    for low, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * width):
            return bytes((major << 5 | low,)) + argument.to_bytes(width, "big")
    raise ValueError(argument)
