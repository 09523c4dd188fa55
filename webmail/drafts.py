"""What people are writing: kept as they type, sealed by the agent, the same in all their browsers.

A draft is the account's own. There is one for each conversation, for each message that is being changed and
for each mail that is being answered, and some for new conversations. The last page that wrote wins; what it
overtook stays beside it, and is the draft again once that is sent.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import IntegrityError, transaction

from accounts.agent import agent
from accounts.models import Account
from accounts.prepared_rows import PreparedRows
from crypto_agent.client import AgentError, AgentLocked
from webmail import events
from webmail.draft_content import DraftContent, content_of, joined, words
from webmail.draft_places import DraftOnPage, DraftPlace
from webmail.models import Blob, Conversation, Draft, Message, PendingMessage
from webmail.opened import note_silence

DRAFT_ID = re.compile(r"[0-9a-f]{32}")
#: Drafts of new conversations that the list names, and that an account may have; and of each other kind, but
#: for those of its conversations.
MOST_NEW = 20
#: As the agent takes it.
MOST_BYTES = 256 * 1024
#: Tries at a draft that other pages write at the same moment.
_TRIES = 3

_OF_CONVERSATION = PreparedRows(
    lambda account, conversation: Draft.objects.filter(account=account, conversation=conversation)
)
_EDITS_IN = PreparedRows(
    lambda account, conversation: Draft.objects.filter(
        account=account, edits__conversation=conversation, edits__forgotten_at=None
    ).select_related("edits")
)


class CannotKeep(Exception):
    """A draft was not kept. `code` is stable: "too-long", "too-many" or "sent"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class OpenDraft:
    """A draft as a page shows it. Without `content` it is there and can't be shown just now."""

    draft_id: str
    revision: int
    writer: str
    content: DraftContent | None
    overtaken: bool
    #: The page whose text that is; "" where it is of no page alone.
    overtaken_writer: str


@dataclass(frozen=True)
class EditBegun:
    """A message that is being changed, and the words that it gets; "" where they can't be shown just now."""

    message_id: str
    words: str


@dataclass(frozen=True)
class Kept:
    """What became of a draft. `overtook` says that another page had written something else here meanwhile,
    `left` that what another page wrote is the draft now, and that this one may not have seen it."""

    revision: int
    overtook: bool = False
    left: bool = False


def new_id() -> str:
    """128 random bits in hex."""
    return secrets.token_hex(16)


def of_conversation(account: Account, conversation: Conversation) -> OpenDraft | None:
    """What is being written in a conversation. Raises AgentLocked."""
    return _opened_one(account, _OF_CONVERSATION.one(account.pk, conversation.pk))


def at(account: Account, place: DraftPlace) -> OpenDraft | None:
    """What is being written somewhere. Raises AgentLocked."""
    return _opened_one(account, place.rows(account).first())


def edits_in(account: Account, conversation: Conversation) -> list[EditBegun]:
    """The messages of a conversation that are being changed, the newest change first. Raises AgentLocked."""
    rows = _EDITS_IN.rows(account.pk, conversation.pk)
    return [
        EditBegun(row.edits.message_id, words(content))
        for row, content in _opened(account, rows)
        if row.edits
    ]


def overtaken(account: Account, place: DraftPlace) -> DraftContent | None:
    """What another page had before the last one overtook it. Raises AgentError."""
    row = place.rows(account).exclude(overtaken=b"").first()
    if row is None:
        return None
    (opened,) = agent().open_drafts(account.did, [(row.draft_id, bytes(row.overtaken))])
    return content_of(opened)


def keep(
    account: Account, on_page: DraftOnPage, content: DraftContent, *, swap: bool = False, now: datetime
) -> Kept:
    """Keeps what is being written. Nothing written takes the draft away, but not what others wrote there.

    With ``swap`` the page shows what was overtaken, which changes places with what it had. Raises CannotKeep
    or AgentError; what was kept before stays then.
    """
    if not content:
        return _emptied(account, on_page)
    place = on_page.place
    encoded = content.encoded()
    if len(encoded) > MOST_BYTES:
        raise CannotKeep("too-long")
    if place.conversation is None and not _has_room(account, place):
        raise CannotKeep("too-many")
    for _try in range(_TRIES):
        row = place.rows(account).first()
        name = row.draft_id if row else (place.draft_id or new_id())
        sealed = agent().seal_draft(account.did, name, encoded)
        aside = _of_a_third_page(account, on_page, row) if row else None
        try:
            with transaction.atomic():
                kept = _stored(account, on_page, name, sealed, swap, now, aside)
                if kept is not None:
                    _keep_files(account, name, content)
                    return kept
        except IntegrityError:
            # Another page made the row in between.
            continue
    raise CannotKeep("too-many")


