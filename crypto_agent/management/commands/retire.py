"""Ends the use of a version of the operator's key."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from crypto_agent.errors import AuditUnavailable, Sealed
from crypto_agent.management.operator_commands import OperatorCommand
from crypto_agent.management.passphrases import unsealed_source
from crypto_agent.models import PassphraseKey
from crypto_agent.operator_keys import rotation


class Command(OperatorCommand):
    help = "Retire a version of the operator's key: refused while data keys are wrapped by it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        version: int = options["version"]
        try:
            operator_key = unsealed_source().key()
        except Sealed as error:
            raise CommandError(f"Not retired: {error}.") from None
        known = {status.version for status in rotation.status(operator_key.versions)}
        if version not in known:
            raise CommandError(f"There is no version {version}.")
        if version == operator_key.current_version:
            raise CommandError(
                f"Version {version} is the newest: make another with make_operator_key --next."
            )
        try:
            rotation.retire(version, timezone.now())
        except rotation.StillInUse as error:
            raise CommandError(
                f"Version {version} is still used by {error.rows} data keys: run rewrap first."
            ) from None
        except AuditUnavailable as error:
            raise CommandError(f"Not retired: {error}.") from None
        PassphraseKey.objects.filter(version=version).delete()
        self.stdout.write(f"Version {version} is retired. Destroy it now where it is kept, and its backups.")
