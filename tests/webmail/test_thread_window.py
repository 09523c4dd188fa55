"""Which part of a long conversation a page shows, and how one gets from there to both ends."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from webmail import threads
from webmail.conversations import NotFound
from webmail.models import Conversation, Message
from webmail.thread_window import At, first_since, window

BEGUN = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice")


@pytest.fixture
def long(alice: Account) -> Conversation:
    """Twelve messages an hour apart, of which each two are of one moment; all of them seen."""
    bob = peer("bob").did
    for number in range(12):
        message = received(alice, bob, f"n{number:02}.", at=BEGUN + timedelta(hours=number // 2))
    Message.objects.update(unread=False)
    Conversation.objects.update(unread_count=0)
    return Conversation.objects.get(pk=message.conversation.pk)


def _ids(conversation: Conversation) -> list[str]:
    return list(conversation.messages.order_by("placed_at", "pk").values_list("message_id", flat=True))


def _shown(conversation: Conversation, at: At, limit: int) -> tuple[list[int], bool, bool]:
    ids = _ids(conversation)
    found = window(conversation, at, limit=limit)
    return [ids.index(message.message_id) for message in found.messages], found.older, found.newer


def test_a_window_lies_before_after_or_around_a_message(long: Conversation) -> None:
    ids = _ids(long)
    assert _shown(long, At(), 5) == ([7, 8, 9, 10, 11], True, False)
    assert _shown(long, At(before=ids[5]), 3) == ([2, 3, 4], True, True)
    assert _shown(long, At(before=ids[2]), 3) == ([0, 1], False, True)
    assert _shown(long, At(after=ids[5]), 3) == ([6, 7, 8], True, True)
    assert _shown(long, At(after=ids[9]), 3) == ([10, 11], True, False)
    assert _shown(long, At(around=ids[6]), 5) == ([4, 5, 6, 7, 8], True, True)
    assert _shown(long, At(around=ids[0]), 5) == ([0, 1, 2], False, True)
    assert _shown(long, At(around=ids[11]), 5) == ([9, 10, 11], True, False)


def test_pages_forward_from_the_middle_hold_every_message_once(long: Conversation) -> None:
    ids = _ids(long)
    page = window(long, At(around=ids[3]), limit=3)
    seen = [message.message_id for message in page.messages]
    while page.newer:
        page = window(long, At(after=seen[-1]), limit=3)
        seen += [message.message_id for message in page.messages]
    assert seen == ids[2:]


def test_an_edit_leads_to_what_it_replaces_and_a_reaction_to_what_it_is_for(
    alice: Account, long: Conversation
) -> None:
    ids = _ids(long)
    for number, fields in ((10, {"replaces": ids[4]}), (11, {"in_reply_to": ids[4], "shown": False})):
        Message.objects.filter(message_id=ids[number]).update(**fields)
        found = window(long, At(around=ids[number]), limit=3)
        assert found.messages[1].message_id == ids[4]


def test_messages_of_another_conversation_are_no_place(alice: Account, long: Conversation) -> None:
    other = received(alice, peer("carol").did, "elsewhere")
    for at in (At(around=other.message_id), At(before=other.message_id), At(after="ab" * 32)):
        with pytest.raises(NotFound):
            window(long, at)


def test_what_follows_a_page_does_not_name_its_day_again(alice: Account, long: Conversation) -> None:
    ids = _ids(long)
    # 22:30 and 23:30 are of the first day.
    following = threads.thread(alice, long, At(after=ids[0]), limit=4).entries
    assert [entry.day is not None for entry in following] == [False, False, False, True]
    assert not following[0].first_of_run


def test_new_is_marked_once_however_far_one_scrolls(alice: Account, long: Conversation) -> None:
    ids = _ids(long)
    Message.objects.filter(message_id__in=[ids[5], ids[6], ids[9]]).update(unread=True)
    first = threads.thread(alice, long, At(around=ids[4]), limit=3).entries
    assert [entry.first_unread for entry in first] == [False, False, True]
    then = threads.thread(alice, long, At(after=ids[5]), limit=6).entries
    assert not any(entry.first_unread for entry in then)


def test_a_page_in_the_middle_leads_both_ways_and_leaves_the_rest_unread(
    alice: Account, long: Conversation
) -> None:
    ids = _ids(long)
    bob = long.participants[1] if long.participants[0] == alice.did else long.participants[0]
    for number in range(80):
        received(alice, bob, f"later {number:02}.", at=BEGUN + timedelta(days=1, minutes=number))
    at_alices = browser_of(alice)
    address = reverse("conversation", args=[long.conversation_id])
    page = at_alices.get(address, {"around": ids[6]}).content.decode()
    assert "n06." in page
    assert ">later 79.</p>" not in page
    assert Message.objects.filter(unread=True).count() == 80
    parts = 0
    while next_one := re.search(r'hx-get="([^"]+/newer/[^"]+)"', page):
        answer = at_alices.get(next_one[1], headers={"HX-Request": "true"})
        page, parts = answer.content.decode(), parts + 1
    assert parts == 2
    assert ">later 79.</p>" in page
    assert answer.headers["HX-Trigger-After-Settle"] == "news"
    # Now the page asks for news, which counts as having seen all of it.
    news = reverse("conversation-news", args=[long.conversation_id])
    at_alices.get(news, {"seen": "1"}, headers={"HX-Request": "true"})
    assert not Message.objects.filter(unread=True).exists()


def test_a_page_in_the_middle_is_told_no_news(alice: Account, long: Conversation) -> None:
    at_alices = browser_of(alice)
    answer = at_alices.get(
        reverse("conversation-news", args=[long.conversation_id]), {"part": "middle", "seen": "1"}
    )
    assert answer.status_code == 204


def test_one_jumps_to_a_day_as_it_is_in_ones_own_time_zone(alice: Account, long: Conversation) -> None:
    ids = _ids(long)
    at_alices = browser_of(alice)
    address = reverse("conversation", args=[long.conversation_id])

    def leads_to(day: str) -> str:
        return at_alices.get(address, {"on": day}).headers["Location"]

    assert leads_to("2026-03-02") == f"{address}?around={ids[4]}#m{ids[4]}"
    assert leads_to("2026-02-10") == f"{address}?around={ids[0]}#m{ids[0]}"
    assert leads_to("2026-03-03") == address
    for nonsense in ("", "yesterday", "2026-02-30", "0001-01-01", "9999-12-31", "\x00"):
        assert leads_to(nonsense).startswith(address)
    at_alices.cookies["zone"] = "Asia%2FTokyo"
    assert leads_to("2026-03-02") == f"{address}?around={ids[0]}#m{ids[0]}"
    assert first_since(long, BEGUN + timedelta(hours=1)) == ids[2]


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_the_smallest_windows_hold_their_message(long: Conversation, limit: int) -> None:
    message_id = _ids(long)[6]
    found = window(long, At(around=message_id), limit=limit).messages
    assert message_id in [message.message_id for message in found]
