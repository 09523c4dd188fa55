"""What a message says beside its text, as plain values: for new messages, and of those that were read.

Ids are lowercase hex. The reprs show neither what people wrote nor addresses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crypto_agent.atsms.parts import ReceiptStatus


@dataclass(frozen=True)
class Expires:
    """When a message asks to disappear: seconds after reading it if relative, else since 1970."""

    relative: bool
    time: int


@dataclass(frozen=True)
class Facet:
    """A link, mention or tag over the bytes ``start`` to ``end`` of the text in UTF-8."""

    start: int
    end: int
    type: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Receipt:
    """The messages that were delivered, or read."""

    status: ReceiptStatus
    ids: Sequence[str]


@dataclass(frozen=True)
class RemoteFile:
    """A file that a part names beside its words. ``size`` is that of the plaintext, as the sender says.

    ``url`` is empty for one that rides in the message; its hash is that of the plaintext then.
    """

    media_type: str
    url: str = field(repr=False)
    size: int
    content_hash: str


@dataclass(frozen=True)
class GroupUpdate:
    """What a group is called from now on, and how it is shown; what is None stays as it was."""

    title: str | None = field(default=None, repr=False)
    description: str | None = field(default=None, repr=False)
    avatar: RemoteFile | None = None


@dataclass(frozen=True)
class LinkPreview:
    """What a page was about when the sender looked at it; nobody looks again."""

    url: str = field(repr=False)
    title: str | None = field(default=None, repr=False)
    description: str | None = field(default=None, repr=False)
    image: RemoteFile | None = None
