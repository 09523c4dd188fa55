"""Mailboxes on an IMAP server (RFC 9051; made for Dovecot 2.3)."""

import contextlib
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import SplitResult

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError, LoginError

from turns import computing

from .mailbox import (
    FETCH_BYTES,
    INBOX,
    SENT,
    MailboxError,
    Room,
    Stored,
    Uid,
    check_folder,
    check_keywords,
    check_marks,
    check_message_id,
    check_octets,
    check_uids,
    with_crlf,
)
from .tokens import mailbox_token

TIMEOUT = SocketTimeout(connect=5, read=30)
GREETING_TIMEOUT = SocketTimeout(connect=5, read=5)
#: How many messages one FETCH command asks for.
FETCH_BATCH = 32
#: How many messages one command asks for the flags of, or marks.
FLAGS_BATCH = 500
#: How many UIDs one SEARCH may name: imaplib refuses an answer line beyond a million octets.
SEARCH_WINDOW = 50_000
#: Octets of one unit of a limit of storage (RFC 9208 §5.1).
QUOTA_UNIT = 1024
#: How many Message-IDs one SEARCH asks for, so that its line stays short.
SEARCH_BATCH = 100

#: What imapclient raises where an answer about a limit has another form than it expects.
_ODD_ANSWERS = (AttributeError, IndexError, TypeError, ValueError)

Result = TypeVar("Result")

_APPENDUID = re.compile(rb"\[APPENDUID (\d+) ([\d:,]+)\]")
_MESSAGE_ID_FIELD = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
_BODY = f"BODY.PEEK[]<0.{FETCH_BYTES}>"


def check_server(url: SplitResult) -> None:
    """Waits for the server's greeting and leaves again. Raises MailboxError "unavailable"."""
    host, port, tls = _place_of(url)
    try:
        IMAPClient(host, port, ssl=tls, timeout=GREETING_TIMEOUT).shutdown()
    except (IMAPClientError, OSError) as error:
        raise MailboxError("unavailable", "the mail server can't be reached") from error


def _place_of(url: SplitResult) -> tuple[str, int, bool]:
    """Host, port, and whether TLS is spoken there from the beginning."""
    tls = url.scheme == "imaps"
    return url.hostname or "localhost", url.port or (993 if tls else 143), tls


