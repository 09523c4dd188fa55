"""What stands above an answer: who wrote the message that it answers, and how that began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.models import Account
from crypto_agent.client import ReadMessage
from webmail.blobs.fetching import files_in
from webmail.models import Message
from webmail.opened import read_messages
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
        return Quote(answer.in_reply_to, None, False, _("A message that is not here"), False)
    own = quoted.direction == Message.Direction.OUT
    text = beginning(read.get(related.newest(quoted).pk))
    return Quote(quoted.message_id, people[quoted.sender_did], own, text, quoted.pk in near)


def of_message(account: Account, message: Message) -> Quote:
    """A message as the quote above an answer to it."""
    related = related_to([message], with_quoted=False)
    newest = related.newest(message)
    read = read_messages(account, message.conversation, [newest])
    sender = people_of([message.sender_did])[message.sender_did]
    own = message.direction == Message.Direction.OUT
    return Quote(message.message_id, sender, own, beginning(read.get(newest.pk)), near=True)


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
