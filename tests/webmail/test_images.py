"""Images: what is taken out of them before they are encrypted, and what a thread shows of a stranger's."""

from __future__ import annotations

import io
import struct
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest
from django.template.loader import render_to_string
from django.urls import reverse
from PIL import Image
from pytest_django import Settings

from accounts.models import Account
from crypto_agent.client import AgentClient
from tests.webmail.conftest import hand_over, seal
from tests.webmail.installation import browser_of, new_account
from tests.webmail.pictures import MARK, animation, bomb, decoders_busy, photo, place_in
from tests.webmail.sent_files import upload
from webmail import outgoing, threads, uploads
from webmail.blobs import attaching, fetching
from webmail.blobs.spool import Spool
from webmail.images import decoding, showing
from webmail.images.decoding import NotDecoded
from webmail.images.preparing import prepared
from webmail.models import Blob, Message

ROOT = Path(__file__).resolve().parents[2]


def cleaned(data: bytes, media_type: str = "image/jpeg") -> tuple[bytes, str, tuple[int, int] | None]:
    with prepared(media_type, len(data), [data[:1000], data[1000:]]) as file:
        out = b"".join(file.chunks)
        assert len(out) == file.size
        return out, file.media_type, file.pixels


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_an_image_loses_place_camera_and_comments_and_nothing_else(form: str) -> None:
    data = photo(form=form)
    assert MARK in data
    assert form == "GIF" or place_in(data)
    out, media_type, pixels = cleaned(data, "application/octet-stream")
    assert MARK not in out
    assert b"Exif" not in out
    assert place_in(out) == {}
    image = Image.open(io.BytesIO(out))
    assert (image.format, media_type, pixels) == (form, f"image/{form.lower()}", (640, 480))
    assert not set(image.info) & {"exif", "xmp", "comment", "Comment", "icc_profile", "photoshop", "dpi"}
    for at, colour in (((10, 10), (0x17, 0x40, 0x7A)), ((600, 400), (0xB3, 0x20, 0x2A))):
        assert max(abs(a - b) for a, b in zip(image.convert("RGB").getpixel(at), colour, strict=True)) < 12  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_an_image_stands_upright_without_its_metadata(form: str, orientation: int) -> None:
    out, _type, pixels = cleaned(photo(form=form, orientation=orientation))
    upright = (640, 480) if orientation == 3 else (480, 640)
    image = Image.open(io.BytesIO(out)).convert("RGB")
    assert (pixels, image.size) == (upright, upright)
    # The blue corner, which was at the upper left.
    corner = {3: (upright[0] - 9, upright[1] - 9), 6: (upright[0] - 9, 9), 8: (9, upright[1] - 9)}
    red, _green, blue = image.getpixel(corner[orientation])  # type: ignore[misc]
    assert blue > red


def test_a_photo_of_a_telephone_becomes_a_jpeg_without_place_and_camera() -> None:
    data = photo((640, 480), "HEIF")
    assert MARK in data
    assert place_in(data)
    # Not every browser knows what it is.
    out, media_type, pixels = cleaned(data, "application/octet-stream")
    assert (media_type, pixels) == ("image/jpeg", (640, 480))
    assert MARK not in out
    assert b"Exif" not in out
    assert place_in(out) == {}
    image = Image.open(io.BytesIO(out))
    assert image.format == "JPEG"
    assert not set(image.info) & {"exif", "xmp", "comment", "icc_profile", "photoshop"}
    for at, colour in (((10, 10), (0x17, 0x40, 0x7A)), ((600, 400), (0xB3, 0x20, 0x2A))):
        assert max(abs(a - b) for a, b in zip(image.getpixel(at), colour, strict=True)) < 12  # type: ignore[arg-type]


def test_an_avif_keeps_what_is_clear_whatever_its_first_box_says() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(out, "AVIF")
    for brand in (b"avif", b"mif1"):
        data = out.getvalue().replace(b"ftypavif", b"ftyp" + brand)
        assert data[8:12] == brand
        with prepared("", len(data), [data]) as file:
            assert (file.media_type, file.named("weir.avif")) == ("image/avif", "weir.avif")
            image = Image.open(io.BytesIO(b"".join(file.chunks)))
            assert image.getpixel((30, 30))[3] == 0  # type: ignore[index]


