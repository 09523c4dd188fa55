"""People who are found by name while somebody writes to whom a new message goes."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import people as directory
from accounts.folded_names import folded
from accounts.identities import IdentityError
from accounts.models import Account, Peer
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from webmail import blocking, contacts
from webmail.finding_people import MOST_SHOWN, suggested
from webmail.models import Conversation, GraphEntry, Message

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")


def test_whom_nobody_knows_is_named_and_the_form_stays(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob, nobody = known(alice, "bob", "Bob"), "did:plc:" + "a" * 24

    def look_up(did: str) -> None:
        raise IdentityError("unknown-did", "There is nobody there.")

    monkeypatch.setattr(directory, "look_up", look_up)
    form = {"to": [bob.did, nobody], "text": "A long letter", "token": str(uuid4()), "do": "send"}
    browser = browser_of(alice)
    answer = browser.post(reverse("new-conversation"), form)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert f"{nobody} could not be found." in page
    assert "A long letter</textarea>" in page
    for did in form["to"]:
        assert f'name="to" value="{did}"' in page
    assert not Message.objects.filter(account=alice).exists()
    # It can be taken out.
    taken_out = browser.post(reverse("new-conversation"), {**form, "do": "", "remove": nobody})
    assert f'value="{nobody}"' not in taken_out.content.decode()
    assert "could not be found" not in taken_out.content.decode()


def known(account: Account, handle: str, name: str) -> Peer:
    """Somebody whom the account wrote to."""
    someone = peer(handle, display_name=name)
    contacts.accept(account, {someone.did: timezone.now()})
    return someone


def followed(account: Account, handle: str, name: str) -> Peer:
    someone = peer(handle, display_name=name)
    GraphEntry.objects.create(account=account, kind=GraphEntry.Kind.FOLLOW, did=someone.did)
    return someone


def names(account: Account, typed: str, **more: list[str]) -> list[str]:
    return [each.person.name for each in suggested(account, typed, **more)]


def test_accents_case_and_the_order_of_words_do_not_count(alice: Account) -> None:
    known(alice, "zoe", "Zoë Müller-Łuczak")
    for typed in ("zoe", "ZOE", "mull", "luczak zo", "Zoë", "zoe\u0308", "@zoe.te", "zoe.test", "uller"):
        assert names(alice, typed) == ["Zoë Müller-Łuczak"], typed
    for typed in ("", "  ", "k", "zoes", "zoe bob", "%", "_"):
        assert names(alice, typed) == [], typed
    assert folded("ÇAĞRI Straße Ørsted") == "cagri strasse orsted"


def test_partners_contacts_and_those_followed_are_found_and_nobody_else(alice: Account, bob: Account) -> None:
    known(alice, "ann", "Sam Accepted")
    partner = peer("ben", display_name="Sam Partner")
    received(alice, partner.did, "hello")
    followed(alice, "cat", "Sam Followed")
    peer("dan", display_name="Sam Stranger")
    asking = peer("eve", display_name="Sam Asking")
    message = received(alice, asking.did, "hello")
    Conversation.objects.filter(pk=message.conversation.pk).update(standing=Conversation.Standing.REQUEST)
    GraphEntry.objects.create(account=bob, kind=GraphEntry.Kind.FOLLOW, did=asking.did)
    assert names(alice, "sam") == ["Sam Accepted", "Sam Followed", "Sam Partner"]
    # A word that begins with it comes before one that has it inside.
    known(alice, "fay", "Rosamund")
    assert names(alice, "sam")[-1] == "Rosamund"
    assert names(alice, "alice") == []


def test_whoever_is_blocked_is_not_offered_nor_whoever_is_chosen(alice: Account) -> None:
    one, other = known(alice, "ann", "Sam One"), followed(alice, "ben", "Sam Two")
    third = known(alice, "cat", "Sam Three")
    blocking.block(alice, one.did, timezone.now())
    GraphEntry.objects.create(account=alice, kind=GraphEntry.Kind.BLOCK, did=other.did)
    assert names(alice, "sam") == ["Sam Three"]
    assert names(alice, "sam", leaving_out=[third.did]) == []


def test_somebody_of_this_installation_goes_by_the_name_of_their_account(
    alice: Account, bob: Account
) -> None:
    Peer.objects.filter(did=bob.did).delete()
    Account.objects.filter(pk=bob.pk).update(display_name="Robert")
    contacts.accept(alice, {bob.did: timezone.now()})
    assert names(alice, "rob") == ["Robert"]


def test_few_are_shown_and_the_queries_stay_the_same(alice: Account) -> None:
    known(alice, "sam0", "Sam 0")
    with CaptureQueriesContext(
        connection,
    ) as few:
        assert len(names(alice, "sam")) == 1
    for number in range(1, 40):
        known(alice, f"sam{number}", f"Sam {number}")
        followed(alice, f"samuel{number}", f"Samuel {number}")
    with CaptureQueriesContext(connection) as many:
        assert len(names(alice, "sam")) == MOST_SHOWN
    assert len(few) == len(many) == 2


def test_the_oldest_of_thousands_followed_is_found(alice: Account) -> None:
    oldest = followed(alice, "sevda", "Şevda Ünsal")
    crowd = Peer.objects.bulk_create(
        Peer(did=f"did:plc:crowd{number}", handle=f"sam{number}.test", display_name=f"Sam {number:04}")
        for number in range(3000)
    )
    GraphEntry.objects.bulk_create(
        GraphEntry(account=alice, kind=GraphEntry.Kind.FOLLOW, did=one.did) for one in crowd
    )
    for typed in ("sevda", "UNSAL sev", "vda", "s ün", "u", "@sevda.te"):
        with CaptureQueriesContext(connection) as queries:
            assert names(alice, typed) == ["Şevda Ünsal"], typed
        assert len(queries) == 2
    # So is one of very many who have what is typed.
    assert names(alice, "sam 2999") == ["Sam 2999"]
    known(alice, "zsam", "Zoe Sam")
    assert names(alice, "sam")[0] == "Zoe Sam"
    followed(alice, "rosa", "Aa Rosamund")
    assert names(alice, "sam")[1:] == [f"Sam {number:04}" for number in range(MOST_SHOWN - 1)]
    assert oldest.did not in {each.person.did for each in suggested(alice, "s")}


def test_whoever_has_another_name_or_handle_is_found_by_the_new_one_alone(
    alice: Account, bob: Account
) -> None:
    sam = known(alice, "sam", "Sam One")
    sam.display_name = "Åsa Two"
    sam.save(update_fields=["display_name"])
    assert (names(alice, "one"), names(alice, "asa")) == ([], ["Åsa Two"])
    sam.handle = "ida.test"
    sam.save(update_fields=["handle"])
    assert (names(alice, "sam"), names(alice, "ida")) == ([], ["Åsa Two"])
    # Of somebody of this installation their account is right.
    Peer.objects.update_or_create(did=bob.did, defaults={"display_name": "Bob", "avatar": "bafypicture"})
    contacts.accept(alice, {bob.did: timezone.now()})
    Account.objects.filter(pk=bob.pk).update(display_name="Robert", handle="robert.test")
    assert (names(alice, "bob"), names(alice, "robert")) == ([], ["Robert"])
    assert suggested(alice, "robert")[0].person.has_avatar


def test_somebody_whose_handle_leads_nowhere_is_found_by_name_alone(alice: Account) -> None:
    lost = known(alice, "lost", "Sam One")
    lost.handle = "handle.invalid"
    lost.save(update_fields=["handle"])
    assert (names(alice, "sam"), names(alice, "invalid"), names(alice, "lost")) == (["Sam One"], [], [])


def test_those_met_last_are_looked_through_and_no_more(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webmail.finding_people.MOST_KNOWN", 2)
    for number in range(4):
        followed(alice, f"sam{number}", f"Sam {number}")
    assert names(alice, "sam") == ["Sam 2", "Sam 3"]


def test_an_account_may_look_so_often_and_is_told_when_to_come_back(
    alice: Account, at_alices: Client, settings: Settings
) -> None:
    settings.SUGGESTIONS_OF_ONE = 2
    cache.clear()
    known(alice, "sam", "Sam One")
    part = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "results"}

    def asked(client: Client, typed: str) -> tuple[int, str]:
        answer = client.post(reverse("find-person"), {"q": typed}, **part)
        return answer.status_code, answer.content.decode()

    assert [asked(at_alices, typed)[0] for typed in ("", "s", "", "sa")] == [200] * 4
    status, page = asked(at_alices, "sam")
    assert (status, "You looked for very many people." in page, "Sam One" in page) == (422, True, False)
    # By its button as well.
    chips = at_alices.post(reverse("choose-people"), {"q": "sam"}).content.decode()
    assert ("You looked for very many people." in chips, 'name="to"' in chips) == (True, False)
    assert asked(browser_of(new_account("carol")), "sam")[0] == 200


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who was looked up, of those here who all can be reached."""
    asked: list[str] = []

    def look_up(text: str) -> directory.Person:
        asked.append(text)
        someone = Peer.objects.filter(did=text).first() or Peer.objects.filter(handle=text).first()
        if someone is None:
            raise IdentityError("handle-not-found", "No account answers.")
        return directory.Person(
            someone.did, someone.handle, someone.display_name, False, "sealed", 1, "Sealed both ways"
        )

    monkeypatch.setattr(directory, "look_up", look_up)
    return asked


