"""Makes the file with the operator's key."""

import base64
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from crypto_agent.custody import KEY_BYTES


class Command(BaseCommand):
    help = "Make a new operator key in a file that only its owner can read; never replaces one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "path", nargs="?", help="by default the file that WAXWING_AGENT_OPERATOR_KEY_PATH names"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["path"] or settings.OPERATOR_KEY_FILE or "")
        if path == Path():
            raise CommandError("Give a path, or set WAXWING_AGENT_OPERATOR_KEY_PATH.")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise CommandError(f"{path} is already there; it was not changed.") from None
        except OSError as error:
            raise CommandError(f"{path} can't be made: {error.strerror}.") from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.stdout.write(f"Made {path}. Keep a copy in a safe place: without it no message can be read.")