def test_a_heif_that_begins_as_an_avif_may_becomes_a_jpeg_all_the_same() -> None:
    data = photo((64, 48), "HEIF").replace(b"ftypheic", b"ftypmif1")
    assert cleaned(data)[1:] == ("image/jpeg", (64, 48))


def test_a_large_avif_becomes_a_jpeg_and_a_large_animation_goes_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(decoding.CHILD).read_text()
    small = tmp_path / "child.py"
    small.write_text(source.replace("MOST_AVIF_PIXELS = 8_000_000", "MOST_AVIF_PIXELS = 12_000"))
    monkeypatch.setattr(decoding, "CHILD", small)
    data = photo((200, 100), "AVIF", orientation=6)
    with prepared("image/avif", len(data), [data]) as file:
        assert (file.media_type, file.pixels, file.named("weir.avif")) == (
            "image/jpeg",
            (100, 200),
            "weir.jpg",
        )
        assert MARK not in b"".join(file.chunks)
    # Six times 60 by 40 pixels.
    data = animation("AVIF")
    with prepared("image/avif", len(data), [data]) as file:
        assert (b"".join(file.chunks), file.keeps) == (data, "picture")


def test_readers_are_shown_an_avif() -> None:
    assert "image/avif" in decoding.SHOWN_TYPES
    assert _decoded(photo(form="AVIF")) == "image/avif"
    good = photo((640, 480), "AVIF")
    # It says that it is a gigapixel, is cut, or is noise behind its first boxes.
    size = struct.pack(">II", 640, 480)
    assert size in good
    for bad in (
        good.replace(size, struct.pack(">II", 30_000, 30_000)),
        good[: len(good) // 2],
        good[:40] + b"\xff" * 50_000,
    ):
        assert _decoded(bad) in ("not-an-image", "too-large")


def test_what_is_clear_in_a_photo_of_a_telephone_is_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(out, "HEIF", quality=90)
    data, media_type, _pixels = cleaned(out.getvalue(), "image/heic")
    assert media_type == "image/jpeg"
    assert min(Image.open(io.BytesIO(data)).getpixel((30, 30))) > 240  # type: ignore[arg-type]


def test_only_what_its_owner_sends_is_decoded_as_a_photo_of_a_telephone() -> None:
    data = photo((64, 64), "HEIF")
    with Spool() as spool:
        spool.write(data)
        for mode in ("check", "square", "preview", "received"):
            with pytest.raises(NotDecoded, match="not-an-image"):
                decoding.decode(spool, mode)  # type: ignore[arg-type]
    assert "image/heic" not in decoding.SHOWN_TYPES


def test_a_hostile_photo_of_a_telephone_stops_nothing_but_itself() -> None:
    good = photo((640, 480), "HEIF")
    began = time.monotonic()
    # It says that it is a gigapixel, is cut, or is noise behind its first box.
    size = struct.pack(">II", 640, 480)
    assert size in good
    for bad in (
        good.replace(size, struct.pack(">II", 30_000, 30_000)),
        good[: len(good) // 2],
        good[:40] + b"\xff" * 50_000,
        good[:40] + bytes(50_000),
    ):
        with prepared("image/heic", len(bad), [bad]) as file:
            assert b"".join(file.chunks) == bad
            assert (file.media_type, file.keeps) == ("image/heic", "picture")
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("called", "name"),
    [("IMG_0001.HEIC", "IMG_0001.jpg"), ("weir", "weir.jpg"), ("a.b.heif", "a.b.jpg"), ("", ".jpg")],
)
def test_a_photo_that_became_a_jpeg_is_called_so(called: str, name: str) -> None:
    data = photo((64, 64), "HEIF")
    with prepared("image/heic", len(data), [data]) as file:
        assert file.named(called) == name
    data = photo((64, 64), "PNG")
    with prepared("image/png", len(data), [data]) as file:
        assert file.named(called) == called


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_goes_on_moving(form: str) -> None:
    data = animation(form)
    out, _type, pixels = cleaned(data)
    image = Image.open(io.BytesIO(out))
    # An AVIF does not say how often.
    assert form == "AVIF" or image.info["loop"] == 0
    assert (image.n_frames, pixels) == (6, (60, 40))  # type: ignore[attr-defined]
    image.seek(3)
    image.load()
    assert image.info["duration"] == 70
    assert image.convert("RGB").getpixel((5, 5))[0] > 90  # type: ignore[index]
    assert MARK not in out


def test_colours_stay_as_they_look_and_the_profile_goes() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    out = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 30, 40)).save(out, "PNG", icc_profile=profile)
    data, _type, _pixels = cleaned(out.getvalue())
    image = Image.open(io.BytesIO(data))
    assert "icc_profile" not in image.info
    assert max(abs(a - b) for a, b in zip(image.getpixel((5, 5)), (200, 30, 40), strict=True)) < 4  # type: ignore[arg-type]
    # A profile that is none costs the image nothing.
    out = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 30, 40)).save(out, "PNG", icc_profile=b"nonsense" * 40)
    data, _type, _pixels = cleaned(out.getvalue())
    assert b"iCCP" not in data


