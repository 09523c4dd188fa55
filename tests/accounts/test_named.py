"""The words that people are found by, kept right wherever a name or a handle is written."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

from accounts import key_history, profiles, repositories
from accounts.folded_names import MOST_LOOKED_THROUGH, words_of
from accounts.identities import Identity
from accounts.models import Account, Peer
from accounts.repositories import Record

pytestmark = pytest.mark.django_db

DID = "did:plc:sam"
FILLING = importlib.import_module("accounts.migrations.0008_find_people_by_words")


def test_each_word_is_there_once_and_begins_behind_a_blank() -> None:
    assert words_of("Zoë  Müller-Łuczak zoe") == " zoe muller-luczak muller luczak"
    assert words_of("sam.example.com") == " sam.example.com sam example com"
    for nobody in ("", "handle.invalid", " "):
        assert words_of(nobody) == ""
    assert len(words_of("\ufdfa" * 640)) <= MOST_LOOKED_THROUGH


def _saved(model: type[Account] | type[Peer]) -> None:
    row = model.objects.get(did=DID)
    row.handle, row.display_name = "ida.test", "Ida"
    row.save()


def _saved_in_part(model: type[Account] | type[Peer]) -> None:
    for field, value in (("handle", "ida.test"), ("display_name", "Ida")):
        row = model.objects.get(did=DID)
        setattr(row, field, value)
        row.save(update_fields=[field])


def _saved_by_two_at_once(model: type[Account] | type[Peer]) -> None:
    one, other = model.objects.get(did=DID), model.objects.get(did=DID)
    one.handle, other.display_name = "ida.test", "Ida"
    one.save(update_fields=["handle"])
    other.save(update_fields=["display_name"])


def _updated(model: type[Account] | type[Peer]) -> None:
    model.objects.filter(did=DID).update(handle="ida.test")
    model.objects.update(display_name="Ida")


def _updated_or_created(model: type[Account] | type[Peer]) -> None:
    model.objects.update_or_create(did=DID, defaults={"handle": "ida.test", "display_name": "Ida"})


def _made_anew(model: type[Account] | type[Peer]) -> None:
    model.objects.all().delete()
    model.objects.create(did=DID, handle="ida.test", display_name="Ida")


def _made_with_others(model: type[Account] | type[Peer]) -> None:
    model.objects.all().delete()
    model.objects.bulk_create([model(did=DID, handle="ida.test", display_name="Ida")])


@pytest.mark.parametrize("model", [Account, Peer])
@pytest.mark.parametrize(
    "write",
    [
        _saved,
        _saved_in_part,
        _saved_by_two_at_once,
        _updated,
        _updated_or_created,
        _made_anew,
        _made_with_others,
    ],
)
def test_words_are_written_with_the_name(
    model: type[Account] | type[Peer], write: Callable[[type[Account] | type[Peer]], None]
) -> None:
    model.objects.create(did=DID, handle="sam.test", display_name="Sam")
    write(model)
    assert _words(model) == [(" ida", " ida.test ida test")]


def test_a_name_that_only_the_database_knows_is_refused() -> None:
    row = Peer.objects.create(did=DID, handle="sam.test", display_name="Sam")
    with pytest.raises(TypeError):
        Peer.objects.update(display_name=Concat(F("handle"), Value("!")))
    row.handle = "ida.test"
    with pytest.raises(TypeError):
        Peer.objects.bulk_update([row], ["handle"])


def test_a_profile_that_is_read_again_brings_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    Account.objects.create(did=DID, handle="sam.test", display_name="Sam")
    Peer.objects.create(did=DID, handle="sam.test", display_name="Sam")

    def record(*_asked: str) -> Record:
        # Meanwhile somebody else learns another handle.
        key_history.peer_of(Identity(DID, "new.test", "https://pds.test", {}), now=timezone.now())
        return Record("at://did:plc:sam/app.bsky.actor.profile/self", "bafycid", {"displayName": "Ïda"})

    monkeypatch.setattr(repositories, "get_record", record)
    profiles.refresh(Identity(DID, "ida.test", "https://pds.test", {}))
    assert _words(Peer) == [(" ida", " new.test new test")]
    assert _words(Account) == [(" ida", " sam.test sam test")]


def test_what_was_there_before_gets_its_words_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (Account, Peer):
        model.objects.bulk_create(
            model(did=f"did:plc:{number}", handle=f"sam{number}.test", display_name=f"Sám {number}")
            for number in range(5)
        )
    wanted = _words(Account)
    monkeypatch.setattr(FILLING, "AT_ONCE", 2)
    state = MigrationLoader(connection).project_state(("accounts", "0008_find_people_by_words"))
    for _time in range(2):
        for model in (Account, Peer):
            model.objects.filter(did__lt="did:plc:4").update(name_words="", handle_words="")
        FILLING.find_who_is_known(state.apps, None)
        assert _words(Account) == _words(Peer) == wanted
    assert wanted[4] == (" sam 4", " sam4.test sam4 test")


def _words(model: type[Account] | type[Peer]) -> list[tuple[str, str]]:
    return list(model.objects.order_by("did").values_list("name_words", "handle_words"))
