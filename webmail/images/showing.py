"""Images of messages as a thread shows them: how large, and only what turned out to be an image."""

from __future__ import annotations

from datetime import datetime

from accounts.models import Account
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.fetching import MessageFile, download
from webmail.blobs.spool import Spool
from webmail.images.decoding import MOST_BYTES, SHOWN_TYPES, Decoded, NotDecoded, decode

#: Pixels (CSS) that an image takes at most in a thread, and those of one whose sender does not say.
WIDEST, HIGHEST = 384, 400
UNKNOWN = (320, 240)
#: Seconds that an image waits while others of the same person are fetched.
PATIENCE_SECONDS = 25.0


def may_be_shown(file: MessageFile) -> bool:
    """Whether the message says that it is an image of a kind and size that a thread shows."""
    return file.media_type in SHOWN_TYPES and 0 < file.size <= MOST_BYTES


def room_for(pixels: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height that an image gets in a thread, in its own proportions and never enlarged."""
    if pixels is None:
        return UNKNOWN
    width, height = pixels
    scale = min(1.0, WIDEST / width, HIGHEST / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def shown(account: Account, message_id: str, part: int, *, now: datetime) -> tuple[Decoded, Spool]:
    """An image of a message, to be closed by the caller, and what it turned out to be. Raises CannotFetch."""
    file, plaintext = download(
        account, message_id, part, now=now, most_bytes=MOST_BYTES, patience=PATIENCE_SECONDS
    )
    try:
        if not may_be_shown(file):
            raise CannotFetch("no-image", 415)
        found = decode(plaintext, "check")
        plaintext.seek(0)
        return found, plaintext
    except NotDecoded as error:
        plaintext.close()
        raise cannot_show(error) from error
    except BaseException:
        plaintext.close()
        raise


def cannot_show(error: NotDecoded) -> CannotFetch:
    """What is said to whoever asked for the image: to come again, or that it is none."""
    return CannotFetch("busy", 503) if error.code == "busy" else CannotFetch("no-image", 415)
