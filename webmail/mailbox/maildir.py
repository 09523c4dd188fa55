"""Mailboxes in a directory, for one machine without a mail server.

The layout is Maildir++: `<root>/<name>/cur`, and `<root>/<name>/.Archive/cur` for the other folders, with
each message in a file of its own. What Maildir leaves open is fixed here: the file's name carries its UID
and a digest of its Message-ID, and `waxwing-uids` beside `cur` holds the folder's UIDVALIDITY and next UID.

A message is written and synced under `tmp`, then takes a UID and its place in `cur` under the folder's
lock. The next UID is on disk before the message is in place, so a process that is killed wastes at most
a number; and both happen under one lock, so messages appear in the order of their UIDs.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from .mailbox import (
    DELETED,
    FETCH_BYTES,
    INBOX,
    SEEN,
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

#: A file under `tmp` that is older was left by a process that was killed (36 hours, as Maildir has it).
ABANDONED_SECONDS = 36 * 3600

_NAME = re.compile(
    r"(?P<seconds>\d{1,12})\.U(?P<uid>\d{1,10})M(?P<digest>[0-9a-f]{32})\.waxwing,S=(?P<size>\d{1,12})"
    r"(?:,K=(?P<keywords>[A-Za-z0-9$_+-]{1,300}))?:2,(?P<info>[A-Za-z]{0,26})"
)
#: The letters after the name (https://cr.yp.to/proto/maildir.html) of the flags that are kept there.
_LETTERS = {SEEN: "S", DELETED: "T"}
#: How often a file is looked for that another process renames meanwhile.
_LOOKS = 5
_UIDS = re.compile(r"1 (\d{1,10}) (\d{1,10})\n")


@dataclass(frozen=True)
class _Entry:
    """What the name of a message's file says."""

    uid: int
    seconds: int
    digest: str
    size: int
    keywords: tuple[str, ...]
    #: The letters of its flags, in the order of the alphabet.
    info: str = ""

    @classmethod
    def read(cls, name: str) -> "_Entry | None":
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        keywords = tuple(match["keywords"].split("+")) if match["keywords"] else ()
        return cls(
            int(match["uid"]),
            int(match["seconds"]),
            match["digest"],
            int(match["size"]),
            keywords,
            match["info"],
        )

    @property
    def name(self) -> str:
        keywords = f",K={'+'.join(self.keywords)}" if self.keywords else ""
        return f"{self.seconds}.U{self.uid}M{self.digest}.waxwing,S={self.size}{keywords}:2,{self.info}"

    @property
    def flags(self) -> frozenset[str]:
        return frozenset(
            {*self.keywords, *(flag for flag, letter in _LETTERS.items() if letter in self.info)}
        )

    def with_uid(self, uid: int) -> "_Entry":
        return replace(self, uid=uid)

    def with_flags(self, flags: frozenset[str]) -> "_Entry":
        others = set(self.info) - set(_LETTERS.values())
        info = others | {letter for flag, letter in _LETTERS.items() if flag in flags}
        keywords = tuple(sorted(flags - set(_LETTERS)))
        return replace(self, keywords=keywords, info="".join(sorted(info)))


def check_folder_of_all(root: str) -> None:
    """Looks whether mailboxes can be made under `root`. Raises MailboxError "unavailable"."""
    folder = Path(root)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise MailboxError("unavailable", "the folder of mailboxes can't be written to")