def test_whole_handles_are_looked_up_where_nobody_is_suggested_any_more(
    alice: Account, at_alices: Client, settings: Settings, reached: list[str]
) -> None:
    settings.SUGGESTIONS_OF_ONE = 0
    cache.clear()
    sam = known(alice, "sam", "Sam One")
    page = at_alices.post(reverse("find-person"), {"q": "sam.test"}).content.decode()
    assert f'name="add" value="{sam.did}"' in page
    assert "suggestions" not in page


@pytest.mark.parametrize("typed", ["sam", "sam.test"])
def test_a_form_that_looked_too_often_keeps_what_was_written(
    typed: str, alice: Account, at_alices: Client, settings: Settings, reached: list[str]
) -> None:
    # Whoever is chosen already uses up the one search.
    settings.SUGGESTIONS_OF_ONE, settings.SEARCHES_OF_ONE = 0, 1
    cache.clear()
    known(alice, "sam", "Sam One")
    ben = known(alice, "ben", "Ben")
    form = {"do": "send", "q": typed, "to": [ben.did], "text": "A long letter", "token": str(uuid4())}
    answer = at_alices.post(reverse("new-conversation"), form)
    page = answer.content.decode()
    assert answer.status_code == 429
    assert "You looked for very many people. Try again in" in page
    assert "A long letter</textarea>" in page
    assert f'value="{typed}"' in page
    assert f'name="to" value="{ben.did}"' in page
    assert not Message.objects.filter(account=alice).exists()