def discard(account: Account, place: DraftPlace) -> None:
    """Takes a draft away, with what it overtook. Can run twice."""
    if place.rows(account).delete()[0]:
        _tell(account, place)


def drop_of_taken_back(account: Account, tombstones: Iterable[Message]) -> None:
    """The messages that these take back are not being changed any more, where the account wrote both."""
    mine = [row.replaces for row in tombstones if row.sender_did == account.did]
    if mine:
        Draft.objects.filter(
            account=account, edits__message_id__in=mine, edits__sender_did=account.did
        ).delete()


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
    transaction.on_commit(lambda: _tell(account, DraftPlace(conversation)))


def put_back_new(account: Account, draft_id: str, sealed: bytes, now: datetime) -> None:
    """What was to begin a conversation is the draft of a new one again. In a transaction.

    ``sealed`` opens under ``draft_id``. Raises AgentError.
    """
    Draft.objects.create(account=account, draft_id=draft_id, sealed=sealed, created_at=now, updated_at=now)
    (opened,) = agent().open_drafts(account.did, [(draft_id, sealed)])
    if (restored := content_of(opened)) is not None:
        _keep_files(account, draft_id, restored)
    transaction.on_commit(lambda: _tell(account, DraftPlace()))


def sent(account: Account, on_page: DraftOnPage) -> None:
    """What a page had is sent, and is no draft any more: what it overtook is again, and what others wrote
    there that it had not seen stays. In the transaction of sending."""
    place = on_page.place
    if place.conversation:
        found = _OF_CONVERSATION.one(account.pk, place.conversation.pk)
    else:
        found = place.rows(account).only("pk").first()
    if found is None or (row := Draft.objects.select_for_update().filter(pk=found.pk).first()) is None:
        return
    if on_page.has_seen(row):
        _give_way(row)
    elif on_page.writer and row.overtaken_writer == on_page.writer:
        row.overtaken, row.overtaken_writer = b"", ""
        row.save(update_fields=["overtaken", "overtaken_writer"])
    transaction.on_commit(lambda: _tell(account, place))


def in_conversations(account: Account, conversations: Iterable[Conversation]) -> dict[int, str]:
    """The texts of drafts by the conversation's key; "" where one is there and can't be shown. No query where
    the conversations were selected with their ``draft``.

    Raises AgentLocked if it was not known before that the keys are locked.
    """
    rows = [draft for each in conversations if (draft := getattr(each, "draft", None)) is not None]
    return {row.conversation_id or 0: words(content) for row, content in _opened(account, rows)}


def of_new_conversations(account: Account) -> list[tuple[str, datetime, DraftContent | None]]:
    """The drafts of new conversations, the newest first: id, time, content. Raises AgentLocked as above."""
    rows = list(DraftPlace().of_its_kind(account)[:MOST_NEW])
    return [(row.draft_id, row.updated_at, content) for row, content in _opened(account, rows)]


def _emptied(account: Account, on_page: DraftOnPage) -> Kept:
    place = on_page.place
    with transaction.atomic():
        row = place.rows(account).select_for_update().first()
        if row is None:
            return Kept(0)
        if not on_page.has_seen(row):
            return Kept(0, left=True)
        transaction.on_commit(lambda: _tell(account, place))
        return Kept(0, left=_give_way(row))


def _give_way(row: Draft) -> bool:
    """What the row overtook takes its place, with the files of both until a page keeps it; whether there was
    such. In a transaction."""
    if not row.overtaken:
        row.delete()
        return False
    row.sealed, row.writer, row.revision = row.overtaken, "", row.revision + 1
    row.overtaken, row.overtaken_writer = b"", ""
    row.save()
    return True


