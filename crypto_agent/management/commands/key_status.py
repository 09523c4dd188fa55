"""Says what each version of the operator's key is used for."""

from typing import Any

from crypto_agent.errors import Sealed
from crypto_agent.management.operator_commands import OperatorCommand
from crypto_agent.management.passphrases import unsealed_source
from crypto_agent.operator_keys import rotation


class Command(OperatorCommand):
    help = "Show the versions of the operator's key, and how many data keys each one wraps."

    def handle(self, *args: Any, **options: Any) -> None:
        present: frozenset[int] = frozenset()
        try:
            present = unsealed_source().key().versions
        except Sealed as error:
            self.stdout.write(f"The operator's key can't be used now: {error}.")
        for status in rotation.status(present):
            words = ["present" if status.present else "absent"]
            if status.present and status.version == max(present):
                words.append("newest")
            if status.retired_at:
                words.append(f"retired {status.retired_at:%Y-%m-%d}")
            self.stdout.write(f"version {status.version}: {status.rows} data keys; {', '.join(words)}")