def test_the_beginning_of_a_known_handle_is_no_question_to_the_network(
    alice: Account, at_alices: Client, reached: list[str]
) -> None:
    sam = known(alice, "sam", "Sam One")
    page = at_alices.post(reverse("find-person"), {"q": "sam.te"}).content.decode()
    assert reached == []
    assert f'name="add" value="{sam.did}"' in page
    # All of it is somebody, who is not shown twice.
    page = at_alices.post(reverse("find-person"), {"q": "sam.test"}).content.decode()
    assert reached == ["sam.test"]
    assert page.count(f'name="add" value="{sam.did}"') == 1
    assert "suggestions" not in page


def test_a_name_alone_chooses_whoever_it_means_and_asks_where_it_means_several(
    alice: Account, at_alices: Client, reached: list[str]
) -> None:
    one = known(alice, "sam", "Sam One")
    answer = at_alices.post(reverse("choose-people"), {"q": "sam one"})
    assert f'name="to" value="{one.did}"' in answer.content.decode()
    assert json.loads(answer["HX-Trigger"]) == {"person-added": {"typed": "sam one"}}

    two = followed(alice, "samuel", "Sam Two")
    form = {"do": "add", "q": "sam", "to": [one.did]}
    # Whoever is chosen already is meant no more.
    page = at_alices.post(reverse("new-conversation"), form).content.decode()
    assert page.count('name="to"') == 2
    three = known(alice, "sami", "Sam Three")
    page = at_alices.post(reverse("new-conversation"), form).content.decode()
    assert "Choose who is meant by “sam”." in page
    for did in (two.did, three.did):
        assert f'name="add" value="{did}"' in page
    assert page.count('name="to"') == 1
    assert 'value="sam"' in page

    page = at_alices.post(reverse("choose-people"), {"q": "nobody"}).content.decode()
    assert "You know nobody called “nobody”." in page
    page = at_alices.post(reverse("choose-people"), {"q": "sam one", "to": [one.did]})
    assert "Sam One is chosen already." in page.content.decode()


