"""What an export says of a conversation and of its messages, before it is put into a format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from crypto_agent.client import Facet, LinkPreview
from webmail.blobs.fetching import MessageFile
from webmail.people import Person

#: ``text`` and files are there only for "open". "disappears" is what its sender wants to be gone later.
State = Literal["open", "taken-back", "disappears", "not-open"]


@dataclass(frozen=True, repr=False)
class WrittenReaction:
    """An emoji under a message, from whom and when."""

    emoji: str
    by: Person
    at: datetime


@dataclass(frozen=True)
class Way:
    """How far a sent message came to one recipient."""

    to: str
    state: str
    opened_at: datetime | None
    read_at: datetime | None


@dataclass(frozen=True, repr=False)
class WrittenMessage:
    """One message as its thread shows it.

    ``typed`` is its text with the addresses of links, as people type them; ``reason`` is a stable code where
    it is not open; ``event`` says that the group got a name or a picture.
    """

    id: str
    by: Person
    own: bool
    created_at: datetime
    placed_at: datetime
    checked: bool
    state: State
    reason: str = ""
    text: str = ""
    typed: str = ""
    facets: Sequence[Facet] = ()
    preview: LinkPreview | None = None
    event: str = ""
    group_name: str | None = None
    edited_at: datetime | None = None
    in_reply_to: str = ""
    #: The id of the message that its topic began with, or a digest of another id.
    topic: str = ""
    reactions: Sequence[WrittenReaction] = ()
    files: Sequence[MessageFile] = ()
    ways: Sequence[Way] = ()


@dataclass(frozen=True, repr=False)
class WrittenConversation:
    """A conversation: what it is called, and who is in it, by DID."""

    id: str
    title: str
    people: Mapping[str, Person]
    own_did: str
    accepted: bool
    started_by: str = ""

    def others(self, sender: str) -> list[Person]:
        """Those whom a message of ``sender`` is for; in notes to oneself the one who wrote it."""
        return [person for did, person in self.people.items() if did != sender] or [self.people[sender]]
