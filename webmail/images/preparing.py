"""Files on their way into a message: images leave behind where and with what they were taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from webmail.blobs.names import safe_type
from webmail.blobs.spool import CHUNK_BYTES, Spool
from webmail.images.decoding import MOST_BYTES, NotDecoded, decode, looks_like_image

#: What cameras write such things into, and what can't be cleaned here.
_WITH_METADATA = ("image/", "video/")
_WITHOUT = frozenset({"image/svg+xml"})


@dataclass(frozen=True)
class Prepared:
    """A file as it is to be encrypted. ``pixels``: width and height of an image that was cleaned.

    ``as_it_is`` says that it may have metadata, which stays in it.
    """

    media_type: str
    size: int
    chunks: Iterable[bytes]
    pixels: tuple[int, int] | None = None
    as_it_is: bool = False

    @property
    def cleaned(self) -> bool:
        return self.pixels is not None


@contextmanager
def prepared(media_type: str, size: int, chunks: Iterable[bytes]) -> Iterator[Prepared]:
    """A file of ``size`` bytes as it is to be encrypted, for as long as the context lasts.

    One that does not decode, or asks for too much, goes as it is. Raises SpoolFull.
    """
    source = iter(chunks)
    beginning = next(source, b"")
    if not looks_like_image(beginning) or size > MOST_BYTES:
        kind = safe_type(media_type)
        as_it_is = kind.startswith(_WITH_METADATA) and kind not in _WITHOUT
        as_it_is = as_it_is or looks_like_image(beginning)
        yield Prepared(media_type, size, chain((beginning,), source), as_it_is=as_it_is)
        return
    with Spool() as original:
        for chunk in chain((beginning,), source):
            original.write(chunk)
        try:
            image = decode(original, "clean")
        except NotDecoded:
            yield Prepared(media_type, size, original.chunks(), as_it_is=True)
            return
        content = image.content
        parts = (content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES))
        yield Prepared(image.media_type, len(content), parts, pixels=(image.width, image.height))
