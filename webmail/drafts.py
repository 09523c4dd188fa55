"""What people are writing: kept as they type, sealed by the agent, the same in all their browsers.

A draft is the account's own: its export carries it. There is one for each conversation, and some for new
ones. The last page that wrote wins; what it overtook stays beside it until the draft is sent.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.agent import agent
from accounts.models import Account
from accounts.prepared_rows import PreparedRows
from crypto_agent.client import AgentError, AgentLocked
from webmail import events
from webmail.models import Blob, Conversation, Draft
from webmail.opened import note_silence
from webmail.previews.card import Card, card_of

DRAFT_ID = re.compile(r"[0-9a-f]{32}")
#: Drafts of new conversations that the list names, and that an account may have.
MOST_NEW = 20
#: As the agent takes it.
MOST_BYTES = 256 * 1024
#: Tries at a draft that other pages write at the same moment.
_TRIES = 3

_OF_CONVERSATION = PreparedRows(
    lambda account, conversation: Draft.objects.filter(account=account, conversation=conversation)
)
_TO_SEND = PreparedRows(
    lambda account, conversation, draft_id: Draft.objects.filter(
        Q(conversation=conversation) | Q(conversation=None, draft_id=draft_id), account=account
    ).only("pk")
)


class CannotKeep(Exception):
    """A draft was not kept. `code` is stable: "too-long" or "too-many"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class DraftContent:
    """What is in a draft. `files`: keys of Blob rows, and names. `people`: DIDs, of a new conversation.
    `preview`: of a link in the text, or that there is to be none of it."""

    text: str = ""
    files: tuple[tuple[int, str], ...] = ()
    in_reply_to: str = ""
    people: tuple[str, ...] = ()
    #: The key of the topic that it is written in.
    topic: str = ""
    preview: Card | None = None
    #: The id of the conversation that goes on with `people`, and what is said there of it.
    former: str = ""
    told: str = ""
    #: The names of the files of a message that is passed on.
    passed_on: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text.strip() or self.files or self.people)

    def encoded(self) -> bytes:
        """For the agent to seal."""
        fields = {
            "text": self.text,
            "files": self.files,
            "inReplyTo": self.in_reply_to,
            "people": self.people,
            "topic": self.topic,
            "preview": self.preview.fields if self.preview else None,
            "former": self.former,
            "told": self.told,
            "passedOn": self.passed_on,
        }
        return json.dumps(fields, ensure_ascii=False).encode(errors="replace")


@dataclass(frozen=True)
class OpenDraft:
    """A draft as a page shows it. Without `content` it is there and can't be shown just now."""

    draft_id: str
    revision: int
    writer: str
    content: DraftContent | None
    overtaken: bool


@dataclass(frozen=True)
class Kept:
    """What became of a draft. `overtook` says that another page had written something else here meanwhile."""

    revision: int
    overtook: bool = False


def decoded(data: bytes) -> DraftContent:
    """What ``DraftContent.encoded`` gave. Raises ValueError, KeyError or TypeError."""
    fields: Mapping[str, Any] = json.loads(data)
    return DraftContent(
        text=str(fields["text"]),
        files=tuple((int(pk), str(name)) for pk, name in fields["files"]),
        in_reply_to=str(fields["inReplyTo"]),
        people=tuple(str(did) for did in fields["people"]),
        topic=str(fields.get("topic", "")),
        preview=card_of(fields.get("preview")),
        former=str(fields.get("former", "")),
        told=str(fields.get("told", "")),
        passed_on=tuple(str(name) for name in fields.get("passedOn", ())),
    )


def new_id() -> str:
    """128 random bits in hex."""
    return secrets.token_hex(16)


def of_conversation(account: Account, conversation: Conversation) -> OpenDraft | None:
    """What is being written in a conversation. Raises AgentLocked."""
    return _opened_one(account, _OF_CONVERSATION.one(account.pk, conversation.pk))


def of_new(account: Account, draft_id: str) -> OpenDraft | None:
    """What is being written in a new conversation. Raises AgentLocked."""
    if not DRAFT_ID.fullmatch(draft_id):
        return None
    rows = Draft.objects.filter(account=account, conversation=None, draft_id=draft_id)
    return _opened_one(account, rows.first())


def overtaken(account: Account, conversation_id: str, draft_id: str) -> DraftContent | None:
    """What another page had before the last one overtook it, in the draft of a conversation, or else in the
    draft of this id. Raises AgentError."""
    rows = Draft.objects.filter(account=account).exclude(overtaken=b"")
    if conversation_id.isalnum():
        rows = rows.filter(conversation__conversation_id=conversation_id)
    else:
        rows = rows.filter(conversation=None, draft_id=draft_id if DRAFT_ID.fullmatch(draft_id) else "")
    row = rows.first()
    if row is None:
        return None
    (opened,) = agent().open_drafts(account.did, [(row.draft_id, bytes(row.overtaken))])
    return content_of(opened)


