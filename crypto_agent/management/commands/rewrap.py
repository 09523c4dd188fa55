"""Wraps every account's data key by the newest version of the operator's key."""

import os
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from crypto_agent.errors import AgentProblem
from crypto_agent.management.operator_commands import OperatorCommand
from crypto_agent.management.passphrases import unsealed_source
from crypto_agent.operator_keys import rotation


class Command(OperatorCommand):
    help = "Wrap all data keys by the newest version of the operator's key. May be stopped and run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=100, help="data keys in one transaction (100)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"] < 1:
            raise CommandError("A batch has at least one data key.")
        try:
            for progress in rotation.rewrap(unsealed_source(), options["batch"], timezone.now, os.urandom):
                self.stdout.write(f"{progress.done} of {progress.total} data keys wrapped again.")
                self.stdout.flush()
        except AgentProblem as error:
            raise CommandError(f"Stopped: {error}. What was done stays; run it again.") from None
        self.stdout.write(f"All data keys are wrapped by version {progress.version}.")
