"""Messages that go out later: for a moment each may be taken back, and some wait for a time of their own.

Such a message is composed already, so nothing is left but to store it as a sent one. Whoever has its row
locked decides: releasing and taking back can't both happen. The database is the clock; tasks are hints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.agent import agent
from accounts.models import Account
from accounts.prepared_rows import PreparedRows
from crypto_agent.client import AgentError, Expires, NewMessage
from webmail import disappearing, drafts, events, outgoing, queues, undo_choices
from webmail.blobs.attaching import attachment, chosen, forget
from webmail.conversations import others_in
from webmail.drafts import DraftContent
from webmail.models import Blob, Conversation, Message, PendingMessage
from webmail.outgoing import CannotSend

#: By so much a message is held longer than its page offers to take it back.
MARGIN = timedelta(seconds=1)
#: Rows due within this time are given to a worker for their exact moment.
AHEAD = timedelta(seconds=15)
#: How long a message to blocked people is put off each time.
WHILE_BLOCKED = timedelta(hours=1)
LATEST = timedelta(days=365)
MOST_SCHEDULED = 100

Kind = PendingMessage.Kind

_BY_TOKEN = PreparedRows(
    lambda account, token: PendingMessage.objects.select_related("conversation").filter(
        account=account, token=token
    )
)


class NotPending(Exception):
    """There is no such message any more: it was sent, or taken back."""


@dataclass(frozen=True)
class Waiting:
    """A message that waits, as pages show it. Without `content` its text can't be shown just now."""

    pk: int
    kind: str
    release_at: datetime
    conversation: Conversation
    content: DraftContent | None

    @property
    def held(self) -> bool:
        return self.kind == Kind.HELD


def undo_time(account: Account) -> timedelta:
    """For how long a message may be taken back; nothing where that is off."""
    return timedelta(seconds=undo_choices.seconds_of(account))


def hold(
    account: Account,
    recipients: Sequence[str],
    content: DraftContent,
    token: str,
    *,
    held_for: timedelta,
    expires: Expires | None = None,
    draft_id: str = "",
    now: datetime,
) -> PendingMessage:
    """Takes a message that goes out when it can't be taken back any more.

    ``held_for`` is what undo_time said, ``draft_id`` as in ``outgoing.send``. Raises CannotSend or
    CannotAttach; nothing is stored then.
    """
    release_at = now + held_for + MARGIN
    return _store(account, recipients, content, token, Kind.HELD, release_at, now, expires, draft_id, now)


def schedule(
    account: Account,
    recipients: Sequence[str],
    content: DraftContent,
    token: str,
    send_at: datetime,
    *,
    expires: Expires | None = None,
    draft_id: str = "",
    now: datetime,
) -> PendingMessage:
    """Takes a message that goes out at ``send_at``, and says that it was written then.

    Raises CannotSend or CannotAttach; nothing is stored then.
    """
    waiting = PendingMessage.objects.filter(account=account, kind=Kind.SCHEDULED)
    if waiting.count() >= MOST_SCHEDULED:
        raise CannotSend(
            "too-many-scheduled",
            _("%(count)d messages wait for their time already.") % {"count": MOST_SCHEDULED},
        )
    return _store(
        account, recipients, content, token, Kind.SCHEDULED, send_at, send_at, expires, draft_id, now
    )


def by_token(account: Account, token: str) -> PendingMessage | None:
    """What a page with this token has handed in already."""
    return _BY_TOKEN.one(account.pk, token)


def release(pending_pk: int, *, now: datetime) -> Message | None:
    """Sends a message whose time has come, once, whoever else tries; None where there is nothing to send."""
    with transaction.atomic():
        row = _locked(PendingMessage.objects.filter(pk=pending_pk, release_at__lte=now))
        if row is not None and row.conversation.blocked:
            # They were blocked after it was written: it stays with its writer.
            row.kind, row.release_at = Kind.SCHEDULED, now + WHILE_BLOCKED
            row.save(update_fields=["kind", "release_at"])
            return None
        return _released(row, now) if row else None


def take_back(account: Account, pending_pk: int, *, now: datetime) -> Conversation:
    """Makes a message a draft of its conversation again. Raises NotPending, AgentError."""
    with transaction.atomic():
        row = _locked(PendingMessage.objects.filter(account=account, pk=pending_pk))
        if row is None:
            raise NotPending
        drafts.put_back(account, row.conversation, row.draft_id, bytes(row.draft), now)
        row.delete()
        _tell_later(row)
    return row.conversation


