"""Messages of somebody that a report could disclose, as it would: with every version and the names of their
files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import Account
from crypto_agent.client import ReadMessage
from webmail.blobs.fetching import files_in
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


@dataclass(frozen=True)
class Version:
    """What a message said from a moment on. `more` is how many further characters it had."""

    at: datetime
    text: str
    more: int = 0


@dataclass(frozen=True)
class FileName:
    """A file, which is not disclosed itself. `size` is what its sender says."""

    name: str
    media_type: str
    size: int


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
    """A message that could be disclosed. `key` names it and how many versions it had then."""

    id: str
    key: str
    placed_at: datetime
    said: Said


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
            said = _said(answers, left_out=count - len(rows))
            found.append(Reportable(message.message_id, key, message.placed_at, said))
    return found


def _said(answers: Sequence[tuple[Message, ReadMessage]], *, left_out: int) -> Said:
    newest, newest_answer = answers[-1]
    if newest_answer.tombstone:
        return Said([Version(newest.placed_at, "")], taken_back=True)
    standing = [(row, answer) for row, answer in answers if not answer.tombstone]
    files = {
        FileName(file.name, file.media_type, file.size): None
        for _row, answer in standing
        for file in files_in(answer.parts)
    }
    return Said(
        [_version(row.placed_at, written_text(answer)) for row, answer in standing],
        left_out,
        files=list(files)[:MOST_FILES],
    )


def _version(at: datetime, text: str) -> Version:
    return Version(at, text[:LONGEST_TEXT], max(0, len(text) - LONGEST_TEXT))
