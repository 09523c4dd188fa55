"""Makes new versions of accounts' data keys, on request or on a schedule."""

import os
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from crypto_agent import audit
from crypto_agent.data_key_rotation import rotate_data_key
from crypto_agent.errors import AccountLocked, AgentProblem
from crypto_agent.management.operator_commands import OperatorCommand
from crypto_agent.management.passphrases import unsealed_source
from crypto_agent.models import Account


class Command(OperatorCommand):
    help = (
        "Make a new version of data keys, and encrypt the accounts' private keys under it. Each account is a "
        "transaction of its own: it may be stopped and run again. Locked accounts are told as late."
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
        dids: list[str] = options["did"] or _with_key_before(now - timedelta(days=options["days"]))
        done = late = failed = 0
        for did in dids:
            try:
                with transaction.atomic():
                    rotate_data_key(did, now, os.urandom)
                    audit.append(audit.Use(now, "command", did, "rotateDataKey", 1, "ok", None))
            except AccountLocked:
                late += 1
                self.stdout.write(f"{did}: late, since its user locked it.")
            except AgentProblem as error:
                failed += 1
                self.stderr.write(f"{did}: {error}.")
            else:
                done += 1
        self.stdout.write(f"{done} data keys rotated, {late} late.")
        if failed:
            raise CommandError(f"{failed} accounts failed.")


def _with_key_before(moment: datetime) -> list[str]:
    newest = Account.objects.annotate(newest=Max("data_keys__created_at"))
    return list(newest.filter(newest__lt=moment).order_by("pk").values_list("did", flat=True))
