"""Forms of somebody who looked for too many people for now: they say until when, and keep what is written."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import translation
from pytest_django import Settings

from accounts import people as directory
from accounts import rate_limits
from accounts.models import Account, Peer
from accounts.peers import PeerError
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer
from webmail import comparisons
from webmail.models import Message, PendingMessage, Verification

pytestmark = pytest.mark.django_db

SENTENCE = "You looked for very many people. Try again in"


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice")


@pytest.fixture
def ben(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """Somebody whose server would have to be asked, which nobody may do any more."""

    def asked(*_anybody: object, **_how: object) -> None:
        raise AssertionError("somebody was asked for")

    settings.SEARCHES_OF_ONE = 0
    cache.clear()
    monkeypatch.setattr(directory, "look_up", asked)
    monkeypatch.setattr(comparisons, "comparison", asked)
    return Peer.objects.create(did=_new_did(), handle="ben.test", display_name="Ben")


def _new_did() -> str:
    return "did:plc:" + "".join(random.choices("abcdefghijklmnopqrstuvwxyz234567", k=24))


def refused(answer: Any) -> str:
    """The page of an answer that says when to come back."""
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 600
    assert "no-store" in answer["Cache-Control"]
    page = answer.content.decode()
    assert page.count(SENTENCE) == 1
    return page


@pytest.mark.parametrize("do", [{"do": "send"}, {"do": "add", "q": "nobody.invalid"}, {"at": "chosen"}])
def test_the_form_of_a_new_conversation_keeps_all_of_it(
    do: dict[str, str], alice: Account, at_alices: Client, ben: Peer
) -> None:
    never_heard_of = _new_did()
    form = {
        "to": [ben.did, never_heard_of],
        "text": "A long letter",
        "token": str(uuid4()),
        "when": "2031-05-06T07:08",
        "files": SimpleUploadedFile("map.txt", b"Left at the oak", "text/plain"),
        **do,
    }
    page = refused(at_alices.post(reverse("new-conversation"), form))
    for did, name in ((ben.did, "Ben"), (never_heard_of, never_heard_of)):
        assert f'<input type="hidden" name="to" value="{did}"><bdi>{name}</bdi>' in page
    assert "A long letter</textarea>" in page
    assert 'value="2031-05-06T07:08"' in page
    assert "map.txt" in page
    assert 'name="file" value="' in page
    assert 'id="picker"' in page
    assert not Message.objects.filter(account=alice).exists()
    assert not PendingMessage.objects.filter(account=alice).exists()


def test_what_is_removed_is_gone_and_what_is_typed_stays(at_alices: Client, ben: Peer) -> None:
    carl = peer("carl", display_name="Carl")
    form = {"to": [ben.did, carl.did], "remove": ben.did, "q": "dora.example", "text": "Hello"}
    page = refused(at_alices.post(reverse("new-conversation"), form))
    assert (f'value="{ben.did}"' in page, f'name="to" value="{carl.did}"' in page) == (False, True)
    assert 'value="dora.example"' in page


def test_an_address_that_names_somebody_shows_the_form(at_alices: Client, ben: Peer) -> None:
    page = refused(at_alices.get(reverse("new-conversation"), {"to": "nobody.invalid"}))
    assert 'value="nobody.invalid"' in page
    assert 'id="picker"' in page


def test_a_page_that_is_open_keeps_those_who_were_chosen(at_alices: Client, ben: Peer) -> None:
    form = {"to": [ben.did], "q": "nobody.invalid"}
    part = at_alices.post(reverse("choose-people"), form, headers={"HX-Request": "true"})
    # What the page puts in its place.
    assert part.status_code == 422
    page = part.content.decode()
    assert f'name="to" value="{ben.did}"' in page
    assert SENTENCE in page
    # Nobody was added: what stands in the field stays there.
    assert "HX-Trigger" not in part
    found = at_alices.post(reverse("find-person"), form, headers={"HX-Request": "true"})
    assert (found.status_code, found.content.decode().count(SENTENCE)) == (422, 1)


def test_a_file_that_was_not_taken_is_said_beside_it(
    at_alices: Client, ben: Peer, settings: Settings
) -> None:
    settings.BLOB_MAX_BYTES = 4
    too_large = SimpleUploadedFile("map.txt", b"Left at the oak", "text/plain")
    form = {"to": [ben.did], "do": "send", "text": "Hello", "files": too_large}
    assert "map.txt" in refused(at_alices.post(reverse("new-conversation"), form))


def test_the_page_that_compares_keeps_a_code_that_was_pasted(
    alice: Account, at_alices: Client, ben: Peer
) -> None:
    address = reverse("compare", args=[ben.did])
    assert "<textarea" not in refused(at_alices.get(address))
    page = refused(at_alices.post(address, {"code": "waxwing-keys/1 abc", "next": "/people/"}))
    assert "waxwing-keys/1 abc</textarea>" in page
    assert 'name="next" value="/people/"' in page
    assert "Nothing was noted." in page
    assert "Nothing was noted." in refused(at_alices.post(address, {"found": "match", "shown": "ab"}))
    assert "Nothing was noted." in refused(at_alices.post(reverse("use-keys", args=[ben.did])))
    assert not Verification.objects.filter(account=alice).exists()


def test_the_page_that_compares_keeps_the_code_as_well_while_their_keys_cannot_be_read(
    at_alices: Client, ben: Peer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SEARCHES_OF_ONE = 10

    def unread(*_anybody: object, **_how: object) -> None:
        raise PeerError("unreachable", "Their server does not answer.")

    monkeypatch.setattr(comparisons, "comparison", unread)
    answer = at_alices.post(reverse("compare", args=[ben.did]), {"code": "waxwing-keys/1 abc"})
    assert answer.status_code == 503
    assert "waxwing-keys/1 abc</textarea>" in answer.content.decode()


def test_the_time_is_said_in_whole_minutes_in_every_language(
    alice: Account, ben: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, address = browser_of(alice), reverse("new-conversation")
    said = {
        "en": ("in 1 minute.", "in 2 minutes."),
        "de": ("in 1 Minute ", "in 2 Minuten "),
        "pt": ("a 1 minuto.", "a 2 minutos."),
        "ja": ("1分", "2分"),
    }
    # Whatever language a page was in stays this thread's.
    with translation.override("en"):
        for seconds, which in ((599, 0), (540, 0), (539, 1), (481, 1)):
            clock = SimpleNamespace(time=lambda at=seconds: 1_800_000_000 + at)
            monkeypatch.setattr(rate_limits, "time", clock)
            for language, words in said.items():
                page = browser.get(
                    address, {"to": "x.invalid"}, headers={"Accept-Language": language}
                ).content.decode()
                assert 'id="picker"' in page
                assert words[which] in page, (language, seconds)
