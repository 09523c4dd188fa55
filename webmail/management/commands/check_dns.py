"""`manage.py check_dns`: says of each DNS record of this installation whether it is right."""

import json
import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from webmail.dns_check import Installation, check
from webmail.dns_check.questions import Questions, ServerError, resolver_at


class Command(BaseCommand):
    help = "Look up the DNS records that this installation needs, and say what to publish where one is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--server", metavar="ADDRESS[:PORT]", help="the DNS server to ask, in place of this host's"
        )
        parser.add_argument(
            "--ca",
            default="letsencrypt.org",
            metavar="NAME",
            help="by which name CAA records call the authority of the certificates (%(default)s)",
        )
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="one line of JSON for each record"
        )

    def handle(self, *args: Any, server: str | None, ca: str, as_json: bool, **options: Any) -> None:
        try:
            dns = Questions(resolver_at(server), time.monotonic)
        except ServerError as error:
            raise CommandError(f"{error}.") from error
        failed = 0
        for finding in check(Installation.of_settings(authority=ca), dns):
            failed += finding.fails
            if as_json:
                self.stdout.write(json.dumps(asdict(finding)))
                continue
            self.stdout.write(f"{finding.state:<9}  {finding.kind:<5}  {finding.name}: {finding.said}")
            if finding.publish:
                self.stdout.write(f"{'':<18}publish: {finding.publish}")
        if failed:
            raise CommandError("Something that mail depends on is wrong in the DNS, or nobody answered.")
