"""Which mailbox a run uses: Dovecot where it can be started, files otherwise, and ever after the same one."""

from dataclasses import dataclass
from pathlib import Path

from demo import dovecot
from demo.secrets_file import write_private_file

DOVECOT = "dovecot"
FILES = "maildir"


class MailboxGone(Exception):
    """Earlier runs kept their mail in a Dovecot that can't be started now; the message is for a person."""


@dataclass(frozen=True)
class MailboxChoice:
    """`uses_dovecot`, and why, in words for a person."""

    uses_dovecot: bool
    explanation: str


def choose_mailbox(folder: Path) -> MailboxChoice:
    """The mailbox that earlier runs in the folder used; on the first run Dovecot, if it can be started.

    Mail is never looked for in one place and kept in another. Raises MailboxGone.
    """
    kept = folder / "mailbox"
    obstacle = dovecot.why_not(folder / "dovecot")
    if not kept.exists():
        write_private_file(kept, FILES if obstacle else DOVECOT)
    uses_dovecot = kept.read_text() == DOVECOT
    if uses_dovecot and obstacle:
        raise MailboxGone(
            f"The mail of earlier runs is in Dovecot, but {obstacle}:"
            " put that right, or start afresh with make clean."
        )
    if uses_dovecot:
        return MailboxChoice(True, "Dovecot")
    reason = obstacle or "as in earlier runs; make clean starts afresh, with Dovecot"
    return MailboxChoice(False, f"files on this disk ({reason})")