def keep(
    account: Account,
    conversation: Conversation | None,
    draft_id: str,
    content: DraftContent,
    *,
    writer: str,
    revision: int,
    now: datetime,
) -> Kept:
    """Keeps what is being written; nothing written takes the draft away.

    ``draft_id`` names the draft of a new conversation, ``writer`` the page, ``revision`` the last one that it
    has seen. Raises CannotKeep or AgentError; what was kept before stays then.
    """
    if not content:
        discard(account, conversation, draft_id)
        return Kept(0)
    encoded = content.encoded()
    if len(encoded) > MOST_BYTES:
        raise CannotKeep("too-long")
    if conversation is None and not _has_room(account, draft_id):
        raise CannotKeep("too-many")
    for _try in range(_TRIES):
        row = _row(account, conversation, draft_id)
        name = row.draft_id if row else (new_id() if conversation else draft_id)
        sealed = agent().seal_draft(account.did, name, encoded)
        try:
            with transaction.atomic():
                kept = _stored(account, conversation, name, sealed, writer, revision, now)
                if kept is not None:
                    _keep_files(account, name, content)
                    return kept
        except IntegrityError:
            # Another page made the row in between.
            continue
    raise CannotKeep("too-many")


def discard(account: Account, conversation: Conversation | None, draft_id: str) -> None:
    """Takes a draft away. Can run twice."""
    rows = Draft.objects.filter(account=account, conversation=conversation)
    if conversation is None:
        rows = rows.filter(draft_id=draft_id)
    if rows.delete()[0]:
        _tell(account, conversation)


def put_back(
    account: Account, conversation: Conversation, draft_id: str, sealed: bytes, now: datetime
) -> None:
    """A text that was to be sent is a draft again, before what is being written now. In a transaction.

    ``sealed`` opens under ``draft_id``. Raises AgentError where both have to become one text.
    """
    row = Draft.objects.select_for_update().filter(account=account, conversation=conversation).first()
    if row is None:
        row = Draft.objects.create(
            account=account,
            conversation=conversation,
            draft_id=draft_id,
            sealed=sealed,
            created_at=now,
            updated_at=now,
        )
        contents = agent().open_drafts(account.did, [(draft_id, sealed)])
        restored = content_of(contents[0])
    else:
        opened = agent().open_drafts(account.did, [(draft_id, sealed), (row.draft_id, bytes(row.sealed))])
        before, after = (content_of(one) or DraftContent() for one in opened)
        restored = joined(before, after)
        row.sealed = agent().seal_draft(account.did, row.draft_id, restored.encoded())
        row.revision, row.writer, row.updated_at = row.revision + 1, "", now
        row.save()
    if restored is not None:
        _keep_files(account, row.draft_id, restored)
    transaction.on_commit(lambda: _tell(account, conversation))


def put_back_new(account: Account, draft_id: str, sealed: bytes, now: datetime) -> None:
    """What was to begin a conversation is the draft of a new one again. In a transaction.

    ``sealed`` opens under ``draft_id``. Raises AgentError.
    """
    Draft.objects.create(account=account, draft_id=draft_id, sealed=sealed, created_at=now, updated_at=now)
    (opened,) = agent().open_drafts(account.did, [(draft_id, sealed)])
    if (restored := content_of(opened)) is not None:
        _keep_files(account, draft_id, restored)
    transaction.on_commit(lambda: _tell(account, None))


def joined(before: DraftContent, after: DraftContent) -> DraftContent:
    """One draft of two: their texts under each other, and all files."""
    return DraftContent(
        text="\n".join(filter(None, (before.text, after.text))),
        files=tuple(dict((*before.files, *after.files)).items()),
        in_reply_to=before.in_reply_to or after.in_reply_to,
        people=tuple(dict.fromkeys((*before.people, *after.people))),
        topic=before.topic or after.topic,
        preview=before.preview or after.preview,
    )


def sent(account: Account, conversation: Conversation, draft_id: str = "") -> None:
    """The draft of a conversation, and that of a new one, was sent. In the transaction of sending."""
    keys = [row.pk for row in _TO_SEND.rows(account.pk, conversation.pk, draft_id)]
    # What deletes rows reads all that is in them first, even where there are none.
    if keys and Draft.objects.filter(pk__in=keys).delete()[0]:
        transaction.on_commit(lambda: _tell(account, conversation))


