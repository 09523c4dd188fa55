"""Messages that somebody saved to find them again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from accounts.models import Account
from crypto_agent.client import ReadMessage
from webmail import quotes
from webmail.changing import shown_message
from webmail.conversations import title_of
from webmail.groups import is_group, name_in
from webmail.models import Message
from webmail.opened import read_placed
from webmail.people import Person, people_of
from webmail.related import related_to

PAGE = 50
#: Characters of a text that the list shows.
LENGTH = 300


@dataclass(frozen=True)
class Saved:
    """A saved message, its place, and how it begins."""

    id: str
    title: str
    sender: Person
    own: bool
    text: str
    placed_at: datetime


@dataclass(frozen=True)
class SavedList:
    """Last saved first; ``cursor`` is the id after which the next ones come, None at the end."""

    messages: list[Saved]
    cursor: str | None


def save(account: Account, message_id: str, *, now: datetime) -> None:
    """Save a message. Doing it twice is doing it once. Raises NotFound."""
    message = shown_message(account, message_id)
    Message.objects.filter(pk=message.pk, saved_at=None).update(saved_at=now)


def unsave(account: Account, message_id: str) -> None:
    """Take a message off the list of those saved. Raises NotFound."""
    message = shown_message(account, message_id)
    Message.objects.filter(pk=message.pk).update(saved_at=None)


def saved(account: Account, *, after: str = "") -> SavedList:
    """What was saved, in a constant number of queries and one call to the agent.

    ``after`` is the cursor of the page before; one that is not known begins anew.
    Raises crypto_agent.client.AgentLocked if it was not known before that the keys are locked.
    """
    rows = Message.objects.filter(account=account, saved_at__isnull=False, shown=True)
    last = rows.filter(message_id=after).first() if after.isalnum() else None
    if last is not None:
        rows = rows.filter(saved_at__lte=last.saved_at).exclude(saved_at=last.saved_at, pk__gte=last.pk)
    found = list(
        rows.select_related("conversation__named_by").order_by(F("saved_at").desc(), "-pk")[: PAGE + 1]
    )
    more, found = len(found) > PAGE, found[:PAGE]
    related = related_to(found, with_quoted=False)
    newest = {row.pk: related.newest(row) for row in found}
    placed = {newest[row.pk].pk: (row.conversation.conversation_id, newest[row.pk]) for row in found}
    placed |= {
        row.conversation.named_by.pk: (row.conversation.conversation_id, row.conversation.named_by)
        for row in found
        if row.conversation.named_by and is_group(row.conversation)
    }
    read = read_placed(account, placed.values())
    people = people_of(
        {did for row in found for did in (*row.conversation.participants, row.sender_did)} | {account.did}
    )
    messages = [
        Saved(
            id=row.message_id,
            title=name_in(read.get(row.conversation.named_by_id or 0))
            or title_of(account, row.conversation, people),
            sender=people[row.sender_did],
            own=row.sender_did == account.did,
            text=_text(read.get(newest[row.pk].pk)),
            placed_at=row.placed_at,
        )
        for row in found
    ]
    return SavedList(messages, found[-1].message_id if more else None)


def _text(read: ReadMessage | None) -> str:
    if read is None or read.error or read.tombstone or not read.text:
        return quotes.beginning(read)
    return read.text[:LENGTH] + ("…" if len(read.text) > LENGTH else "")
