"""Gives the operator's passphrase to the running agent."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from crypto_agent.management.operator_commands import OperatorCommand
from crypto_agent.management.passphrases import ask
from crypto_agent.unsealing import NobodyListens, give

REFUSALS = {
    "wrong": "The passphrase is wrong.",
    "absent": "No operator's key was made yet: use make_operator_key.",
    "no-database": "The agent's database does not answer.",
    "no-record": "The agent stays as it was: the audit log can't be written.",
}


class Command(OperatorCommand):
    help = "Give the operator's passphrase to the running agent (at the terminal, or on the standard input)."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer = give(settings.UNSEAL_SOCKET, ask("Passphrase: "))
        except NobodyListens:
            raise CommandError(
                f"No agent takes a passphrase at {settings.UNSEAL_SOCKET}. "
                "It has to run, with WAXWING_AGENT_OPERATOR_KEY=passphrase:"
            ) from None
        if answer != "open":
            raise CommandError(REFUSALS.get(answer, "The agent did not take it."))
        self.stdout.write("The agent is open.")
