"""Makes the operator's key, or its next version, wherever the setting says that it is."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from crypto_agent import audit
from crypto_agent.custody import KEY_BYTES
from crypto_agent.errors import AuditUnavailable, Sealed, WrongPassphrase
from crypto_agent.key_store import operator_key_source
from crypto_agent.management.operator_commands import OperatorCommand
from crypto_agent.management.passphrases import ask, ask_new
from crypto_agent.models import PassphraseKey
from crypto_agent.operator_keys import key_file, passphrase
from crypto_agent.operator_keys.sources import NoSource, OperatorKeySource

#: A container has its secrets to read alone.
CLOSED_FOLDER = (
    " Name the file in a folder that can be written to: docs/operator-keys.md says how, with Docker Compose."
)


class Command(OperatorCommand):
    help = "Make a new operator key; never replaces one. With --next, make its next version."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", nargs="?", help="a file; by default what the settings name")
        parser.add_argument("--next", action="store_true", help="add a version to the ones that are there")

    def handle(self, *args: Any, **options: Any) -> None:
        source: OperatorKeySource = operator_key_source
        if options["path"]:
            source = key_file.KeyFileSource(Path(options["path"]))
        try:
            self.stdout.write(_made(source, another=options["next"]))
        except (Sealed, AuditUnavailable) as error:
            raise CommandError(f"No key was made: {error}.") from None


def _made(source: OperatorKeySource, *, another: bool) -> str:
    if isinstance(source, NoSource):
        raise CommandError("Give a path, or set WAXWING_AGENT_OPERATOR_KEY.")
    if isinstance(source, key_file.KeyFileSource):
        return _in_file(source.path, another=another)
    if isinstance(source, passphrase.PassphraseSource):
        return _behind_passphrase(source, another=another)
    return _in_token(source, another=another)


def _in_file(path: Path, *, another: bool) -> str:
    try:
        if another:
            key_file.read_key_file(path)
        elif path.exists():
            raise FileExistsError
        # What can't be written there is told before it is on record.
        tempfile.TemporaryFile(dir=path.parent).close()
        _put_on_record(another=another)
        if another:
            version = key_file.add_version(path)
            return f"Added version {version} to {path}. Keep a copy of the file in a safe place."
        key_file.write_key_file(path, {1: os.urandom(KEY_BYTES)})
    except FileExistsError:
        raise CommandError(f"{path} is already there; it was not changed.") from None
    except OSError as error:
        advice = CLOSED_FOLDER if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) else ""
        raise CommandError(f"{path} can't be made: {error.strerror}.{advice}") from None
    return f"Made {path}. Keep a copy in a safe place: without it no message can be read."


def _behind_passphrase(source: passphrase.PassphraseSource, *, another: bool) -> str:
    _check_wanted(another=another, present=PassphraseKey.objects.exists())
    given = source.passphrase_of_file() or (ask("Passphrase: ") if another else ask_new())
    try:
        version = passphrase.add_version(given, timezone.now(), os.urandom)
    except WrongPassphrase:
        raise CommandError("The passphrase is wrong; nothing was changed.") from None
    except ValueError as error:
        raise CommandError(f"No key was made: {error}.") from None
    return f"Made version {version}. Keep the passphrase and copies of the database: both are needed."


def _in_token(source: OperatorKeySource, *, another: bool) -> str:
    # Loaded where it is used alone: it brings a library in C.
    from crypto_agent.operator_keys import pkcs11_token

    assert isinstance(source, pkcs11_token.TokenSource)
    session = pkcs11_token.open_session(source.address)
    present = bool(pkcs11_token.versions_in(session, source.address.label))
    pkcs11_token.close(session)
    _check_wanted(another=another, present=present)
    _put_on_record(another=another)
    version = pkcs11_token.add_version(source.address)
    return f"Made version {version} in the token. Back the token up: without it no message can be read."


def _put_on_record(*, another: bool) -> None:
    """Before it is made, so that there is no key without an entry; raises AuditUnavailable.

    The first one may be made before there is a log.
    """
    try:
        if not another and not audit.is_there():
            return
    except DatabaseError as error:
        raise AuditUnavailable("the audit log can't be written") from error
    audit.append(audit.by_command("makeOperatorKey", 1, timezone.now()))


def _check_wanted(*, another: bool, present: bool) -> None:
    if present and not another:
        raise CommandError("There is an operator's key already; --next adds a version.")
    if another and not present:
        raise CommandError("There is no operator's key yet; leave --next out.")
