"""The description of a message that is to be composed, as callers of the agent give it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crypto_agent.client_values import Attachment, SealedContent
from crypto_agent.message_values import Expires, Facet, Receipt


@dataclass(frozen=True)
class CarriedFile:
    """A file of another message of the account, to be in the new one too; ``part`` is its place there."""

    message: SealedContent
    part: int


@dataclass(frozen=True)
class NewGroupUpdate:
    """What a group is to be called and how to be shown; what is None stays as it was."""

    title: str | None = field(default=None, repr=False)
    description: str | None = field(default=None, repr=False)
    avatar: Attachment | None = None


@dataclass(frozen=True)
class NewPreview:
    """What a page is about that the text links to."""

    url: str = field(repr=False)
    title: str | None = field(default=None, repr=False)
    description: str | None = field(default=None, repr=False)
    image: Attachment | None = None


@dataclass(frozen=True)
class NewMessage:
    """A message to be: text, files and a preview, or one of reaction, receipt, group update, taking back.

    ``facets`` are byte ranges of ``text``; the links that it has beside them get theirs by themselves.
    ``replaces`` is the id of the first version of the message that this one edits or, with ``takes_back``,
    takes back. ``copies_wanted`` are ids of envelopes that could not be opened. A reaction needs
    ``in_reply_to``. ``topic_id`` is hex of up to 64 bytes.
    """

    text: str = field(default="", repr=False)
    facets: Sequence[Facet] = ()
    attachments: Sequence[Attachment] = ()
    carried: Sequence[CarriedFile] = ()
    preview: NewPreview | None = None
    reaction: str | None = field(default=None, repr=False)
    receipt: Receipt | None = None
    group_update: NewGroupUpdate | None = None
    copies_wanted: Sequence[str] = ()
    takes_back: bool = False
    replaces: str | None = None
    in_reply_to: str | None = None
    topic_id: str | None = None
    expires: Expires | None = None
    fallback: str = field(default="", repr=False)

    @property
    def quiet(self) -> bool:
        """Whether it changes what is there, and has no place of its own in a thread."""
        alone = self.reaction or self.receipt or self.group_update or self.copies_wanted
        return bool(alone or self.takes_back or self.replaces)
