"""A message is passed on to several at once: each gets one of its own, whatever becomes of the others."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import people as directory
from accounts.identities import IdentityError
from accounts.models import Account, Peer
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.test_finding_people import followed
from tests.webmail.test_pages import assert_nothing_inline
from webmail import blocking, left_groups, pending
from webmail.forward_targets import MOST_CHOSEN
from webmail.models import Conversation, Message, PendingMessage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

TEXT = "The ferry goes at nine."
HTMX = {"HX-Request": "true", "HX-Target": "targets"}


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    cache.clear()
    return new_account("alice", display_name="Alice")


@pytest.fixture
def bobs(alice: Account) -> Message:
    return received(alice, peer("bob", display_name="Bob").did, TEXT)


@pytest.fixture
def with_carol(alice: Account) -> Conversation:
    return received(alice, peer("carol", display_name="Carol").did, "Hello").conversation


@pytest.fixture
def walkers(alice: Account) -> Conversation:
    others = (peer("erin", display_name="Erin").did,)
    return received(alice, peer("dave", display_name="Dave").did, "Hello", others=others).conversation


def forward(client: Client, message: Message, *to: Conversation | Peer, token: str = "", **more: str) -> Any:
    form = {"to": [key_of(each) for each in to], "token": token or str(uuid4()), **more}
    return client.post(reverse("message-forward", args=[message.message_id]), form)


def key_of(target: Conversation | Peer) -> str:
    return target.conversation_id if isinstance(target, Conversation) else target.did


def sent_by(account: Account) -> list[Message]:
    return list(Message.objects.filter(account=account, direction=Message.Direction.OUT).order_by("pk"))


def ticked(html: str) -> list[str]:
    return re.findall(r'name="to" value="([^"]+)" id="[^"]+" checked', html)


def offered(html: str) -> list[str]:
    return re.findall(r'name="to" value="([^"]+)"', html)


def test_each_gets_a_message_of_its_own_once_and_the_page_of_the_message_names_them(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    with_carol.expires_after = 86_400
    with_carol.save()
    token = str(uuid4())
    for _twice in range(2):
        answer = forward(at_alices, bobs, with_carol, walkers, token=token)
    assert {each.conversation: each.expires_after for each in sent_by(alice)} == {
        with_carol: 86_400,
        walkers: 0,
    }
    assert len(sent_by(alice)) == 2
    back = urlsplit(answer.headers["Location"])
    assert back.path == reverse("conversation", args=[bobs.conversation.conversation_id])
    assert back.fragment == f"m{bobs.message_id}"
    html = at_alices.get(answer.headers["Location"]).content.decode()
    assert_nothing_inline(html)
    said = notice_in(html)
    assert "Forwarded to:" in said
    for conversation in (with_carol, walkers):
        assert reverse("conversation", args=[conversation.conversation_id]) in said
    assert ">Carol</bdi>" in said
    assert "Undo" not in said
    # One more chosen on the same page goes to that one alone.
    forward(at_alices, bobs, with_carol, walkers, bobs.conversation, token=token)
    assert [each.conversation for each in sent_by(alice)][2:] == [bobs.conversation]


def notice_in(html: str) -> str:
    place = html[html.index('id="conversation-notices"') :]
    return place[: place.index('class="pane__scroll"')]


def test_with_one_its_conversation_opens(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation
) -> None:
    location = forward(at_alices, bobs, with_carol).headers["Location"]
    (sent,) = sent_by(alice)
    page = reverse("conversation", args=[with_carol.conversation_id])
    assert location == f"{page}?around={sent.message_id}#m{sent.message_id}"


def test_nobody_else_and_no_link_makes_a_page_say_it(
    at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    location = forward(at_alices, bobs, with_carol, walkers).headers["Location"]
    mark = parse_qs(urlsplit(location).query)["forwarded"][0]
    mallory = new_account("mallory")
    theirs = received(mallory, peer("bob").did, "Hello")
    at_mallorys = browser_of(mallory)
    page = reverse("conversation", args=[theirs.conversation.conversation_id])
    assert "Forwarded to:" not in at_mallorys.get(page, {"forwarded": mark}).content.decode()
    page = reverse("conversation", args=[bobs.conversation.conversation_id])
    assert "Forwarded to:" not in at_alices.get(page, {"forwarded": f"{mark}x"}).content.decode()
    assert "Forwarded to:" in at_alices.get(page, {"forwarded": mark}).content.decode()


def test_what_is_chosen_stays_while_one_searches(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    address = reverse("message-forward", args=[bobs.message_id])
    html = at_alices.get(address).content.decode()
    assert_nothing_inline(html)
    assert ticked(html) == []
    assert {key_of(with_carol), key_of(walkers), key_of(bobs.conversation)} == set(offered(html))
    html = forward(at_alices, bobs, with_carol, do="search", q="ÉRIN").content.decode()
    assert_nothing_inline(html)
    assert ticked(html) == [key_of(with_carol)]
    (erin,) = [did for did in walkers.participants if did.startswith("did:plc:erin")]
    assert offered(html) == [key_of(with_carol), key_of(walkers), erin]
    assert 'value="ÉRIN"' in html
    form = {"to": [key_of(with_carol), key_of(walkers)], "q": "nobody"}
    part = at_alices.post(address, form, headers=HTMX).content.decode()
    assert "<main" not in part
    assert ticked(part) == [key_of(with_carol), key_of(walkers)]
    assert "No such conversation" in part
    assert sent_by(alice) == []


def test_one_that_cannot_be_sent_stops_no_other_and_may_be_tried_again(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    (carol,) = [did for did in with_carol.participants if did != alice.did]
    blocking.block(alice, carol, now=timezone.now())
    answer = forward(at_alices, bobs, with_carol, walkers)
    assert answer.status_code == 422
    html = answer.content.decode()
    assert_nothing_inline(html)
    assert [each.conversation for each in sent_by(alice)] == [walkers]
    said = html[html.index('class="notice notice--good"') : html.index('class="quote"')]
    assert "Forwarded to:" in said.split('class="notice notice--fault"')[0]
    refused = said.split('class="notice notice--fault"')[1]
    assert "Not forwarded to <bdi>Carol</bdi>." in refused
    assert "You block them" in refused
    assert ticked(html) == [key_of(with_carol)]
    blocking.unblock(alice, carol)
    assert forward(at_alices, bobs, with_carol).status_code == 302
    assert {each.conversation for each in sent_by(alice)} == {walkers, with_carol}


def test_a_group_that_was_left_is_come_back_to_as_by_writing_there(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    left_groups.leave(alice, walkers, now=timezone.now())
    page = at_alices.get(reverse("message-forward", args=[bobs.message_id])).content.decode()
    assert key_of(walkers) not in offered(page)
    assert forward(at_alices, bobs, with_carol, walkers).status_code == 302
    assert Conversation.objects.get(pk=walkers.pk).left_at is None


def test_a_conversation_that_is_no_more_is_told_of_and_stops_no_other(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    Conversation.objects.filter(pk=walkers.pk).delete()
    mallorys = received(new_account("mallory"), peer("bob").did, "Hello").conversation
    answer = forward(at_alices, bobs, walkers, with_carol, mallorys)
    assert answer.status_code == 422
    assert "2 conversations that you chose are not there any more." in answer.content.decode()
    assert [each.conversation for each in sent_by(alice)] == [with_carol]


def test_nobody_chosen_and_too_many_chosen_send_nothing(
    alice: Account, at_alices: Client, bobs: Message
) -> None:
    answer = forward(at_alices, bobs)
    assert answer.status_code == 422
    assert "Choose who should get this." in answer.content.decode()
    many = [received(alice, peer(f"one{n}").did, "Hello").conversation for n in range(MOST_CHOSEN + 1)]
    answer = forward(at_alices, bobs, *many)
    assert answer.status_code == 422
    html = answer.content.decode()
    assert f"{MOST_CHOSEN} can be chosen at once." in html
    assert len(ticked(html)) == len(many)
    assert sent_by(alice) == []
    assert forward(at_alices, bobs, *many[1:]).status_code == 302
    assert len(sent_by(alice)) == MOST_CHOSEN


def test_a_message_that_is_gone_goes_to_nobody(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    at_alices.post(reverse("message-delete", args=[bobs.message_id]))
    assert forward(at_alices, bobs, with_carol, walkers).status_code == 404
    assert sent_by(alice) == []


# ---- People who were never written to


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> dict[str, directory.Person]:
    """Who answers, by handle and DID."""
    known: dict[str, directory.Person] = {}

    def look_up(text: str) -> directory.Person:
        if text not in known:
            raise IdentityError("unknown-did", "There is nobody there.")
        return known[text]

    monkeypatch.setattr(directory, "look_up", look_up)
    monkeypatch.setattr("accounts.identity_age.learn", lambda *_anybody, **_how: None)
    return known


def answering(
    reached: dict[str, directory.Person], someone: Peer, how: str = "sealed", why: str = ""
) -> Peer:
    found = directory.Person(someone.did, someone.handle, someone.display_name, False, how, 1, why)  # type: ignore[arg-type]
    reached[someone.did] = reached[someone.handle] = found
    return someone


def test_somebody_who_was_never_written_to_is_shown_with_who_they_are_and_gets_it(
    alice: Account,
    at_alices: Client,
    bobs: Message,
    with_carol: Conversation,
    reached: dict[str, directory.Person],
) -> None:
    frank = answering(reached, peer("frank", display_name="Frank"))
    html = forward(at_alices, bobs, with_carol, do="search", q="frank.test").content.decode()
    assert_nothing_inline(html)
    assert offered(html) == [key_of(with_carol), frank.did]
    assert all(words in html for words in ("Sealed both ways", "Account made", "You share"))
    token = str(uuid4())
    for _twice in range(2):
        assert forward(at_alices, bobs, with_carol, frank, token=token).status_code == 302
    first = Conversation.objects.get(account=alice, participants=sorted([alice.did, frank.did]))
    assert {each.conversation for each in sent_by(alice)} == {with_carol, first}
    assert len(sent_by(alice)) == 2


def test_who_is_known_by_name_alone_is_offered_once_and_introduced_where_they_are_new(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation
) -> None:
    grace = followed(alice, "grace", "Carol Grace")
    html = forward(at_alices, bobs, do="search", q="carol").content.decode()
    assert offered(html) == [key_of(with_carol), grace.did]
    assert html.count('class="facts"') == 1


def test_who_cannot_be_reached_or_is_not_known_gets_nothing_and_stops_no_other(
    alice: Account,
    at_alices: Client,
    bobs: Message,
    with_carol: Conversation,
    reached: dict[str, directory.Person],
) -> None:
    heidi = answering(reached, peer("heidi", display_name="Heidi"), "unreachable", "Heidi has no device.")
    html = forward(at_alices, bobs, do="search", q="heidi.test").content.decode()
    assert "Cannot be reached" in html
    assert heidi.did not in offered(html)
    nobody = Peer(did="did:plc:" + "a" * 24)
    answer = forward(at_alices, bobs, heidi, with_carol, nobody)
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "Heidi has no device." in html
    assert f"{nobody.did} could not be found." in html
    assert [each.conversation for each in sent_by(alice)] == [with_carol]
    assert Conversation.objects.filter(account=alice).count() == 2


def test_who_looked_for_too_many_people_is_told_and_the_others_get_it(
    alice: Account,
    at_alices: Client,
    bobs: Message,
    with_carol: Conversation,
    settings: Settings,
    reached: dict[str, directory.Person],
) -> None:
    settings.SEARCHES_OF_ONE = 0
    frank = answering(reached, peer("frank", display_name="Frank"))
    answer = forward(at_alices, bobs, with_carol, do="search", q="frank.test")
    assert answer.status_code == 429
    assert "You looked for very many people." in answer.content.decode()
    assert ticked(answer.content.decode()) == [key_of(with_carol)]
    html = forward(at_alices, bobs, with_carol, frank).content.decode()
    assert "You looked for very many people." in html
    assert [each.conversation for each in sent_by(alice)] == [with_carol]


# ---- Taking it back


@pytest.fixture
def held(settings: Settings) -> None:
    settings.UNDO_SECONDS = 10


@pytest.mark.usefixtures("held")
def test_all_of_them_are_taken_back_at_once_and_one_may_choose_again(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    location = forward(at_alices, bobs, with_carol, walkers).headers["Location"]
    assert PendingMessage.objects.count() == 2
    said = notice_in(at_alices.get(location).content.decode())
    undo = reverse("message-forward-undo", args=[bobs.message_id])
    assert undo in said
    mark = re.search(r'name="forwarded" value="([^"]+)"', said)
    assert mark
    other = received(alice, peer("bob").did, "Another")
    wrong = reverse("message-forward-undo", args=[other.message_id])
    assert at_alices.post(wrong, {"forwarded": mark[1]}).status_code == 404
    answer = at_alices.post(undo, {"forwarded": mark[1]})
    again = answer.headers["Location"]
    assert "It was not forwarded to anybody." in at_alices.get(again).content.decode()
    assert not PendingMessage.objects.exists()
    assert sent_by(alice) == []
    assert "Undo" not in notice_in(at_alices.get(location).content.decode())


@pytest.mark.usefixtures("held")
def test_where_somebody_is_refused_that_of_the_others_is_taken_back_on_the_same_page(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    (carol,) = [did for did in with_carol.participants if did != alice.did]
    blocking.block(alice, carol, now=timezone.now())
    answer = forward(at_alices, bobs, with_carol, walkers)
    assert answer.status_code == 422
    html = answer.content.decode()
    assert_nothing_inline(html)
    said = html[html.index('class="notice notice--good"') :].split("</div>")[0]
    undo = reverse("message-forward-undo", args=[bobs.message_id])
    assert undo in said
    mark = re.search(r'name="forwarded" value="([^"]+)"', said)
    assert mark
    assert PendingMessage.objects.get().conversation == walkers
    again = at_alices.post(undo, {"forwarded": mark[1]}).headers["Location"]
    assert "It was not forwarded to anybody." in at_alices.get(again).content.decode()
    assert not PendingMessage.objects.exists()


@pytest.mark.usefixtures("held")
def test_where_it_is_too_late_the_page_says_for_whom(
    alice: Account, at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    location = forward(at_alices, bobs, with_carol, walkers).headers["Location"]
    mark = parse_qs(urlsplit(location).query)["forwarded"][0]
    to_carol = PendingMessage.objects.get(conversation=with_carol)
    pending.release(to_carol.pk, now=timezone.now() + timedelta(seconds=20))
    answer = at_alices.post(reverse("message-forward-undo", args=[bobs.message_id]), {"forwarded": mark})
    html = at_alices.get(answer.headers["Location"]).content.decode()
    assert_nothing_inline(html)
    said = html[html.index('class="notice" role="status"') :].split("</div>")[0]
    assert "It is on its way already." in said
    assert re.findall("<bdi>([^<]+)</bdi>", said) == ["Carol"]
    assert [each.conversation for each in sent_by(alice)] == [with_carol]


def test_the_page_says_what_a_copy_of_a_message_that_disappears_does(
    at_alices: Client, bobs: Message, with_carol: Conversation, walkers: Conversation
) -> None:
    page = reverse("message-forward", args=[bobs.message_id])
    stays = "What you forward stays, unless"
    assert stays not in at_alices.get(page).content.decode()
    Message.objects.filter(pk=bobs.pk).update(expires_after=3600)
    Conversation.objects.filter(pk=with_carol.pk).update(expires_after=86_400)
    html = at_alices.get(page).content.decode()
    assert_nothing_inline(html)
    assert stays in html
    assert stays in at_alices.get(f"{reverse('new-conversation')}?forward={bobs.message_id}").content.decode()
    line = "Disappears there 1 day after reading"
    assert {key_of(with_carol): line in of(with_carol, html), key_of(walkers): line in of(walkers, html)} == {
        key_of(with_carol): True,
        key_of(walkers): False,
    }
    assert line in forward(at_alices, bobs, with_carol, do="search").content.decode()


def of(target: Conversation, html: str) -> str:
    """The line of the page to choose it by."""
    (found,) = [each for each in html.split("<li>") if f'value="{key_of(target)}"' in each]
    return found
