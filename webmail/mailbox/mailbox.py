"""What a mailbox is to the rest of the webmail: the port that the IMAP and Maildir adapters implement."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

INBOX = "INBOX"
ARCHIVE = "Archive"
QUARANTINE = "Quarantine"
#: Copies of the ordinary mail that was written here, where other mail programs look for them.
SENT = "Sent"
FOLDERS = (INBOX, ARCHIVE, QUARANTINE, SENT)

#: What an account noted of a mail, as other mail programs know it (RFC 9051 §2.3.2): that it was read, that
#: it is spam, and that it goes.
SEEN, JUNK, NOT_JUNK, DELETED = "\\Seen", "$Junk", "$NotJunk", "\\Deleted"
MARKS = frozenset({SEEN, JUNK, NOT_JUNK, DELETED})

#: The most octets of one message that `fetch` returns. Every envelope and archive mail is smaller
#: (an archived message is at most 256 KiB before base64); only ordinary mail is ever cut.
FETCH_BYTES = 512 * 1024

_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._+=-]{1,200}@[A-Za-z0-9.-]{1,120}>")
_KEYWORD = re.compile(r"[A-Za-z0-9$_-]{1,32}")


class MailboxError(Exception):
    """A mailbox could not do what was asked. `code` is "unavailable" (try again later), "full"
    (it holds as much as it may), "refused" (the argument or the account is not acceptable) or "not-found" (no
    such folder)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Uid:
    """Where a message was put: its UID within the folder, and the folder's UIDVALIDITY at the time."""

    uid: int
    uidvalidity: int


@dataclass(frozen=True)
class Room:
    """How much a mailbox holds and may hold at most, in octets."""

    held: int
    most: int


@dataclass(frozen=True, repr=False)
class Stored:
    """One message as it lies in a folder.

    `raw` holds the octets with CRLF line ends, at most FETCH_BYTES of them; `size` is the size of the
    whole message in octets. `flags` are IMAP flags and keywords without \\Recent.
    """

    uid: int
    raw: bytes
    received_at: datetime
    flags: frozenset[str]
    size: int

    @property
    def truncated(self) -> bool:
        return len(self.raw) < self.size

    def __repr__(self) -> str:
        return f"Stored(uid={self.uid}, size={self.size})"


class Mailbox(Protocol):
    """The mailbox of one DID. Folders are INBOX, ARCHIVE, QUARANTINE and SENT, made on first use.

    Every method raises MailboxError. A UID is never given twice within one UIDVALIDITY, and becomes
    visible in ascending order, so that `uids_after` with the last UID seen misses nothing.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def append(self, folder: str, raw: bytes, *, keywords: Iterable[str] = ()) -> Uid:
        """Store a message; durable when this returns. `raw` is MIME; lone CR or LF become CRLF.
        In SENT it counts as read, for the mail programs that tell."""
        ...

    def append_all(self, folder: str, raws: Sequence[bytes]) -> list[Uid]:
        """Store several messages as `append` does, and give their UIDs in the same order; all are durable
        when this returns. When it raises, some of them may have been stored."""
        ...

    def uids_after(self, folder: str, uid: int) -> list[int]:
        """The UIDs greater than `uid`, ascending; 0 gives all."""
        ...

    def fetch(self, folder: str, uids: Sequence[int]) -> dict[int, Stored]:
        """The messages with these UIDs; those that are not there are left out."""
        ...

    def flags(self, folder: str, uids: Sequence[int]) -> dict[int, frozenset[str]]:
        """The flags of the messages with these UIDs, as in `Stored`; those not there are left out."""
        ...

    def mark(
        self, folder: str, uids: Sequence[int], *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        """Add some of MARKS to these messages, and take others away. UIDs that are not there are passed over.
        Nothing else changes, and a message marked DELETED stays until it is expunged."""
        ...

    def whole(self, folder: str, uid: int) -> Iterator[bytes]:
        """All octets of a message, however large, in pieces of at most FETCH_BYTES; none if it is not there.

        Take them before the mailbox is asked for anything else.
        """
        ...

    def expunge(self, folder: str, uids: Sequence[int]) -> None:
        """Remove these messages and no other, for good. UIDs that are not there are passed over."""
        ...

    def uidvalidity(self, folder: str) -> int:
        """The folder's UIDVALIDITY (1 to 2^32-1). When it changes, every UID known before is void."""
        ...

    def room(self) -> Room | None:
        """How full the mailbox is for what arrives in INBOX; None where nobody says, or nothing limits it."""
        ...

    def find(self, folder: str, message_id: str) -> list[int]:
        """The UIDs of the messages with this Message-ID (with its angle brackets), ascending."""
        ...

    def find_all(self, folder: str, message_ids: Iterable[str]) -> dict[str, list[int]]:
        """The same for each of several; those of which there are none are left out."""
        ...

    def move(self, folder: str, uids: Sequence[int], target: str) -> None:
        """Move these messages to another folder, where they get new UIDs. Absent UIDs are passed over."""
        ...


def check_folder(folder: str) -> str:
    if folder not in FOLDERS:
        raise MailboxError("not-found", "there is no such folder")
    return folder


def check_message_id(message_id: str) -> str:
    """Refuse what is no Message-ID of the plain sort that this project writes (RFC 5322 §3.6.4)."""
    if not _MESSAGE_ID.fullmatch(message_id):
        raise MailboxError("refused", "not a Message-ID")
    return message_id


def check_keywords(keywords: Iterable[str]) -> tuple[str, ...]:
    checked = tuple(sorted(set(keywords)))
    if len(checked) > 8 or not all(_KEYWORD.fullmatch(keyword) for keyword in checked):
        raise MailboxError("refused", "not a keyword")
    return checked


def check_marks(marks: Iterable[str]) -> tuple[str, ...]:
    checked = tuple(sorted(set(marks)))
    if not MARKS.issuperset(checked):
        raise MailboxError("refused", "not a mark")
    return checked


def check_uids(uids: Iterable[int]) -> list[int]:
    """Ascending and without repetition; refuses what is not a UID (RFC 9051: 1 to 2^32-1)."""
    checked = sorted(set(uids))
    if checked and not (checked[0] >= 1 and checked[-1] < 2**32):
        raise MailboxError("refused", "not a UID")
    return checked


def check_octets(message: bytes) -> bytes:
    """Refuse what no mailbox can hold."""
    if b"\0" in message:
        raise MailboxError("refused", "mail can't hold a NUL")
    return message


def with_crlf(raw: bytes) -> bytes:
    """The same message with every lone CR or LF as CRLF, as mail must be (RFC 5322 §2.1)."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