class MaildirMailbox:
    """One DID's mailbox under `root`; `name` comes from mailbox_name and is safe as a directory name."""

    def __init__(self, root: str, name: str) -> None:
        self._home = Path(root) / name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def append(self, folder: str, raw: bytes, *, keywords: Iterable[str] = ()) -> Uid:
        return self._append(folder, [raw], check_keywords(keywords))[0]

    def append_all(self, folder: str, raws: Sequence[bytes]) -> list[Uid]:
        return self._append(folder, raws, ())

    def _append(self, folder: str, raws: Sequence[bytes], keywords: tuple[str, ...]) -> list[Uid]:
        messages = [check_octets(with_crlf(raw)) for raw in raws]
        with self._files(folder) as place:
            written: list[tuple[Path, _Entry]] = []
            for message in messages:
                path = place / "tmp" / f"{time.time_ns()}.{os.getpid()}.{secrets.token_hex(8)}"
                _write_durably(path, message)
                digest = _digest_of_mail(message)
                written.append((path, _Entry(0, int(time.time()), digest, len(message), keywords)))
            if not written:
                return []
            with _locked(place):
                uidvalidity, first = _take_uids(place, len(written))
                for uid, (path, entry) in enumerate(written, start=first):
                    path.rename(place / "cur" / entry.with_uid(uid).name)
                _sync_directory(place / "cur")
        return [Uid(uid, uidvalidity) for uid in range(first, first + len(written))]

    def uids_after(self, folder: str, uid: int) -> list[int]:
        with self._files(folder) as place:
            return sorted(number for number in _entries(place) if number > uid)

    def fetch(self, folder: str, uids: Sequence[int]) -> dict[int, Stored]:
        wanted = check_uids(uids)
        stored: dict[int, Stored] = {}
        with self._files(folder) as place:
            entries = _entries(place)
            for uid in wanted:
                found = _open(place, uid, entries)
                if found is not None:
                    entry, file = found
                    with file:
                        stored[uid] = _stored(entry, file.read(FETCH_BYTES))
        return stored

    def flags(self, folder: str, uids: Sequence[int]) -> dict[int, frozenset[str]]:
        wanted = check_uids(uids)
        with self._files(folder) as place:
            entries = _entries(place)
        return {uid: entries[uid].flags for uid in wanted if uid in entries}

    def mark(
        self, folder: str, uids: Sequence[int], *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        wanted, added, removed = check_uids(uids), check_marks(add), check_marks(remove)
        with self._files(folder) as place, _locked(place):
            entries = _entries(place)
            for entry in (entries[uid] for uid in wanted if uid in entries):
                marked = entry.with_flags((entry.flags | set(added)) - set(removed))
                if marked != entry:
                    (place / "cur" / entry.name).rename(place / "cur" / marked.name)
            _sync_directory(place / "cur")

    def whole(self, folder: str, uid: int) -> Iterator[bytes]:
        (wanted,) = check_uids([uid])
        with self._files(folder) as place:
            found = _open(place, wanted, _entries(place))
            if found is None:
                return
            with found[1] as file:
                while octets := file.read(FETCH_BYTES):
                    yield octets

    def expunge(self, folder: str, uids: Sequence[int]) -> None:
        wanted = check_uids(uids)
        with self._files(folder) as place, _locked(place):
            entries = _entries(place)
            # The next UID is read, and so made sure of, before the highest message may vanish.
            _take_uids(place, 0)
            for uid in wanted:
                if uid in entries:
                    (place / "cur" / entries[uid].name).unlink(missing_ok=True)
            _sync_directory(place / "cur")

    def uidvalidity(self, folder: str) -> int:
        with self._files(folder) as place, _locked(place):
            return _take_uids(place, 0)[0]

    def room(self) -> Room | None:
        return None

    def find(self, folder: str, message_id: str) -> list[int]:
        return self.find_all(folder, [message_id]).get(message_id, [])

    def find_all(self, folder: str, message_ids: Iterable[str]) -> dict[str, list[int]]:
        wanted = {_digest(check_message_id(message_id)): message_id for message_id in message_ids}
        found: dict[str, list[int]] = {}
        with self._files(folder) as place:
            for uid, entry in sorted(_entries(place).items()):
                if entry.digest in wanted:
                    found.setdefault(wanted[entry.digest], []).append(uid)
        return found

    def move(self, folder: str, uids: Sequence[int], target: str) -> None:
        wanted = check_uids(uids)
        check_folder(target)
        if folder == target:
            return
        with self._files(folder) as source, self._files(target) as place, contextlib.ExitStack() as locks:
            # Always in the same order, so that two opposite moves can't wait for each other.
            for directory in sorted((source, place)):
                locks.enter_context(_locked(directory))
            entries = _entries(source)
            present = [entries[uid] for uid in wanted if uid in entries]
            _take_uids(source, 0)
            _, first = _take_uids(place, len(present))
            for uid, entry in enumerate(present, start=first):
                (source / "cur" / entry.name).rename(place / "cur" / entry.with_uid(uid).name)
            _sync_directory(place / "cur")
            _sync_directory(source / "cur")

    @contextlib.contextmanager
    def _files(self, folder: str) -> Iterator[Path]:
        """The folder's directory, made if missing; what the file system refuses becomes a MailboxError."""
        check_folder(folder)
        place = self._home if folder == INBOX else self._home / f".{folder}"
        try:
            if not (place / "cur").is_dir():
                _make_folder(place)
            _remove_abandoned(place / "tmp")
            yield place
        except OSError as error:
            raise MailboxError("unavailable", "the mailbox's directory can't be used") from error


def _make_folder(place: Path) -> None:
    for directory in (place, place / "tmp", place / "new", place / "cur"):
        missing = [directory, *directory.parents]
        missing = missing[: next(i for i, path in enumerate(missing) if path.is_dir())]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
            _sync_directory(path.parent)


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel lets go of it when the process dies."""
    lock = os.open(place / "waxwing-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _take_uids(place: Path, count: int) -> tuple[int, int]:
    """(UIDVALIDITY, first of `count` new UIDs); the UIDs after them are on disk when this returns.

    To be called under the lock. A folder whose record is lost or broken starts a new UIDVALIDITY.
    """
    record = place / "waxwing-uids"
    try:
        match = _UIDS.fullmatch(record.read_text("ascii"))
    except (FileNotFoundError, UnicodeDecodeError):
        match = None
    if match is None:
        uidvalidity = secrets.randbelow(2**32 - 1) + 1
        following = max(_entries(place), default=0) + 1
    else:
        uidvalidity, following = int(match[1]), int(match[2])
    if match is None or count:
        written = place / "tmp" / f"uids.{os.getpid()}.{secrets.token_hex(8)}"
        _write_durably(written, f"1 {uidvalidity} {following + count}\n".encode("ascii"))
        written.rename(record)
        _sync_directory(place)
    return uidvalidity, following


def _entries(place: Path) -> dict[int, _Entry]:
    read = (_Entry.read(name) for name in os.listdir(place / "cur"))
    return {entry.uid: entry for entry in read if entry is not None}


def _open(place: Path, uid: int, entries: Mapping[int, _Entry]) -> tuple[_Entry, BinaryIO] | None:
    """The message's file, None if it is not there. Another process may remove it after it was listed, or mark
    it, and so rename it."""
    for _look in range(_LOOKS):
        entry = entries.get(uid)
        if entry is None:
            return None
        with contextlib.suppress(FileNotFoundError):
            return entry, open(place / "cur" / entry.name, "rb")
        entries = _entries(place)
    return None


def _stored(entry: _Entry, raw: bytes) -> Stored:
    return Stored(
        uid=entry.uid,
        raw=raw,
        received_at=datetime.fromtimestamp(entry.seconds, UTC),
        flags=entry.flags,
        size=entry.size,
    )


def _digest(message_id: str) -> str:
    return hashlib.sha256(message_id.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _digest_of_mail(message: bytes) -> str:
    header = message[: 64 * 1024].split(b"\r\n\r\n", 1)[0]
    message_id = BytesHeaderParser().parsebytes(header + b"\r\n").get("Message-ID", "")
    return _digest(str(message_id).strip())


def _write_durably(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    finally:
        os.close(file)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _remove_abandoned(tmp: Path) -> None:
    with os.scandir(tmp) as files:
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
                    os.unlink(file.path)
