"""Who may begin a conversation: what strangers write waits, tells them nothing, and can be answered."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

import outbound
from accounts import identities, identity_age, plc_history
from accounts.checks import check_settings
from accounts.models import Account, Peer, PlcOperation
from crypto_agent.atsms.content import text_part
from crypto_agent.client import NewMessage, Receipt
from demo.local_network import NetworkInfo
from tests.accounts.repository import Repository
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import browser_of
from tests.webmail.other_client import OtherClient
from webmail import (
    acknowledging,
    another_copy,
    archive,
    blocking,
    consent,
    consent_export,
    exported_settings,
    graph,
    identity_facts,
    queues,
    rebuild,
    requests,
    search_index,
    trust,
)
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.fetching import download
from webmail.conversations import list_conversations, with_news
from webmail.models import (
    Acknowledgement,
    ConsentChoice,
    Contact,
    Conversation,
    GraphEntry,
    Message,
    WhoMayWrite,
)
from webmail.outgoing import CannotSend, send_message

Standing = Conversation.Standing
ANSWER = {
    "kind": "answer",
    "conversation": "ab" * 33,
    "participants": ["did:plc:x"],
    "startedBy": "",
    "standing": "accepted",
}
FOLLOW, BLOCK, RECORD = "app.bsky.graph.follow", "app.bsky.graph.block", "3lbzkxq5y222a"


def arrives(write: Write, sender: Account, recipients: list[Account], text: str) -> Message:
    """The message as the first of the recipients has it."""
    message = write(sender, recipients, text)
    hand_over(recipients[0], seal(message)[recipients[0].did])
    return Message.objects.get(account=recipients[0], message_id=message.message_id)


def titles(account: Account) -> list[str]:
    return [row.preview for row in list_conversations(account).rows]


def waiting(account: Account) -> list[str]:
    return [message.text for card in requests.list_requests(account).cards for message in card.messages]


@contextmanager
def asked_of_others(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The addresses that this process asks for while the block runs; none of them is."""
    asked: list[str] = []

    def refuse(self: httpx.Client, request: httpx.Request, **_: object) -> httpx.Response:
        asked.append(str(request.url))
        raise httpx.ConnectError("nobody is to be asked", request=request)

    with monkeypatch.context() as patch:
        patch.setattr(type(outbound.shared_client()), "send", refuse)
        yield asked


def test_what_a_stranger_begins_is_a_request_and_stays_apart(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.WRITTEN_TO)
    seal(write(alice, [bob], "You first"))
    arrives(write, bob, [alice], "From somebody known")
    arrives(write, carol, [alice], "From a stranger")

    assert titles(alice) == ["From somebody known"]
    assert with_news(alice).count() == 1
    (card,) = requests.list_requests(alice).cards
    assert (card.starter.person.handle, card.count, card.checked) == ("carol.test", 1, True)
    assert (card.starter.handle_holds, card.starter.host, card.starter.followed) == (True, "localhost", False)
    assert [message.text for message in card.messages] == ["From a stranger"]
    assert requests.count(alice) == 1


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


