"""`manage.py rebuild_index [DID …]`: restores conversations from the mailboxes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from crypto_agent.client import AgentError
from webmail import rebuild
from webmail.mailbox import MailboxError


class Command(BaseCommand):
    help = "Restore the index of conversations from the mailboxes of all accounts, or of those named."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("did", nargs="*", help="only these accounts; made if the database has none")

    def handle(self, *args: Any, did: list[str], **options: Any) -> None:
        failed = 0
        for account in rebuild.accounts(did):
            try:
                count = rebuild.rebuild(account, progress=self._progress)
            except (MailboxError, AgentError) as error:
                failed += 1
                self.stderr.write(f"{account.did}: {error.code}: {error}")
            else:
                self.stdout.write(f"{account.did}: {count} messages in the archive")
        if failed:
            raise CommandError(f"{failed} accounts could not be restored; run this again.")

    def _progress(self, done: int, total: int) -> None:
        if done % 1000 == 0 or done == total:
            self.stderr.write(f"  {done} of {total}")
