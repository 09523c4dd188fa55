"""Taking a message that goes out later, for a moment or at a time of its own: it is composed and kept.

What becomes of it then is in webmail.pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Account
from accounts.prepared_rows import PreparedRows
from crypto_agent.client import Expires, NewMessage
from webmail import disappearing, drafts, events, going_on, outgoing, queues, undo_choices
from webmail.blobs.attaching import attachment, chosen, take_for_later
from webmail.draft_content import DraftContent
from webmail.draft_places import DraftOnPage
from webmail.models import Blob, Conversation, PendingMessage
from webmail.outgoing import CannotSend

#: By so much a message is held longer than its page offers to take it back.
MARGIN = timedelta(seconds=1)
#: Rows due within this time are given to a worker for their exact moment.
AHEAD = timedelta(seconds=15)
LATEST = timedelta(days=365)
MOST_SCHEDULED = 100

Kind = PendingMessage.Kind


class _AnotherTime(Exception):
    """After so many seconds what is written there disappears now; it was composed for another time."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


_BY_TOKEN = PreparedRows(
    lambda account, token: PendingMessage.objects.select_related("conversation").filter(
        account=account, token=token
    )
)


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
    on_page: DraftOnPage | None = None,
    former: Conversation | None = None,
    now: datetime,
) -> PendingMessage:
    """Takes a message that goes out when it can't be taken back any more, and ``former`` goes on by.

    ``held_for`` is what undo_time said, ``on_page`` as in ``outgoing.send_message``. Raises CannotSend or
    CannotAttach; nothing is stored then.
    """
    row = _new_row(account, Kind.HELD, _held_until(held_for, now), token, now, content, former=former)
    return _store_written(row, recipients, content, now, expires, on_page)


def hold_forwarded(
    account: Account,
    recipients: Sequence[str],
    forwarded: str,
    message: NewMessage,
    names: Sequence[str],
    token: str,
    *,
    held_for: timedelta,
    now: datetime,
) -> PendingMessage:
    """Takes what passes the message ``forwarded`` on; ``names`` are those of its files. As ``hold``."""
    content = DraftContent(message.text, passed_on=tuple(names))
    row = _new_row(account, Kind.HELD, _held_until(held_for, now), token, now, content)
    row.forwards = forwarded
    others = outgoing.checked_recipients(account, recipients)
    return _store(row, others, message, content, now)


def forward_no_more(account: Account, message_id: str) -> None:
    """Throws away what waits to pass this message on. In a transaction."""
    rows = PendingMessage.objects.filter(account=account, forwards=message_id)
    for row in rows.select_related("conversation").select_for_update(of=("self",)):
        row.delete()
        tell_later(row)


def _held_until(held_for: timedelta, now: datetime) -> datetime:
    return now + held_for + MARGIN if held_for else now


def schedule(
    account: Account,
    recipients: Sequence[str],
    content: DraftContent,
    token: str,
    send_at: datetime,
    *,
    expires: Expires | None = None,
    on_page: DraftOnPage | None = None,
    former: Conversation | None = None,
    now: datetime,
) -> PendingMessage:
    """Takes a message that goes out at ``send_at``, and says that it was written then; ``former`` as in
    ``hold``. It disappears as was chosen for its conversation when it is stored, whatever ``expires`` says.

    Raises CannotSend or CannotAttach; nothing is stored then.
    """
    waiting = PendingMessage.objects.filter(account=account, kind=Kind.SCHEDULED, goes_with=None)
    if waiting.count() >= MOST_SCHEDULED:
        raise CannotSend(
            "too-many-scheduled",
            _("%(count)d messages wait for their time already.") % {"count": MOST_SCHEDULED},
        )
    checked_time(send_at, now)
    row = _new_row(account, Kind.SCHEDULED, send_at, token, now, content, former=former)
    while True:
        try:
            return _store_written(row, recipients, content, send_at, expires, on_page)
        except _AnotherTime as chosen_now:
            # Somebody got on by it, so this ends.
            expires = Expires(True, chosen_now.seconds) if chosen_now.seconds else None


def by_token(account: Account, token: str) -> PendingMessage | None:
    """What a page with this token has handed in already."""
    return _BY_TOKEN.one(account.pk, token)


def _new_row(
    account: Account,
    kind: PendingMessage.Kind,
    release_at: datetime,
    token: str,
    now: datetime,
    content: DraftContent,
    *,
    former: Conversation | None = None,
) -> PendingMessage:
    """Not stored, nor composed. Raises CannotSend."""
    return PendingMessage(
        account=account,
        kind=kind,
        release_at=release_at,
        in_reply_to=content.in_reply_to,
        topic=content.topic,
        files=[pk for pk, _name in content.files],
        draft_id=drafts.new_id(),
        former=former,
        token=outgoing.checked_token(token),
        created_at=now,
    )