def test_who_types_the_name_of_nobody_is_told_what_to_do(
    alice: Account, at_alices: Client, reached: list[str]
) -> None:
    sam = known(alice, "sam", "Sam One")

    def said(typed: str, *chosen: str) -> str:
        page = at_alices.post(reverse("find-person"), {"q": typed, "to": chosen}).content.decode()
        assert "alert" not in page
        return page[page.index("<p") : page.index("</p>")] if '<p class="hint">' in page else ""

    assert "You know nobody called “sem”. Somebody new is found by their whole handle." in said("sem")
    assert "You know nobody called “@”." in said("@", sam.did)
    assert "Sam One is chosen already." in said("Sám", sam.did)
    # Somebody may be meant, nothing is typed, or it is the whole handle of somebody.
    assert [said(typed) for typed in ("sam", "", " ", "sam.test")] == [""] * 4


def test_a_message_is_not_sent_to_somebody_who_was_guessed(
    alice: Account, at_alices: Client, reached: list[str]
) -> None:
    sam, token = known(alice, "sam", "Sam One"), "5b4a7f5e-6d0c-4c6e-9a1c-2f0f0c1c1b11"
    form = {"do": "send", "q": "sam", "text": "hello", "token": token}
    answer = at_alices.post(reverse("new-conversation"), form)
    assert answer.status_code == 422
    assert "Choose who is meant by “sam”." in answer.content.decode()
    assert f'name="add" value="{sam.did}"' in answer.content.decode()
    assert not Message.objects.filter(account=alice).exists()


def test_whom_one_meets_for_the_first_time_stays_to_be_looked_at_once_chosen(
    alice: Account, at_alices: Client, reached: list[str]
) -> None:
    sam, old = followed(alice, "sam", "Sam One"), known(alice, "old", "Old Friend")
    Peer.objects.update(plc_checked_at=timezone.now() - timedelta(minutes=1))
    page = at_alices.post(reverse("choose-people"), {"q": "sam", "add": sam.did}).content.decode()
    assert f'name="to" value="{sam.did}"' in page
    # It is put away until it is asked for.
    assert page.index("Who this is</summary>") < page.index("Account made")
    assert "Chosen" in page[page.index('id="results"') :]
    page = at_alices.post(reverse("choose-people"), {"q": "old", "add": old.did}).content.decode()
    assert f'name="to" value="{old.did}"' in page
    assert "Account made" not in page


@pytest.fixture
def bob(agent_process: AgentProcess) -> Account:
    return new_account("bob")
