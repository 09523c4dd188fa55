"""`manage.py ingress`: takes mail in by LMTP or SMTP, as WAXWING_INGRESS_URL says."""

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webmail.ingress_server import serve


class Command(BaseCommand):
    help = "Takes mail in by LMTP or SMTP, as WAXWING_INGRESS_URL says."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asyncio.run(_serve_until_told())
        except (OSError, ValueError) as error:
            raise CommandError(f"the ingress can't listen: {error}") from error


async def _serve_until_told() -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await serve(settings.INGRESS_URL, settings.INGRESS_POLICY_URL, stopped)
