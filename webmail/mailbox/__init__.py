"""Mailboxes: the store of record for every message."""

from urllib.parse import unquote, urlsplit

from django.conf import settings

from .mailbox import (
    ARCHIVE,
    DELETED,
    FOLDERS,
    INBOX,
    JUNK,
    NOT_JUNK,
    QUARANTINE,
    SEEN,
    SENT,
    Mailbox,
    MailboxError,
    Room,
    Stored,
    Uid,
)
from .names import mailbox_name

__all__ = [
    "ARCHIVE",
    "DELETED",
    "FOLDERS",
    "INBOX",
    "JUNK",
    "NOT_JUNK",
    "QUARANTINE",
    "SEEN",
    "SENT",
    "Mailbox",
    "MailboxError",
    "Room",
    "Stored",
    "Uid",
    "check_mailboxes",
    "open_mailbox",
]


def open_mailbox(did: str) -> Mailbox:
    """The mailbox of a DID, by settings.MAILBOX_URL; a context manager that connects on entry.

    Raises MailboxError "refused" for a DID that can have no mailbox, before any socket or file is touched.
    """
    name = mailbox_name(did)
    url = urlsplit(settings.MAILBOX_URL)
    if url.scheme == "maildir":
        from .maildir import MaildirMailbox

        return MaildirMailbox(unquote(url.path), name)
    if url.scheme in ("imap", "imaps"):
        from .imap import ImapMailbox

        return ImapMailbox(url, name, settings.MAIL_TOKEN_KEY_FILE)
    raise MailboxError("refused", "WAXWING_MAILBOX_URL must be maildir://, imap:// or imaps://")


def check_mailboxes() -> None:
    """Asks the place of the mailboxes, without opening anybody's. Raises MailboxError "unavailable"."""
    url = urlsplit(settings.MAILBOX_URL)
    if url.scheme == "maildir":
        from .maildir import check_folder_of_all

        check_folder_of_all(unquote(url.path))
    else:
        from .imap import check_server

        check_server(url)
