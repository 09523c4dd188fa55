"""What stands above an answer: who wrote the message that it answers, and how that began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _

from accounts.models import Account
from crypto_agent.client import ReadMessage
from webmail.blobs.fetching import files_in
from webmail.models import Message
from webmail.opened import read_placed
from webmail.people import Person, people_of
from webmail.related import Related, related_to

LENGTH = 200


@dataclass(frozen=True)
class Quote:
    """The beginning of a message. ``sender`` is None where the message is not here; ``near`` says that it
    stands on the same page."""

    id: str
    sender: Person | None
    own: bool
    text: str
    near: bool


def quote_of(
    answer: Message,
    related: Related,
    read: Mapping[int, ReadMessage],
    people: Mapping[str, Person],
    near: frozenset[int],
) -> Quote | None:
    """The quote above a message that answers another; None for one that answers none."""
    if not answer.in_reply_to:
        return None
    quoted = related.quoted.get(answer.pk)
    if quoted is None:
        return _not_here(answer.in_reply_to)
    own = quoted.direction == Message.Direction.OUT
    text = beginning(read.get(related.newest(quoted).pk))
    return Quote(quoted.message_id, people[quoted.sender_did], own, text, quoted.pk in near)


def of_message(account: Account, message: Message) -> Quote:
    """A message as the quote above an answer to it."""
    return of_messages(account, [message])[message.message_id]


def of_messages(account: Account, messages: Sequence[Message]) -> dict[str, Quote]:
    """By their ids, messages as quotes above answers to them, read in one call.

    Raises crypto_agent.client.AgentLocked if it was not known before that the keys are locked.
    """
    related = related_to(messages, with_quoted=False)
    newest = {message.pk: related.newest(message) for message in messages}
    placed = [(message.conversation.conversation_id, newest[message.pk]) for message in messages]
    read = read_placed(account, placed)
    people = people_of({message.sender_did for message in messages})
    return {
        message.message_id: Quote(
            message.message_id,
            people[message.sender_did],
            message.direction == Message.Direction.OUT,
            beginning(read.get(newest[message.pk].pk)),
            near=True,
        )
        for message in messages
    }


def of_waiting(account: Account, answered: Iterable[str]) -> dict[str, Quote]:
    """By the ids of messages that are answered, the quotes above answers that wait, wherever the messages
    stand. As ``of_messages``."""
    wanted = set(answered) - {""}
    if not wanted:
        return {}
    here = Message.objects.filter(account=account, message_id__in=wanted, shown=True)
    found = of_messages(account, list(here.select_related("conversation")))
    return {each: replace(found[each], near=False) if each in found else _not_here(each) for each in wanted}


def beginning(read: ReadMessage | None) -> str:
    """The first line of a message, or what stands for it."""
    if read is None or read.error:
        return _("A message that is not open")
    if read.tombstone:
        return _("A message that was taken back")
    files = files_in(read.parts)
    text = read.text or read.fallback
    if files and not any(part.get("kind") in (1, 10) for part in read.parts):
        return files[0].name or _("A file")
    first = next((line for line in text.splitlines() if line.strip()), "") if text else ""
    return " ".join(first.split())[:LENGTH] or _("A message")


def _not_here(message_id: str) -> Quote:
    return Quote(message_id, None, False, _("A message that is not here"), False)
