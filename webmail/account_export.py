"""An account's export as a stream: its keys under a passphrase, and its mailbox as it lies there, sealed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import Account
from crypto_agent.client import AgentClient, SealedContent
from webmail import export_file, exported_settings, message_state
from webmail.mailbox import ARCHIVE, INBOX, QUARANTINE, Stored, open_mailbox
from webmail.mailbox.envelope_mail import archive_in_mail, envelope_in_mail, mail_with_envelope
from webmail.models import Message

#: Messages in memory at a time.
BATCH = 50

_ARCHIVE_NAME = re.compile(rb"^Message-ID: <([0-9a-f]{64})@archive\.invalid>", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Export:
    """An export that was begun: its keys are there, and its parts come as they are asked for. ``readme`` lies
    beside them in plain words."""

    account: Account
    readme: str
    agent: AgentClient
    keys: bytes
    export_key: bytes
    created_at: datetime

    def chunks(self) -> Iterator[bytes]:
        """The octets of the file. Raises AgentError or MailboxError in the middle; it is then not whole."""
        account = self.account
        writer = export_file.Writer(account.did, self.created_at)
        yield writer.part(export_file.README, self.readme.encode())
        yield writer.part(export_file.KEYS, self.keys)
        about = json.dumps({"endpoints": account.published_endpoints, "handle": account.handle}).encode()
        yield writer.part(export_file.ACCOUNT, self._sealed("account", about))
        # In the order in which messages move on, so that none slips through between two of these.
        yield from self._unsent(writer)
        for folder in (INBOX, QUARANTINE):
            yield from self._pending(writer, folder)
        yield from self._archive(writer)
        yield from self._settings(writer)
        manifest = writer.manifest()
        yield writer.part(export_file.MANIFEST, manifest)
        yield writer.part(export_file.END, self._sealed("end", hashlib.sha256(manifest).digest()))
        yield writer.end()

    def _unsent(self, writer: export_file.Writer) -> Iterator[bytes]:
        """What was written here and does not rest in the archive yet. What another device of the account sent
        lies in the mailbox as it came, or in the archive with a signature that was not checked yet."""
        rows = Message.objects.filter(
            account=self.account,
            direction=Message.Direction.OUT,
            trust=Message.Trust.OWN,
            archived_at=None,
            forgotten_at=None,
        ).order_by("pk")
        keys = list(rows.values_list("pk", flat=True))
        for start in range(0, len(keys), BATCH):
            batch = list(
                Message.objects.filter(pk__in=keys[start : start + BATCH])
                .select_related("conversation")
                .prefetch_related("deliveries")
                .order_by("pk")
            )
            yield from self._states(writer, map(message_state.unsent_state_of, batch))
            sealed = self.agent.seal_unsent(
                self.account.did,
                self.export_key,
                [
                    SealedContent(row.conversation.conversation_id, row.message_id, bytes(row.sealed))
                    for row in batch
                ],
            )
            for part in sealed:
                yield writer.next_part(export_file.UNSENT, part)

    def _pending(self, writer: export_file.Writer, folder: str) -> Iterator[bytes]:
        """Envelopes that were not opened, or could not be."""
        for batch in self._mails(folder):
            for mail in batch:
                if envelope := envelope_in_mail(mail.raw):
                    yield writer.next_part(export_file.PENDING, mail_with_envelope(envelope.data))

    def _archive(self, writer: export_file.Writer) -> Iterator[bytes]:
        for batch in self._mails(ARCHIVE):
            archived = [mail.raw for mail in batch if archive_in_mail(mail.raw) is not None]
            names = [match[1].decode() for raw in archived if (match := _ARCHIVE_NAME.search(raw))]
            rows = Message.objects.filter(account=self.account, message_id__in=names)
            found = (message_state.state_of(row) for row in rows.prefetch_related("deliveries"))
            yield from self._states(writer, (state for state in found if state is not None))
            for raw in archived:
                yield writer.next_part(export_file.ARCHIVE, raw)

    def _settings(self, writer: export_file.Writer) -> Iterator[bytes]:
        for data in message_state.packed(exported_settings.settings_of(self.account)):
            name = writer.next_name(export_file.SETTINGS)
            yield writer.part(name, self._sealed(name, data))

    def _states(self, writer: export_file.Writer, states: Iterable[message_state.State]) -> Iterator[bytes]:
        for data in message_state.packed(states):
            name = writer.next_name(export_file.STATE)
            yield writer.part(name, self._sealed(name, data))

    def _mails(self, folder: str) -> Iterator[Sequence[Stored]]:
        """What lies in a folder, and what comes to it meanwhile. Holds no connection while nobody asks."""
        last = 0
        while True:
            with open_mailbox(self.account.did) as mailbox:
                uids = mailbox.uids_after(folder, last)[:BATCH]
                found = mailbox.fetch(folder, uids)
            if not uids:
                return
            last = uids[-1]
            yield [found[uid] for uid in sorted(found)]

    def _sealed(self, name: str, state: bytes) -> bytes:
        return self.agent.seal_export_part(self.account.did, self.export_key, name, state)


def begin(
    account: Account,
    host: str,
    agent: AgentClient,
    passphrase: str,
    *,
    now: datetime,
    assertion: dict[str, Any] | None = None,
) -> Export:
    """An export whose keys are encrypted under ``passphrase``, which is forgotten with this call.

    ``assertion`` is the passkey's answer, where the account requires it. Raises AgentError: AgentRefused
    ``WeakPassphrase`` for a passphrase under 12 characters, ``StepUpRequired``.
    """
    made = agent.export_account(account.did, passphrase, assertion=assertion)
    return Export(account, readme(account, host, now), agent, made.keys, made.export_key, now)


def readme(account: Account, host: str, made_at: datetime) -> str:
    """What an export is and how it is read, in the language of whoever asked for it."""
    paragraphs = [
        [
            _("This is everything of %(handle)s (%(did)s) at %(host)s, exported on %(date)s.")
            % {"handle": account.handle, "did": account.did, "host": host, "date": f"{made_at:%Y-%m-%d}"}
        ],
        [
            _(
                "It holds the private keys of the account, encrypted under the passphrase that was chosen "
                "for it (keys.cbor), and all its messages, each sealed to one of those keys."
            ),
            _("Without the passphrase nobody can read it."),
            _("With the passphrase anybody can, and can write in your name: keep both, and keep them apart."),
        ],
        [
            _(
                "To read it, take it in at another installation of Waxwing: Devices and keys, Move or leave, "
                "Bring an account here."
            ),
            _(
                "The format is described in docs/account-export.md of Waxwing, so that other programs can "
                "read it too."
            ),
        ],
        [_("Ordinary mail that was not sealed is not in it.")],
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs) + "\n"
