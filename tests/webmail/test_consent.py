"""Who may begin a conversation with an account, and what lets somebody in."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.checks import check_settings
from accounts.models import Account
from crypto_agent.atsms.content import text_part
from demo.local_network import NetworkInfo
from tests.accounts.repository import Repository
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import browser_of
from tests.webmail.other_client import OtherClient
from tests.webmail.strangers import arrives, titles, waiting
from webmail import (
    acknowledging,
    another_copy,
    archive,
    blocking,
    consent,
    graph,
    rebuild,
    requests,
    trust,
)
from webmail.models import (
    Acknowledgement,
    Contact,
    Conversation,
    GraphEntry,
    Message,
    WhoMayWrite,
)

FOLLOW, BLOCK, RECORD = "app.bsky.graph.follow", "app.bsky.graph.block", "3lbzkxq5y222a"
Standing = Conversation.Standing


def test_each_choice_lets_in_whom_it_says(alice: Account, bob: Account, carol: Account, write: Write) -> None:
    seal(write(alice, [bob], "Written to"))
    GraphEntry.objects.create(account=alice, kind=GraphEntry.Kind.FOLLOW, did=carol.did)
    stranger = "did:plc:" + "x" * 24

    def let_in(choice: WhoMayWrite) -> list[bool]:
        consent.choose(alice, choice)
        return [consent.may_begin(alice, did) for did in (bob.did, carol.did, stranger)]

    assert let_in(WhoMayWrite.EVERYONE) == [True, True, True]
    assert let_in(WhoMayWrite.FOLLOWED) == [True, True, False]
    assert let_in(WhoMayWrite.WRITTEN_TO) == [True, False, False]
    assert let_in(WhoMayWrite.NOBODY) == [False, False, False]


def test_a_name_that_was_not_checked_opens_nothing(
    alice: Account, bob: Account, carol: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent.choose(alice, WhoMayWrite.WRITTEN_TO)
    seal(write(alice, [bob], "You first"))
    unchecked = trust.Verdict(Message.Trust.UNCHECKED, "signer-unreachable")
    with monkeypatch.context() as away:
        away.setattr(trust, "check", lambda *_: unchecked)
        forged = [
            OtherClient.of(claimed).write([alice, carol], [text_part("let Carol in")])
            for claimed in (bob, alice)
        ]
        for envelopes in forged:
            for envelope in envelopes:
                hand_over(alice, [envelope])
    assert Message.objects.filter(account=alice, trust=Message.Trust.UNCHECKED).count() == 2
    arrives(write, carol, [alice, bob], "Now I am in")
    assert titles(alice) == ["You first"]
    assert not Contact.objects.filter(
        account=alice, did=carol.did, standing=Contact.Standing.ACCEPTED
    ).exists()
    assert not Acknowledgement.objects.filter(message__account=alice).exists()
    consent.choose(alice, WhoMayWrite.WRITTEN_TO)
    for message in Message.objects.filter(account=alice, trust=Message.Trust.UNCHECKED):
        assert trust.recheck(message).trust == Message.Trust.REFUSED
    assert titles(alice) == ["You first"]

    # With everybody let in, those whom nobody accepted still learn nothing.
    Conversation.objects.filter(account=alice).update(standing=Standing.ACCEPTED)
    arrives(write, carol, [alice, bob], "And now")
    arrives(write, carol, [alice], "And where you are said to have written")
    assert [person.did for person in another_copy.who_can_be_asked(alice)] == [bob.did]
    assert not Acknowledgement.objects.filter(message__account=alice).exists()


def test_who_may_begin_is_let_in_once_it_is_known_to_be_them(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent.choose(alice, WhoMayWrite.FOLLOWED)
    GraphEntry.objects.create(account=alice, kind=GraphEntry.Kind.FOLLOW, did=bob.did)
    unchecked = trust.Verdict(Message.Trust.UNCHECKED, "signer-unreachable")
    with monkeypatch.context() as away:
        away.setattr(trust, "check", lambda *_: unchecked)
        message = arrives(write, bob, [alice], "Hello Alice")
    assert titles(alice) == []
    assert requests.count(alice) == 1
    trust.recheck(message)
    assert titles(alice) == ["Hello Alice"]


def test_telling_that_a_message_was_opened_accepts_nobody(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.WRITTEN_TO)
    seal(write(alice, [bob], "You first"))
    group = arrives(write, bob, [alice, carol], "A group of Bob's").conversation
    Acknowledgement.objects.update(due_at=timezone.now())
    assert acknowledging.send_due(group.pk, now=timezone.now()) == 1

    def carol_is_new() -> bool:
        return not consent.may_begin(alice, carol.did) and consent.strangers_in(alice, group) == [carol.did]

    assert carol_is_new()
    arrives(write, carol, [alice], "Just the two of us")
    assert requests.count(alice) == 1
    archive.archive(list(Message.objects.filter(account=alice)), now=timezone.now())
    rebuild.rebuild(alice)
    assert carol_is_new()


def test_writing_to_somebody_accepts_what_they_began(alice: Account, carol: Account, write: Write) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    arrives(write, carol, [alice], "Hello Alice")
    write(alice, [carol], "Hello Carol")
    assert titles(alice) == ["Hello Carol"]
    assert requests.count(alice) == 0


def test_the_choice_is_made_on_its_page(alice: Account, carol: Account, write: Write) -> None:
    browser = browser_of(alice)
    page = browser.post(reverse("who-may-write"), {"who": "nobody"}).content.decode()
    assert "Saved." in page
    assert consent.who_may_write(alice) == WhoMayWrite.NOBODY
    assert "Saved." not in browser.post(reverse("who-may-write"), {"who": "robots"}).content.decode()
    assert consent.who_may_write(alice) == WhoMayWrite.NOBODY
    arrives(write, carol, [alice], "Hello Alice")
    browser.post(reverse("who-may-write"), {"who": "everyone"})
    assert titles(alice) == ["Hello Alice"]


def test_a_restored_index_accepts_where_the_account_wrote_and_asks_for_the_rest_again(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.WRITTEN_TO)
    arrives(write, bob, [alice], "Hello from Bob")
    seal(write(alice, [bob], "Hello Bob"))
    arrives(write, carol, [alice], "Hello from Carol")
    Message.objects.filter(account=alice).delete()
    Conversation.objects.filter(account=alice).delete()
    Contact.objects.filter(account=alice).delete()

    rebuild.rebuild(alice)
    assert titles(alice) == ["Hello Bob"]
    assert waiting(alice) == ["Hello from Carol"]
    assert consent.may_begin(alice, bob.did)
    assert not consent.may_begin(alice, carol.did)


def test_follows_and_blocks_are_read_from_the_account_s_own_repository(
    alice: Account, bob: Account, carol: Account, write: Write, local_network: NetworkInfo
) -> None:
    repository = Repository(local_network, local_network.accounts["alice"])
    consent.choose(alice, WhoMayWrite.FOLLOWED)
    arrives(write, carol, [alice], "Hello Alice")
    arrives(write, bob, [alice], "Buy this")
    assert requests.count(alice) == 2
    now = timezone.now()
    for collection, subject in ((FOLLOW, carol.did), (BLOCK, bob.did)):
        record = {"$type": collection, "subject": subject, "createdAt": now.isoformat()}
        repository.put(collection, RECORD, record)
    try:
        assert graph.refresh(alice, now=now)
        assert titles(alice) == ["Hello Alice"]
        assert waiting(alice) == []
        assert [each.by_record for each in blocking.blocked_people(alice)] == [True]
        assert not graph.refresh(alice, now=now + timedelta(hours=1))
    finally:
        repository.delete(FOLLOW, RECORD)
        repository.delete(BLOCK, RECORD)
    assert graph.refresh(alice, now=now + timedelta(hours=7))
    assert titles(alice) == ["Hello Alice"], "what was accepted stays so"
    assert waiting(alice) == ["Buy this"]


@pytest.mark.parametrize(("value", "refused"), [("nobody", False), ("followed", False), ("friends", True)])
def test_an_installation_begins_with_one_of_the_choices(
    settings: Settings, value: str, refused: bool
) -> None:
    settings.WHO_MAY_WRITE = value
    assert ("accounts.E004" in {problem.id for problem in check_settings()}) is refused
