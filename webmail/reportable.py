"""Messages of somebody that a report could disclose, as it would: with every version and the names of their
files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from django.db.models import Q, QuerySet

from accounts.models import Account
from crypto_agent.client import ReadMessage, SealedContent
from webmail.blobs.fetching import MessageFile, files_in
from webmail.edits import versions_of
from webmail.models import Message
from webmail.opened import read_placed
from webmail.threads import written_text

#: Messages to choose from on one page.
PAGE = 30
#: Versions of one message: how it came, and the newest; characters of each.
MOST_VERSIONS = 10
LONGEST_TEXT = 5000
#: Names of files of one message.
MOST_FILES = 20
#: Octets of a file that is disclosed itself.
MOST_BYTES_OF_FILE = 10 * 1024 * 1024


@dataclass(frozen=True)
class Version:
    """What a message said from a moment on. `more` is how many further characters it had."""

    at: datetime
    text: str
    more: int = 0


@dataclass(frozen=True)
class FileName:
    """A file as a report names it. `size` is what its sender says, `key` names it among those of its sender.
    `sha256` is that of its bytes in hex where the file itself was chosen as well, else empty."""

    name: str
    media_type: str
    size: int
    key: str = ""
    sha256: str = ""


@dataclass(frozen=True, repr=False)
class ReportableFile:
    """A file that could be disclosed itself, and of what the agent decrypts it."""

    named: FileName
    file: MessageFile
    sealed: SealedContent

    @property
    def is_picture(self) -> bool:
        return self.named.media_type.startswith("image/")

    @property
    def is_too_large(self) -> bool:
        """Whether it can only be named, for its length."""
        return self.named.size > MOST_BYTES_OF_FILE

    @property
    def host(self) -> str:
        """The server that learns of it when the file is fetched, if there is one."""
        if self.file.is_here:
            return ""
        try:
            return urlsplit(self.file.url).hostname or ""
        except ValueError:
            # What its sender gave for an address is none, and is not fetched.
            return ""


@dataclass(frozen=True)
class Said:
    """What is disclosed of one message. `versions` are oldest first, and `left_out` how many were between the
    first and the others; of one that its sender took back there is only when that was."""

    versions: list[Version]
    left_out: int = 0
    taken_back: bool = False
    files: list[FileName] = field(default_factory=list)


@dataclass(frozen=True)
class Reportable:
    """A message that could be disclosed. `key` names it and how many versions it had then; `files` are those
    that `said` names."""

    id: str
    key: str
    placed_at: datetime
    said: Said
    files: list[ReportableFile] = field(default_factory=list)


@dataclass(frozen=True)
class ReportablePage:
    """Newest first; `older` is the id of the last where there are more, else empty."""

    messages: list[Reportable]
    older: str


def page_of(account: Account, did: str, *, before: str = "") -> ReportablePage:
    """The newest messages of a person that could be disclosed: those whose signature was checked and whose
    text can be read now. With ``before``, a message's id, those that came before it."""
    rows = _rows(account, did)
    edge = rows.filter(message_id=before).first() if before else None
    if edge is not None:
        earlier = Q(placed_at__lt=edge.placed_at) | Q(placed_at=edge.placed_at, pk__lt=edge.pk)
        rows = rows.filter(earlier)
    found = list(rows.order_by("-placed_at", "-pk")[: PAGE + 1])
    page = found[:PAGE]
    return ReportablePage(_reportable(account, page), page[-1].message_id if len(found) > PAGE else "")


def named(account: Account, did: str, message_ids: Iterable[str]) -> list[Reportable]:
    """Those of these messages that could be disclosed, newest first; nobody else's are among them."""
    rows = _rows(account, did).filter(message_id__in=set(message_ids))
    return _reportable(account, list(rows.order_by("-placed_at", "-pk")))


def _rows(account: Account, did: str) -> QuerySet[Message]:
    set_aside = Q(aside__in=(Message.Aside.BEFORE, Message.Aside.BLOCKED))
    return Message.objects.filter(
        Q(shown=True) | set_aside,
        account=account,
        sender_did=did,
        trust__in=Message.VOUCHED_FOR,
        replaces="",
        forgotten_at=None,
    ).select_related("conversation")


def _reportable(account: Account, messages: Sequence[Message]) -> list[Reportable]:
    versions = versions_of(messages, MOST_VERSIONS - 1)
    read = read_placed(
        account,
        (
            (message.conversation.conversation_id, version)
            for message in messages
            for version in versions[message.pk]
        ),
    )
    found = []
    for message in messages:
        rows = versions[message.pk]
        answers = [
            (row, answer) for row in rows if (answer := read.get(row.pk)) is not None and not answer.error
        ]
        if answers:
            count = 1 + (vars(rows[-1])["edit_count"] if len(rows) > 1 else 0)
            key = f"{message.message_id}:{count}"
            files = _files(message.conversation.conversation_id, answers)
            said = _said(answers, [each.named for each in files], left_out=count - len(rows))
            found.append(Reportable(message.message_id, key, message.placed_at, said, files))
    return found


def _said(
    answers: Sequence[tuple[Message, ReadMessage]], files: Sequence[FileName], *, left_out: int
) -> Said:
    newest, newest_answer = answers[-1]
    if newest_answer.tombstone:
        return Said([Version(newest.placed_at, "")], taken_back=True)
    standing = [(row, answer) for row, answer in answers if not answer.tombstone]
    return Said(
        [_version(row.placed_at, written_text(answer)) for row, answer in standing],
        left_out,
        files=list(files),
    )


def _files(place: str, answers: Sequence[tuple[Message, ReadMessage]]) -> list[ReportableFile]:
    """The files of all versions of a message of this conversation, each once; none of one that its sender
    took back."""
    if answers[-1][1].tombstone:
        return []
    found: dict[tuple[object, ...], ReportableFile] = {}
    for row, answer in answers:
        sealed = SealedContent(place, row.message_id, bytes(row.sealed))
        for file in files_in(answer.parts) if not answer.tombstone else []:
            same = (file.name, file.media_type, file.size, file.content_hash, file.data)
            named = FileName(file.name, file.media_type, file.size, f"{row.message_id}:{file.part}")
            found.setdefault(same, ReportableFile(named, file, sealed))
    return list(found.values())[:MOST_FILES]


def _version(at: datetime, text: str) -> Version:
    return Version(at, text[:LONGEST_TEXT], max(0, len(text) - LONGEST_TEXT))
