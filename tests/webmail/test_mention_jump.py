"""The way to what mentions one: to the oldest unread message of it, from the page of its conversation."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Account
from tests.webmail.conftest import Write, hand_over
from tests.webmail.strangers import arrives
from tests.webmail.test_mentions import edits
from tests.webmail.test_pages import assert_nothing_inline
from webmail import mentions, read_marks
from webmail.models import Conversation, Message

HTMX = {"HX-Request": "true"}


@pytest.fixture
def group(alice: Account, bob: Account, carol: Account, write: Write) -> Conversation:
    """Alice's group with Bob and Carol, in which she wrote and has read everything."""
    return write(alice, [bob, carol], "Here we are").conversation


def anew(conversation: Conversation) -> Conversation:
    return Conversation.objects.get(pk=conversation.pk)


def way(conversation: Conversation) -> str:
    return reverse("conversation-mention", args=[conversation.conversation_id])


def page_of(conversation: Conversation) -> str:
    return reverse("conversation", args=[conversation.conversation_id])


def said(html: str) -> int | None:
    """What a page, or news of it, says of the number; None where it says nothing."""
    found = re.search(r'id="mentioned".*?name="mentions" value="(\d+)"', html, re.DOTALL)
    return int(found[1]) if found else None


def test_it_leads_to_the_oldest_that_is_unread_as_it_reads_now(
    alice: Account,
    bob: Account,
    carol: Account,
    write: Write,
    group: Conversation,
    at_alices: Client,
) -> None:
    assert at_alices.get(way(group)).headers["Location"] == page_of(group)
    arrives(write, bob, [alice, carol], "Or nobody")
    first = arrives(write, bob, [alice, carol], f"Come, @{alice.handle}")
    second = arrives(write, carol, [alice, bob], f"Yes, @{alice.handle}")
    assert mentions.first_unread(anew(group)) == first.message_id
    location = at_alices.get(way(group)).headers["Location"]
    assert location == f"{page_of(group)}?around={first.message_id}#m{first.message_id}"
    # What mentions nobody any more is passed over.
    original = Message.objects.get(account=bob, message_id=first.message_id)
    hand_over(alice, edits(bob, alice, original, "Come, all of you"))
    assert mentions.first_unread(anew(group)) == second.message_id
    read_marks.mark_read(alice, group, shown={second.message_id[:16]})
    with CaptureQueriesContext(connection) as asked:
        assert mentions.first_unread(anew(group)) is None
    assert len(asked) == 1
    assert at_alices.get(way(group)).headers["Location"] == page_of(group)
    elsewhere = write(bob, [carol], "Between us").conversation
    assert at_alices.get(way(elsewhere)).status_code == 404


def test_its_place_is_that_of_the_first_version_of_what_was_edited_to_mention_one(
    alice: Account, bob: Account, carol: Account, write: Write, group: Conversation
) -> None:
    sent = arrives(write, bob, [alice, carol], "Will somebody come?")
    arrives(write, carol, [alice, bob], f"Yes, @{alice.handle}")
    original = Message.objects.get(account=bob, message_id=sent.message_id)
    hand_over(alice, edits(bob, alice, original, f"Will you come, @{alice.handle}?"))
    assert mentions.first_unread(anew(group)) == sent.message_id


def test_the_page_of_a_group_says_how_many_and_the_others_say_nothing(
    alice: Account,
    bob: Account,
    carol: Account,
    write: Write,
    group: Conversation,
    at_alices: Client,
) -> None:
    html = at_alices.get(page_of(group)).content.decode()
    assert said(html) == 0
    link = rf'<a class="btn btn--s to-mention" href="{way(group)}"'
    assert f"{link} hidden>" in html
    arrives(write, bob, [alice, carol], f"Come, @{alice.handle}")
    arrives(write, bob, [alice, carol], f"Come all, @{alice.handle}")
    with CaptureQueriesContext(connection) as of_two:
        html = at_alices.get(page_of(group)).content.decode()
    assert_nothing_inline(html)
    assert said(html) == 2
    assert f"{link}>" in html
    # It costs nothing: the number is on the conversation's row.
    Conversation.objects.filter(pk=group.pk).update(unread_mentions=0)
    with CaptureQueriesContext(connection) as of_none:
        at_alices.get(page_of(group))
    assert len(of_two) == len(of_none)
    two = arrives(write, bob, [alice], f"Come, @{alice.handle}").conversation
    assert said(at_alices.get(page_of(two)).content.decode()) is None


@pytest.mark.parametrize("part", ["", "middle"], ids=["at the end", "in the middle"])
def test_an_open_page_hears_of_another_number_and_of_that_alone(
    part: str,
    alice: Account,
    bob: Account,
    carol: Account,
    write: Write,
    group: Conversation,
    at_alices: Client,
) -> None:
    arrives(write, bob, [alice, carol], f"Come, @{alice.handle}")
    last = arrives(write, bob, [alice, carol], f"Come all, @{alice.handle}")
    html = at_alices.get(page_of(group)).content.decode()
    shown = re.findall(r'name="shown" value="([0-9a-f]{16}:[^"]*)"', html)

    def news(of: list[str], **more: str) -> tuple[int, int | None]:
        address = reverse("conversation-news", args=[group.conversation_id])
        answer = at_alices.get(address, {"shown": of, "part": part, **more}, headers=HTMX)
        if answer.status_code == 200:
            assert answer.headers["HX-Reswap"] == "none"
            assert 'hx-swap-oob="true"' in answer.content.decode()
        return answer.status_code, said(answer.content.decode())

    assert news(shown, mentions="2") == (204, None)
    # A page that says none, as that of a topic, is told none.
    assert news(shown) == (204, None)
    assert news(shown, mentions="1") == (200, 2)
    Message.objects.filter(pk=last.pk).update(unread=False)
    Conversation.objects.filter(pk=group.pk).update(unread_mentions=1)
    assert news(shown, mentions="2") == (200, 1)
    assert news(shown, mentions="1", seen="1") == (200, 0)
    assert news(shown, mentions="0", seen="1") == (204, None)


def test_what_comes_brings_its_number_along(
    alice: Account,
    bob: Account,
    carol: Account,
    write: Write,
    group: Conversation,
    at_alices: Client,
) -> None:
    html = at_alices.get(page_of(group)).content.decode()
    shown = re.findall(r'name="shown" value="([0-9a-f]{16}:[^"]*)"', html)
    arrives(write, bob, [alice, carol], f"Come, @{alice.handle}")
    address = reverse("conversation-news", args=[group.conversation_id])
    html = at_alices.get(address, {"shown": shown, "mentions": "0"}, headers=HTMX).content.decode()
    assert "Come, " in html
    assert said(html) == 1
    html = at_alices.get(address, {"shown": shown, "mentions": "0", "seen": "1"}, headers=HTMX)
    assert said(html.content.decode()) is None
