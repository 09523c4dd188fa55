"""Names and pictures of people, and looking somebody up before writing."""

import importlib

import httpx
import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.utils import timezone
from pytest_django import Settings

from accounts import people, profiles
from accounts.identities import IdentityError
from accounts.models import Peer
from accounts.profiles import clean_name, profile_of
from accounts.records import INBOX
from accounts.skeletons import skeleton
from demo.local_network import NetworkInfo
from tests.accounts.http_server import Server, reply
from tests.accounts.repository import Repository
from tests.accounts.test_peers import PublishedDevice

pytestmark = pytest.mark.django_db

READING = importlib.import_module("accounts.migrations.0010_what_names_are_read_as")
READING_ANEW = importlib.import_module("accounts.migrations.0013_read_names_anew")


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


def test_peers_from_before_are_read_as_they_would_be_now() -> None:
    Peer.objects.bulk_create(
        Peer(did=f"did:plc:{number}", handle=f"p{number}.test", display_name="B0b") for number in range(501)
    )
    Peer.objects.filter(did="did:plc:500").update(handle="handle.invalid")
    READING.read_names(apps, None)
    last = Peer.objects.get(did="did:plc:499")
    assert (last.handle_skeleton, last.name_skeleton) == (skeleton("p499.test"), skeleton("bob"))
    assert Peer.objects.get(did="did:plc:500").handle_skeleton == ""


def test_peers_that_were_read_otherwise_are_read_anew_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(READING_ANEW, "AT_ONCE", 2)
    Peer.objects.bulk_create(
        Peer(did=f"did:plc:{number}", handle=f"c1aire{number}.test", display_name="Claire\u3164")
        for number in range(5)
    )
    Peer.objects.filter(did="did:plc:4").update(handle="handle.invalid")
    for _time in range(2):
        Peer.objects.filter(did__lt="did:plc:4").update(handle_skeleton="as before", name_skeleton="")
        READING_ANEW.read_names_anew(apps, None)
        read_as = list(Peer.objects.order_by("did").values_list("handle_skeleton", "name_skeleton"))
        assert read_as == [(skeleton(f"claire{number}.test"), skeleton("Claire")) for number in range(4)] + [
            ("", skeleton("Claire"))
        ]
