"""Puts another passphrase before the operator's key."""

import os
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from crypto_agent.errors import AuditUnavailable, WrongPassphrase
from crypto_agent.management.operator_commands import OperatorCommand
from crypto_agent.management.passphrases import ask, ask_new
from crypto_agent.operator_keys.passphrase import change_passphrase


class Command(OperatorCommand):
    help = "Change the operator's passphrase; the key itself stays. The old passphrase comes first."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = change_passphrase(ask("Old passphrase: "), ask_new(), timezone.now(), os.urandom)
        except WrongPassphrase:
            raise CommandError("The old passphrase is wrong; nothing was changed.") from None
        except (AuditUnavailable, ValueError) as error:
            raise CommandError(f"Nothing was changed: {error}.") from None
        if not count:
            raise CommandError("There is no operator's key behind a passphrase.")
        self.stdout.write(f"The new passphrase opens all {count} versions of the operator's key.")
