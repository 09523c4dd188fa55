"""`manage.py remove_admin_second_factor NAME`: for one who lost their passkeys and recovery codes."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import admin_log, admin_passkeys


class Command(BaseCommand):
    help = "Remove an administrator's passkeys and recovery codes; the next sign-in sets up new ones."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the name by which the administrator signs in")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"Nobody signs in as {name}.")
        passkeys, codes = admin_passkeys.remove_all(user)
        if passkeys or codes:
            admin_log.note(user, "The second factor was removed from the operator's shell.")
        self.stdout.write(f"{name}: removed {passkeys} passkeys and {codes} recovery codes that were left.")
