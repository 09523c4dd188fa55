"""A process of its own for one image, since decoders of images have had every fault there is.

Run by its path with Python's ``-I``, so that nothing of the webmail is in it: no setting, no secret, no
database. It reads an image from its input and writes one line of JSON, and after ``clean``, ``square``,
``preview`` or ``received`` the image anew, after ``avatar`` one behind the other in AVATAR_PIXELS. What it
may use is limited before it looks at the first byte.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import warnings
from typing import Any, BinaryIO

MEMORY_BYTES = 1280 * 1024 * 1024
CPU_SECONDS = 20
#: A picture of a telephone has up to fifty million; of all frames of an animation together.
MOST_PIXELS = 64_000_000
#: A preview that came in a message: it is made anew each time somebody looks, and of those that are made here
#: none is near it.
MOST_RECEIVED_PIXELS = 1_000_000
RECEIVED_CPU_SECONDS = 3
MOST_FRAMES = 1000
LONGEST_SIDE = 30_000
#: A picture of a group, which rides in a message.
SQUARE_PIXELS = 256
SQUARE_BYTES = 32 * 1024
#: The picture of a link's preview, which rides in a message beside its text: a small one leaves room for that
#: in the largest envelope (protocol §4).
PREVIEW_PIXELS = 320
PREVIEW_BYTES = 12 * 1024
#: A profile picture, from somebody else's server: square in these sizes, each of so many octets at most.
AVATAR_PIXELS = (96, 192)
AVATAR_BYTES = 16 * 1024
MOST_AVATAR_PIXELS = 16_000_000
#: An AVIF of more takes too long, or too much memory, to be made anew as one: it becomes a JPEG.
MOST_AVIF_PIXELS = 8_000_000
AVATAR_CPU_SECONDS = 5

TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
}
#: What telephones take photos in and most browsers do not show: decoded to be written anew alone.
PHOTOS = "HEIF"


class NotShown(Exception):
    """The image is none, or too much. `code`: "not-an-image" or "too-large"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def limit(cpu_seconds: int) -> None:
    """From here on this process may not use much, and can't write files."""
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def opened(data: BinaryIO, most_pixels: int, *, photos: bool = False) -> Any:
    """The image, its first frame decoded; also one of PHOTOS with ``photos``.

    Raises NotShown, or whatever a decoder raises.
    """
    from PIL import AvifImagePlugin, Image

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    Image.MAX_IMAGE_PIXELS = most_pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    formats = tuple(name for name in TYPES if name != "MPO")
    if photos:
        from pillow_heif import register_heif_opener

        register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
        formats = (*formats, PHOTOS)
    image = Image.open(data, formats=formats)
    if image.format not in (*TYPES, PHOTOS):
        raise NotShown("not-an-image")
    _refuse_large(image, most_pixels)
    image.load()
    # HEIF says its size beside the picture, and another one may come out.
    _refuse_large(image, most_pixels)
    return image


def _refuse_large(image: Any, most_pixels: int) -> None:
    frames = frames_of(image)
    if max(image.size) > LONGEST_SIDE or frames > MOST_FRAMES:
        raise NotShown("too-large")
    if image.width * image.height * frames > most_pixels:
        raise NotShown("too-large")


def frames_of(image: Any) -> int:
    """How many an animation has; the further pictures that some cameras put beside a photo do not count."""
    return 1 if image.format in ("JPEG", "MPO", PHOTOS) else int(getattr(image, "n_frames", 1))


def seen(image: Any) -> tuple[int, int]:
    """Width and height as browsers show it, which turn it as its metadata says."""
    turned = frames_of(image) == 1 and image.getexif().get(0x0112) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else (image.width, image.height)


#: The fastest way, since of several that are sent each takes its turn.
_AS_AVIF: dict[str, Any] = {"quality": 85, "speed": 10}


def form_of_cleaned(image: Any) -> str:
    """What the image is made anew as: one of TYPES, and its own form where that can be."""
    pixels = image.width * image.height * frames_of(image)
    is_large = image.format == "AVIF" and pixels > MOST_AVIF_PIXELS
    return "JPEG" if is_large or image.format in ("MPO", PHOTOS) else str(image.format)


def cleaned(image: Any) -> tuple[bytes, int, int]:
    """The image anew, of its pixels alone: turned upright, in sRGB, without metadata, profile or comment.

    It has the form that ``form_of_cleaned`` says; a JPEG is white where it was clear. Raises NotShown for an
    animation that can't be made anew.
    """
    out = io.BytesIO()
    form = form_of_cleaned(image)
    if frames_of(image) > 1:
        if form != image.format:
            raise NotShown("too-large")
        _save_animation(image, out)
        return out.getvalue(), image.width, image.height
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if form == "JPEG" and "A" in upright.mode:
        upright = _on_white(_in_srgb(upright).convert("RGBA"))
    bare = _bare(_in_srgb(upright))
    if form == "JPEG":
        bare = bare if bare.mode in ("L", "RGB") else bare.convert("RGB")
        bare.save(out, "JPEG", quality=90)
    elif form == "WEBP":
        bare.save(out, "WEBP", quality=90, exact=False, exif=b"", xmp=b"", icc_profile=b"")
    elif form == "AVIF":
        bare.save(out, "AVIF", **_AS_AVIF)
    else:
        bare.save(out, form)
    return out.getvalue(), bare.width, bare.height


