"""Walks the audit log's chain of hashes and names the first broken link."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from crypto_agent import audit
from crypto_agent.management.operator_commands import OperatorCommand
from crypto_agent.models import AuditEntry


class Command(OperatorCommand):
    help = "Verify the audit log's chain of hashes; exit status 1 names the first broken link."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--entry",
            metavar="SEQUENCE:HASH",
            help="an entry noted elsewhere before, that must still be in the log",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        broken = audit.first_broken_link()
        if broken is not None:
            raise CommandError(f"The chain breaks at entry {broken.sequence}: {broken.reason}.")
        if options["entry"]:
            _check_noted(options["entry"])
        sequence, digest = audit.newest_entry()
        if sequence == 0:
            self.stdout.write("The audit log is empty.")
        else:
            self.stdout.write(
                f"The audit log is whole: {sequence} entries, the newest is {sequence}:{digest.hex()}."
            )


def _check_noted(noted: str) -> None:
    sequence, _, entry_hash = noted.partition(":")
    if not sequence.isdecimal():
        raise CommandError("An entry is given as SEQUENCE:HASH.")
    entry = AuditEntry.objects.filter(sequence=int(sequence)).first()
    if entry is None or bytes(entry.entry_hash).hex() != entry_hash.lower():
        raise CommandError(f"The log does not hold the noted entry {sequence}: it was written anew.")