def _has_room(account: Account, place: DraftPlace) -> bool:
    """Whether the draft is there already, or may be one more. An import can bring more than there may be."""
    return place.rows(account).exists() or place.of_its_kind(account).count() < MOST_NEW


@dataclass(frozen=True)
class _Aside:
    """What stands beside a draft once its row is overtaken at this revision: the texts of two pages."""

    revision: int
    sealed: bytes


def _of_a_third_page(account: Account, on_page: DraftOnPage, row: Draft) -> _Aside | None:
    """What is overtaken now with what was before, which is of neither of the two pages; None where that is
    not so, or both are too long together. Raises AgentError."""
    if not row.overtaken or on_page.has_seen(row) or _is_of(on_page.writer, row):
        return None
    opened = agent().open_drafts(
        account.did, [(row.draft_id, bytes(row.overtaken)), (row.draft_id, bytes(row.sealed))]
    )
    before, after = (content_of(each) for each in opened)
    if before is None or after is None:
        return None
    if before.text in after.text:
        before = replace(before, text="")
    encoded = joined(before, after).encoded()
    if len(encoded) > MOST_BYTES:
        return None
    return _Aside(row.revision, agent().seal_draft(account.did, row.draft_id, encoded))


def _is_of(writer: str, row: Draft) -> bool:
    return bool(row.overtaken_writer) and row.overtaken_writer in (writer, row.writer)


def _stored(
    account: Account,
    on_page: DraftOnPage,
    draft_id: str,
    sealed: bytes,
    swap: bool,
    now: datetime,
    aside: _Aside | None,
) -> Kept | None:
    """None if the row that ``draft_id`` named is another one by now, or no more what ``aside`` has."""
    place, writer = on_page.place, on_page.writer
    row = place.rows(account).select_for_update().first()
    if row is None:
        if place.is_new and on_page.token and _took(account, on_page.token):
            raise CannotKeep("sent")
        row = Draft.objects.create(
            account=account,
            **place.columns,
            draft_id=draft_id,
            sealed=sealed,
            writer=writer,
            created_at=now,
            updated_at=now,
        )
        transaction.on_commit(lambda: _tell(account, place))
        return Kept(row.revision)
    if row.draft_id != draft_id or (aside and row.revision != aside.revision):
        return None
    overtook = not on_page.has_seen(row)
    if overtook or (swap and row.overtaken):
        row.overtaken, row.overtaken_writer = (aside.sealed, "") if aside else (row.sealed, row.writer)
    if row.writer != writer or swap:
        transaction.on_commit(lambda: _tell(account, place))
    row.sealed, row.writer, row.revision, row.updated_at = sealed, writer, row.revision + 1, now
    row.save()
    return Kept(row.revision, overtook)


def _took(account: Account, token: str) -> bool:
    """Whether what a page with this token had is sent, or waits to be."""
    return any(
        rows.objects.filter(account=account, token=token).exists() for rows in (PendingMessage, Message)
    )


def _keep_files(account: Account, draft_id: str, content: DraftContent) -> None:
    """The files of a draft are not swept away; those that it has no more are again, but for what may be those
    of a text that it overtook."""
    row = Draft.objects.get(account=account, draft_id=draft_id)
    chosen = [pk for pk, _name in content.files]
    if not row.overtaken:
        Blob.objects.filter(draft=row).exclude(pk__in=chosen).update(draft=None)
    Blob.objects.filter(account=account, pk__in=chosen, message_id="").update(draft=row)


def _opened_one(account: Account, row: Draft | None) -> OpenDraft | None:
    if row is None:
        return None
    ((_row, content),) = _opened(account, [row])
    return OpenDraft(
        row.draft_id, row.revision, row.writer, content, bool(row.overtaken), row.overtaken_writer
    )


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


def _tell(account: Account, place: DraftPlace) -> None:
    """Other pages look whether they show something else."""
    if place.conversation:
        events.publish(account.pk, "conversations", f"draft:{place.conversation.conversation_id}")
    elif place.is_new:
        events.publish(account.pk, "conversations")
