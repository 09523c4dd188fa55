"""Makes new versions of accounts' data keys, on request or on a schedule."""

import os
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from crypto_agent import data_key_renewal
from crypto_agent.errors import AccountLocked, AgentProblem
from crypto_agent.management.operator_commands import OperatorCommand
from crypto_agent.management.passphrases import unsealed_source


class Command(OperatorCommand):
    help = (
        "Make a new version of data keys, and encrypt the accounts' private keys and search indexes under "
        "it. It may be stopped at any time and run again. Locked accounts are told as late."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("did", nargs="*", help="accounts; without any, all whose data key is old")
        parser.add_argument("--days", type=int, default=365, help="how many days make a data key old (365)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            unsealed_source().key()
        except AgentProblem as error:
            raise CommandError(f"The operator's key can't be used now: {error}.") from None
        now = timezone.now()
        old = now - timedelta(days=options["days"])
        dids: list[str] = options["did"] or data_key_renewal.older_than(old)
        done = late = failed = 0
        for did in dids:
            try:
                done += data_key_renewal.replace(
                    did,
                    data_key_renewal.COMMAND,
                    now,
                    os.urandom,
                    made_before=None if options["did"] else old,
                )
            except AccountLocked:
                late += 1
                self.stdout.write(f"{did}: late, since its user locked it.")
            except AgentProblem as error:
                failed += 1
                self.stderr.write(f"{did}: {error}.")
        self.stdout.write(f"{done} data keys rotated, {late} late.")
        self._move_on(now)
        if failed:
            raise CommandError(f"{failed} accounts failed.")

    def _move_on(self, now: datetime) -> None:
        """What earlier runs left, too."""
        moved = 0
        for did in data_key_renewal.behind():
            try:
                moved += sum(data_key_renewal.move_on(did, data_key_renewal.COMMAND, now, os.urandom))
            except AgentProblem as error:
                self.stderr.write(f"{did}: {error}.")
        if moved:
            self.stdout.write(f"{moved} segments of search indexes are under the newest data keys.")
