"""The operator's key in a PKCS#11 token: a hardware module that never gives it out.

A data key is encrypted inside the token by AES-GCM, whose associated data binds it to its account just as
a key file's does. The token's own key wrapping could not: C_WrapKey with AES-KEY-WRAP has no associated
data, and wants the data key as an object in the token for every account that is opened.

A version is a secret key whose CKA_LABEL is the configured one and whose CKA_ID is the version's number.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import (
    EncryptedDataInvalid,
    EncryptedDataLenRange,
    FunctionFailed,
    GeneralError,
    PKCS11Error,
    UserAlreadyLoggedIn,
)

from crypto_agent.custody import NONCE_BYTES, Random, data_key_contexts
from crypto_agent.errors import OperatorKeyMismatch, Sealed
from crypto_agent.purposes import Context

TAG_BITS = 128
#: What tokens answer when the authentication tag does not fit; they do not agree on one.
_WRONG_CIPHERTEXT = (EncryptedDataInvalid, EncryptedDataLenRange, GeneralError, FunctionFailed)

Result = TypeVar("Result")


@dataclass(frozen=True)
class TokenAddress:
    """Where the key is: the module's shared library, the token's and the key's labels, the PIN's file."""

    module: str
    token: str
    label: str
    pin_file: Path

    @classmethod
    def parse(cls, uri: str) -> "TokenAddress":
        """A PKCS #11 URI (RFC 7512); raises ValueError that names what is missing or unknown.

        ``pkcs11:token=…;object=…?module-path=…&pin-source=file:…``
        """
        path, _, query = uri.removeprefix("pkcs11:").partition("?")
        attributes = [*path.split(";"), *(query.split("&") if query else ())]
        values: dict[str, str] = {}
        for attribute in attributes:
            name, separator, value = attribute.partition("=")
            if not separator or name in values:
                raise ValueError(f"the PKCS #11 URI has a part that can't be read: {name[:40]}")
            values[name] = unquote(value)
        if missing := {"token", "object", "module-path", "pin-source"} - values.keys():
            raise ValueError(f"the PKCS #11 URI lacks {', '.join(sorted(missing))}")
        if unknown := values.keys() - {"token", "object", "module-path", "pin-source"}:
            raise ValueError(f"the PKCS #11 URI has {', '.join(sorted(unknown))}, which is not used here")
        pin_file = Path(values["pin-source"].removeprefix("file:"))
        return cls(values["module-path"], values["token"], values["object"], pin_file)


class TokenOperatorKey:
    """The versions of the operator's key in a token, used through one session."""

    def __init__(self, address: TokenAddress) -> None:
        self._address = address
        # A session does one thing at a time.
        self._lock = threading.Lock()
        self._keys: dict[int, Any] = {}
        with self._lock:
            self._open()
        self.versions = frozenset(self._keys)
        self.current_version = max(self._keys)

    def wrap(self, data_key: bytes, did: str, data_key_version: int, random: Random) -> bytes:
        version = self.current_version
        nonce = random(NONCE_BYTES)
        context, _ = data_key_contexts(did, data_key_version)
        parameters = _parameters(nonce, context, version)
        ciphertext = self._use(
            version,
            lambda key: key.encrypt(data_key, mechanism=Mechanism.AES_GCM, mechanism_param=parameters),
        )
        return nonce + bytes(ciphertext)

    def unwrap(self, wrapped: bytes, did: str, data_key_version: int, version: int) -> bytes:
        context, former = data_key_contexts(did, data_key_version)
        try:
            return self._unwrap(wrapped, context, version)
        except OperatorKeyMismatch:
            return self._unwrap(wrapped, former, version)

    def _unwrap(self, wrapped: bytes, context: Context, version: int) -> bytes:
        parameters = _parameters(wrapped[:NONCE_BYTES], context, version)
        data_key = self._use(
            version,
            lambda key: key.decrypt(
                wrapped[NONCE_BYTES:], mechanism=Mechanism.AES_GCM, mechanism_param=parameters
            ),
        )
        return bytes(data_key)

    def _use(self, version: int, work: Callable[[Any], Result]) -> Result:
        """Does the work with the token's key, in a new session if the one at hand has died."""
        with self._lock:
            if version not in self._keys:
                raise OperatorKeyMismatch(f"version {version} of the operator's key is not in the token")
            try:
                return work(self._keys[version])
            except PKCS11Error:
                self._open()
            try:
                return work(self._keys[version])
            except _WRONG_CIPHERTEXT:
                raise OperatorKeyMismatch(
                    "the operator's key does not open this account's data key"
                ) from None
            except (PKCS11Error, KeyError) as error:
                raise Sealed("the token with the operator's key fails") from error

    def _open(self) -> None:
        session = open_session(self._address)
        found = versions_in(session, self._address.label)
        if not found:
            raise Sealed("the token does not hold the operator's key")
        self._keys = found


