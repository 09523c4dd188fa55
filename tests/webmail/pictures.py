"""Pictures as cameras and hostile people make them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD
from PIL.PngImagePlugin import PngInfo
from pillow_heif import register_heif_opener

from webmail.images import decoding

MARK = b"unmistakable camera"


def photo(
    size: tuple[int, int] = (640, 480), form: str = "JPEG", *, orientation: int = 1, noisy: bool = False
) -> bytes:
    """A picture with place, camera, comment and XMP in it. With ``noisy`` it does not compress."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = MARK.decode()
    place = exif.get_ifd(IFD.GPSInfo)
    place[GPS.GPSLatitudeRef], place[GPS.GPSLatitude] = "N", (48.0, 12.0, 30.0)
    place[GPS.GPSLongitudeRef], place[GPS.GPSLongitude] = "E", (16.0, 22.0, 23.0)
    image = Image.effect_noise(size, 80).convert("RGB") if noisy else Image.new("RGB", size, "#b3202a")
    image.paste("#17407a", (0, 0, size[0] // 2, size[1] // 2))
    out = io.BytesIO()
    if form == "PNG":
        text = PngInfo()
        text.add_text("Comment", MARK.decode())
        text.add_itxt("XML:com.adobe.xmp", MARK.decode())
        image.save(out, "PNG", exif=exif, pnginfo=text)
    elif form == "WEBP":
        image.save(out, "WEBP", exif=exif, xmp=MARK)
    elif form == "GIF":
        image.save(out, "GIF", comment=MARK)
    elif form == "AVIF":
        # Its plugin turns the picture by a property of its own.
        image.save(out, "AVIF", exif=exif, xmp=MARK, quality=90)
    elif form == "HEIF":
        # Its plugin turns the picture by a property of its own too, as telephones do.
        register_heif_opener()
        image.save(out, "HEIF", exif=exif.tobytes(), xmp=MARK, quality=90)
    else:
        image.save(out, "JPEG", exif=exif, comment=MARK, xmp=MARK)
    return out.getvalue()


def animation(form: str, frames: int = 6) -> bytes:
    """Pictures that follow each other, with a comment."""
    shown = [Image.new("RGB", (60, 40), (number * 40, 0, 0)) for number in range(frames)]
    out = io.BytesIO()
    more = {"comment": MARK} if form == "GIF" else {"xmp": MARK} if form in ("WEBP", "AVIF") else {}
    shown[0].save(out, form, save_all=True, append_images=shown[1:], duration=[70] * frames, loop=0, **more)
    return out.getvalue()


def bomb(side: int = 29_000) -> bytes:
    """A PNG of a hundred kilobytes that is a gigapixel."""
    line = zlib.compress(bytes(1 + side // 8 + 1) * side, 9)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", line) + chunk(b"IEND", b"")


def place_in(data: bytes) -> dict[int, object]:
    """What a picture says of where it was taken."""
    return dict(Image.open(io.BytesIO(data)).getexif().get_ifd(IFD.GPSInfo))


@contextmanager
def decoders_busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Others have every turn of the decoders of images, and nobody waits for one."""
    with monkeypatch.context() as patch, ExitStack() as taken:
        patch.setattr(decoding, "PATIENCE_SECONDS", 0.0)
        for _ in range(decoding.AT_ONCE):
            taken.enter_context(decoding._turns)
        yield