def discard(account: Account, pending_pk: int) -> Conversation:
    """Throws a message away, with its files. Raises NotPending."""
    with transaction.atomic():
        row = _locked(PendingMessage.objects.filter(account=account, pk=pending_pk))
        if row is None:
            raise NotPending
        blobs = list(Blob.objects.filter(account=account, pk__in=row.files, message_id=""))
        row.delete()
        _tell_later(row)
    for blob in blobs:
        forget(blob)
    return row.conversation


def change_time(
    account: Account, pending_pk: int, send_at: datetime | None, *, now: datetime
) -> PendingMessage:
    """Lets a message go out at another time, or at once.

    It is composed again, since it says when it was written. Raises NotPending, CannotSend.
    """
    row = PendingMessage.objects.filter(account=account, pk=pending_pk).select_related("conversation").first()
    if row is None:
        raise NotPending
    at = now if send_at is None else _checked_time(send_at, now)
    content = _content(account, row)
    expires = disappearing.chosen(row.conversation)
    recipients = others_in(account, row.conversation)
    message, others = _message(account, recipients, content, row.files, expires)
    composed = outgoing.compose(account, others, message, at)
    with transaction.atomic():
        locked = _locked(PendingMessage.objects.filter(account=account, pk=pending_pk))
        if locked is None:
            raise NotPending
        if send_at is None and locked.conversation.blocked:
            raise outgoing.to_blocked()
        locked.kind, locked.release_at = Kind.SCHEDULED, at
        locked.message_id, locked.content_created_at = composed.message_id, composed.created_at
        locked.expires_after = disappearing.seconds_of(expires)
        locked.sealed, locked.inline = composed.sealed, list(composed.inline)
        locked.save()
        if send_at is None:
            _released(locked, now)
        else:
            _start_later(locked, now)
    return locked


def in_conversation(account: Account, conversation: Conversation, topic: str = "") -> list[Waiting]:
    """What waits in a conversation, or in one topic of it, the earliest first. Raises AgentLocked."""
    if not topic:
        return _shown(account, _IN_CONVERSATION.rows(account.pk, conversation.pk))
    return _shown(
        account, _in_conversation(account.pk, conversation.pk).filter(Q(topic=topic) | Q(message_id=topic))
    )


def _in_conversation(account: int, conversation: int) -> QuerySet[PendingMessage]:
    rows = PendingMessage.objects.filter(account=account, conversation=conversation)
    return rows.select_related("conversation")


_IN_CONVERSATION = PreparedRows(_in_conversation)


def scheduled(account: Account) -> list[Waiting]:
    """Everything that waits for its time, the earliest first. Raises AgentLocked."""
    rows = PendingMessage.objects.filter(account=account, kind=Kind.SCHEDULED)
    return _shown(account, rows.select_related("conversation"))


def due(now: datetime, *, limit: int = 500) -> list[tuple[int, float]]:
    """What goes out now or soon: keys, and in how many seconds."""
    rows = PendingMessage.objects.filter(release_at__lte=now + AHEAD).order_by("release_at")
    found = rows.values_list("pk", "release_at")[:limit]
    return [(pk, max((release_at - now).total_seconds(), 0.0)) for pk, release_at in found]


def _store(
    account: Account,
    recipients: Sequence[str],
    content: DraftContent,
    token: str,
    kind: PendingMessage.Kind,
    release_at: datetime,
    written_at: datetime,
    expires: Expires | None,
    draft_id: str,
    now: datetime,
) -> PendingMessage:
    if kind == Kind.SCHEDULED:
        _checked_time(release_at, now)
    token = outgoing.checked_token(token)
    pks = [pk for pk, _name in content.files]
    message, others = _message(account, recipients, content, pks, expires)
    _check_files(account, pks, release_at)
    kept_id = drafts.new_id()
    composed = outgoing.compose(account, others, message, written_at, draft=(kept_id, content.encoded()))
    try:
        with transaction.atomic():
            conversation = outgoing.written_to(account, composed.conversation_id, others, now)
            row = PendingMessage.objects.create(
                account=account,
                conversation=conversation,
                kind=kind,
                release_at=release_at,
                message_id=composed.message_id,
                content_created_at=composed.created_at,
                in_reply_to=content.in_reply_to,
                topic=content.topic,
                expires_after=disappearing.seconds_of(expires),
                sealed=composed.sealed,
                inline=list(composed.inline),
                files=pks,
                draft_id=kept_id,
                draft=composed.draft,
                token=token,
                created_at=now,
            )
            if chosen(account, pks):
                Blob.objects.filter(account=account, pk__in=pks).update(pending=row, draft=None)
            drafts.sent(account, conversation, draft_id)
            _start_later(row, now)
    except IntegrityError:
        # The same page was submitted twice at once; the other one is stored.
        return PendingMessage.objects.select_related("conversation").get(account=account, token=token)
    return row