@pytest.mark.parametrize(
    ("data", "media_type", "keeps"),
    [
        (photo()[:3000], "image/jpeg", "picture"),
        (b"GIF89a" + b"x" * 100, "image/gif", "picture"),
        (b"<svg onload='alert(1)'/>", "image/svg+xml", ""),
        (b"ftypheic" * 10, "image/heic", "picture"),
        (b"\0\0\0\x18ftypheic" + b"x" * 100, "", "picture"),
        (b"moov" * 10, "video/mp4", "film"),
        (b"\0\0\0\x18ftypmp42" + b"x" * 100, "", "film"),
        (b"\0\0\0\x14ftypqt  " + b"x" * 100, "application/octet-stream", "film"),
        (b"\x1aE\xdf\xa3", "video/webm", "film"),
        (b"\0\0\0\x18ftypM4A " + b"x" * 100, "audio/mp4", ""),
        (b"%PDF", "application/pdf", ""),
        (b"", "image/png", "picture"),
    ],
)
def test_what_cannot_be_cleaned_goes_as_it_is_and_says_so(data: bytes, media_type: str, keeps: str) -> None:
    with prepared(media_type, len(data), [data] if data else []) as file:
        assert (b"".join(file.chunks), file.media_type, file.pixels) == (data, media_type, None)
        assert file.keeps == keeps


def _decoded(data: bytes) -> str:
    with Spool() as spool:
        spool.write(data)
        try:
            return decoding.decode(spool, "check").media_type
        except NotDecoded as error:
            return error.code


