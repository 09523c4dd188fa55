"""Which part of a long conversation a page shows, and how one gets from there to both ends."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from webmail import forgetting, threads
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
    assert Message.objects.filter(unread=True).count() == 80


SHOWN = re.compile(r'name="shown" value="([0-9a-f]{16}:[^"]*)"')


def _texts(page: str) -> list[str]:
    return re.findall(r'<p class="text">(.*?)</p>', page)


def _many_unread(alice: Account, long: Conversation, count: int, **fields: object) -> list[str]:
    """So many come after what was read; their ids."""
    (bob,) = {*long.participants} - {alice.did}
    found = []
    for number in range(count):
        at = BEGUN + timedelta(days=1, minutes=number)
        found.append(received(alice, bob, f"later {number:03}.", at=at).message_id)
    Message.objects.filter(message_id__in=found).update(**fields, unread=True)
    return found


class Looking:
    """A browser that shows a conversation to somebody: what it shows, it says."""

    def __init__(self, alice: Account, conversation: Conversation) -> None:
        self.client = browser_of(alice)
        self.address = reverse("conversation", args=[conversation.conversation_id])
        self.page = self.client.get(self.address).content.decode()
        self.shown = SHOWN.findall(self.page)
        self.new = re.findall(r'id="unread">.*?name="(new)" value="1"', self.page)

    def says_so(self, *, hidden: bool = False, middle: bool = True) -> None:
        asked = {"shown": self.shown, "seen": "" if hidden else "1"} | ({"part": "middle"} if middle else {})
        self.client.get(f"{self.address}news/", asked, headers={"HX-Request": "true"})

    def goes_on(self) -> str:
        """To the page below; what the browser is to do then."""
        there = re.search(r'hx-get="([^"]+/newer/[^"]+)"', self.page)
        assert there
        answer = self.client.get(
            "".join((there[1], *(f"&{name}=1" for name in self.new))), headers={"HX-Request": "true"}
        )
        self.page = answer.content.decode()
        self.shown += SHOWN.findall(self.page)
        return answer.headers.get("HX-Trigger-After-Settle", "")


def _unread(conversation: Conversation) -> list[str]:
    rows = Message.objects.filter(conversation=conversation, unread=True).order_by("placed_at", "pk")
    count = Conversation.objects.get(pk=conversation.pk).unread_count
    assert count == len(rows)
    return [message.message_id for message in rows]


def test_a_conversation_opens_where_the_unread_ones_begin_and_only_what_it_showed_is_read(
    alice: Account, long: Conversation
) -> None:
    unread = _many_unread(alice, long, 120)
    browser = Looking(alice, long)
    texts = _texts(browser.page)
    assert texts[-40:] == [f"later {number:03}." for number in range(40)]
    before_new, _new, after_new = browser.page.partition('id="unread"')
    assert "n11." in before_new
    assert _texts(after_new)[0] == "later 000."
    browser.says_so(hidden=True)
    assert _unread(long) == unread
    browser.says_so()
    assert _unread(long) == unread[40:]
    assert browser.goes_on() == "news"
    assert 'id="unread"' not in browser.page
    browser.says_so()
    assert _unread(long) == unread[90:]
    # It opens there the next time, and as it did before once they are on the newest page.
    assert _texts(Looking(alice, long).page.partition('id="unread"')[2])[0] == "later 090."
    assert browser.goes_on() == "news"
    assert 'id="newer"' not in browser.page
    browser.says_so(middle=False)
    assert _unread(long) == []
    assert _texts(Looking(alice, long).page)[0] == "later 070."


def test_the_newest_messages_are_shown_where_somebody_asks_for_them(
    alice: Account, long: Conversation
) -> None:
    unread = _many_unread(alice, long, 70)
    browser = Looking(alice, long)
    leads_to = re.search(r'href="([^"]+)" data-newest', browser.page)
    assert leads_to
    browser.page = browser.client.get(leads_to[1]).content.decode()
    assert _texts(browser.page) == [f"later {number:03}." for number in range(20, 70)]
    # What is new began before them.
    assert 'id="unread"' not in browser.page
    browser.shown = SHOWN.findall(browser.page)
    browser.says_so(middle=False)
    assert _unread(long) == unread[:20]
    above = re.search(r'hx-get="([^"]+/older/[^"]+)"', browser.page)
    assert above
    answer = browser.client.get(above[1], headers={"HX-Request": "true"})
    assert answer.headers["HX-Trigger-After-Settle"] == "news"
    browser.shown = SHOWN.findall(answer.content.decode())
    browser.says_so(middle=False)
    assert _unread(long) == []


def test_what_comes_while_somebody_looks_is_read_and_nothing_that_came_before_what_is_shown(
    alice: Account, long: Conversation
) -> None:
    unread = _many_unread(alice, long, 60)
    browser = Looking(alice, long)
    newest = browser.client.get(browser.address, {"newest": "1"}).content.decode()
    browser.shown = SHOWN.findall(newest)
    (bob,) = {*long.participants} - {alice.did}
    received(alice, bob, "just now.", at=BEGUN + timedelta(days=2))
    browser.says_so(middle=False)
    assert _unread(long) == unread[:10]


def test_the_time_of_messages_that_disappear_begins_once_they_are_shown(
    alice: Account, long: Conversation
) -> None:
    unread = _many_unread(alice, long, 80, expires_after=3600)
    Looking(alice, long).says_so()
    going = Message.objects.filter(expires_at__isnull=False)
    assert set(going.values_list("message_id", flat=True)) == set(unread[:40])


def test_without_script_one_reads_page_after_page(alice: Account, long: Conversation) -> None:
    unread = _many_unread(alice, long, 120)
    browser = Looking(alice, long)
    form = browser.page[browser.page.index(f'action="{browser.address}seen/"') :]
    said = re.findall(r'name="shown" value="([0-9a-f]{64})"', form[: form.index("</form>")])
    assert said == unread[:40]
    answer = browser.client.post(f"{browser.address}seen/", {"shown": said})
    assert answer.headers["Location"] == browser.address
    assert _unread(long) == unread[40:]
    assert _texts(Looking(alice, long).page.partition('id="unread"')[2])[0] == "later 040."


def test_the_menu_of_a_row_says_that_all_of_it_was_read(alice: Account, long: Conversation) -> None:
    _many_unread(alice, long, 60)
    browser = browser_of(alice)
    menu = reverse("conversation-menu", args=[long.conversation_id])
    seen = reverse("conversation-seen", args=[long.conversation_id])
    htmx = {"HX-Request": "true"}
    assert f'hx-post="{seen}"' in browser.get(menu, headers=htmx).content.decode()
    of_open_one = browser.get(menu, headers=htmx | {"HX-Target": "settings-buttons"})
    assert seen not in of_open_one.content.decode()
    assert browser.post(seen, headers=htmx).headers["HX-Trigger"] == "conversations"
    assert _unread(long) == []
    assert seen not in browser.get(menu, headers=htmx).content.decode()


def test_a_topic_opens_where_its_unread_ones_begin(alice: Account, long: Conversation) -> None:
    inside = _many_unread(alice, long, 60)
    (bob,) = {*long.participants} - {alice.did}
    Message.objects.filter(message_id__in=inside).update(topic=inside[0])
    for number in range(3):
        received(alice, bob, f"outside {number}.", at=BEGUN + timedelta(days=2, minutes=number))
    page = browser_of(alice).get(reverse("topic", args=[long.conversation_id, inside[0]])).content.decode()
    assert _texts(page.partition('id="unread"')[2])[0] == "later 000."
    assert "outside" not in "".join(_texts(page))


def test_looking_for_where_the_unread_ones_begin_asks_no_more_than_once(
    alice: Account, long: Conversation
) -> None:
    def asked() -> int:
        conversation = Conversation.objects.get(pk=long.pk)
        with CaptureQueriesContext(connection) as found:
            threads.thread(alice, conversation, At(unread=True))
        return len(found)

    nothing_new = asked()
    _many_unread(alice, long, 50)
    assert asked() == nothing_new
    _many_unread(alice, long, 50)
    # Where they begin, and what is before and after it, in the place of nothing.
    assert asked() == nothing_new + 3


def test_a_page_in_the_middle_is_told_no_news_but_of_what_is_gone(alice: Account, long: Conversation) -> None:
    at_alices = browser_of(alice)
    ids = [message_id[:16] for message_id in _ids(long)]
    of_page = {"part": "middle", "seen": "1", "shown": [f"{prefix}:" for prefix in ids[2:5]]}

    def told() -> str | None:
        answer = at_alices.get(reverse("conversation-news", args=[long.conversation_id]), of_page)
        assert answer.status_code == 204
        return answer.headers.get("HX-Trigger")

    assert told() is None
    Message.objects.filter(message_id__in=_ids(long)[4:6]).update(expires_at=BEGUN)
    assert forgetting.forget_expired(timezone.now()) == 2
    assert json.loads(told() or "") == {"gone": {"ids": [ids[4]]}}


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


@pytest.mark.parametrize("column", ["account_id", "conversation_id"])
def test_no_index_of_messages_has_nothing_but_what_others_begin_with(db: None, column: str) -> None:
    """PostgreSQL would take it for a page, and read all messages of a conversation to put them in order."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Message._meta.db_table)
    with_condition = {index.name for index in Message._meta.indexes if index.condition is not None}
    columns = {name: each["columns"] for name, each in found.items() if each["index"] or each["unique"]}
    everywhere = {name: each for name, each in columns.items() if name not in with_condition}
    assert sum(each[:1] == [column] for each in everywhere.values()) >= 1
    assert [column] not in everywhere.values()
