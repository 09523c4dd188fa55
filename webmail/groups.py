"""What a group is called and how it is shown: group updates applied, the newest of each kind (protocol §5).

A group's name is content: rows refer to the message that gave it, and the agent reads it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from django.db.models.functions import Least
from django.utils.translation import gettext as _

from accounts.agent import agent
from accounts.models import Account
from accounts.profiles import clean_name
from crypto_agent.client import ReadMessage, SealedContent
from webmail.models import Conversation, Message
from webmail.people import Person

#: Characters of a name; what others send is cut to that.
LONGEST_NAME = 100

NAMES = (Message.GroupChange.NAME, Message.GroupChange.BOTH)
PICTURES = (Message.GroupChange.PICTURE, Message.GroupChange.BOTH)


class Update(Protocol):
    """A group update, received or to be sent."""

    @property
    def title(self) -> str | None: ...
    @property
    def avatar(self) -> object | None: ...


def change_of(update: Update | None) -> Message.GroupChange:
    """What a message's group update changes, as its row notes it."""
    change = Message.GroupChange
    if update is None or (update.title is None and update.avatar is None):
        return change.NONE
    if update.avatar is None:
        return change.NAME
    return change.PICTURE if update.title is None else change.BOTH


def apply(messages: Iterable[Message]) -> None:
    """Lets stored messages' group updates count, of those that have one. Call within a transaction; may run
    twice."""
    changed = {message.conversation_id for message in messages if message.changes_group}
    for pk in sorted(changed):
        bring_in_line(Conversation.objects.select_for_update().get(pk=pk))


def bring_in_line(conversation: Conversation) -> None:
    """Let a conversation refer to its newest name and picture."""
    conversation.named_by = _newest(conversation, NAMES)
    conversation.pictured_by = _newest(conversation, PICTURES)
    conversation.save(update_fields=["named_by", "pictured_by"])


def _newest(conversation: Conversation, changes: Iterable[Message.GroupChange]) -> Message | None:
    """The one that was written last, of two at one moment the one with the higher id.

    One that says it comes from the future counts from when it came. Only who is in the conversation can write
    in it; a signature that was not checked counts for nothing, nor does what somebody blocked wants, or what
    the account let go of.
    """
    rows = Message.objects.filter(
        conversation=conversation,
        changes_group__in=list(changes),
        trust__in=Message.VOUCHED_FOR,
        aside=Message.Aside.NO,
        forgotten_at=None,
    )
    return rows.order_by(Least("created_at", "placed_at").desc(), "-message_id").first()


def is_group(conversation: Conversation) -> bool:
    """Whether it has a name of its own: two people go by theirs."""
    return len(conversation.participants) > 2


def name_in(read: ReadMessage | None) -> str:
    """The name that a group update gives, as a page may show it; empty where there is none."""
    if read is None or read.error or read.group_update is None:
        return ""
    return clean_name(read.group_update.title)[:LONGEST_NAME]


def event_words(message: Message, read: ReadMessage | None, people: Mapping[str, Person]) -> str:
    """What a thread says in the place of a group update."""
    own = message.direction == Message.Direction.OUT
    who = people[message.sender_did].name
    name = name_in(read)
    if message.changes_group == Message.GroupChange.PICTURE:
        if own:
            return _("You changed the picture of this group")
        return _("%(who)s changed the picture of this group") % {"who": who}
    if name:
        if own:
            return _("You named this group “%(name)s”") % {"name": name}
        return _("%(who)s named this group “%(name)s”") % {"who": who, "name": name}
    if read is not None and not read.error and read.group_update is not None:
        if own:
            return _("You took the name of this group away")
        return _("%(who)s took the name of this group away") % {"who": who}
    return _("The name of this group was changed")


def names_of(account: Account, most: int) -> dict[str, str]:
    """The names of the groups in the account's list by conversation id, of `most` of them, the newest first.

    Raises AgentError.
    """
    accepted = Conversation.Standing.ACCEPTED
    rows = Conversation.objects.filter(account=account, standing=accepted, blocked=False)
    rows = rows.filter(named_by__isnull=False).select_related("named_by")
    found = {row.pk: row for row in rows.order_by("-last_activity", "-pk")[:most]}
    items = naming(found.values())
    read = agent().read(account.did, list(items.values())) if items else []
    return {found[pk].conversation_id: name_in(each) for pk, each in zip(items, read, strict=True)}


def naming(conversations: Iterable[Conversation]) -> dict[int, SealedContent]:
    """What the agent has to read for the names of those of these that are groups with one, by their keys."""
    return {
        row.pk: SealedContent(row.conversation_id, row.named_by.message_id, bytes(row.named_by.sealed))
        for row in conversations
        if row.named_by and is_group(row)
    }
