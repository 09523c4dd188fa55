"""Names and pictures of people, and looking somebody up before writing."""

import time
from pathlib import Path

import httpx
import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import avatars, people, profiles
from accounts.identities import IdentityError
from accounts.models import Peer
from accounts.profiles import clean_name, profile_of
from accounts.records import INBOX
from demo.local_network import NetworkInfo
from tests.accounts.conftest import SignIn
from tests.accounts.http_server import Server, reply
from tests.accounts.repository import Repository
from tests.accounts.test_peers import PublishedDevice

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture
def carol(local_network: NetworkInfo) -> Repository:
    return Repository(local_network, local_network.accounts["carol"])


def set_profile(repository: Repository, **fields: object) -> None:
    record = {"$type": "app.bsky.actor.profile", "displayName": "Carol", **fields}
    repository.put("app.bsky.actor.profile", "self", record)


def test_the_name_in_the_persons_own_repository(carol: Repository) -> None:
    profile = profile_of(carol.did)
    assert (profile.handle, profile.display_name, profile.avatar_url) == ("carol.test", "Carol", None)


def test_a_profile_is_kept_for_a_day_even_if_the_pds_is_away(carol: Repository, settings: Settings) -> None:
    profile_of(carol.did)
    settings.PLC_URL = settings.HANDLE_RESOLVER_URL = "http://localhost:9"
    assert profile_of(carol.did).display_name == "Carol"
    Peer.objects.update(profile_checked_at=timezone.now() - profiles.MAX_AGE)
    assert profile_of(carol.did).display_name == "Carol"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Alice", "Alice"),
        ("  Alice \n of\tWonderland ", "Alice of Wonderland"),
        ("\u202eecilA\u202c", "ecilA"),
        ("Alice\u2066\u0000\u2028", "Alice"),
        ("👩🏽\u200d🚀 Alice", "👩🏽\u200d🚀 Alice"),
        ("x" * 1000, "x" * 640),
        (17, ""),
        (None, ""),
        ("\u200b\u2063", ""),
        ("\u3164 \u2800\ufe0f", ""),
        ("\u200d\U0001f525", "\u200d\U0001f525"),
    ],
)
def test_a_name_stays_on_its_line_and_in_its_direction(name: object, clean: str) -> None:
    assert clean_name(name) == clean


def test_a_public_service_is_asked_when_the_pds_shows_no_profile(
    carol: Repository, server: Server, settings: Settings
) -> None:
    carol.delete("app.bsky.actor.profile", "self")
    server.answer = lambda handler: reply(
        handler, 200, b'{"displayName": "Carol elsewhere", "avatar": "https://x/"}'
    )
    settings.PROFILE_URL = server.url
    try:
        profile = profile_of(carol.did)
        assert (profile.display_name, profile.avatar_url) == ("Carol elsewhere", None)
        settings.PROFILE_URL = "http://localhost:9"
        Peer.objects.all().delete()
        assert profile_of(carol.did).name == "carol.test"
    finally:
        set_profile(carol)


def test_a_picture_is_served_from_here_with_no_power(
    client: Client, sign_in: SignIn, carol: Repository, settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    set_profile(carol, avatar=carol.upload(PNG, "image/png"))
    try:
        url = profile_of(carol.did).avatar_url
        assert url is not None
        assert url.startswith(f"/avatar/{carol.did}?v=")
        assert client.get(url).status_code == 404
        sign_in(client, "alice")
        response = client.get(url)
        assert (response.status_code, response.content) == (200, PNG)
        assert response.headers["content-type"] == "image/png"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in response.headers["content-security-policy"]
        assert response.headers["cache-control"].startswith("private")
        # The next one comes from the disk.
        Peer.objects.update(pds_url="http://localhost:9")
        settings.PLC_URL = "http://localhost:9"
        assert client.get(url).content == PNG
        avatars.forget_old(time.time())
        assert len(list((tmp_path / "avatars").iterdir())) == 1
        avatars.forget_old(time.time() + avatars.KEPT_SECONDS + 1)
        assert not list((tmp_path / "avatars").iterdir())
    finally:
        set_profile(carol)


def test_initials_stand_in_for_pictures_that_the_disk_does_not_take(
    client: Client,
    sign_in: SignIn,
    carol: Repository,
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.DATA_DIR = tmp_path / "no-folder"
    settings.DATA_DIR.write_text("")
    set_profile(carol, avatar=carol.upload(PNG, "image/png"))
    try:
        sign_in(client, "alice")
        assert client.get(f"/avatar/{carol.did}").status_code == 404
        assert f"pictures can't be kept in {settings.DATA_DIR}" in caplog.text
    finally:
        set_profile(carol)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "image/png"),
        (b"<html>", "image/jpeg"),
        (b"", "image/png"),
    ],
)
def test_what_is_no_picture_is_not_served(
    client: Client, sign_in: SignIn, carol: Repository, data: bytes, content_type: str
) -> None:
    set_profile(carol, avatar=carol.upload(data or b" ", content_type))
    try:
        sign_in(client, "alice")
        assert client.get(f"/avatar/{carol.did}").status_code == 404
    finally:
        set_profile(carol)


def test_a_picture_that_is_too_large_is_not_served(
    carol: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_profile(carol, avatar=carol.upload(PNG + b"large", "image/png"))
    try:
        monkeypatch.setattr(avatars, "MAX_BYTES", len(PNG))
        assert avatars.avatar_of(carol.did) is None
    finally:
        set_profile(carol)


@pytest.mark.parametrize("did", ["nobody", "did:plc:" + "a" * 24, "did:web:127.0.0.1%3A9", "..%2f..%2fetc"])
def test_nobody_has_no_picture(client: Client, sign_in: SignIn, did: str) -> None:
    sign_in(client, "alice")
    assert client.get(f"/avatar/{did}").status_code == 404


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (PNG[:8], "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"BM", None),
        (b"GIF89a", None),
    ],
)
def test_pictures_by_their_first_bytes(start: bytes, kind: str | None) -> None:
    assert avatars.image_type(start) == kind


def test_looking_somebody_up(carol: Repository) -> None:
    found = people.look_up("@carol.test")
    assert (found.did, found.name, found.reachability, found.device_count) == (
        carol.did,
        "Carol",
        "unreachable",
        0,
    )
    device = PublishedDevice(carol)
    device.publish()
    assert people.look_up("carol.test").reachability == "unreachable"
    carol.put(INBOX, "self", {"$type": INBOX, "endpoints": [{"uri": "http://127.0.0.1:8000/inbox/carol"}]})
    Peer.objects.update(checked_at=None)
    assert people.look_up("carol.test").reachability == "sender-visible"
    device.publish(prekey=device.prekey())
    Peer.objects.update(checked_at=None)
    found = people.look_up("carol.test")
    assert (found.reachability, found.device_count) == ("sealed", 1)
    assert found.reason


def test_looking_up_somebody_whose_server_is_away(carol: Repository, settings: Settings) -> None:
    people.look_up("carol.test")
    Peer.objects.update(checked_at=None, profile_checked_at=timezone.now())
    httpx.get(f"{django_settings.PLC_URL}/{carol.did}").raise_for_status()
    settings.PLC_URL = "http://localhost:9"
    found = people.look_up("carol.test")
    assert (found.reachability, found.device_count) == ("unreachable", 0)
    assert "cannot be reached" in found.reason


def test_looking_up_nobody(local_network: NetworkInfo) -> None:
    with pytest.raises(IdentityError) as raised:
        people.look_up("nobody.test")
    assert raised.value.code == "handle-not-found"
