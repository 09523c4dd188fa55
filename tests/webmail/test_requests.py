"""What strangers begin waits apart, tells them nothing, and can be answered."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from crypto_agent.client import NewMessage, Receipt
from tests.webmail.conftest import Write, seal
from tests.webmail.installation import browser_of, peer
from tests.webmail.strangers import arrives, asked_of_others, titles, waiting
from tests.webmail.test_message_actions import carry_newest
from webmail import (
    blocking,
    changing,
    consent,
    person_page,
    requests,
    search_index,
)
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.fetching import download
from webmail.conversations import with_news
from webmail.models import (
    Contact,
    Conversation,
    WhoMayWrite,
)
from webmail.outgoing import CannotSend, send_message

Standing = Conversation.Standing


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


def test_a_card_says_who_in_a_group_reads_like_somebody_known(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.WRITTEN_TO)
    seal(write(alice, [bob], "You first"))
    # Everybody's own name is known here; a stranger brings in somebody who calls herself as Bob does.
    arrives(write, carol, [alice, bob], "A group")
    Conversation.objects.filter(account=alice, started_by=carol.did).update(
        participants=sorted([alice.did, carol.did, peer("bob2", display_name="Bob").did])
    )
    (card,) = requests.list_requests(alice).cards
    assert card.like is None
    ((other, like),) = card.others_like
    assert (other.handle, like.like.did) == ("bob2.test", bob.did)
    html = browser_of(alice).get(reverse("requests")).content.decode()
    assert "Not the <bdi>Bob</bdi> you know." in html


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


def test_a_card_that_was_answered_in_another_window_says_so_in_its_place(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    conversation = arrives(write, carol, [alice], "Hello Alice").conversation
    browser, name = browser_of(alice), conversation.conversation_id
    address = reverse("request-answer", args=[name])
    browser.post(address, {"do": "accept"})
    late = {"HX-Request": "true", "HX-Target": f"r{name}"}
    for do in ("accept", "block"):
        answer = browser.post(address, {"do": do}, headers=late)
        assert answer.status_code == 200
        assert "<html" not in answer.content.decode()
        assert f'id="r{name}"' in answer.content.decode()
        assert "You have answered this already, in another window." in answer.content.decode()
        assert reverse("conversation", args=[name]) in answer.content.decode()
    conversation.refresh_from_db()
    assert (conversation.standing, conversation.blocked) == (Standing.ACCEPTED, False)
    blocking.block(alice, carol.did, timezone.now())
    answer = browser.post(address, {"do": "accept"}, headers=late)
    assert reverse("conversation", args=[name]) not in answer.content.decode()
    assert browser.post(address, {"do": "accept"}).headers["Location"] == reverse("requests")


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


def test_a_card_shows_what_was_edited_and_nothing_that_was_taken_back(
    alice: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    hello = arrives(write, carol, [alice], "Hello Alice")
    oops = arrives(write, carol, [alice], "Not for you")
    changing.edit(carol, hello.message_id, "Buy my coins", str(uuid4()))
    carry_newest(carol, alice)
    changing.take_back(carol, oops.message_id, str(uuid4()))
    carry_newest(carol, alice)

    ((edited, taken_back),) = [card.messages for card in requests.list_requests(alice).cards]
    assert (edited.text, edited.edited) == ("Buy my coins", True)
    assert (taken_back.text, taken_back.taken_back) == ("", True)
    html = browser_of(alice).get(reverse("requests")).content.decode()
    assert "Buy my coins" in html
    for gone in ("Hello Alice", "Not for you", "A message without text"):
        assert gone not in html
    assert "A message was taken back" in html
    assert "edited" in html


def test_what_was_set_aside_shows_what_was_edited_and_nothing_that_was_taken_back(
    alice: Account, carol: Account, write: Write
) -> None:
    blocking.block(alice, carol.did, timezone.now())
    hello = arrives(write, carol, [alice], "Hello Alice")
    oops = arrives(write, carol, [alice], "Not for you")
    changing.edit(carol, hello.message_id, "Answer me", str(uuid4()))
    carry_newest(carol, alice)
    changing.take_back(carol, oops.message_id, str(uuid4()))
    carry_newest(carol, alice)
    aside = person_page.person_page(alice, carol.did, show_aside=True).aside
    assert [(each.text, each.taken_back) for each in aside or []] == [("", True), ("Answer me", False)]
