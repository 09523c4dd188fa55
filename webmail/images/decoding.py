"""Images decoded in a process of their own, within time and memory; none of it happens in this one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from webmail.blobs.spool import Spool
from webmail.images.child import AVATAR_PIXELS, TYPES

CHILD = Path(__file__).with_name("child.py")
#: What browsers show, and what holds no script.
SHOWN_TYPES = frozenset(TYPES.values())
#: The largest image that is decoded here.
MOST_BYTES = 30 * 1024 * 1024
SECONDS = 30.0
#: Children at once, of one process; and how long an image waits for its turn.
AT_ONCE = 2
PATIENCE_SECONDS = 20.0
#: How a HEIF begins whose pictures are HEVC: the type of its first box, and the brands that say so.
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
#: How an AVIF begins, one picture or several; some begin as HEIF may as well.
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")

_turns = threading.BoundedSemaphore(AT_ONCE)
#: Profile pictures come in dozens from anybody's server: what people send does not wait behind them.
_avatar_turns = threading.BoundedSemaphore(1)
AVATAR_PATIENCE_SECONDS = 2.0


class NotDecoded(Exception):
    """An image that is none, or that asks for too much. `code`: "not-an-image", "too-large" or "busy"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Decoded:
    """What an image turned out to be, in pixels as it is shown. ``content`` is the cleaned one, if any."""

    media_type: str
    width: int
    height: int
    content: bytes
    #: Of each picture, where there are several one behind the other.
    lengths: tuple[int, ...] = ()


def looks_like_image(beginning: bytes) -> bool:
    """Whether the first bytes are those of a type that can be shown. Only decoding tells whether it is."""
    if beginning[4:8] == b"ftyp":
        return beginning[8:12] in _AVIF_BRANDS
    return beginning.startswith(_MAGIC) or (beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP")


def looks_like_heif(beginning: bytes) -> bool:
    """Whether the first bytes are those of a photo as telephones take it, which is shown only as a JPEG."""
    return beginning[4:8] == b"ftyp" and beginning[8:12] in _HEIF_BRANDS


def decode(
    image: Spool,
    mode: Literal["check", "clean", "square", "preview", "received"],
    *,
    seconds: float | None = None,
) -> Decoded:
    """Decodes an image. With "clean" it is written anew without its metadata, with "square", "preview" and
    "received" small as well; "received" takes only images that are small already. "clean" alone takes a HEIF
    whose picture is HEVC, and makes it a JPEG.

    At most ``seconds`` for all of it, its turn included, if that is less than usual. Raises NotDecoded.
    """
    return _told(_run(image, mode, seconds, _turns, PATIENCE_SECONDS))


def decode_avatar(image: Spool) -> dict[int, bytes]:
    """A profile picture as a small square WebP, by its size in pixels: AVATAR_PIXELS. Raises NotDecoded."""
    found = _told(_run(image, "avatar", None, _avatar_turns, AVATAR_PATIENCE_SECONDS))
    lengths = found.lengths
    if len(lengths) != len(AVATAR_PIXELS) or min(lengths) < 1 or sum(lengths) != len(found.content):
        raise NotDecoded("not-an-image")
    pictures, start = {}, 0
    for pixels, length in zip(AVATAR_PIXELS, lengths, strict=True):
        pictures[pixels] = found.content[start : start + length]
        start += length
    return pictures


def _run(
    image: Spool, mode: str, seconds: float | None, turns: threading.BoundedSemaphore, patience_s: float
) -> bytes:
    """What a child says of an image, once it has one of the turns."""
    ends_at = None if seconds is None else time.monotonic() + seconds
    if image.size > MOST_BYTES:
        raise NotDecoded("too-large")
    if not turns.acquire(timeout=_left(ends_at, patience_s)):
        raise NotDecoded("busy")
    try:
        image.seek(0)
        done = subprocess.run(
            [sys.executable, "-I", str(CHILD), mode],
            input=image.read(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_left(ends_at, SECONDS),
            env={},
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotDecoded("too-large") from None
    finally:
        turns.release()
    return done.stdout


def _left(ends_at: float | None, most: float) -> float:
    return most if ends_at is None else min(most, max(0.0, ends_at - time.monotonic()))


def _told(answer: bytes) -> Decoded:
    """A child that was stopped by its limits says nothing."""
    line, _newline, content = answer.partition(b"\n")
    try:
        told = json.loads(line)
        if "error" in told:
            raise NotDecoded(str(told["error"]))
        lengths = tuple(int(length) for length in told.get("lengths", ()))
        found = Decoded(str(told["type"]), int(told["width"]), int(told["height"]), content, lengths)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise NotDecoded("too-large") from None
    if found.media_type not in SHOWN_TYPES:
        raise NotDecoded("not-an-image")
    return found
