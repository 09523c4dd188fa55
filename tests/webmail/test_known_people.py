"""Somebody who reads like a person whom the account knows is pointed out, until the account says it knows."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.identities import Identity
from accounts.key_history import peer_of
from accounts.models import Account, Peer
from accounts.people import Person
from tests.services.agent import AgentProcess
from tests.webmail.installation import new_account, peer, received
from webmail import contacts, known_people, people
from webmail.models import Contact, Conversation, GraphEntry

pytestmark = pytest.mark.django_db

NOTICE = "reads like another one"
KNOWN_NOW = "I know who this is"


@pytest.fixture
def alice(agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")


@pytest.fixture
def bob(alice: Account) -> Peer:
    """Somebody whom alice knows."""
    found = peer("bob", display_name="Bob")
    contacts.accept(alice, {found.did: timezone.now()})
    return found


def html(browser: Client, address: str) -> str:
    return browser.get(address).content.decode()


def test_a_request_says_so_and_offers_no_main_action(alice: Account, bob: Peer, at_alices: Client) -> None:
    received(alice, peer("b0b").did, "It is me")
    page = html(at_alices, reverse("requests"))
    assert NOTICE not in page
    Conversation.objects.update(standing=Conversation.Standing.REQUEST)
    Conversation.objects.update(started_by=Peer.objects.get(handle="b0b.test").did)
    page = html(at_alices, reverse("requests"))
    assert NOTICE in page
    assert "bob.test" in page
    assert "btn--primary" not in page[page.index("<article") :]


def test_a_conversation_says_so_until_it_is_put_away(alice: Account, bob: Peer, at_alices: Client) -> None:
    stranger = peer("b0b")
    contacts.know(alice, {stranger.did: timezone.now()})
    message = received(alice, stranger.did, "It is me")
    address = reverse("conversation", args=[message.conversation.conversation_id])
    assert NOTICE in html(at_alices, address)
    put_away = reverse("person-likeness", args=[stranger.did])
    like = known_people.likenesses(alice, [stranger.did])[stranger.did]
    form = {"next": message.conversation.conversation_id, "likeness": like.key}
    assert f'name="likeness" value="{like.key}"' in html(at_alices, address)
    answer = at_alices.post(put_away, form)
    assert answer.url == address
    assert KNOWN_NOW not in html(at_alices, address)
    # Another likeness is another matter.
    Peer.objects.filter(pk=stranger.pk).update(handle="other.test", display_name="Alice")
    page = html(at_alices, address)
    assert "Not the" in page
    assert KNOWN_NOW in page
    # Whom one's own conversations are with is not suspected.
    assert NOTICE not in html(at_alices, reverse("person", args=[bob.did]))


def test_what_was_put_away_hides_no_likeness_to_somebody_else(alice: Account, bob: Peer) -> None:
    carol = peer("carol", display_name="Carol")
    contacts.accept(alice, {carol.did: timezone.now()})
    stranger = peer("b0b", display_name="Bob")

    def shown() -> tuple[str, str, str] | None:
        like = known_people.not_put_away(alice, [stranger.did]).get(stranger.did)
        return (like.kind, like.like.did, like.key) if like else None

    kind, who, key = shown() or ("", "", "")
    assert (kind, who) == ("handle", bob.did)
    known_people.put_away(alice, stranger.did, key)
    # Nor is the name told of, which is that of the same person.
    assert shown() is None
    Peer.objects.filter(pk=stranger.pk).update(display_name="Carol")
    kind, who, other_key = shown() or ("", "", "")
    assert (kind, who) == ("name", carol.did)
    # A form that was sent twice puts away what it was about, and nothing that nobody has seen.
    known_people.put_away(alice, stranger.did, key)
    assert shown() is not None
    known_people.put_away(alice, stranger.did, other_key)
    assert shown() is None


def test_a_stronger_likeness_to_the_same_person_is_told_of(alice: Account, bob: Peer) -> None:
    stranger = peer("robert", display_name="Bob")
    like = known_people.likenesses(alice, [stranger.did])[stranger.did]
    known_people.put_away(alice, stranger.did, like.key)
    assert known_people.not_put_away(alice, [stranger.did]) == {}
    Peer.objects.filter(pk=stranger.pk).update(handle="b0b.test")
    assert known_people.not_put_away(alice, [stranger.did])[stranger.did].kind == "handle"


def test_the_page_of_new_conversations_says_so(alice: Account, bob: Peer, at_alices: Client) -> None:
    stranger = peer("b0b")
    found = Person(stranger.did, stranger.handle, "", False, "unreachable", 0, "They have no device.")
    with patch("accounts.people.look_up", lambda _typed: found):
        page = html(at_alices, reverse("new-conversation") + "?to=b0b.test")
    assert NOTICE in page


def test_who_is_compared_with_whom(alice: Account, bob: Peer) -> None:
    known_too = peer("b0b")
    contacts.accept(alice, {known_too.did: timezone.now()})
    other_bob, other_alice, nobody_alike = peer("x", display_name="Bob"), peer("a1ice"), peer("carol")
    dids = [known_too.did, other_bob.did, other_alice.did, nobody_alike.did, alice.did, "did:plc:unheard-of"]
    found = known_people.likenesses(alice, dids)
    assert {did: (like.kind, like.like.did) for did, like in found.items() if did != known_too.did} == {
        other_bob.did: ("name", bob.did),
        other_alice.did: ("handle", alice.did),
    }
    Peer.objects.filter(pk=other_alice.pk).update(handle="handle.invalid")
    assert other_alice.did not in known_people.likenesses(alice, dids)


def test_whose_handle_does_not_hold_goes_by_the_did() -> None:
    did = "did:plc:" + "a" * 24
    nameless = people.person(did, "handle.invalid", "", False)
    assert (nameless.name, nameless.handle) == (did, did)
    assert people.person(did, "handle.invalid", "Bob", False).name == "Bob"


def test_whoever_imitates_one_of_very_many_is_pointed_out(
    alice: Account, bob: Peer, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    later = timezone.now() + timedelta(seconds=1)
    Contact.objects.bulk_create(
        Contact(
            account=alice,
            did=f"did:plc:{number}",
            standing=Contact.Standing.ACCEPTED,
            first_seen_at=later,
        )
        for number in range(2001)
    )
    stranger = peer("b0b")
    with django_assert_num_queries(2):
        found = known_people.likenesses(alice, [stranger.did])
    assert found[stranger.did].like.did == bob.did


def test_whose_handle_or_name_changes_is_compared_by_the_new_one(alice: Account, bob: Peer) -> None:
    stranger = peer("r0bert", display_name="The Builder")
    assert known_people.likenesses(alice, [stranger.did]) == {}
    bob.handle, bob.display_name = "robert.test", "the builder"
    bob.save(update_fields=["display_name"])
    assert known_people.likenesses(alice, [stranger.did])[stranger.did].kind == "name"
    bob.save(update_fields=["handle"])
    assert known_people.likenesses(alice, [stranger.did])[stranger.did].kind == "handle"


def test_whom_the_account_follows_may_be_imitated(alice: Account) -> None:
    followed, stranger = peer("bob"), peer("b0b")
    assert known_people.likenesses(alice, [stranger.did]) == {}
    GraphEntry.objects.create(account=alice, did=followed.did, kind=GraphEntry.Kind.BLOCK)
    assert known_people.likenesses(alice, [stranger.did]) == {}
    GraphEntry.objects.create(account=alice, did=followed.did, kind=GraphEntry.Kind.FOLLOW)
    assert known_people.likenesses(alice, [stranger.did])[stranger.did].like.did == followed.did


def test_whoever_has_a_handle_now_that_was_somebody_else_s_is_pointed_out(alice: Account, bob: Peer) -> None:
    now = timezone.now()
    Peer.objects.filter(pk=bob.pk).update(known_since=now)
    peer_of(Identity(bob.did, "robert.test", bob.pds_url, {}), now=now)
    stranger = peer("bob-again")
    assert known_people.likenesses(alice, [stranger.did]) == {}
    Peer.objects.filter(pk=stranger.pk).update(handle="bob.test")
    found = known_people.likenesses(alice, [stranger.did])[stranger.did]
    assert (found.kind, found.like.did, found.like.handle) == ("former-handle", bob.did, "robert.test")
    assert known_people.likenesses(alice, [bob.did]) == {}
