"""Profile pictures: served from here, made small, and never as they came."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from accounts.models import Account, Peer
from accounts.profiles import profile_of
from demo.local_network import NetworkInfo
from tests.accounts.repository import Repository
from tests.webmail.conftest import Write
from tests.webmail.installation import browser_of
from tests.webmail.pictures import MARK, animation, bomb, photo
from tests.webmail.strangers import arrives, asked_of_others
from webmail import avatars, blocking, consent
from webmail.blobs.spool import Spool
from webmail.images.decoding import decode_avatar
from webmail.models import GraphEntry, WhoMayWrite
from webmail.turns import Turns

pytestmark = pytest.mark.django_db

PROFILE = "app.bsky.actor.profile"


@pytest.fixture(autouse=True)
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path / "avatars"


@pytest.fixture
def carols(local_network: NetworkInfo, people: dict[str, Account]) -> Iterator[Repository]:
    """Carol's repository, in which she has no picture afterwards."""
    repository = Repository(local_network, local_network.accounts["carol"])
    yield repository
    repository.put(PROFILE, "self", {"$type": PROFILE, "displayName": "Carol"})


def show(repository: Repository, data: bytes, media_type: str) -> None:
    picture = repository.upload(data, media_type)
    repository.put(PROFILE, "self", {"$type": PROFILE, "displayName": "Carol", "avatar": picture})
    profile_of(repository.did, max_age=timedelta())


def served(browser: Client, url: str) -> Image.Image:
    answer = browser.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert len(answer.content) <= 16 * 1024
    assert MARK not in answer.content
    return Image.open(io.BytesIO(answer.content))


def test_a_picture_is_served_small_and_with_no_power(
    carols: Repository, at_alices: Client, client: Client, folder: Path, settings: Settings
) -> None:
    original = photo((1200, 800), noisy=True)
    assert len(original) > 200_000
    show(carols, original, "image/jpeg")
    url = profile_of(carols.did).avatar_url
    assert url is not None
    assert url.startswith(f"/avatar/{carols.did}?v=")
    assert client.get(url).status_code == 404
    assert served(at_alices, url).size == (96, 96)
    assert served(at_alices, f"/avatar/{carols.did}?large").size == (192, 192)
    response = at_alices.get(url)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    assert response.headers["cache-control"].startswith("private")
    # The next one comes from the disk, where what came is nowhere.
    Peer.objects.update(pds_url="http://localhost:9")
    settings.PLC_URL = "http://localhost:9"
    assert served(at_alices, url).size == (96, 96)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 32 * 1024
    assert len(list(folder.iterdir())) == 2

    (folder / "of-a-former-version").write_bytes(original)
    avatars.forget_old(time.time())
    assert len(list(folder.iterdir())) == 2
    avatars.forget_old(time.time() + avatars.KEPT_SECONDS + 1)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("case", ["wrote", "brought along"])
def test_nobody_hears_that_somebody_looks_whom_they_only_wrote_to(
    case: str,
    carols: Repository,
    alice: Account,
    bob: Account,
    carol: Account,
    at_alices: Client,
    write: Write,
) -> None:
    show(carols, photo(), "image/jpeg")
    profile_of(carol.did)
    consent.choose(alice, WhoMayWrite.EVERYONE)
    if case == "wrote":
        arrives(write, carol, [alice], "Hello Alice")
    else:
        arrives(write, bob, [alice, carol], "Hello both")
    address = f"/avatar/{carol.did}"
    with pytest.MonkeyPatch.context() as patch, asked_of_others(patch) as asked:
        assert at_alices.get(address).status_code == 404
    assert asked == []
    # What is here already tells nobody anything.
    assert avatars.avatar_of(carol.did, 96, alice.pk)
    assert at_alices.get(address).status_code == 200
    for picture in (Path(avatars.settings.DATA_DIR) / "avatars").iterdir():
        picture.unlink()

    assert at_alices.get(address).status_code == 404
    write(alice, [carol], "Hello Carol")
    assert at_alices.get(address).status_code == 200


def test_whom_the_account_follows_is_asked_and_whom_it_blocks_is_not(
    carols: Repository, alice: Account, carol: Account, at_alices: Client, write: Write
) -> None:
    show(carols, photo(), "image/jpeg")
    GraphEntry.objects.create(account=alice, kind=GraphEntry.Kind.FOLLOW, did=carol.did)
    arrives(write, carol, [alice], "Hello Alice")
    blocking.block(alice, carol.did, timezone.now())
    assert at_alices.get(f"/avatar/{carol.did}").status_code == 404
    blocking.unblock(alice, carol.did)
    by_record = GraphEntry.objects.create(account=alice, kind=GraphEntry.Kind.BLOCK, did=carol.did)
    blocking.bring_in_line(alice, [carol.did])
    with pytest.MonkeyPatch.context() as patch, asked_of_others(patch) as asked:
        assert at_alices.get(f"/avatar/{carol.did}").status_code == 404
        assert not consent.may_compare(alice, carol.did)
    assert asked == []
    by_record.delete()
    blocking.bring_in_line(alice, [carol.did])
    assert at_alices.get(f"/avatar/{carol.did}").status_code == 200


