"""Where the operator's key comes from, by the one setting that says so."""

from pathlib import Path
from typing import Protocol

from crypto_agent.custody import OperatorKey
from crypto_agent.errors import Sealed


class OperatorKeySource(Protocol):
    """Gives the operator's key as soon as it is there."""

    def key(self) -> OperatorKey:
        """Raises Sealed while it is absent."""

    def read_again(self) -> OperatorKey:
        """Looks for versions that were made since; raises Sealed."""


class NoSource:
    """Where nothing is set: sealed for good."""

    def key(self) -> OperatorKey:
        raise Sealed("no place of the operator's key is set")

    read_again = key


def source_of(setting: str) -> OperatorKeySource:
    """The source that a setting names; raises ValueError for what can't be one.

    ``file:PATH``, ``passphrase:PATH`` (a file with the passphrase), ``passphrase:`` (given by the command
    ``unseal``), a PKCS #11 URI ``pkcs11:…`` (RFC 7512), or "" for none.
    """
    scheme, separator, rest = setting.partition(":")
    if not setting:
        return NoSource()
    if scheme == "file" and rest:
        from crypto_agent.operator_keys.key_file import KeyFileSource

        return KeyFileSource(Path(rest))
    if scheme == "passphrase" and separator:
        from crypto_agent.operator_keys.passphrase import PassphraseSource

        return PassphraseSource(Path(rest) if rest else None)
    if scheme == "pkcs11":
        # Loaded where it is used alone: it brings a library in C.
        from crypto_agent.operator_keys.pkcs11_token import TokenAddress, TokenSource

        return TokenSource(TokenAddress.parse(setting))
    raise ValueError("WAXWING_AGENT_OPERATOR_KEY must begin with file:, passphrase: or pkcs11:")


def is_present(source: OperatorKeySource) -> bool:
    try:
        source.key()
    except Sealed:
        return False
    return True
