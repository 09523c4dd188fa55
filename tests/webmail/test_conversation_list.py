"""The list of conversations: its order, its pages, its tabs, and what people set for a conversation."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from accounts.models import Account, Peer
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.test_pages import assert_nothing_inline
from webmail import conversation_pages, conversation_settings, conversations, exported_settings
from webmail.conversation_pages import Cursor, cursor_in
from webmail.conversation_settings import Change, change, notify
from webmail.list_counts import list_counts
from webmail.models import Conversation, ConversationMember, Message
from webmail.people import people_of
from webmail.recounting import recount

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")


def with_somebody(
    account: Account, name: str, *, at: datetime = NOON, display_name: str = ""
) -> Conversation:
    somebody = peer(name, display_name=display_name)
    return received(account, somebody.did, f"from {name}", at=at).conversation


def test_names_of_a_group_stand_in_the_order_of_its_title(alice: Account) -> None:
    """Each is written its own way, and none turns the others around."""
    latin, arabic = peer("latin", display_name="Maximiliane"), peer("arabic", display_name="محمد")
    group = Conversation(account=alice, participants=[alice.did, arabic.did, latin.did])
    people = people_of(group.participants)
    assert conversations.title_of(alice, group, people) == "\u200e\u2068محمد\u2069 and Maximiliane"
    group.participants = [alice.did, arabic.did]
    assert conversations.title_of(alice, group, people) == "محمد"
    group.participants = [alice.did, latin.did, peer("other", display_name="Otto").did]
    assert conversations.title_of(alice, group, people_of(group.participants)) == "Maximiliane and Otto"
    with translation.override("he"):
        assert conversations.title_of(alice, group, people_of(group.participants)).startswith(
            "\u200f\u2068Max"
        )


def set_to(account: Account, conversation: Conversation, *whats: Change) -> None:
    for what in whats:
        change(account, conversation, what, now=timezone.now())


def titles(account: Account, **narrowed: object) -> list[str]:
    rows = conversations.list_conversations(account, **narrowed).rows  # type: ignore[arg-type]
    return [row.title for row in rows]


def in_pages(account: Account, limit: int, **narrowed: object) -> Iterator[str]:
    after: Cursor | None = None
    while True:
        found = conversations.list_conversations(account, after=after, limit=limit, **narrowed)  # type: ignore[arg-type]
        yield from (row.title for row in found.rows)
        after = found.cursor
        if after is None:
            return


def test_pinned_ones_come_first_and_archived_ones_have_a_list_of_their_own(alice: Account) -> None:
    one, two, _three = (
        with_somebody(alice, name, at=NOON + timedelta(hours=hour))
        for hour, name in enumerate(("one", "two", "three"))
    )
    assert titles(alice) == ["three.test", "two.test", "one.test"]
    set_to(alice, one, "pin")
    assert titles(alice) == ["one.test", "three.test", "two.test"]
    set_to(alice, two, "archive")
    assert titles(alice) == ["one.test", "three.test"]
    assert titles(alice, filter="archived") == ["two.test"]
    assert titles(alice, filter="unread") == ["three.test", "one.test"]
    set_to(alice, one, "unpin")
    set_to(alice, two, "unarchive")
    assert titles(alice) == ["three.test", "two.test", "one.test"]


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_hold_each_conversation_once_also_where_times_are_the_same(alice: Account, limit: int) -> None:
    made = [with_somebody(alice, f"n{number}", at=NOON) for number in range(9)]
    for conversation in made[2:5]:
        set_to(alice, conversation, "pin")
    expected = [f"n{number}.test" for number in (4, 3, 2, 8, 7, 6, 5, 1, 0)]
    assert list(in_pages(alice, limit)) == expected
    assert list(in_pages(alice, limit, filter="unread")) == [f"n{number}.test" for number in range(8, -1, -1)]


def test_what_comes_meanwhile_moves_nothing_to_another_page(alice: Account) -> None:
    for number in range(4):
        with_somebody(alice, f"n{number}", at=NOON + timedelta(minutes=number))
    first = conversations.list_conversations(alice, limit=2)
    with_somebody(alice, "late", at=NOON + timedelta(hours=1))
    second = conversations.list_conversations(alice, after=first.cursor, limit=2)
    assert [row.title for row in second.rows] == ["n1.test", "n0.test"]


def test_an_address_holds_a_cursor_and_nothing_else_is_one() -> None:
    for cursor in (Cursor(True, NOON, 7), Cursor(False, datetime(1969, 1, 1, 0, 0, 0, 5, tzinfo=UTC), 1)):
        assert cursor_in(str(cursor)) == cursor
    for text in (
        "",
        "t",
        "x1-1",
        "t1",
        "t1-",
        "t9" * 30,
        "t1-1 ",
        "p999999999999999999-1",
        "t\u0661-1",
        "t1-1\n",
    ):
        assert cursor_in(text) is None


@pytest.mark.parametrize("few", [conversation_pages.FEW_PEOPLE, 0])
def test_people_are_found_by_parts_of_their_name_or_handle(
    alice: Account, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_pages, "FEW_PEOPLE", few)
    with_somebody(alice, "ursula", display_name="Änne von Berg")
    with_somebody(alice, "bob", display_name="Bob")
    received(alice, Peer.objects.get(handle="bob.test").did, "us", others=(peer("carol").did,), at=NOON)
    assert titles(alice, names="BOB") == ["Bob and carol.test", "Bob"]
    assert titles(alice, names="bob car") == ["Bob and carol.test"]
    assert titles(alice, names="@carol.te") == ["Bob and carol.test"]
    assert titles(alice, names="änne") == ["Änne von Berg"]
    assert titles(alice, names="ursula.test berg") == ["Änne von Berg"]
    assert titles(alice, names="alice") == []
    assert titles(alice, names="100%") == titles(alice, names="_") == titles(alice, names="\\") == []
    assert titles(alice, names="  ") == titles(alice)


def test_accents_and_case_of_names_do_not_count(alice: Account) -> None:
    with_somebody(alice, "jose", display_name="José Núñez")
    with_somebody(alice, "soren", display_name="SØREN Straße")
    assert titles(alice, names="jose") == titles(alice, names="NUNEZ josé") == ["José Núñez"]
    assert titles(alice, names="søren") == titles(alice, names="soren strasse") == ["SØREN Straße"]
    # Nothing is left of a mark alone: nobody is called so.
    assert titles(alice, names="\u0301") == titles(alice, names="@") == []


def test_notes_to_oneself_are_found_by_ones_own_name(alice: Account) -> None:
    received(alice, alice.did, "bread")
    with_somebody(alice, "bob")
    assert titles(alice, names="alice") == ["Notes to self"]


def test_what_is_new_brings_an_archived_conversation_back_unless_it_is_muted(alice: Account) -> None:
    loud, quiet = with_somebody(alice, "loud"), with_somebody(alice, "quiet")
    set_to(alice, loud, "archive")
    set_to(alice, quiet, "archive", "mute")
    for conversation in (loud, quiet):
        (member,) = conversation.members.all()
        received(alice, member.did, "news", at=NOON + timedelta(hours=1))
    assert titles(alice) == ["loud.test"]
    assert titles(alice, filter="archived") == ["quiet.test"]


def test_muted_and_archived_ones_tell_nobody(alice: Account) -> None:
    conversation = with_somebody(alice, "bob")
    message = Message.objects.get()
    assert notify([message])
    assert conversations.with_news(alice).count() == 1
    set_to(alice, conversation, "mute")
    assert not notify([message])
    assert conversations.with_news(alice).count() == 0
    set_to(alice, conversation, "unmute", "archive")
    assert conversations.with_news(alice).count() == 0
    Message.objects.update(unread=False)
    assert not notify([Message.objects.get()])


def test_the_title_and_the_tab_say_how_much_is_unread_without_what_is_muted_or_archived(
    alice: Account, at_alices: Client
) -> None:
    def said() -> list[str]:
        page = at_alices.get(reverse("inbox")).content.decode()
        part = at_alices.get(reverse("conversation-list"), headers={"HX-Request": "true"}).content.decode()
        in_title = re.findall(r"<title>(?:\((\d+)\) )?Inbox · Waxwing</title>", page)
        count = r'id="unread-count" data-count="(\d+)"( hidden)?%s>(\d+)</span>'
        in_tab = re.findall(count % "", page)
        live = re.findall(count % ' hx-swap-oob="true"', part)
        assert in_tab == live
        (number, hidden, shown) = in_tab[0]
        assert (number == "0") == bool(hidden)
        assert number == shown
        return [*in_title, number]

    assert said() == ["", "0"]
    for count, name in ((3, "bob"), (1, "carol"), (2, "dave"), (5, "erin")):
        conversation = with_somebody(alice, name)
        Conversation.objects.filter(pk=conversation.pk).update(unread_count=count)
    dave, erin = Conversation.objects.order_by("pk")[2:]
    assert said() == ["11", "11"]
    set_to(alice, dave, "mute")
    set_to(alice, erin, "archive")
    assert said() == ["4", "4"]
    assert conversations.unread_messages(alice) == 4
    thread = at_alices.get(reverse("conversation", args=[dave.conversation_id])).content.decode()
    assert "<title>(4) dave.test · Waxwing</title>" in thread
    Conversation.objects.update(unread_count=0)
    assert said() == ["", "0"]


def test_every_row_and_every_open_conversation_has_a_menu_that_works_without_script(
    alice: Account, at_alices: Client
) -> None:
    conversation = with_somebody(alice, "bob")
    inbox, thread = reverse("inbox"), reverse("conversation", args=[conversation.conversation_id])
    address = reverse("conversation-settings", args=[conversation.conversation_id])
    menu = reverse("conversation-menu", args=[conversation.conversation_id])
    button = f'formaction="{address}" name="do" hx-post="{address}" value="pin"'
    for page, rows, buttons in ((inbox, 1, 0), (thread, 1, 1), (menu, 0, 1)):
        html = at_alices.get(page).content.decode()
        assert_nothing_inline(html)
        assert html.count(f'<a class="row-menu icon-btn" href="{menu}"') == rows
        assert html.count(button) == buttons
        assert html.count('id="settings-form"') == 1
    fetched = at_alices.get(menu, headers={"HX-Request": "true"}).content.decode()
    assert fetched.count(button) == 1
    assert "<html" not in fetched
    for what, words in (("pin", "pinned"), ("mute", "muted")):
        answer = at_alices.post(address, {"do": what, "next": inbox})
        assert answer.headers["Location"] == inbox
        assert f'<span class="sr">{words}</span>' in at_alices.get(inbox).content.decode()
    assert "count--quiet" not in at_alices.get(f"{inbox}?filter=archived").content.decode()
    at_alices.post(address, {"do": "archive", "next": "https://evil.example/"})
    assert f'href="/c/{conversation.conversation_id}/"' not in at_alices.get(inbox).content.decode()
    assert "Back to the list" in at_alices.get(thread).content.decode()
    assert at_alices.post(address, {"do": "explode"}).status_code == 400
    assert at_alices.post(address, {"do": "pin", "next": "//evil.example/"}).headers["Location"] == "/"
    assert browser_of(new_account("carol")).post(address, {"do": "pin"}).status_code == 404
    changed = at_alices.post(address, {"do": "unpin"}, headers={"HX-Request": "true"})
    assert changed.headers["HX-Trigger"] == "conversations, settings"
    fetched = at_alices.get(menu, headers={"HX-Request": "true"}).content.decode()
    assert re.findall(r'value="(\w+)"', fetched) == ["pin", "unmute", "unarchive"]


def test_a_page_says_what_was_archived_with_a_button_that_undoes_it(
    alice: Account, at_alices: Client
) -> None:
    bob, carol = (with_somebody(alice, name) for name in ("bob", "carol"))
    inbox = reverse("inbox")
    address = reverse("conversation-settings", args=[bob.conversation_id])
    htmx = {"HX-Request": "true"}

    # In a page that is open.
    answer = at_alices.post(address, {"do": "archive"}, headers=htmx)
    assert answer.headers["HX-Trigger"] == "conversations, settings"
    said = answer.content.decode()
    assert_nothing_inline(said)
    assert "<span>Archived</span>" in said
    assert f'<form action="{address}" method="post" hx-post="{address}"' in said
    assert '<button class="btn" name="do" value="unarchive">Undo</button>' in said
    assert titles(alice) == ["carol.test"]
    undone = at_alices.post(address, {"do": "unarchive"}, headers=htmx)
    assert (undone.status_code, undone.content) == (200, b"")
    assert sorted(titles(alice)) == ["bob.test", "carol.test"]
    # What else is set says nothing.
    assert at_alices.post(address, {"do": "mute"}, headers=htmx).content == b""

    # Without script, in the list, as long as it is so.
    answer = at_alices.post(address, {"do": "archive", "next": inbox})
    assert answer.headers["Location"] == f"{inbox}?archived={bob.conversation_id}"
    after = at_alices.get(answer.headers["Location"]).content.decode()
    assert_nothing_inline(after)
    button = 'value="unarchive">Undo</button>'
    assert button in after
    assert button not in at_alices.get(inbox).content.decode()
    assert at_alices.post(address, {"do": "unarchive"}).headers["Location"] == "/"
    for none in (bob.conversation_id, carol.conversation_id, "ab" * 16, "x\0", ""):
        assert button not in at_alices.get(inbox, {"archived": none}).content.decode()


def test_an_open_page_gets_more_rows_and_later_as_many_as_it_shows(alice: Account, at_alices: Client) -> None:
    for number in range(2 * conversations.PAGE + 1):
        with_somebody(alice, f"n{number}", at=NOON + timedelta(minutes=number))

    def rows_in(**fields: str) -> list[str]:
        answer = at_alices.get(reverse("conversation-list"), fields, headers={"HX-Request": "true"})
        return re.findall('class="row[^>]* href="/c/([0-9a-f]+)/"', answer.content.decode())

    first = rows_in()
    assert len(first) == conversations.PAGE
    page = at_alices.get(reverse("inbox")).content.decode()
    found = re.search('hx-get="([^"]+more=1)"', page)
    assert found is not None
    more = at_alices.get(html.unescape(found[1]), headers={"HX-Request": "true"}).content.decode()
    next_ones = re.findall('class="row[^>]* href="/c/([0-9a-f]+)/"', more)
    assert len(next_ones) == conversations.PAGE
    assert '<ul class="convos"' not in more
    assert rows_in(shown=str(2 * conversations.PAGE)) == [*first, *next_ones]
    assert len(rows_in(shown="999999")) == 2 * conversations.PAGE + 1
    for nonsense in ("", "-1", "1e3", "\x00", "9" * 40):
        assert rows_in(shown=nonsense) == first


def test_an_open_page_that_has_the_list_as_it_is_gets_nothing(alice: Account, at_alices: Client) -> None:
    with_somebody(alice, "bob", at=NOON)
    page = at_alices.get(reverse("inbox")).content.decode()

    def asked(known: str) -> HttpResponse:
        fields = {"known": known, "open": "", "shown": "1"}
        answer = at_alices.get(reverse("conversation-list"), fields, headers={"HX-Request": "true"})
        return HttpResponse(answer.content, status=answer.status_code)

    def mark_in(html: str) -> str:
        (mark,) = re.findall('name="known" value="([0-9a-f]{16})"', html)
        return str(mark)

    assert asked(mark_in(page)).status_code == 204
    assert mark_in(asked("").content.decode()) == mark_in(page)
    with_somebody(alice, "carol", at=NOON)
    anew = asked(mark_in(page))
    assert "carol" in anew.content.decode()
    assert asked(mark_in(anew.content.decode())).status_code == 204


def test_a_row_says_the_handle_of_whom_it_names(alice: Account) -> None:
    with_somebody(alice, "bob", display_name="Bob")
    with_somebody(alice, "carol")
    received(alice, alice.did, "a note", at=NOON)
    handles = {row.title: row.handle for row in conversations.list_conversations(alice).rows}
    assert handles == {"Bob": "bob.test", "carol.test": "", "Notes to self": ""}


def test_every_tab_that_is_empty_says_so(at_alices: Client) -> None:
    for tab, words in (
        ("", "No conversations yet"),
        ("unread", "All read"),
        ("archived", "Nothing archived"),
    ):
        assert words in at_alices.get(reverse("inbox"), {"filter": tab}).content.decode()


def test_a_list_of_which_all_is_archived_says_so_and_leads_there(alice: Account, at_alices: Client) -> None:
    conversation = with_somebody(alice, "bob")
    to_the_archived = f'<a class="btn" href="{reverse("inbox")}?filter=archived">Archived conversations</a>'

    def page(**fields: str) -> str:
        return at_alices.get(reverse("inbox"), fields).content.decode()

    assert to_the_archived not in page()
    set_to(alice, conversation, "archive")
    for html_of_all in (
        page(),
        at_alices.get(reverse("conversation-list"), {"open": conversation.conversation_id}).content.decode(),
    ):
        assert "All conversations are archived" in html_of_all
        assert to_the_archived in html_of_all
        assert "No conversations yet" not in html_of_all
        assert "shows here once" not in html_of_all
    unread = page(filter="unread")
    assert "Nothing unread here" in unread
    assert to_the_archived in unread
    Conversation.objects.filter(pk=conversation.pk).update(unread_count=0)
    assert "All read" in page(filter="unread")
    assert to_the_archived not in page(filter="archived")
    Conversation.objects.filter(pk=conversation.pk).update(blocked=True)
    assert "No conversations yet" in page()


def test_beside_what_is_begun_an_empty_list_does_not_say_that_there_is_nothing(at_alices: Client) -> None:
    beside = at_alices.get(reverse("conversation-list"), {"open": "ab" * 32}).content.decode()
    assert "shows here once its first message is on its way" in beside
    at_alices.post(reverse("draft-keep-new"), {"draft": uuid4().hex, "text": "half a", "writer": "a" * 32})
    html = at_alices.get(reverse("inbox")).content.decode()
    assert "Drafts of new conversations" in html
    assert "No conversations yet" not in html


def test_an_export_carries_the_settings_and_the_later_ones_count(alice: Account) -> None:
    conversation = with_somebody(alice, "bob")
    with_somebody(alice, "untouched")
    set_to(alice, conversation, "pin", "mute", "archive")
    conversation_settings.choose_time(alice, conversation, 86_400, now=timezone.now())
    data = json.dumps(list(exported_settings.settings_of(alice))).encode()
    assert data.count(b'"kind"') == 1
    at_the_new_place = new_account("alice")
    Conversation.objects.all().delete()
    Account.objects.filter(pk=alice.pk).delete()
    for _again in range(2):
        exported_settings.take_settings(at_the_new_place, data)
    row = Conversation.objects.get()
    assert (row.pinned, row.muted, row.archived_at is None) == (True, True, False)
    assert row.expires_after == 86_400
    assert ConversationMember.objects.count() == len(row.participants) - 1
    set_to(at_the_new_place, row, "unmute")
    exported_settings.take_settings(at_the_new_place, data)
    row.refresh_from_db()
    assert not row.muted
    exported_settings.take_settings(at_the_new_place, b'[{"kind": "of the future", "x": 1}]')
    for nonsense in (b"{}", b"[1]"):
        with pytest.raises(ValueError, match="not a list of settings"):
            exported_settings.take_settings(at_the_new_place, nonsense)


@pytest.mark.parametrize(
    "broken",
    [
        {"conversation": "x" * 66},
        {"conversation": 1},
        {"participants": ["did:plc:" + "x" * 3000]},
        {"participants": ["somebody"]},
        {"participants": ["did:plc:x"] * 8193},
        {"changedAt": "0001-01-01T00:00:00+14:00"},
        {"archivedAt": "yesterday"},
    ],
)
def test_settings_of_what_is_no_conversation_are_left_out(alice: Account, broken: dict[str, object]) -> None:
    whole = {
        "kind": "conversation",
        "conversation": "ab" * 33,
        "participants": ["did:plc:x"],
        "pinned": True,
        "muted": False,
        "archivedAt": None,
        "changedAt": NOON.isoformat(),
    }
    assert exported_settings.take_settings(alice, json.dumps([{**whole, **broken}]).encode()) == 1
    assert not Conversation.objects.exists()
    assert exported_settings.take_settings(alice, json.dumps([{**whole, **broken}, whole]).encode()) == 1
    assert Conversation.objects.get().pinned


def test_a_rebuild_leaves_the_settings_alone(alice: Account) -> None:
    conversation = with_somebody(alice, "bob")
    set_to(alice, conversation, "pin", "mute")
    recount(alice)
    row = Conversation.objects.get()
    assert (row.pinned, row.muted) == (True, True)


def made_up(account: Account, count: int) -> None:
    """Conversations with a message each that nothing opens; every tenth is pinned, archived, or unread."""
    peers = Peer.objects.bulk_create(
        Peer(did=f"did:plc:made{number:020}", handle=f"p{number}.test", display_name=f"Person {number}")
        for number in range(count)
    )
    rows = Conversation.objects.bulk_create(
        Conversation(
            account=account,
            conversation_id=f"{number:066x}",
            participants=sorted([account.did, each.did]),
            last_activity=NOON + timedelta(seconds=number // 3),
            pinned=number % 10 == 1,
            archived_at=NOON if number % 10 == 2 else None,
            unread_count=1 if number % 10 == 3 else 0,
        )
        for number, each in enumerate(peers)
    )
    ConversationMember.objects.bulk_create(
        ConversationMember(conversation=row, did=each.did) for row, each in zip(rows, peers, strict=True)
    )
    messages = Message.objects.bulk_create(
        Message(
            account=account,
            conversation=row,
            message_id=f"{number:064x}",
            direction=Message.Direction.IN,
            sender_did=each.did,
            trust=Message.Trust.UNCHECKED,
            created_at=row.last_activity,
            placed_at=row.last_activity,
            sealed=b"",
        )
        for number, (row, each) in enumerate(zip(rows, peers, strict=True))
    )
    for row, message in zip(rows, messages, strict=True):
        row.last_message = message
    Conversation.objects.bulk_update(rows, ["last_message"], batch_size=200)


@pytest.mark.parametrize("filter", conversation_pages.FILTERS)
def test_a_page_takes_the_same_queries_however_many_there_are(
    alice: Account, filter: conversation_pages.Filter
) -> None:
    counts = []
    for count in (3, 300):
        Conversation.objects.all().delete()
        Peer.objects.all().delete()
        made_up(alice, count)
        for names in ("", "person"):
            with CaptureQueriesContext(connection) as queries:
                found = conversations.list_conversations(alice, filter=filter, names=names, limit=20)
            assert found.rows or count < 10
            counts.append(len(queries))
    assert max(counts) <= 7
    with CaptureQueriesContext(connection) as one:
        conversations.with_news(alice).count()
    assert len(one) == 1


def test_each_list_is_read_from_an_index_of_its_own(alice: Account) -> None:
    made_up(alice, 2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    later = Cursor(False, NOON + timedelta(seconds=300), 10**6)
    for filter, index, after in (
        ("all", "list", None),
        ("all", "list", later),
        ("archived", "archived", later),
        ("unread", "unread", later),
    ):
        with CaptureQueriesContext(connection) as queries:
            rows = Conversation.objects.filter(account=alice)
            conversation_pages.page(rows, filter=filter, after=after, limit=20)  # type: ignore[arg-type]
        plan = explained(queries.captured_queries[0]["sql"])
        assert f"conversation_{index}" in plan, plan
        assert "USE TEMP B-TREE" not in plan, plan


def test_what_is_unread_is_counted_in_an_index(alice: Account) -> None:
    made_up(alice, 2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        if connection.vendor == "postgresql":
            # Else it may read so few rows all, whether or not an index has them.
            cursor.execute("SET LOCAL enable_seqscan = off")
    with CaptureQueriesContext(connection) as queries:
        assert list_counts(alice).unread == 200
    # Each of its values is the account's key.
    sql = re.sub(r"\$\d+", str(alice.pk), queries.captured_queries[0]["sql"])
    assert "conversation_news" in explained(sql)


def explained(sql: str) -> str:
    prefix = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{prefix} {sql}")
        return "\n".join(str(row) for row in cursor.fetchall())


def test_conversations_that_are_there_already_get_their_members(alice: Account) -> None:
    from django.apps import apps

    from webmail.migrations import __name__ as migrations

    with_somebody(alice, "bob")
    received(alice, alice.did, "bread")
    before = set(ConversationMember.objects.values_list("conversation_id", "did"))
    assert len(before) == 2
    ConversationMember.objects.all().delete()
    module = __import__(f"{migrations}.0009_conversation_members", fromlist=["add_members"])
    for _again in range(2):
        with connection.schema_editor() as editor:
            module.add_members(apps, editor)
    assert set(ConversationMember.objects.values_list("conversation_id", "did")) == before