def _message(
    account: Account,
    recipients: Sequence[str],
    content: DraftContent,
    pks: Sequence[int],
    expires: Expires | None,
) -> tuple[NewMessage, list[str]]:
    message = outgoing.typed_message(
        recipients,
        content.text,
        in_reply_to=content.in_reply_to or None,
        topic_id=outgoing.id_of_topic(account, content.topic),
        expires=expires,
        needed=not pks,
    )
    message = outgoing.with_preview(account, message, content.preview, content.text)
    attachments = [attachment(blob) for blob in chosen(account, pks)]
    others = outgoing.checked_recipients(account, recipients)
    return replace(message, attachments=attachments), others


def _check_files(account: Account, pks: Sequence[int], release_at: datetime) -> None:
    """A file that is gone before anybody can fetch it is not sent."""
    if (
        pks
        and Blob.objects.filter(
            account=account, pk__in=pks, expires_at__lt=release_at + timedelta(days=1)
        ).exists()
    ):
        raise CannotSend(
            "file-expires",
            _("Files are kept for %(days)d days. Choose an earlier time.") % {"days": settings.BLOB_DAYS},
        )


def _checked_time(send_at: datetime, now: datetime) -> datetime:
    if send_at <= now:
        raise CannotSend("time-over", _("That time is over. Choose a later one."))
    if send_at > now + LATEST:
        raise CannotSend("time-too-late", _("Choose a time within a year."))
    return send_at


def _content(account: Account, row: PendingMessage) -> DraftContent:
    try:
        (opened,) = agent().open_drafts(account.did, [(row.draft_id, bytes(row.draft))])
    except AgentError as error:
        raise outgoing.refusal_of(error) from error
    content = drafts.content_of(opened)
    if content is None:
        raise CannotSend("unreadable", _("This message can't be read just now. Nothing was changed."))
    return content


def _released(row: PendingMessage, now: datetime) -> Message:
    """In a transaction that has the row locked."""
    if sent := outgoing.sent_before(row.account, row.token):
        # The page was handed in twice, the second time when the first one had gone out already.
        Blob.objects.filter(pending=row).update(pending=None)
        row.delete()
        _tell_later(row)
        return sent
    files = {blob.pk: blob for blob in Blob.objects.filter(account=row.account, pk__in=row.files)}
    pairs = zip(row.files, row.inline, strict=True)
    there = [(files[pk], bool(inline)) for pk, inline in pairs if pk in files]
    Blob.objects.filter(pk__in=row.files).update(pending=None)
    expires = Expires(True, row.expires_after) if row.expires_after else None
    message = outgoing.store(
        row.account,
        row.conversation,
        NewMessage(in_reply_to=row.in_reply_to or None, expires=expires),
        message_id=row.message_id,
        created_at=row.content_created_at,
        sealed=bytes(row.sealed),
        token=row.token,
        topic=row.topic or None,
        files=[blob for blob, _inline in there],
        inline=[inline for _blob, inline in there],
        now=now,
    )
    row.delete()
    return message


def _locked(rows: object) -> PendingMessage | None:
    found: PendingMessage | None = (
        rows.select_for_update(of=("self",)).select_related("account", "conversation").first()  # type: ignore[attr-defined]
    )
    return found


def _shown(account: Account, rows: Iterable[PendingMessage]) -> list[Waiting]:
    found = list(rows)
    contents = drafts.opened_all(account, [(row.draft_id, bytes(row.draft)) for row in found])
    return [
        Waiting(row.pk, row.kind, row.release_at, row.conversation, content)
        for row, content in zip(found, contents, strict=True)
    ]


def _start_later(row: PendingMessage, now: datetime) -> None:
    seconds = (row.release_at - now).total_seconds()
    if seconds <= AHEAD.total_seconds():
        transaction.on_commit(lambda: queues.give(queues.RELEASE, row.pk, after_s=seconds))
    _tell_later(row)


def _tell_later(row: PendingMessage) -> None:
    conversation_id = row.conversation.conversation_id
    transaction.on_commit(lambda: events.conversation_changed(row.account_id, conversation_id))
