"""Pictures, as people attach them and as they come in messages."""

import io
import resource
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress

from tests.fuzzing.target import target
from tests.webmail.pictures import animation, photo
from webmail.blobs.spool import Spool
from webmail.images import child, decoding
from webmail.images.decoding import NotDecoded

#: Little enough that whatever takes much memory takes it for something else.
MOST_PIXELS = 100_000
MODES = ("check", "clean", "square", "preview", "received", "avatar")
#: One input of so many goes to a process of its own, as all do in the webmail.
TO_PROCESSES = 64


def _pictures() -> Iterator[bytes]:
    for form in ("PNG", "JPEG", "GIF", "WEBP", "HEIF", "AVIF"):
        yield photo((64, 48), form, orientation=6)
    for form in ("GIF", "WEBP", "PNG", "AVIF"):
        yield animation(form, frames=3)


@target(
    lambda: list(_pictures()),
    words=(
        b"IHDR",
        b"iTXt",
        b"iCCP",
        b"acTL",
        b"\xff\xd8\xff\xe1",
        b"\xff\xdb",
        b"GIF89a",
        b"VP8X",
        b"ANMF",
        b"ftypheic",
        b"hvcC",
        b"ftypavif",
        b"ftypavis",
        b"ftypmif1",
        b"av1C",
        b"irot",
    ),
)
def image_target(data: bytes) -> None:
    """The decoders in this process, which a fault in C ends; and now and then as the webmail has them."""
    drawn = zlib.crc32(data)
    mode = MODES[drawn % len(MODES)]
    # The only mode that opens all forms.
    for each in {"clean", mode}:
        told, content = child.answered(each, io.BytesIO(data), MOST_PIXELS)
        assert told.keys() == ({"error"} if "error" in told else {"type", "width", "height", "lengths"})
        assert not content or "error" not in told
    if drawn % TO_PROCESSES == 0:
        _check_process(data, mode)


def _check_process(data: bytes, mode: str) -> None:
    spool = Spool()
    spool.write(data)
    began = time.monotonic()
    with suppress(NotDecoded):
        assert decoding.decode(spool, mode).media_type in decoding.SHOWN_TYPES  # type: ignore[arg-type]
    assert time.monotonic() - began < decoding.SECONDS
    # The largest of all children that there were.
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    assert used < child.MEMORY_BYTES
    spool.close()