def squared(image: Any) -> tuple[bytes, int, int]:
    """The middle of the image as a small square JPEG of at most SQUARE_BYTES, on white where it is clear."""
    from PIL import ImageOps

    return _as_jpeg(ImageOps.fit(_upright(image), (SQUARE_PIXELS, SQUARE_PIXELS)), SQUARE_BYTES)


def previewed(image: Any) -> tuple[bytes, int, int]:
    """All of the image as a small JPEG of at most PREVIEW_BYTES, on white where it is clear."""
    small = _upright(image)
    small.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
    return _as_jpeg(small, PREVIEW_BYTES)


def avatars(image: Any) -> list[bytes]:
    """The middle of the image as a small square WebP in each of AVATAR_PIXELS, and never larger than it is.

    Raises NotShown where one does not fit.
    """
    from PIL import ImageOps

    upright = _upright(image)
    sides = [min(pixels, upright.width, upright.height) for pixels in AVATAR_PIXELS]
    return [_as_webp(ImageOps.fit(upright, (side, side)), AVATAR_BYTES) for side in sides]


def _as_webp(small: Any, most_bytes: int) -> bytes:
    """As good as fits, and as a list of thirty of them needs. Raises NotShown where none does."""
    for quality in (65, 50, 35, 20):
        out = io.BytesIO()
        small.save(out, "WEBP", quality=quality, method=6, exif=b"", xmp=b"", icc_profile=b"")
        if out.tell() <= most_bytes:
            return out.getvalue()
    raise NotShown("too-large")


def _upright(image: Any) -> Any:
    from PIL import ImageOps

    return _in_srgb(ImageOps.exif_transpose(image)).convert("RGBA")


def _as_jpeg(small: Any, most_bytes: int) -> tuple[bytes, int, int]:
    """As good as fits. Raises NotShown where none does."""
    flat = _on_white(small)
    for quality in (88, 75, 60, 40, 20):
        out = io.BytesIO()
        flat.save(out, "JPEG", quality=quality)
        if out.tell() <= most_bytes:
            return out.getvalue(), flat.width, flat.height
    raise NotShown("too-large")


def _on_white(image: Any) -> Any:
    from PIL import Image

    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def _bare(image: Any) -> Any:
    """The pixels, and which colour of a palette is none."""
    bare = image.copy()
    transparency = image.info.get("transparency")
    bare.info = {} if transparency is None else {"transparency": transparency}
    return bare


def _in_srgb(image: Any) -> Any:
    """Colours as they look with the image's profile, which is not needed then. A broken one is left out."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    from PIL import ImageCms

    target = image.mode if image.mode in ("RGB", "RGBA") else "RGB"
    try:
        own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, own, srgb, outputMode=target)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return image if converted is None else converted


def _save_animation(image: Any, out: BinaryIO) -> None:
    frames: list[Any] = []
    durations: list[int] = []
    for number in range(frames_of(image)):
        image.seek(number)
        image.load()
        frames.append(_bare(image.convert("RGBA")))
        durations.append(int(image.info.get("duration", 100)))
    more: dict[str, Any] = {"disposal": 2} if image.format == "GIF" else {}
    if image.format == "WEBP":
        more = {"quality": 85, "exif": b"", "xmp": b"", "icc_profile": b""}
    elif image.format == "AVIF":
        more = dict(_AS_AVIF)
    if (loop := image.info.get("loop")) is not None:
        more["loop"] = loop
    frames[0].save(out, image.format, save_all=True, append_images=frames[1:], duration=durations, **more)


def answered(mode: str, data: BinaryIO, most_pixels: int) -> tuple[dict[str, Any], bytes]:
    """What is told of an image, and the image anew where ``mode`` wants it; raises nothing."""
    lengths: list[int] = []
    try:
        image = opened(data, most_pixels, photos=mode == "clean")
        kind = TYPES[form_of_cleaned(image) if mode == "clean" else image.format]
        if mode == "clean":
            content, width, height = cleaned(image)
        elif mode == "square":
            content, width, height = squared(image)
            kind = "image/jpeg"
        elif mode in ("preview", "received"):
            content, width, height = previewed(image)
            kind = "image/jpeg"
        elif mode == "avatar":
            pictures = avatars(image)
            content, lengths = b"".join(pictures), [len(picture) for picture in pictures]
            kind, width, height = "image/webp", image.width, image.height
        else:
            content, (width, height) = b"", seen(image)
    except NotShown as error:
        return {"error": error.code}, b""
    except Exception as error:
        # Decoders raise anything for what is none.
        large = "DecompressionBomb" in type(error).__name__ or isinstance(error, MemoryError)
        return {"error": "too-large" if large else "not-an-image"}, b""
    return {"type": kind, "width": width, "height": height, "lengths": lengths}, content


#: Seconds and pixels of those that are less than usual, since others choose when they are decoded.
_BOUNDS = {
    "received": (RECEIVED_CPU_SECONDS, MOST_RECEIVED_PIXELS),
    "avatar": (AVATAR_CPU_SECONDS, MOST_AVATAR_PIXELS),
}


def main(mode: str) -> int:
    cpu_seconds, most_pixels = _BOUNDS.get(mode, (CPU_SECONDS, MOST_PIXELS))
    limit(cpu_seconds)
    told, content = answered(mode, io.BytesIO(sys.stdin.buffer.read()), most_pixels)
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n")
    sys.stdout.buffer.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
