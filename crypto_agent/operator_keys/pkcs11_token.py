"""The operator's key in a PKCS#11 token: a hardware module that never gives it out.

A data key is encrypted inside the token by AES-GCM, whose associated data binds it to its account just as
a key file's does. The token's own key wrapping could not: C_WrapKey with AES-KEY-WRAP has no associated
data, and wants the data key as an object in the token for every account that is opened.

A version is a secret key whose CKA_LABEL is the configured one and whose CKA_ID is the version's number.
"""

import hashlib
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
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
    PinExpired,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    UserAlreadyLoggedIn,
)

from crypto_agent.custody import NONCE_BYTES, Random, data_key_contexts
from crypto_agent.errors import OperatorKeyMismatch, Sealed
from crypto_agent.purposes import Context

TAG_BITS = 128
#: What tokens answer when the authentication tag does not fit; they do not agree on one.
_WRONG_CIPHERTEXT = (EncryptedDataInvalid, EncryptedDataLenRange, GeneralError, FunctionFailed)
#: Of these, what they may as well answer in a session that has died.
_VAGUE = (GeneralError, FunctionFailed)
#: What they answer to a PIN that they do not take. After a few of them they lock, or erase their keys.
_PIN_REFUSED = (PinIncorrect, PinInvalid, PinLenRange, PinLocked, PinExpired)

log = logging.getLogger(__name__)

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


class PinRefused(Sealed):
    """The token does not take the PIN of the file."""


class TokenSession:
    """The one session that a process has with the token, and the keys that were found in it.

    A token has few sessions, and each of them does one thing at a time. The session is opened when first
    needed, and again once it has died. A PIN that the token refused is not tried again.
    """

    def __init__(self, address: TokenAddress) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._session: pkcs11.Session | None = None
        self._keys: dict[int, Any] = {}
        #: The digest of the refused PIN, and what was said of it.
        self._refused: tuple[bytes, str] | None = None

    def look(self) -> frozenset[int]:
        """The versions that the token has now; raises Sealed."""
        with self._lock:
            if self._session is not None:
                try:
                    self._keys = self._found(self._session)
                except PKCS11Error:
                    self._open()
            else:
                self._open()
            return frozenset(self._keys)

    def use(self, version: int, work: Callable[[Any], Result]) -> Result:
        """Does the work with the token's key, in a new session if the one at hand has died.

        Raises OperatorKeyMismatch if the ciphertext or the version is another key's, and Sealed.
        """
        with self._lock:
            if self._session is None:
                self._open()
            try:
                return self._do(version, work)
            except PKCS11Error:
                self._open()
            try:
                return self._do(version, work)
            except PKCS11Error as error:
                raise Sealed("the token with the operator's key fails") from error

    def _do(self, version: int, work: Callable[[Any], Result]) -> Result:
        """Raises OperatorKeyMismatch, and PKCS11Error where the session may have died."""
        if version not in self._keys:
            raise OperatorKeyMismatch(f"version {version} of the operator's key is not in the token")
        key = self._keys[version]
        try:
            return work(key)
        except _WRONG_CIPHERTEXT as error:
            if isinstance(error, _VAGUE):
                # A session that has died does not tell this either.
                key[Attribute.ID]
            raise OperatorKeyMismatch("the operator's key does not open this account's data key") from None

    def _open(self) -> None:
        """Closes the session that may be there, and opens one; raises Sealed."""
        if self._session is not None:
            close(self._session)
        self._session, self._keys = None, {}
        session = self._logged_in()
        try:
            self._keys = self._found(session)
        except PKCS11Error as error:
            close(session)
            raise _unreadable(error) from None
        except Sealed:
            close(session)
            raise
        self._session = session

    def _logged_in(self) -> pkcs11.Session:
        pin = pin_of(self._address)
        digest = hashlib.sha256(pin.encode()).digest()
        if self._refused is not None and self._refused[0] == digest:
            raise PinRefused(self._refused[1])
        try:
            session = _log_in(self._address, pin, writable=False)
        except PinRefused as error:
            self._refused = digest, str(error)
            log.error("%s", error)
            raise
        self._refused = None
        return session

    def _found(self, session: pkcs11.Session) -> dict[int, Any]:
        """Raises Sealed, and PKCS11Error."""
        found = _versions(session, self._address.label)
        if not found:
            raise Sealed("the token does not hold the operator's key")
        return found


