"""Who somebody new is: what an account sees of them before it knows them."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import identities, identity_age, plc_history
from accounts.models import Account, Peer, PlcOperation
from tests.webmail.conftest import Write, seal
from tests.webmail.installation import browser_of
from tests.webmail.strangers import arrives, titles
from webmail import (
    consent,
    identity_facts,
    queues,
    requests,
)
from webmail.models import (
    Conversation,
    GraphEntry,
    WhoMayWrite,
)


def test_the_directory_says_how_old_an_identity_is(alice: Account, carol: Account, write: Write) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    arrives(write, carol, [alice], "Hello Alice")
    assert requests.list_requests(alice).cards[0].starter.made_at is None
    requests.learn_ages(alice, now=timezone.now())
    made_at = requests.list_requests(alice).cards[0].starter.made_at
    assert made_at is not None
    assert timedelta() < timezone.now() - made_at < timedelta(days=1)


@pytest.mark.parametrize("choice", [WhoMayWrite.EVERYONE, WhoMayWrite.FOLLOWED])
def test_whom_a_choice_alone_let_in_shows_who_they_are_until_they_are_written_to(
    choice: WhoMayWrite, alice: Account, carol: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent.choose(alice, choice)
    GraphEntry.objects.create(account=alice, kind=GraphEntry.Kind.FOLLOW, did=carol.did)
    given: list[str] = []
    monkeypatch.setattr(queues, "give", lambda task, *_keys, **_more: given.append(task))
    conversation = arrives(write, carol, [alice], "Hello Alice").conversation
    assert given.count(queues.LOOK_INTO_REQUESTS) == 1
    browser = browser_of(alice)

    def card() -> str:
        page = browser.get(reverse("conversation", args=[conversation.conversation_id])).content.decode()
        return (
            page[page.index('id="first-contact"') :].split("</section>")[0] if "first-contact" in page else ""
        )

    assert titles(alice) == ["Hello Alice"]
    assert all(fact in card() for fact in ("carol.test", carol.did, "localhost", "Not known yet"))
    requests.learn_ages(alice, now=timezone.now())
    assert f"{timezone.now():%Y}, " in card()
    assert "Not known yet" not in card()

    given.clear()
    arrives(write, carol, [alice], "Are you there?")
    assert queues.LOOK_INTO_REQUESTS not in given
    write(alice, [carol], "I am")
    assert card() == ""


def test_what_is_shared_are_other_conversations(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.EVERYONE)
    one = arrives(write, carol, [alice], "Hello Alice").conversation
    browser = browser_of(alice)

    def shared(conversation: Conversation) -> str:
        page = browser.get(reverse("conversation", args=[conversation.conversation_id])).content.decode()
        card = page[page.index('id="first-contact"') :].split("</section>")[0]
        return card[card.index("You share") :].split("</dd>")[0]

    assert "No conversation" in shared(one)
    group = arrives(write, carol, [alice, bob], "Hello both").conversation
    # The names of a group stand in the order of their DIDs.
    for here, other in ((one, "(Bob and Carol|Carol and Bob)"), (group, "Carol")):
        assert shared(here).count("<bdi>") == 1
        assert re.search(f"<bdi>{other}</bdi>", shared(here))


def test_the_age_of_somebody_accepted_is_what_the_log_says_that_was_read_of_them(
    alice: Account, bob: Account, write: Write
) -> None:
    seal(write(alice, [bob], "You first"))
    person = reverse("person", args=[bob.did])
    assert "Not known yet" in browser_of(alice).get(person).content.decode()
    plc_history.read(bob.did)
    assert "Not known yet" not in browser_of(alice).get(person).content.decode()
    assert identity_facts.facts_of(alice, [bob.did])[bob.did].made_at == identity_age.made_at(bob.did)


def test_whoever_begins_sees_the_whole_identity(
    alice: Account, carol: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = browser_of(alice)
    found = browser.post(reverse("find-person"), {"q": "carol.test"}).content.decode()
    assert all(fact in found for fact in ("carol.test", carol.did, "localhost", f"{timezone.now():%Y}, "))
    assert "Not known yet" not in found
    # The log is not asked for again, and where it cannot be had the rest is there.
    monkeypatch.setattr(identities, "plc_log_of", lambda _did: pytest.fail("asked again"))
    assert "Not known yet" not in browser.post(reverse("find-person"), {"q": "carol.test"}).content.decode()
    PlcOperation.objects.all().delete()
    Peer.objects.update(plc_checked_at=None)

    def no_answer(_did: str) -> None:
        raise identities.IdentityError("network", "away")

    monkeypatch.setattr(identities, "plc_log_of", no_answer)
    found = browser.post(reverse("find-person"), {"q": "carol.test"}).content.decode()
    assert carol.did in found
    assert "Not known yet" in found
