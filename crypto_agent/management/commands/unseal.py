"""Gives the operator's passphrase to the running agent."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from crypto_agent.management.passphrases import ask
from crypto_agent.unsealing import NobodyListens, give

REFUSALS = {
    "wrong": "The passphrase is wrong.",
    "absent": "No operator's key was made yet: use make_operator_key.",
    "no-database": "The agent's database does not answer.",
}


class Command(BaseCommand):
    help = "Give the operator's passphrase to the running agent (at the terminal, or on the standard input)."
    # They would load the whole service, of which a command uses little.
    requires_system_checks = ()

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