class ImapMailbox:
    """One DID's mailbox over one connection of its own, opened on entry and closed on exit.

    A connection per use costs a few milliseconds and holds no state that a fork or an idle hour could spoil.
    """

    def __init__(self, url: SplitResult, name: str, key_file: str) -> None:
        self._host, self._port, self._tls = _place_of(url)
        self._name = name
        self._key_file = key_file
        self._connection: IMAPClient | None = None
        self._selected: str | None = None
        #: Most of what is done with a mailbox is waiting for its server.
        self._waiting = contextlib.ExitStack()

    def __enter__(self) -> Self:
        token = mailbox_token(self._key_file, self._name, now=datetime.now(UTC))
        with contextlib.ExitStack() as waiting:
            waiting.enter_context(computing.waiting())
            self._connection = self._logged_in(token)
            self._waiting = waiting.pop_all()
        return self

    def _logged_in(self, token: str) -> IMAPClient:
        try:
            client = IMAPClient(self._host, self._port, ssl=self._tls, timeout=TIMEOUT)
        except (IMAPClientError, OSError) as error:
            raise MailboxError("unavailable", "the mail server can't be reached") from error
        try:
            # An APPEND is several small writes, which would otherwise wait for each other (Nagle).
            client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.oauthbearer_login(self._name, token)
            # The server states its full abilities only after the login.
            client.capabilities()
        except (IMAPClientError, OSError) as error:
            with contextlib.suppress(IMAPClientError, OSError):
                client.shutdown()
            raise _login_error(error) from error
        return client

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client, self._connection, self._selected = self._connection, None, None
        if client is not None:
            with self._waiting, contextlib.suppress(IMAPClientError, OSError):
                if error is None:
                    client.logout()
                else:
                    client.shutdown()

    def append(self, folder: str, raw: bytes, *, keywords: Iterable[str] = ()) -> Uid:
        check_folder(folder)
        flags = (*check_keywords(keywords), *((b"\\Seen",) if folder == SENT else ()))
        message = check_octets(with_crlf(raw))
        with self._speaking() as client:
            reply: bytes = self._in_folder(
                client, folder, lambda client: client.append(folder, message, flags)
            )
        return _uids_in(reply, 1)[0]

    def append_all(self, folder: str, raws: Sequence[bytes]) -> list[Uid]:
        check_folder(folder)
        messages = [check_octets(with_crlf(raw)) for raw in raws]
        with self._speaking() as client:
            # Without LITERAL+ the server would have to answer before each of them.
            at_once = all(client.has_capability(name) for name in ("MULTIAPPEND", "LITERAL+", "UIDPLUS"))
            if len(messages) < 2 or folder == SENT or not at_once:
                return [self.append(folder, message) for message in messages]
            reply = self._in_folder(client, folder, lambda client: _multiappend(client, folder, messages))
        return _uids_in(reply, len(messages))

    def uids_after(self, folder: str, uid: int) -> list[int]:
        with self._speaking() as client:
            # Not the SELECT's own answer: mail may have come since.
            end = self._status(client, folder, "UIDNEXT")
            self._select(client, folder)
            found: list[int] = []
            for start in range(uid + 1, end, SEARCH_WINDOW):
                found += client.search(["UID", f"{start}:{min(start + SEARCH_WINDOW, end) - 1}"])
        return sorted(number for number in found if number > uid)

    def fetch(self, folder: str, uids: Sequence[int]) -> dict[int, Stored]:
        wanted = check_uids(uids)
        stored: dict[int, Stored] = {}
        with self._speaking() as client:
            self._select(client, folder)
            for start in range(0, len(wanted), FETCH_BATCH):
                batch = wanted[start : start + FETCH_BATCH]
                answer = client.fetch(batch, [_BODY, "RFC822.SIZE", "INTERNALDATE", "FLAGS"])
                stored |= {uid: _stored(uid, item) for uid, item in answer.items() if uid in batch}
        return stored

    def flags(self, folder: str, uids: Sequence[int]) -> dict[int, frozenset[str]]:
        wanted = check_uids(uids)
        found: dict[int, frozenset[str]] = {}
        with self._speaking() as client:
            self._select(client, folder)
            for start in range(0, len(wanted), FLAGS_BATCH):
                batch = wanted[start : start + FLAGS_BATCH]
                answer = client.fetch(batch, ["FLAGS"])
                found |= {uid: _flags(item) for uid, item in answer.items() if uid in batch}
        return found

    def mark(
        self, folder: str, uids: Sequence[int], *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        wanted, added, removed = check_uids(uids), check_marks(add), check_marks(remove)
        with self._speaking() as client:
            self._select(client, folder)
            for start in range(0, len(wanted), FLAGS_BATCH):
                batch = wanted[start : start + FLAGS_BATCH]
                if added:
                    client.add_flags(batch, added, silent=True)
                if removed:
                    client.remove_flags(batch, removed, silent=True)

    def whole(self, folder: str, uid: int) -> Iterator[bytes]:
        (wanted,) = check_uids([uid])
        with self._speaking() as client:
            self._select(client, folder)
            start, size = 0, 1
            while start < size:
                piece = f"BODY.PEEK[]<{start}.{FETCH_BYTES}>"
                item = client.fetch([wanted], [piece, "RFC822.SIZE"]).get(wanted)
                if item is None or not (octets := item[f"BODY[]<{start}>".encode()]):
                    return
                yield octets
                start, size = start + len(octets), int(item[b"RFC822.SIZE"])

    def expunge(self, folder: str, uids: Sequence[int]) -> None:
        wanted = check_uids(uids)
        with self._speaking() as client:
            self._select(client, folder)
            for start in range(0, len(wanted), 500):
                batch = wanted[start : start + 500]
                client.add_flags(batch, [b"\\Deleted"], silent=True)
                client.uid_expunge(batch)

    def uidvalidity(self, folder: str) -> int:
        with self._speaking() as client:
            return self._status(client, folder, "UIDVALIDITY")

    def room(self) -> Room | None:
        with self._speaking() as client:
            if not client.has_capability("QUOTA"):
                return None
            try:
                _roots, quotas = client.get_quota_root(INBOX)
                limits = [
                    Room(int(quota.usage) * QUOTA_UNIT, int(quota.limit) * QUOTA_UNIT)
                    for quota in quotas
                    if quota.resource.upper() == "STORAGE"
                ]
            except _ODD_ANSWERS:
                return None
        return min(limits, key=lambda room: room.most - room.held, default=None)

    def find(self, folder: str, message_id: str) -> list[int]:
        return self.find_all(folder, [message_id]).get(message_id, [])

    def find_all(self, folder: str, message_ids: Iterable[str]) -> dict[str, list[int]]:
        wanted = [check_message_id(message_id) for message_id in dict.fromkeys(message_ids)]
        found: dict[str, list[int]] = {}
        with self._speaking() as client:
            self._select(client, folder)
            for start in range(0, len(wanted), SEARCH_BATCH):
                batch = wanted[start : start + SEARCH_BATCH]
                uids = sorted(client.search(_any_of(batch)))
                # The answer does not say which of them each one is.
                named = client.fetch(uids, [_MESSAGE_ID_FIELD]) if uids and len(batch) > 1 else {}
                for uid in uids:
                    name = _message_id_in(named[uid]) if uid in named else batch[0]
                    if name in batch:
                        found.setdefault(name, []).append(uid)
        return found

    def move(self, folder: str, uids: Sequence[int], target: str) -> None:
        wanted = check_uids(uids)
        check_folder(target)
        with self._speaking() as client:
            self._select(client, folder)
            for start in range(0, len(wanted), 500):
                batch = wanted[start : start + 500]
                try:
                    client.move(batch, target)
                except IMAPClientError as error:
                    if not _names_missing_folder(error):
                        raise
                    _create(client, target)
                    client.move(batch, target)

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[IMAPClient]:
        """The open connection; whatever goes wrong on it becomes a MailboxError."""
        if self._connection is None:
            raise MailboxError("unavailable", "the mailbox is not open")
        try:
            yield self._connection
        except (IMAPClient.AbortError, IMAPClient.ReadOnlyError, OSError) as error:
            raise MailboxError("unavailable", "the mail server did not answer as it should") from error
        except IMAPClientError as error:
            raise _command_error(error) from error

    def _select(self, client: IMAPClient, folder: str) -> None:
        check_folder(folder)
        if self._selected != folder:
            self._selected = None
            self._in_folder(client, folder, lambda client: client.select_folder(folder))
            self._selected = folder

    def _status(self, client: IMAPClient, folder: str, item: str) -> int:
        check_folder(folder)
        if self._selected is not None:
            # Dovecot answers STATUS for the selected mailbox from a stale view.
            client.unselect_folder()
            self._selected = None
        answer: dict[bytes, int] = self._in_folder(
            client, folder, lambda client: client.folder_status(folder, [item])
        )
        return int(answer[item.encode("ascii")])

    @staticmethod
    def _in_folder(client: IMAPClient, folder: str, command: Callable[[IMAPClient], Result]) -> Result:
        """Run a command that needs the folder; if the folder is missing, make it and run it again."""
        try:
            return command(client)
        except IMAPClientError as error:
            if not _names_missing_folder(error):
                raise
        _create(client, folder)
        return command(client)


def _multiappend(client: IMAPClient, folder: str, messages: Sequence[bytes]) -> bytes:
    """One APPEND of several messages (RFC 3502), all stored or none: the server's answer."""
    status, answer = client.multiappend(folder, messages)
    reply: bytes = answer[-1] or b""
    if status != "OK":
        raise IMAPClientError(f"append failed: {reply.decode('ascii', 'replace')}")
    return reply


def _uids_in(reply: bytes, count: int) -> list[Uid]:
    """The UIDs that the answer to an APPEND names (RFC 4315 §3), in the order of the messages."""
    match = _APPENDUID.search(reply)
    uids: list[int] = []
    for part in match[2].split(b",") if match else ():
        first, _colon, last = part.partition(b":")
        uids += range(int(first), int(last or first) + 1)
    if match is None or len(uids) != count:
        raise MailboxError("unavailable", "the mail server did not name the UIDs of what it stored")
    return [Uid(uid=uid, uidvalidity=int(match[1])) for uid in uids]


def _any_of(message_ids: Sequence[str]) -> list[Any]:
    """The SEARCH for mail with any of these Message-IDs. OR takes two keys (RFC 9051 §6.4.4), so they are
    halved rather than chained: servers limit how deep keys may go."""
    if len(message_ids) == 1:
        return ["HEADER", "Message-ID", message_ids[0]]
    half = len(message_ids) // 2
    return ["OR", _any_of(message_ids[:half]), _any_of(message_ids[half:])]


def _message_id_in(item: dict[bytes, Any]) -> str:
    """The Message-ID among the header fields that were fetched."""
    field = next((value for name, value in item.items() if name.startswith(b"BODY[HEADER")), b"")
    return bytes(field).partition(b":")[2].decode("ascii", "replace").strip()


def _create(client: IMAPClient, folder: str) -> None:
    try:
        client.create_folder(folder)
    except IMAPClientError as error:
        # Another process was faster.
        if "ALREADYEXISTS" not in str(error):
            raise


def _names_missing_folder(error: Exception) -> bool:
    text = str(error)
    return any(sign in text for sign in ("[NONEXISTENT]", "[TRYCREATE]", "doesn't exist"))


def _stored(uid: int, item: dict[bytes, Any]) -> Stored:
    received: datetime = item[b"INTERNALDATE"]
    return Stored(
        uid=uid,
        raw=item[b"BODY[]<0>"],
        received_at=received.astimezone(UTC),
        flags=_flags(item),
        size=int(item[b"RFC822.SIZE"]),
    )


def _flags(item: dict[bytes, Any]) -> frozenset[str]:
    return frozenset(flag.decode("ascii", "replace") for flag in item[b"FLAGS"] if flag != b"\\Recent")


def _login_error(error: Exception) -> MailboxError:
    passing = not isinstance(error, LoginError) or "[UNAVAILABLE]" in str(error)
    if passing:
        return MailboxError("unavailable", "the mail server can't log anyone in at the moment")
    return MailboxError("refused", "the mail server did not accept this mailbox's token")


def _command_error(error: Exception) -> MailboxError:
    if "[UNAVAILABLE]" in str(error) or "[SERVERBUG]" in str(error) or "[INUSE]" in str(error):
        return MailboxError("unavailable", "the mail server can't do that at the moment")
    if "[OVERQUOTA]" in str(error):
        return MailboxError("full", "the mailbox holds as much as it may")
    return MailboxError("refused", "the mail server refused a command")