def in_conversations(account: Account, conversations: Iterable[Conversation]) -> dict[int, str]:
    """The texts of drafts by the conversation's key; "" where one is there and can't be shown. No query where
    the conversations were selected with their ``draft``.

    Raises AgentLocked if it was not known before that the keys are locked.
    """
    rows = [draft for each in conversations if (draft := getattr(each, "draft", None)) is not None]
    return {row.conversation_id or 0: words(content) for row, content in _opened(account, rows)}


def of_new_conversations(account: Account) -> list[tuple[str, datetime, DraftContent | None]]:
    """The drafts of new conversations, the newest first: id, time, content. Raises AgentLocked as above."""
    rows = list(Draft.objects.filter(account=account, conversation=None)[:MOST_NEW])
    return [(row.draft_id, row.updated_at, content) for row, content in _opened(account, rows)]


def _row(account: Account, conversation: Conversation | None, draft_id: str) -> Draft | None:
    rows = Draft.objects.filter(account=account, conversation=conversation)
    return (rows if conversation else rows.filter(draft_id=draft_id)).first()


def _has_room(account: Account, draft_id: str) -> bool:
    """Whether the draft is there already, or may be one more. An import can bring more than there may be."""
    rows = Draft.objects.filter(account=account, conversation=None)
    return rows.filter(draft_id=draft_id).exists() or rows.count() < MOST_NEW


def _stored(
    account: Account,
    conversation: Conversation | None,
    draft_id: str,
    sealed: bytes,
    writer: str,
    revision: int,
    now: datetime,
) -> Kept | None:
    """None if the row that ``draft_id`` named is another one by now."""
    rows = Draft.objects.select_for_update().filter(account=account, conversation=conversation)
    row = (rows if conversation else rows.filter(draft_id=draft_id)).first()
    if row is None:
        Draft.objects.create(
            account=account,
            conversation=conversation,
            draft_id=draft_id,
            sealed=sealed,
            writer=writer,
            created_at=now,
            updated_at=now,
        )
        transaction.on_commit(lambda: _tell(account, conversation))
        return Kept(1)
    if row.draft_id != draft_id:
        return None
    overtook = row.writer != writer and row.revision != revision
    if overtook:
        row.overtaken = row.sealed
    if row.writer != writer:
        transaction.on_commit(lambda: _tell(account, conversation))
    row.sealed, row.writer, row.revision, row.updated_at = sealed, writer, row.revision + 1, now
    row.save()
    return Kept(row.revision, overtook)


def _keep_files(account: Account, draft_id: str, content: DraftContent) -> None:
    """The files of a draft are not swept away; those that it has no more are again."""
    row = Draft.objects.get(account=account, draft_id=draft_id)
    chosen = [pk for pk, _name in content.files]
    Blob.objects.filter(draft=row).exclude(pk__in=chosen).update(draft=None)
    Blob.objects.filter(account=account, pk__in=chosen, message_id="").update(draft=row)


def _opened_one(account: Account, row: Draft | None) -> OpenDraft | None:
    if row is None:
        return None
    ((_row, content),) = _opened(account, [row])
    return OpenDraft(row.draft_id, row.revision, row.writer, content, bool(row.overtaken))


def opened_all(account: Account, items: Sequence[tuple[str, bytes]]) -> list[DraftContent | None]:
    """What is in sealed drafts by their ids; None where the agent does not say.

    Raises AgentLocked if it was not known before that the keys are locked.
    """
    if not items or account.locked_here:
        return [None] * len(items)
    try:
        opened = agent().open_drafts(account.did, items)
    except AgentLocked:
        raise
    except AgentError as error:
        note_silence(account, error)
        return [None] * len(items)
    return [content_of(data) for data in opened]


def _opened(account: Account, rows: Sequence[Draft]) -> list[tuple[Draft, DraftContent | None]]:
    contents = opened_all(account, [(row.draft_id, bytes(row.sealed)) for row in rows])
    return list(zip(rows, contents, strict=True))


def content_of(data: bytes | None) -> DraftContent | None:
    """What is in an opened draft; None for what is none."""
    try:
        return None if data is None else decoded(data)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def words(content: DraftContent | None) -> str:
    if content is None:
        return ""
    return " ".join(content.text.split())[:140] or ", ".join(name for _pk, name in content.files)


def _tell(account: Account, conversation: Conversation | None) -> None:
    """Other pages look whether they show something else."""
    names = [f"draft:{conversation.conversation_id}"] if conversation else []
    events.publish(account.pk, "conversations", *names)
