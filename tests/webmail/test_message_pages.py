"""The menu of a message, with and without script, and what open pages hear of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.test_news import OpenPage
from tests.webmail.test_pages import HOSTILE, Page, assert_nothing_inline
from webmail import delivery_reports, message_state, outgoing
from webmail.carriers.bounces import UnreadReport
from webmail.models import Conversation, Delivery, Message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

HTMX = {"HX-Request": "true"}


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")


@pytest.fixture
def bobs(alice: Account) -> Message:
    return received(alice, peer("bob", display_name="Bob").did, f"from Bob {HOSTILE}")


@pytest.fixture
def own(alice: Account, bobs: Message) -> Message:
    return outgoing.send(alice, [bobs.sender_did], "from Alice", str(uuid4()))


def page_of(message: Message) -> str:
    return reverse("conversation", args=[message.conversation.conversation_id])


def do(client: Client, what: str, message: Message, **fields: str) -> str:
    """Posts as a page without script does, and follows to the page that comes."""
    answer = client.post(
        reverse(what, args=[message.message_id]), {"token": str(uuid4()), **fields}, follow=True
    )
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def test_the_menu_offers_what_may_be_done(at_alices: Client, own: Message, bobs: Message) -> None:
    page = assert_nothing_inline(at_alices.get(page_of(own)).content.decode())
    addresses = addresses_in(page)
    menus = {each: reverse("message-menu", args=[each.message_id]) for each in (own, bobs)}
    assert set(menus.values()) <= addresses
    for each, menu in menus.items():
        offered = addresses_in(assert_nothing_inline(at_alices.get(menu).content.decode()))
        for name in ("message-reply", "message-delete", "message"):
            assert reverse(name, args=[each.message_id]) in offered
        for name in ("message-edit", "message-take-back"):
            assert (reverse(name, args=[each.message_id]) in offered) == (each == own)
        part = at_alices.get(menu, headers=HTMX).content.decode()
        assert addresses_in(Page(part)) <= offered
        assert "<main" not in part


def addresses_in(page: Page) -> set[str | None]:
    return {attributes.get("href") for tag, attributes in page.tags if tag == "a"}


def test_reacting_without_script(at_alices: Client, own: Message, bobs: Message) -> None:
    html = do(at_alices, "message-react", bobs, emoji="👍")
    assert 'class="react" id="r1-' in html
    assert 'aria-pressed="true"' in html
    assert 'aria-pressed="true"' not in do(at_alices, "message-react", bobs, emoji="👍")
    answer = at_alices.post(
        reverse("message-react", args=[bobs.message_id]), {"emoji": "two", "token": str(uuid4())}
    )
    assert answer.status_code == 422
    assert "Choose one emoji." in answer.content.decode()


def test_editing_with_and_without_script(at_alices: Client, own: Message) -> None:
    address = reverse("message-edit", args=[own.message_id])
    page = Page(at_alices.get(address).content.decode())
    assert ("textarea", f"edit-{own.message_id}") in [(tag, each.get("id")) for tag, each in page.tags]
    html = at_alices.get(address, headers=HTMX).content.decode()
    assert html.lstrip().startswith("<li")
    assert ">from Alice</textarea>" in html
    html = do(at_alices, "message-edit", own, text=f"edited {HOSTILE}")
    assert_nothing_inline(html)
    assert "edited &lt;script&gt;" in html
    assert "edited</span>" in html
    refused = at_alices.post(address, {"text": "", "token": str(uuid4())}, headers=HTMX)
    assert refused.status_code == 422
    details = at_alices.get(reverse("message", args=[own.message_id])).content.decode()
    assert "What it said before" in details


def test_taking_back_asks_first(at_alices: Client, own: Message, bobs: Message) -> None:
    asked = at_alices.get(reverse("message-take-back", args=[own.message_id])).content.decode()
    assert "Take this message back?" in asked
    own.deliveries.update(state=Delivery.State.ACCEPTED)
    assert "You took back a message" in do(at_alices, "message-take-back", own)
    for name in ("message-take-back", "message-edit"):
        assert at_alices.get(reverse(name, args=[bobs.message_id])).status_code == 404


def test_deleting_for_oneself(at_alices: Client, own: Message, bobs: Message) -> None:
    asked = at_alices.get(reverse("message-delete", args=[bobs.message_id])).content.decode()
    assert "Delete this message for you?" in asked
    html = do(at_alices, "message-delete", bobs)
    assert f'id="m{bobs.message_id}"' not in html
    assert f'id="m{own.message_id}"' in html
    assert at_alices.get(reverse("message", args=[bobs.message_id])).status_code == 404


def test_nobody_does_anything_with_anothers_messages(at_alices: Client, own: Message) -> None:
    at_mallorys = browser_of(new_account("mallory"))
    for name in ("react", "edit", "take-back", "delete"):
        address = reverse(f"message-{name}", args=[own.message_id])
        assert (
            at_mallorys.post(address, {"emoji": "👍", "text": "x", "token": str(uuid4())}).status_code == 404
        )
    for name in ("reply", "place", "entry", "edit"):
        assert at_mallorys.get(reverse(f"message-{name}", args=[own.message_id])).status_code == 404


def test_replying_shows_and_sends_the_quote(at_alices: Client, alice: Account, bobs: Message) -> None:
    address = reverse("message-reply", args=[bobs.message_id])
    html = at_alices.get(address).content.decode()
    assert f'name="in_reply_to" value="{bobs.message_id}"' in html
    assert (
        at_alices.get(address, headers=HTMX).content.decode().lstrip().startswith('<div id="composer-reply"')
    )
    send = reverse("conversation-send", args=[bobs.conversation.conversation_id])
    at_alices.post(send, {"text": "an answer", "token": str(uuid4()), "in_reply_to": bobs.message_id})
    answer = Message.objects.get(account=alice, direction="out")
    assert answer.in_reply_to == bobs.message_id
    html = at_alices.get(page_of(bobs)).content.decode()
    assert f'<a class="quote" href="#m{bobs.message_id}"' in html
    # What is not of this conversation is not answered.
    at_alices.post(send, {"text": "another", "token": str(uuid4()), "in_reply_to": "01" * 32})
    assert Message.objects.filter(account=alice, direction="out", in_reply_to="").count() == 1


def test_open_pages_hear_of_reactions_edits_and_deletions(
    alice: Account, at_alices: Client, own: Message, bobs: Message
) -> None:
    page = OpenPage(at_alices, own.conversation.conversation_id)
    assert page.news() == ""
    reaction = received(alice, bobs.sender_did, "x")
    Message.objects.filter(pk=reaction.pk).update(shown=False, unread=False, in_reply_to=own.message_id)
    html = page.news()
    assert f'id="m{own.message_id}" hx-swap-oob="true"' in html
    assert page.news() == ""
    edit = received(alice, bobs.sender_did, "edited by Bob")
    Message.objects.filter(pk=edit.pk).update(shown=False, unread=False, replaces=bobs.message_id)
    html = page.news()
    assert f'id="m{bobs.message_id}" hx-swap-oob="true"' in html
    assert "edited by Bob" in html
    assert page.news() == ""
    answer = outgoing.send(alice, [bobs.sender_did], "an answer", str(uuid4()), in_reply_to=bobs.message_id)
    assert "edited by Bob" in page.news()
    do(at_alices, "message-delete", bobs)
    # The quote of it goes as well.
    html = page.news()
    assert f'id="m{answer.message_id}" hx-swap-oob="true"' in html
    assert "A message that is not here" in html
    assert page.gone == [bobs.message_id[:16]]
    assert bobs.message_id not in html


def test_what_is_written_disappears_as_chosen(alice: Account, at_alices: Client, own: Message) -> None:
    conversation = own.conversation
    address = reverse("conversation-disappear", args=[conversation.conversation_id])
    html = at_alices.post(address, {"seconds": "86400"}, follow=True).content.decode()
    assert "What you write disappears 1 day after reading." in html
    send = reverse("conversation-send", args=[conversation.conversation_id])
    at_alices.post(send, {"text": "for a day", "token": str(uuid4())})
    sent = Message.objects.filter(account=alice).latest("pk")
    # From when somebody's server has it.
    assert (sent.expires_after, sent.expires_at) == (86_400, None)
    assert at_alices.post(address, {"seconds": "5"}).status_code == 404
    assert at_alices.post(address, {"seconds": "x"}).status_code == 404
    assert Conversation.objects.get(pk=conversation.pk).expires_after == 86_400


def test_forwarding_to_another_conversation(alice: Account, at_alices: Client, bobs: Message) -> None:
    carols = received(alice, peer("carol", display_name="Carol").did, "from Carol")
    address = reverse("message-forward", args=[bobs.message_id])
    page = assert_nothing_inline(at_alices.get(address).content.decode())
    assert "from Bob <script>" in page.words
    searching = {"do": "search", "token": str(uuid4())}
    html = at_alices.post(address, {**searching, "q": "caro"}).content.decode()
    assert carols.conversation.conversation_id in html
    assert f'value="{bobs.conversation.conversation_id}"' not in html
    html = at_alices.post(address, {**searching, "q": "nobody"}).content.decode()
    assert "No such conversation" in html
    token = str(uuid4())
    for _twice in range(2):
        answer = at_alices.post(address, {"to": carols.conversation.conversation_id, "token": token})
        assert answer.status_code == 302
    sent = Message.objects.get(account=alice, direction="out")
    assert sent.conversation == carols.conversation
    assert "from Bob &lt;script&gt;" in at_alices.get(page_of(carols)).content.decode()
    assert at_alices.post(address, {"to": "01", "token": str(uuid4())}).status_code == 422
    assert browser_of(new_account("mallory")).get(address).status_code == 404


def test_saved_messages_are_listed_until_they_are_taken_off(
    alice: Account, at_alices: Client, bobs: Message, own: Message
) -> None:
    assert "Nothing saved yet" in at_alices.get(reverse("saved")).content.decode()
    do(at_alices, "message-save", bobs, saved="yes")
    menu = at_alices.get(reverse("message-menu", args=[bobs.message_id]))
    assert "Take off the saved ones" in menu.content.decode()
    do(at_alices, "message-save", own, saved="yes")
    page = assert_nothing_inline(at_alices.get(reverse("saved")).content.decode())
    assert page.words.index("from Alice") < page.words.index("from Bob")
    assert "from Bob" not in at_alices.get(reverse("saved"), {"after": bobs.message_id}).content.decode()
    assert "from Bob" in at_alices.get(reverse("saved"), {"after": own.message_id}).content.decode()
    assert "from Bob" not in do(at_alices, "message-save", bobs, saved="no", **{"from": "list"})
    state = message_state.state_of(Message.objects.get(pk=own.pk))
    assert state is not None
    assert message_state.saved_at(state) == Message.objects.get(pk=own.pk).saved_at
    do(at_alices, "message-delete", own)
    assert "Nothing saved yet" in at_alices.get(reverse("saved")).content.decode()
    address = reverse("message-save", args=[bobs.message_id])
    assert browser_of(new_account("mallory")).post(address).status_code == 404


def test_a_step_of_another_day_says_which(at_alices: Client, own: Message) -> None:
    written = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)
    Message.objects.filter(pk=own.pk).update(placed_at=written)
    Delivery.objects.filter(message=own).update(
        state=Delivery.State.ACCEPTED,
        sealed_at=written + timedelta(minutes=2),
        finished_at=written + timedelta(days=2),
    )
    page = at_alices.get(reverse("message", args=[own.message_id])).content.decode()
    track = page[page.index('<ol class="track">') :]
    steps = re.findall(r"<time [^>]+>([^<]+)</time>", track[: track.index("</ol>")])
    assert steps == ["12:02", "5 June 2026, 12:00", "5 June 2026, 12:00"]


def test_what_a_mail_server_wrote_unreadably_is_told_without_claiming_a_failure(
    at_alices: Client, own: Message
) -> None:
    deliveries = Delivery.objects.filter(message=own)
    deliveries.update(state=Delivery.State.HANDED_OVER)
    wrote = "Hi. This is the qmail-send program."
    for delivery in deliveries:
        delivery_reports.note_unread(str(delivery.pk), UnreadReport(wrote, frozenset()))
    about = Page(at_alices.get(reverse("message", args=[own.message_id])).content.decode())
    assert "A mail server wrote about this; it could not be read. It may not have arrived." in about.words
    assert wrote in about.words
    assert "Not delivered" not in about.words
    assert "Delayed" not in about.words
    assert "A mail server wrote about it" in at_alices.get(page_of(own)).content.decode()