def test_nobody_is_asked_for_a_picture_that_no_page_shows(alice: Account, at_alices: Client) -> None:
    known = Peer.objects.create(did="did:plc:" + "b" * 24, handle="bob.test")
    with pytest.MonkeyPatch.context() as patch, asked_of_others(patch) as asked:
        for did in (known.did, "did:web:somewhere.example", "did:plc:" + "a" * 24):
            assert at_alices.get(f"/avatar/{did}").status_code == 404
    assert asked == []


def test_somebody_has_a_few_turns_at_pictures_and_what_is_here_needs_none(
    carols: Repository, alice: Account, bob: Account, at_alices: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(carols, photo(), "image/jpeg")
    turns = Turns(2, 1)
    monkeypatch.setattr(avatars, "_turns", turns)
    monkeypatch.setattr(avatars, "PATIENCE_SECONDS", 0.0)
    address = f"/avatar/{carols.did}"
    assert turns.take(alice.pk)
    with pytest.MonkeyPatch.context() as patch, asked_of_others(patch) as asked:
        assert at_alices.get(address).status_code == 404
    assert asked == []
    assert browser_of(bob).get(address).status_code == 200
    assert at_alices.get(address).status_code == 200
    turns.give_back(alice.pk)
    assert at_alices.get(address).status_code == 200
    assert turns.take(alice.pk)


def test_a_small_picture_is_not_enlarged_and_what_is_clear_stays_so(
    carols: Repository, at_alices: Client
) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (8, 12), (200, 0, 0, 0)).save(out, "PNG")
    show(carols, out.getvalue(), "image/png")
    picture = served(at_alices, f"/avatar/{carols.did}?large")
    assert picture.size == (8, 8)
    assert picture.convert("RGBA").getpixel((4, 4))[3] == 0


@pytest.mark.parametrize("data", [photo((300, 300), "PNG"), photo((300, 300), "WEBP"), animation("WEBP")])
def test_its_metadata_is_gone_and_what_moves_stands_still(data: bytes) -> None:
    with Spool() as picture:
        picture.write(data)
        small = decode_avatar(picture)
    for content in small.values():
        shown = Image.open(io.BytesIO(content))
        assert MARK not in content
        assert not shown.getexif()
        assert not {"exif", "xmp", "icc_profile"} & {name for name, value in shown.info.items() if value}
        assert getattr(shown, "n_frames", 1) == 1


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "image/png"),
        (b"<html>", "image/jpeg"),
        (b" ", "image/png"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png"),
        (bomb(), "image/png"),
        (bomb(4200), "image/png"),
    ],
    ids=["svg", "html", "nothing", "broken", "bomb", "small bomb"],
)
def test_what_is_no_picture_or_too_much_of_one_is_not_served(
    data: bytes, media_type: str, carols: Repository, at_alices: Client, folder: Path
) -> None:
    show(carols, data, media_type)
    assert at_alices.get(f"/avatar/{carols.did}").status_code == 404
    assert not folder.is_dir() or not os.listdir(folder)


def test_a_picture_of_too_many_octets_is_not_fetched(
    carols: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(carols, photo(), "image/jpeg")
    monkeypatch.setattr(avatars, "MAX_BYTES", 100)
    assert avatars.avatar_of(carols.did, 96, 1) is None


def test_initials_stand_in_for_pictures_that_the_disk_does_not_take(
    carols: Repository,
    at_alices: Client,
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.DATA_DIR = tmp_path / "no-folder"
    settings.DATA_DIR.write_text("")
    show(carols, photo(), "image/jpeg")
    assert at_alices.get(f"/avatar/{carols.did}").status_code == 404
    assert f"pictures can't be kept in {settings.DATA_DIR}" in caplog.text


@pytest.mark.parametrize("did", ["nobody", "did:plc:" + "a" * 24, "did:web:127.0.0.1%3A9", "..%2f..%2fetc"])
def test_nobody_has_no_picture(did: str, alice: Account) -> None:
    assert browser_of(alice).get(f"/avatar/{did}").status_code == 404
