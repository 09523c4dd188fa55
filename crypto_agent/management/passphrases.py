"""Asks for the operator's passphrase at the terminal, or reads a line of the standard input."""

import getpass
import sys

from django.core.management.base import CommandError

from crypto_agent.key_store import operator_key_source
from crypto_agent.operator_keys.passphrase import PassphraseSource
from crypto_agent.operator_keys.sources import OperatorKeySource


def ask(prompt: str) -> bytes:
    """The passphrase in UTF-8; it is not shown."""
    if not sys.stdin.isatty():
        return sys.stdin.buffer.readline().rstrip(b"\r\n")
    return getpass.getpass(prompt).encode()


def ask_new() -> bytes:
    """A new passphrase, at a terminal asked for twice; raises CommandError if they differ."""
    first = ask("New passphrase: ")
    if sys.stdin.isatty() and ask("The same again: ") != first:
        raise CommandError("These were two passphrases; nothing was changed.")
    return first


def unsealed_source() -> OperatorKeySource:
    """The source of the operator's key, its passphrase asked for where no file brings it."""
    if isinstance(operator_key_source, PassphraseSource) and operator_key_source.waits_for_command:
        operator_key_source.unseal(ask("Passphrase: "))
    return operator_key_source