def test_a_hostile_image_stops_nothing_but_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    assert _decoded(bomb()) == "too-large"
    # Smaller than what is refused by its size alone, so that it is really decoded.
    assert _decoded(bomb(8000)) == "image/png"
    for junk in (b"\x89PNG\r\n\x1a\n" + b"\xff" * 5000, b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\xff" * 500, b""):
        assert _decoded(junk) in ("not-an-image", "too-large")
    assert time.monotonic() - began < 60
    # One that takes its time is stopped, and one that takes the memory too.
    stuck = Path(decoding.CHILD).with_name("no-such-child.py")
    monkeypatch.setattr(decoding, "CHILD", stuck)
    assert _decoded(photo()) == "too-large"


def test_a_child_is_stopped_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(decoding, "CHILD", slow)
    monkeypatch.setattr(decoding, "SECONDS", 1.0)
    monkeypatch.setattr(decoding, "PATIENCE_SECONDS", 0.1)
    answers: list[str] = []
    first = [threading.Thread(target=lambda: answers.append(_decoded(photo()))) for _ in range(3)]
    for thread in first:
        thread.start()
    for thread in first:
        thread.join(20)
    assert sorted(answers) == ["busy", "too-large", "too-large"]


def test_the_child_has_nothing_of_the_webmail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nosy = tmp_path / "nosy.py"
    nosy.write_text(
        "import json, os, sys\n"
        'print(json.dumps({"type": "image/png", "width": len(os.environ), "height": 1}))\n'
        f"print({str(ROOT)!r} in sys.path or '' in sys.path or 'webmail' in sys.modules)\n"
    )
    monkeypatch.setattr(decoding, "CHILD", nosy)
    with Spool() as spool:
        spool.write(b"x")
        told = decoding.decode(spool, "check")
    assert told.content.strip() == b"False"
    # Python sets LC_CTYPE by itself.
    assert told.width <= 1


def test_the_room_in_a_thread_has_the_image_s_proportions() -> None:
    assert showing.room_for((4000, 3000)) == (384, 288)
    assert showing.room_for((3000, 4000)) == (300, 400)
    assert showing.room_for((100, 50)) == (100, 50)
    assert showing.room_for((30_000, 1)) == (384, 1)
    assert showing.room_for(None) == showing.UNKNOWN


# ---- From one person to another


@pytest.fixture
def as_pages(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BLOB_DIR, settings.SPOOL_DIR = tmp_path / "blobs", tmp_path / "spool"
    as_web = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")
    for module in (attaching, fetching, outgoing):
        monkeypatch.setattr(module, "agent", lambda: as_web)


def attach(account: Account, data: bytes, media_type: str, *, clean: bool = True) -> Blob:
    if clean:
        return uploads.attach_prepared(account, "the weir.jpg", media_type, len(data), [data])[0]
    from django.utils import timezone

    return attaching.attach(account, "the weir.jpg", media_type, len(data), [data], now=timezone.now())


def sent_to(bob: Account, alice: Account, blob: Blob) -> Message:
    message = outgoing.send(alice, [bob.did], "look", str(uuid4()), files=[blob])
    hand_over(bob, seal(message)[bob.did])
    return Message.objects.get(account=bob, message_id=message.message_id)


def image_of(account: Account, message: Message) -> object:
    return browser_of(account).get(reverse("message-image", args=[message.message_id, 0]))


@pytest.mark.django_db
@pytest.mark.usefixtures("as_pages")
@pytest.mark.parametrize("noisy", [False, True])
def test_a_photo_arrives_without_its_place_and_with_its_size(
    alice: Account, bob: Account, carol: Account, noisy: bool
) -> None:
    """Once small enough to ride in the message, once beside it."""
    arrived = sent_to(bob, alice, attach(alice, photo((800, 600), orientation=6, noisy=noisy), "image/jpeg"))
    assert Blob.objects.exists() == noisy
    (file,) = threads.entry(bob, arrived.message_id).files
    assert (file.image, file.width, file.height) == ("here", 300, 400)
    answer = browser_of(bob).get(reverse("message-image", args=[arrived.message_id, 0]))
    assert answer.status_code == 200
    data = b"".join(answer) if answer.streaming is False else _streamed(answer)
    assert place_in(data) == {}
    assert MARK not in data
    assert Image.open(io.BytesIO(data)).size == (600, 800)
    headers = answer.headers
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Content-Disposition"] == "inline"
    assert headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")
    page = browser_of(bob).get(reverse("conversation", args=[arrived.conversation.conversation_id]))
    html = page.content.decode()
    assert 'loading="lazy"' in html
    assert 'alt="the weir.jpg" width="300" height="400"' in html
    # Somebody else has no part in it.
    stranger = browser_of(carol)
    assert stranger.get(reverse("message-image", args=[arrived.message_id, 0])).status_code == 404


def _streamed(answer: object) -> bytes:
    from asgiref.sync import async_to_sync

    async def read() -> bytes:
        return b"".join([chunk async for chunk in answer.streaming_content])  # type: ignore[attr-defined]

    return async_to_sync(read)()


@pytest.mark.django_db
@pytest.mark.usefixtures("as_pages")
def test_an_image_whose_turn_does_not_come_may_be_asked_for_again(
    alice: Account, bob: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = sent_to(bob, alice, attach(alice, photo(), "image/jpeg", clean=False))
    address = reverse("message-image", args=[arrived.message_id, 0])
    with decoders_busy(monkeypatch):
        assert browser_of(bob).get(address).status_code == 503
    assert browser_of(bob).get(address).status_code == 200


@pytest.mark.django_db
@pytest.mark.usefixtures("as_pages")
@pytest.mark.parametrize(
    "data",
    [b"<script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", bomb(), photo()[:2000]],
    ids=["html", "svg", "bomb", "half"],
)
def test_only_what_was_decoded_is_shown(alice: Account, bob: Account, data: bytes) -> None:
    arrived = sent_to(bob, alice, attach(alice, data, "image/png", clean=False))
    answer = browser_of(bob).get(reverse("message-image", args=[arrived.message_id, 0]))
    assert answer.status_code == 415
    assert answer.content == b""
    assert answer.headers["Cache-Control"] == "no-store"
    # The file is there to be saved.
    saved = browser_of(bob).get(reverse("message-file", args=[arrived.message_id, 0]))
    assert _streamed(saved) == data


@pytest.mark.django_db
@pytest.mark.usefixtures("as_pages")
def test_the_type_is_the_one_that_was_decoded(alice: Account, bob: Account) -> None:
    arrived = sent_to(bob, alice, attach(alice, photo(form="PNG"), "image/jpeg", clean=False))
    answer = browser_of(bob).get(reverse("message-image", args=[arrived.message_id, 0]))
    assert answer.headers["Content-Type"] == "image/png"
    svg = sent_to(bob, alice, attach(alice, b"<svg/>", "image/svg+xml"))
    (file,) = threads.entry(bob, svg.message_id).files
    assert file.image == ""
    assert browser_of(bob).get(reverse("message-image", args=[svg.message_id, 0])).status_code == 415


@pytest.mark.django_db
@pytest.mark.usefixtures("as_pages")
def test_a_picture_elsewhere_is_asked_for_only_by_whoever_wants_it(
    alice: Account, bob: Account, settings: Settings
) -> None:
    blob = attach(alice, photo((800, 600), noisy=True), "image/jpeg")
    arrived = sent_to(bob, alice, blob)
    settings.PUBLIC_URL = "https://elsewhere.example"
    (file,) = threads.entry(bob, arrived.message_id).files
    assert file.image == "elsewhere"
    page = browser_of(bob).get(reverse("conversation", args=[arrived.conversation.conversation_id]))
    html = page.content.decode()
    assert '<img class="picture__image"' not in html
    assert "Show picture" in html


@pytest.mark.django_db
@pytest.mark.usefixtures("agent_process")
def test_the_sender_is_told_what_was_removed(settings: Settings, tmp_path: Path) -> None:
    settings.BLOB_DIR = tmp_path / "blobs"
    browser = browser_of(new_account("alice"))

    def told_of(data: bytes, media_type: str, name: str = "a") -> dict[str, object]:
        told: dict[str, object] = upload(browser, data, media_type, name).json()
        return told

    assert told_of(photo(), "image/jpeg")["note"] == "place and camera data removed"
    assert told_of(b"ftypheic", "image/heic")["note"] == "goes as it is, with any place in it"
    film = told_of(b"\0\0\0\x18ftypmp42" + b"x" * 100, "")
    assert film["note"] == "a video may say where it was taken, and that stays in it"
    assert told_of(b"%PDF", "application/pdf")["note"] == ""
    told = told_of(photo(form="HEIF"), "image/heic", "IMG_0001.HEIC")
    assert (told["name"], told["note"]) == ("IMG_0001.jpg", "place and camera data removed")


@pytest.mark.django_db
@pytest.mark.usefixtures("as_pages")
def test_a_photo_whose_turn_does_not_come_does_not_go_as_it_is(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    with decoders_busy(monkeypatch):
        answer = upload(browser_of(alice), photo())
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert answer.json()["error"] == "This server is busy with other files. Try again in a moment."
    assert not Blob.objects.exists()
    assert upload(browser_of(alice), photo()).json()["note"] == "place and camera data removed"


@pytest.mark.django_db
@pytest.mark.usefixtures("as_pages")
def test_a_film_is_spoken_of_again_where_its_draft_is_shown_again(alice: Account) -> None:
    film, paper = attach(alice, b"\0\0\0\x18ftypmp42", "video/mp4"), attach(alice, b"%PDF", "application/pdf")
    shown = uploads.files_of(alice, [(film.pk, "The weir.MOV"), (paper.pk, "The weir.pdf")])
    page = render_to_string("webmail/_files_kept.html", {"files": shown})
    assert page.count("a video may say where it was taken") == 1
    assert shown[0].note
    assert not shown[1].note


@pytest.mark.django_db
@pytest.mark.usefixtures("as_pages")
def test_a_photo_of_a_telephone_arrives_as_a_picture_that_is_shown(alice: Account, bob: Account) -> None:
    data = photo((800, 600), "HEIF", orientation=6)
    blob, _file, name = uploads.attach_prepared(alice, "IMG_0001.HEIC", "image/heic", len(data), [data])
    assert name == "IMG_0001.jpg"
    arrived = sent_to(bob, alice, blob)
    (file,) = threads.entry(bob, arrived.message_id).files
    assert (file.name, file.image, file.width, file.height) == ("IMG_0001.jpg", "here", 300, 400)
    answer = browser_of(bob).get(reverse("message-image", args=[arrived.message_id, 0]))
    assert answer.headers["Content-Type"] == "image/jpeg"
    seen = _streamed(answer)
    assert (place_in(seen), MARK in seen) == ({}, False)