def _store_written(
    row: PendingMessage,
    recipients: Sequence[str],
    content: DraftContent,
    written_at: datetime,
    expires: Expires | None,
    on_page: DraftOnPage | None,
) -> PendingMessage:
    message, others = composed_of(row.account, recipients, content, row.files, expires)
    check_files(row.account, row.files, row.release_at)
    return _store(row, others, message, content, written_at, on_page)


def _store(
    row: PendingMessage,
    others: list[str],
    message: NewMessage,
    content: DraftContent,
    written_at: datetime,
    on_page: DraftOnPage | None = None,
) -> PendingMessage:
    account, now = row.account, row.created_at
    composed = outgoing.compose(account, others, message, written_at, draft=(row.draft_id, content.encoded()))
    row.message_id, row.content_created_at = composed.message_id, composed.created_at
    row.expires_after = disappearing.seconds_of(message.expires)
    row.sealed, row.inline, row.draft = composed.sealed, list(composed.inline), composed.draft
    followers = followers_of(row, others, content, written_at)
    try:
        with transaction.atomic():
            row.conversation = outgoing.written_to(account, composed.conversation_id, others, now, later=True)
            if row.kind == Kind.SCHEDULED and (seconds := time_chosen(row.conversation)) != row.expires_after:
                raise _AnotherTime(seconds)
            row.save()
            take_for_later(account, row)
            if on_page is not None:
                drafts.sent(account, on_page)
            keep_with(row, followers)
            start_later(row, now)
    except IntegrityError:
        # The same page was submitted twice at once; the other one is stored.
        return PendingMessage.objects.select_related("conversation").get(account=account, token=row.token)
    return row


def followers_of(
    row: PendingMessage, others: Sequence[str], content: DraftContent, written_at: datetime
) -> list[PendingMessage]:
    """What goes out with a message that gives a group its name, or by which ``row.former`` goes on with
    ``others``, composed and not stored. Raises CannotSend."""
    if row.former is None and not content.name:
        return []
    followers = []
    for each in going_on.what_follows(row.account, row.former, others, content):
        token = str(uuid5(NAMESPACE_URL, f"{row.token}/{each.what}"))
        its_own = DraftContent(each.message.text)
        follower = _new_row(row.account, Kind.HELD, row.release_at, token, row.created_at, its_own)
        draft = (follower.draft_id, its_own.encoded())
        composed = outgoing.compose(row.account, each.recipients, each.message, written_at, draft=draft)
        follower.message_id, follower.content_created_at = composed.message_id, composed.created_at
        follower.expires_after = disappearing.seconds_of(each.message.expires)
        follower.sealed, follower.draft = composed.sealed, composed.draft
        if each.what == "name":
            follower.names_group = True
        elif row.former is not None:
            follower.conversation = row.former
        followers.append(follower)
    return followers


def keep_with(row: PendingMessage, followers: Sequence[PendingMessage]) -> None:
    """Stores them, to go out with a message or be gone with it. In a transaction."""
    for follower in followers:
        follower.goes_with = row
        if follower.names_group:
            follower.conversation = row.conversation
        follower.save()


def composed_of(
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


def time_chosen(conversation: Conversation) -> int:
    """After how many seconds what the account writes in a conversation disappears, which stays so until the
    end of the transaction that this is called in."""
    rows = Conversation.objects.select_for_update().filter(pk=conversation.pk)
    return rows.values_list("expires_after", flat=True).get()


def check_files(account: Account, pks: Sequence[int], release_at: datetime) -> None:
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


def checked_time(send_at: datetime, now: datetime) -> datetime:
    if send_at <= now:
        raise CannotSend("time-over", _("That time is over. Choose a later one."))
    if send_at > now + LATEST:
        raise CannotSend("time-too-late", _("Choose a time within a year."))
    return send_at


def start_later(row: PendingMessage, now: datetime) -> None:
    seconds = (row.release_at - now).total_seconds()
    if seconds <= AHEAD.total_seconds():
        transaction.on_commit(lambda: queues.give(queues.RELEASE, row.pk, after_s=seconds))
    tell_later(row)


def tell_later(row: PendingMessage) -> None:
    conversation_id = row.conversation.conversation_id
    transaction.on_commit(lambda: events.conversation_changed(row.account_id, conversation_id))