class TokenOperatorKey:
    """The versions of the operator's key that were in a token when somebody looked."""

    def __init__(self, session: TokenSession) -> None:
        self._session = session
        self.versions = session.look()
        self.current_version = max(self.versions)

    def wrap(self, data_key: bytes, did: str, data_key_version: int, random: Random) -> bytes:
        version = self.current_version
        nonce = random(NONCE_BYTES)
        context, _ = data_key_contexts(did, data_key_version)
        parameters = _parameters(nonce, context, version)
        ciphertext = self._session.use(
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
        data_key = self._session.use(
            version,
            lambda key: key.decrypt(
                wrapped[NONCE_BYTES:], mechanism=Mechanism.AES_GCM, mechanism_param=parameters
            ),
        )
        return bytes(data_key)


class TokenSource:
    """The token that holds the operator's key: opened when first needed."""

    def __init__(self, address: TokenAddress) -> None:
        self.address = address
        self._session = TokenSession(address)
        self._key: TokenOperatorKey | None = None
        self._lock = threading.Lock()

    def key(self) -> TokenOperatorKey:
        if self._key is None:
            with self._lock:
                if self._key is None:
                    self._key = TokenOperatorKey(self._session)
        return self._key

    def read_again(self) -> TokenOperatorKey:
        """The versions that the token has now."""
        with self._lock:
            self._key = TokenOperatorKey(self._session)
        return self._key


def pin_of(address: TokenAddress) -> str:
    """The PIN that stands in the file; raises Sealed."""
    try:
        pin = address.pin_file.read_text().strip()
    except (OSError, ValueError) as error:
        raise Sealed("the file with the token's PIN can't be read") from error
    if not pin:
        raise Sealed("the file with the token's PIN is empty")
    return pin


def open_session(address: TokenAddress, *, writable: bool = False) -> pkcs11.Session:
    """A session with the token, logged in by the PIN of the file; raises Sealed."""
    return _log_in(address, pin_of(address), writable=writable)


def _log_in(address: TokenAddress, pin: str, *, writable: bool) -> pkcs11.Session:
    """Raises Sealed, PinRefused."""
    try:
        token = pkcs11.lib(address.module).get_token(token_label=address.token)
        try:
            return token.open(user_pin=pin, rw=writable)
        except UserAlreadyLoggedIn:
            # The login belongs to the process, not to the session.
            return token.open(rw=writable)
    except _PIN_REFUSED as error:
        raise PinRefused(
            f"the token refuses the PIN of the file ({type(error).__name__}); lest it lock, the agent tries"
            " this PIN no more: correct the file, or the token and start the agent again"
        ) from None
    except (PKCS11Error, RuntimeError, OSError) as error:
        raise Sealed(f"the token with the operator's key does not open: {type(error).__name__}") from None


def close(session: pkcs11.Session) -> None:
    """Gives the session back to the token, and logs out; one that has died is let go."""
    with suppress(PKCS11Error):
        session.close()


def versions_in(session: pkcs11.Session, label: str) -> dict[int, Any]:
    """The token's keys of this label by version; raises Sealed, also where the token would give one out."""
    try:
        return _versions(session, label)
    except PKCS11Error as error:
        raise _unreadable(error) from None


def _unreadable(error: PKCS11Error) -> Sealed:
    return Sealed(f"the keys in the token can't be read: {type(error).__name__}")


def _versions(session: pkcs11.Session, label: str) -> dict[int, Any]:
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
        close(session)
    return version


def _parameters(nonce: bytes, context: Context, version: int) -> GCMParams:
    return GCMParams(
        nonce=nonce,
        aad=context.associated_data(version),
        tag_bits=TAG_BITS,
    )
