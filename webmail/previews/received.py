"""The picture of a preview as a thread shows it: out of the message, made anew here, and never fetched."""

from __future__ import annotations

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentError, LinkPreview, ReadMessage, SealedContent
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.spool import SpoolFull
from webmail.images.child import PREVIEW_BYTES
from webmail.images.decoding import SHOWN_TYPES, Decoded, NotDecoded
from webmail.images.showing import cannot_show
from webmail.previews.card import Card
from webmail.previews.child import MOST_DESCRIPTION, MOST_TITLE
from webmail.riding_pictures import opened_picture
from webmail.shown_message import ShownMessage

#: The kind of its part (protocol §5).
PREVIEW_KIND = 8


def has_picture(preview: LinkPreview) -> bool:
    """Whether a picture came along in the message. One that is elsewhere is not fetched: those who keep it
    would learn who looks."""
    image = preview.image
    return image is not None and not image.url and image.media_type in SHOWN_TYPES


def picture_of(account: Account, found: ShownMessage) -> tuple[str, bytes]:
    """Media type and content of the picture of the preview in the newest version of a message. Raises
    CannotFetch."""
    try:
        (read,) = agent().read(account.did, [found.sealed])
        picture = _picture_in(account, found.sealed, read)
        return picture.media_type, picture.content
    except AgentError as error:
        raise CannotFetch("agent-unavailable", 503) from error
    except SpoolFull as error:
        raise CannotFetch("busy", 503) from error
    except NotDecoded as error:
        raise cannot_show(error) from error


def card_in(account: Account, sealed: SealedContent, read: ReadMessage) -> Card | None:
    """The preview of a message of the account's own, to go with another version of it.

    Raises AgentError; a picture that is none any more is left out.
    """
    preview = read.preview
    if preview is None:
        return None
    try:
        picture = _picture_in(account, sealed, read).content
    except (CannotFetch, NotDecoded, SpoolFull):
        picture = b""
    title, description = (preview.title or "")[:MOST_TITLE], (preview.description or "")[:MOST_DESCRIPTION]
    return Card(preview.url, title, description, picture if len(picture) <= PREVIEW_BYTES else b"")


def _picture_in(account: Account, sealed: SealedContent, read: ReadMessage) -> Decoded:
    """Raises CannotFetch, NotDecoded, SpoolFull, AgentError."""
    if read.preview is None or not has_picture(read.preview):
        raise CannotFetch("no-such-file", 404)
    return opened_picture(account, sealed, read, PREVIEW_KIND, "received")
