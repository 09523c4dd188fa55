"""Files on their way into a message: images leave behind where and with what they were taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from mimetypes import guess_type
from typing import Literal

from webmail.blobs.names import safe_type
from webmail.blobs.spool import CHUNK_BYTES, Spool
from webmail.images.decoding import MOST_BYTES, NotDecoded, decode, looks_like_heif, looks_like_image

#: What cannot be cleaned here and has no metadata of a camera.
_WITHOUT = frozenset({"image/svg+xml"})
_JPEG = b"\xff\xd8\xff"
#: The types of boxes that films of telephones and cameras begin with (ISO base media, QuickTime).
_FILM_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide"})
#: What a file may still say of where it was taken: nothing, what a film says, or what a picture says.
Keeps = Literal["", "film", "picture"]


@dataclass(frozen=True)
class Prepared:
    """A file as it is to be encrypted. ``pixels``: width and height of an image that was cleaned.

    ``keeps`` says which metadata may still be in it; ``now_jpeg`` that it was a photo of another type.
    """

    media_type: str
    size: int
    chunks: Iterable[bytes]
    pixels: tuple[int, int] | None = None
    keeps: Keeps = ""
    now_jpeg: bool = False

    @property
    def cleaned(self) -> bool:
        return self.pixels is not None

    def named(self, name: str) -> str:
        """The name that a file called ``name`` has as what it is now."""
        if not self.now_jpeg:
            return name
        stem, dot, _ending = name.rpartition(".")
        return f"{stem if dot else name}.jpg"


def is_film(name: str) -> bool:
    """Whether a file that nothing but the name is known of is called like a film."""
    return (guess_type(name.lower())[0] or "").startswith("video/")


@contextmanager
def prepared(media_type: str, size: int, chunks: Iterable[bytes]) -> Iterator[Prepared]:
    """A file of ``size`` bytes as it is to be encrypted, for as long as the context lasts.

    One that does not decode, or asks for too much, goes as it is; one whose turn does not come does not go at
    all. Raises SpoolFull, NotDecoded ("busy").
    """
    source = iter(chunks)
    beginning = next(source, b"")
    image = looks_like_heif(beginning) or looks_like_image(beginning)
    if not image or size > MOST_BYTES:
        keeps: Keeps = "picture" if image else _keeps(safe_type(media_type), beginning)
        yield Prepared(media_type, size, chain((beginning,), source), keeps=keeps)
        return
    with Spool() as original:
        for chunk in chain((beginning,), source):
            original.write(chunk)
        try:
            found = decode(original, "clean")
        except NotDecoded as error:
            if error.code == "busy":
                raise
            yield Prepared(media_type, size, original.chunks(), keeps="picture")
            return
        content = found.content
        parts = (content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES))
        pixels = (found.width, found.height)
        now_jpeg = found.media_type == "image/jpeg" and not beginning.startswith(_JPEG)
        yield Prepared(found.media_type, len(content), parts, pixels=pixels, now_jpeg=now_jpeg)


def _keeps(media_type: str, beginning: bytes) -> Keeps:
    if media_type.startswith("image/"):
        return "" if media_type in _WITHOUT else "picture"
    film = media_type.startswith("video/") or beginning[4:8] in _FILM_BOXES
    return "film" if film and not media_type.startswith("audio/") else ""