def test_accepting_lets_it_into_the_list_and_declining_lets_it_go_for_good(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    one = arrives(write, carol, [alice], "Hello Alice")
    other = arrives(write, bob, [alice], "Buy this")

    consent.accept(alice, one.conversation, timezone.now())
    consent.decline(alice, other.conversation)
    assert titles(alice) == ["Hello Alice"]
    assert Contact.objects.get(account=alice, did=carol.did).standing == Contact.Standing.ACCEPTED

    arrives(write, bob, [alice], "Buy more")
    assert titles(alice) == ["Hello Alice"]
    assert waiting(alice) == []
    (declined,) = requests.list_requests(alice, Standing.DECLINED).cards
    assert [message.text for message in declined.messages] == ["Buy this", "Buy more"]
    assert requests.list_requests(alice).declined == 1


def test_a_group_is_a_request_if_a_stranger_began_it_and_strangers_in_others_are_named(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.WRITTEN_TO)
    seal(write(alice, [bob], "You first"))
    arrives(write, carol, [alice, bob], "A group of mine")
    (card,) = requests.list_requests(alice).cards
    assert [person.handle for person in card.others] == ["bob.test"]

    Conversation.objects.filter(account=alice).delete()
    group = arrives(write, bob, [alice, carol], "A group of Bob's")
    assert group.conversation.standing == Standing.ACCEPTED
    browser = browser_of(alice)
    page = browser.get(reverse("conversation", args=[group.conversation.conversation_id])).content.decode()
    assert "New to you" in page
    assert carol.did in page[page.index("New to you") :]
    write(alice, [bob, carol], "Hello both")
    page = browser.get(reverse("conversation", args=[group.conversation.conversation_id])).content.decode()
    assert "New to you" not in page


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


def test_looking_at_a_request_asks_nobody_and_opens_nothing(
    alice: Account, carol: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    message = arrives(write, carol, [alice], "Look: https://carol.example/picture.png")
    search_index.index_waiting(alice, now=timezone.now())
    browser = browser_of(alice)
    with asked_of_others(monkeypatch) as asked:
        page = browser.get(reverse("requests")).content.decode()
        for way in ("conversation", "conversation-older", "conversation-news"):
            browser.get(reverse(way, args=[message.conversation.conversation_id]))
        details = browser.get(reverse("message", args=[message.message_id]))
        with pytest.raises(CannotFetch) as refusal:
            download(alice, message.message_id, 0, now=timezone.now())
        person = browser.get(reverse("person", args=[carol.did]))
    assert asked == []
    assert refusal.value.code == "not-accepted"
    assert (person.status_code, details.status_code) == (200, 404)
    assert "https://carol.example/picture.png" in page
    assert 'href="https://carol.example' not in page
    assert "/avatar/did:plc" not in page[page.index("<main") :]
    assert carol.did in page
    message.refresh_from_db()
    assert message.unread
    assert message.indexed_at is None


def test_nothing_that_says_it_was_seen_can_be_sent_before_a_request_is_accepted(
    alice: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    message = arrives(write, carol, [alice], "Hello Alice")
    receipt = NewMessage(receipt=Receipt("read", [message.message_id]))
    with pytest.raises(CannotSend) as refusal:
        send_message(alice, [carol.did], receipt, str(uuid4()))
    assert refusal.value.code == "not-accepted"
    assert requests.count(alice) == 1
    consent.accept(alice, message.conversation, timezone.now())
    assert not send_message(alice, [carol.did], receipt, str(uuid4())).shown


def test_a_request_answers_by_its_page(alice: Account, bob: Account, carol: Account, write: Write) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    one = arrives(write, carol, [alice], "Hello Alice").conversation.conversation_id
    other = arrives(write, bob, [alice], "Buy this").conversation.conversation_id
    browser = browser_of(alice)
    inbox = browser.get(reverse("inbox")).content.decode()
    assert reverse("requests") in inbox[inbox.index('id="list"') :]
    there = browser.get(reverse("conversation", args=[one]))
    assert there.status_code == 302
    assert there.url == f"{reverse('requests')}#r{one}"

    accepted = browser.post(reverse("request-answer", args=[one]), {"do": "accept"})
    assert accepted.url == reverse("conversation", args=[one])
    assert browser.get(accepted.url).status_code == 200
    declined = browser.post(reverse("request-answer", args=[other]), {"do": "decline"})
    assert "You declined." in declined.content.decode()
    assert requests.count(alice) == 0
    assert browser.post(reverse("request-answer", args=[other]), {"do": "anything"}).status_code == 404
    # Answered already, in another window.
    assert browser.post(reverse("request-answer", args=[one]), {"do": "decline"}).url == reverse("requests")


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


def test_many_requests_of_one_person_show_few_and_count_the_rest(
    alice: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    arrives(write, carol, [alice], "The first")
    original = Conversation.objects.get(account=alice)
    for number in range(requests.MOST_SHOWN + 5):
        stranger = "did:plc:other" if number < 5 else f"did:plc:stranger{number}"
        copy = Conversation.objects.create(
            account=alice,
            conversation_id=f"{number:066x}",
            participants=sorted([alice.did, stranger]),
            started_by=stranger,
            standing=Standing.REQUEST,
            last_message=original.last_message,
            last_activity=timezone.now() + timedelta(seconds=-number),
        )
        assert copy.pk
    found = requests.list_requests(alice)
    assert len(found.cards) == requests.MOST_SHOWN
    of_one = [card for card in found.cards if card.starter.person.did == "did:plc:other"]
    assert len(of_one) == requests.MOST_OF_ONE
    assert {card.more_of_them for card in of_one} == {2}
    assert found.older > 0
    assert requests.count(alice) == requests.MOST_SHOWN + 6


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


def test_an_export_carries_the_answers_that_were_given(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    accepted = arrives(write, carol, [alice], "Hello Alice").conversation
    declined = arrives(write, bob, [alice], "Buy this").conversation
    consent.accept(alice, accepted, timezone.now())
    consent.decline(alice, declined)
    blocking.block(alice, bob.did, timezone.now())
    data = json.dumps(list(exported_settings.settings_of(alice))).encode()

    for model in (Message, Conversation, Contact, ConsentChoice):
        model.objects.filter(account=alice).delete()
    for _twice in range(2):
        exported_settings.take_first(alice, data)
    rebuild.rebuild(alice)
    assert consent.who_may_write(alice) == WhoMayWrite.NOBODY
    assert titles(alice) == ["Hello Alice"]
    assert requests.count(alice) == 0
    assert [each.person.handle for each in blocking.blocked_people(alice)] == ["bob.test"]
    blocking.unblock(alice, bob.did)
    assert requests.list_requests(alice).declined == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "consent", "whoMayWrite": "robots"},
        {"kind": "person", "did": "alice.test", "standing": "blocked", "since": "2026-01-01T00:00:00+00:00"},
        {"kind": "person", "did": "did:plc:x", "standing": "friend", "since": "2026-01-01T00:00:00+00:00"},
        {"kind": "person", "did": "did:plc:x", "standing": "blocked", "since": "2026-01-01T00:00:00"},
        {**ANSWER, "conversation": "12"},
        {**ANSWER, "participants": ["x"]},
        {"kind": "answer", "conversation": "ab" * 33},
    ],
)
def test_answers_that_are_none_are_refused(broken: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError)):
        consent_export.answers_in([broken])


@pytest.mark.parametrize(("value", "refused"), [("nobody", False), ("followed", False), ("friends", True)])
def test_an_installation_begins_with_one_of_the_choices(
    settings: Settings, value: str, refused: bool
) -> None:
    settings.WHO_MAY_WRITE = value
    assert ("accounts.E004" in {problem.id for problem in check_settings()}) is refused
