"""Messages that go out later: for a moment each may be taken back, and some wait for a time of their own.

Such a message is composed already, so nothing is left but to store it as a sent one. Whoever has its row
locked decides: releasing and taking back can't both happen. The database is the clock; tasks are hints.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.agent import agent
from accounts.models import Account
from accounts.prepared_rows import PreparedRows
from crypto_agent.client import AgentError, Composed, Expires, NewGroupUpdate, NewMessage
from webmail import contacts, disappearing, drafts, forwarding, keeping_back, originals, outgoing
from webmail.blobs.attaching import CannotAttach, forget, gone
from webmail.conversations import others_in
from webmail.draft_content import DraftContent, content_of
from webmail.keeping_back import AHEAD, checked_time, composed_of, start_later, tell_later
from webmail.models import Blob, Conversation, Message, PendingMessage
from webmail.outgoing import CannotSend
from webmail.quotes import Quote, of_waiting

#: How long a message is put off each time: one to blocked people, or to a group that was left, and one that
#: a file is missing of.
PUT_OFF = timedelta(hours=1)

Kind = PendingMessage.Kind


class ChangedMeanwhile(Exception):
    """Another page composed what waits anew at the same moment, or chose another time for its conversation:
    what was made of it before is of no use."""


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

    #: Whether it passes a message on, and so can't be written anew.
    forwards: bool = False
    #: Whether it waits until its writer comes back to a group.
    left: bool = False
    #: Whether a file of it is gone, without which it does not go out.
    lacks_file: bool = False
    #: Whether what it passes on was taken back by whoever wrote that.
    taken_back: bool = False
    #: The message that it answers.
    quote: Quote | None = None

    @property
    def held(self) -> bool:
        return self.kind == Kind.HELD


@dataclass(frozen=True)
class ComposedAnew:
    """What a message that waits is to become, and what goes out with it; not stored. `instead_of` is the id
    of the message that waited as this was composed."""

    pending_pk: int
    instead_of: str
    composed: Composed
    expires_after: int
    followers: list[PendingMessage]


def release(pending_pk: int, *, now: datetime) -> Message | None:
    """Sends a message whose time has come, once, whoever else tries; None where there is nothing to send, or
    it stays with its writer: one to people blocked since, to a group left since, without one of its files, or
    that passes on what was taken back since.
    """
    taken_back = _passes_on_taken_back(PendingMessage.objects.filter(pk=pending_pk, release_at__lte=now))
    if taken_back is None:
        # The next round of the scheduler asks again.
        return None
    with transaction.atomic():
        row = _locked(PendingMessage.objects.filter(pk=pending_pk, release_at__lte=now))
        if row is None:
            return None
        if taken_back:
            tell_later(row)
        elif not (row.conversation.blocked or _left_since(row, row.kind)):
            try:
                with transaction.atomic():
                    return _released(row, now)
            except CannotAttach:
                tell_later(row)
        row.kind, row.release_at = Kind.SCHEDULED, now + PUT_OFF
        row.save(update_fields=["kind", "release_at"])
        return None


def take_back(account: Account, pending_pk: int, *, now: datetime) -> PendingMessage:
    """Makes a message a draft of its conversation again, or of a new one if it names a group or another
    conversation goes on by it; one that passes another on is gone. The row that was. Raises NotPending,
    AgentError."""
    with transaction.atomic():
        row = _locked(PendingMessage.objects.filter(account=account, pk=pending_pk))
        if row is None:
            raise NotPending
        if row.former_id or row.followers.exists():
            drafts.put_back_new(account, row.draft_id, bytes(row.draft), now)
        elif not row.forwards:
            drafts.put_back(account, row.conversation, row.draft_id, bytes(row.draft), now)
        row.delete()
        tell_later(row)
    return row


def discard(account: Account, pending_pk: int) -> Conversation:
    """Throws a message away, with its files. Raises NotPending."""
    with transaction.atomic():
        row = _locked(PendingMessage.objects.filter(account=account, pk=pending_pk))
        if row is None:
            raise NotPending
        blobs = list(Blob.objects.filter(pending=row, message_id=""))
        row.delete()
        tell_later(row)
    for blob in blobs:
        forget(blob)
    return row.conversation


def change_time(
    account: Account, pending_pk: int, send_at: datetime | None, *, now: datetime
) -> PendingMessage:
    """Lets a message go out at another time, or at once.

    It is composed again, since it says when it was written; one that passes another on goes out at once
    alone, as it is. Raises NotPending, CannotSend.
    """
    while True:
        try:
            return _change_time(account, pending_pk, send_at, now)
        except ChangedMeanwhile:
            # Somebody got on by it, so this ends.
            continue


def _change_time(
    account: Account, pending_pk: int, send_at: datetime | None, now: datetime
) -> PendingMessage:
    """Raises NotPending, CannotSend, ChangedMeanwhile."""
    found = (
        _alone().filter(account=account, pk=pending_pk).select_related("account", "conversation", "former")
    )
    row = found.first()
    if row is None:
        raise NotPending
    if row.forwards:
        return _forward_now(account, row, send_at, now)
    at = now if send_at is None else checked_time(send_at, now)
    if send_at is not None:
        keeping_back.check_files(account, row.files, send_at)
    anew = _composed_anew(row, at)
    with transaction.atomic():
        locked = _locked(PendingMessage.objects.filter(account=account, pk=pending_pk))
        if locked is None:
            raise NotPending
        if send_at is None and locked.conversation.blocked:
            raise outgoing.to_blocked()
        locked.kind, locked.release_at, locked.created_at = Kind.SCHEDULED, at, now
        _take_over(locked, anew)
        if keeping_back.time_chosen(locked.conversation) != anew.expires_after:
            raise ChangedMeanwhile
        if send_at is None:
            _released(locked, now)
        else:
            start_later(locked, now)
    return locked


def for_another_time(account: Account, conversation: Conversation, seconds: int) -> list[ComposedAnew]:
    """What waits for its time in a conversation, or is told there, composed to disappear so many seconds
    after reading. Nothing is changed: see ``take_over``. Raises CannotSend, CannotAttach."""
    as_chosen = copy(conversation)
    as_chosen.expires_after = seconds
    rows = _alone().filter(account=account, kind=Kind.SCHEDULED)
    rows = rows.filter(Q(conversation=conversation) | Q(former=conversation))
    found = []
    for row in rows.select_related("account", "conversation", "former"):
        if row.conversation_id == conversation.pk:
            row.conversation = as_chosen
        else:
            row.former = as_chosen
        found.append(_composed_anew(row, row.content_created_at))
    return found


def take_over(
    account: Account, conversation: Conversation, seconds: int, composed: Iterable[ComposedAnew]
) -> Conversation:
    """Puts what ``for_another_time`` made in the place of what still waits, and locks the conversation's row,
    which is to have that time now: what is scheduled after this waits for it. In a transaction. Raises
    ChangedMeanwhile; ``for_another_time`` has to be called again then."""
    for anew in composed:
        locked = _locked(PendingMessage.objects.filter(account=account, pk=anew.pending_pk))
        if locked is not None:
            _take_over(locked, anew)
    row = Conversation.objects.select_for_update().get(pk=conversation.pk, account=account)
    there = PendingMessage.objects.filter(account=account, conversation=conversation, names_group=False)
    waiting = there.filter(Q(goes_with=None, kind=Kind.SCHEDULED) | Q(goes_with__kind=Kind.SCHEDULED))
    if waiting.exclude(expires_after=seconds).exists():
        raise ChangedMeanwhile
    return row


def _composed_anew(row: PendingMessage, at: datetime) -> ComposedAnew:
    """A message as if it were written at this time, for its conversation as that is now. Raises CannotSend,
    CannotAttach."""
    account, expires = row.account, disappearing.chosen(row.conversation)
    if row.forwards:
        message = replace(forwarding.passed_on(row), expires=expires)
        others = outgoing.checked_recipients(account, others_in(account, row.conversation))
        composed = outgoing.compose(account, others, message, at)
        return ComposedAnew(row.pk, row.message_id, composed, disappearing.seconds_of(expires), [])
    content = _content(account, row)
    recipients = others_in(account, row.conversation)
    message, others = composed_of(account, recipients, content, row.files, expires)
    composed = outgoing.compose(account, others, message, at)
    followers = keeping_back.followers_of(row, others, content, at)
    return ComposedAnew(row.pk, row.message_id, composed, disappearing.seconds_of(expires), followers)


def _take_over(locked: PendingMessage, anew: ComposedAnew) -> None:
    if locked.message_id != anew.instead_of:
        raise ChangedMeanwhile
    composed = anew.composed
    locked.message_id, locked.content_created_at = composed.message_id, composed.created_at
    locked.expires_after = anew.expires_after
    locked.sealed, locked.inline = composed.sealed, list(composed.inline)
    locked.save()
    locked.followers.all().delete()
    keeping_back.keep_with(locked, anew.followers)


def _forward_now(
    account: Account, row: PendingMessage, send_at: datetime | None, now: datetime
) -> PendingMessage:
    if send_at is not None:
        raise CannotSend("is-forwarded", _("What is forwarded goes out at once. Nothing was changed."))
    taken_back = _passes_on_taken_back(PendingMessage.objects.filter(account=account, pk=row.pk))
    if taken_back is None:
        raise CannotSend("unreadable", _("This message can't be read just now. Nothing was changed."))
    if taken_back:
        raise CannotSend("taken-back", _("This was taken back meanwhile, so it is not forwarded."))
    with transaction.atomic():
        locked = _locked(PendingMessage.objects.filter(account=account, pk=row.pk))
        if locked is None:
            raise NotPending
        if locked.conversation.blocked:
            raise outgoing.to_blocked()
        _released(locked, now)
    return locked


def in_conversation(account: Account, conversation: Conversation, topic: str = "") -> list[Waiting]:
    """What waits in a conversation, or in one topic of it, the earliest first. Raises AgentLocked."""
    if not topic:
        return _shown(account, _IN_CONVERSATION.rows(account.pk, conversation.pk))
    return _shown(
        account, _in_conversation(account.pk, conversation.pk).filter(Q(topic=topic) | Q(message_id=topic))
    )


def _in_conversation(account: int, conversation: int) -> QuerySet[PendingMessage]:
    rows = _alone().filter(account=account, conversation=conversation)
    return rows.select_related("conversation")


_IN_CONVERSATION = PreparedRows(_in_conversation)


def scheduled(account: Account) -> list[Waiting]:
    """Everything that waits for its time, the earliest first. Raises AgentLocked."""
    rows = _alone().filter(account=account, kind=Kind.SCHEDULED)
    return _shown(account, rows.select_related("conversation"))


def due(now: datetime, *, limit: int = 500) -> list[tuple[int, float]]:
    """What goes out now or soon: keys, and in how many seconds."""
    rows = _alone().filter(release_at__lte=now + AHEAD).order_by("release_at")
    found = rows.values_list("pk", "release_at")[:limit]
    return [(pk, max((release_at - now).total_seconds(), 0.0)) for pk, release_at in found]


def _content(account: Account, row: PendingMessage) -> DraftContent:
    try:
        (opened,) = agent().open_drafts(account.did, [(row.draft_id, bytes(row.draft))])
    except AgentError as error:
        raise outgoing.refusal_of(error) from error
    content = content_of(opened)
    if content is None:
        raise CannotSend("unreadable", _("This message can't be read just now. Nothing was changed."))
    return content


def _released(row: PendingMessage, now: datetime) -> Message:
    """In a transaction that has the row locked. Raises CannotAttach where a file of it is gone."""
    if sent := outgoing.sent_before(row.account, row.token):
        # The page was handed in twice, the second time when the first one had gone out already.
        Blob.objects.filter(pending=row).update(pending=None)
        row.delete()
        tell_later(row)
        return sent
    contacts.accept(row.account, dict.fromkeys(row.conversation.participants, now))
    files = {blob.pk: blob for blob in _files_here(row.account, row.files)}
    if not files.keys() >= _needed(row):
        raise gone()
    pairs = zip(row.files, row.inline, strict=True)
    there = [(files[pk], bool(inline)) for pk, inline in pairs if pk in files]
    Blob.objects.filter(pending=row).update(pending=None)
    expires = Expires(True, row.expires_after) if row.expires_after else None
    message = outgoing.store(
        row.account,
        row.conversation,
        NewMessage(
            in_reply_to=row.in_reply_to or None,
            expires=expires,
            group_update=NewGroupUpdate(title="") if row.names_group else None,
        ),
        message_id=row.message_id,
        created_at=row.content_created_at,
        sealed=bytes(row.sealed),
        token=row.token,
        topic=row.topic or None,
        files=[blob for blob, _inline in there],
        inline=[inline for _blob, inline in there],
        now=now,
    )
    for follower in row.followers.select_related("account", "conversation").order_by("pk"):
        # Who was blocked or left meanwhile is told nothing, and a name that was given meanwhile stays.
        is_late = follower.names_group and follower.conversation.named_by_id is not None
        if not follower.conversation.blocked and not is_late and not _left_since(follower, row.kind):
            _released(follower, now)
    row.delete()
    return message


def _left_since(row: PendingMessage, kind: str) -> bool:
    """Whether its group was left after its time was chosen: it would bring the group back. What goes out in
    a moment was written before that; of what goes with a message, the kind of that one counts."""
    left_at = row.conversation.left_at
    return kind == Kind.SCHEDULED and left_at is not None and row.created_at <= left_at


def _passes_on_taken_back(rows: QuerySet[PendingMessage]) -> bool | None:
    """Whether the one among these passes on what was taken back; None where that can't be told just now. Call
    outside of transactions, since the agent is asked."""
    row = rows.exclude(forwards="").select_related("account").first()
    return originals.taken_back([row]).get(row.forwards, False) if row else False


def _files_here(account: Account, pks: Iterable[int]) -> QuerySet[Blob]:
    """Those that are still here, and in no message."""
    return Blob.objects.filter(account=account, pk__in=pks, message_id="", removed_at=None)


def _needed(row: PendingMessage) -> set[int]:
    """The files that a message does not carry itself."""
    return {pk for pk, inline in zip(row.files, row.inline, strict=True) if not inline}


def _alone() -> QuerySet[PendingMessage]:
    """Those that go out by themselves."""
    return PendingMessage.objects.filter(goes_with=None)


def _locked(rows: QuerySet[PendingMessage]) -> PendingMessage | None:
    alone = rows.filter(goes_with=None).select_related("account", "conversation")
    return alone.select_for_update(of=("self",)).first()


def _shown(account: Account, rows: Iterable[PendingMessage]) -> list[Waiting]:
    found = list(rows)
    contents = drafts.opened_all(account, [(row.draft_id, bytes(row.draft)) for row in found])
    needed = set[int]().union(*(_needed(row) for row in found))
    here = set(_files_here(account, needed).values_list("pk", flat=True)) if needed else set[int]()
    taken_back = originals.taken_back(found)
    quotes = of_waiting(account, [content.in_reply_to for content in contents if content])
    return [
        Waiting(
            row.pk,
            row.kind,
            row.release_at,
            row.conversation,
            content,
            forwards=bool(row.forwards),
            left=_left_since(row, row.kind),
            lacks_file=not here >= _needed(row),
            taken_back=taken_back.get(row.forwards) is True,
            quote=quotes.get(content.in_reply_to) if content else None,
        )
        for row, content in zip(found, contents, strict=True)
    ]