class TokenSource:
    """The token that holds the operator's key: opened when first needed."""

    def __init__(self, address: TokenAddress) -> None:
        self.address = address
        self._key: TokenOperatorKey | None = None
        self._lock = threading.Lock()

    def key(self) -> TokenOperatorKey:
        if self._key is None:
            with self._lock:
                if self._key is None:
                    self._key = TokenOperatorKey(self.address)
        return self._key

    def read_again(self) -> TokenOperatorKey:
        """The versions that the token has now."""
        with self._lock:
            self._key = TokenOperatorKey(self.address)
        return self._key


def open_session(address: TokenAddress, *, writable: bool = False) -> pkcs11.Session:
    """A session with the token, logged in by the PIN of the file; raises Sealed."""
    try:
        pin = address.pin_file.read_text().strip()
    except (OSError, ValueError) as error:
        raise Sealed("the file with the token's PIN can't be read") from error
    try:
        token = pkcs11.lib(address.module).get_token(token_label=address.token)
        try:
            return token.open(user_pin=pin, rw=writable)
        except UserAlreadyLoggedIn:
            # The login belongs to the process, not to the session.
            return token.open(rw=writable)
    except (PKCS11Error, RuntimeError, OSError) as error:
        raise Sealed(f"the token with the operator's key does not open: {type(error).__name__}") from None


def versions_in(session: pkcs11.Session, label: str) -> dict[int, Any]:
    """The token's keys of this label by version; raises Sealed for one that the token would give out."""
    wanted = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.LABEL: label,
    }
    found: dict[int, Any] = {}
    for key in session.get_objects(wanted):
        version = int.from_bytes(bytes(key[Attribute.ID]), "big")
        if version < 1 or version in found:
            raise Sealed("the token's keys are not told apart by a version in CKA_ID")
        if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
            raise Sealed(f"version {version} of the operator's key can be taken out of the token")
        found[version] = key
    return found


def add_version(address: TokenAddress) -> int:
    """Generates a new version inside the token, from where it can't be taken; raises Sealed."""
    session = open_session(address, writable=True)
    try:
        version = max(versions_in(session, address.label), default=0) + 1
        session.generate_key(
            KeyType.AES,
            256,
            label=address.label,
            id=version.to_bytes(4, "big"),
            store=True,
            template={
                Attribute.SENSITIVE: True,
                Attribute.EXTRACTABLE: False,
                Attribute.ENCRYPT: True,
                Attribute.DECRYPT: True,
                Attribute.WRAP: False,
                Attribute.UNWRAP: False,
                Attribute.SIGN: False,
                Attribute.VERIFY: False,
            },
        )
    except PKCS11Error as error:
        raise Sealed(f"the token does not make a key: {type(error).__name__}") from None
    finally:
        session.close()
    return version


def _parameters(nonce: bytes, context: Context, version: int) -> GCMParams:
    return GCMParams(
        nonce=nonce,
        aad=context.associated_data(version),
        tag_bits=TAG_BITS,
    )
