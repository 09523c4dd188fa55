"""Searching from a page: what is found, how it is shown, and what keeps the index in step."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.agent import agent, kept_client
from accounts.models import Account
from crypto_agent.client import Attachment, NewGroupUpdate, NewMessage
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.test_pages import HOSTILE, assert_nothing_inline
from webmail import forgetting, groups, highlighting, search_index, searching, tasks
from webmail.highlighting import Run, excerpt
from webmail.models import Conversation, Message
from webmail.searching import search


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")


@contextmanager
def _in_a_worker() -> Iterator[None]:
    with override_settings(AGENT_CALLER="worker"):
        kept_client.cache_clear()
        yield
    kept_client.cache_clear()


def _index(account: Account) -> None:
    with _in_a_worker():
        tasks.index_messages(account.pk)


def _page(browser: Client, query: str, **headers: str) -> str:
    answer = browser.post(reverse("search"), {"q": query}, headers=headers or None)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def _found(account: Account, query: str) -> list[str]:
    return [result.message_id for result in search(account, query).found]


def test_what_arrived_is_found_once_it_was_taken_into_the_index(alice: Account) -> None:
    first = received(alice, peer("bob").did, "The train leaves at eight")
    assert _found(alice, "train") == []
    assert search_index.due() >= {alice.pk}
    _index(alice)
    assert alice.pk not in search_index.due()
    assert _found(alice, "TRAIN eight") == [first.message_id]
    result = search(alice, "train").found[0]
    assert (result.conversation_id, result.own) == (first.conversation.conversation_id, False)
    assert Run("train", found=True) in result.text


def test_a_signature_that_was_not_checked_keeps_a_message_out_of_the_index(alice: Account) -> None:
    message = received(alice, peer("bob").did, "unchecked words")
    Message.objects.filter(pk=message.pk).update(trust=Message.Trust.UNCHECKED)
    _index(alice)
    assert _found(alice, "unchecked") == []
    Message.objects.filter(pk=message.pk).update(trust=Message.Trust.SIGNED)
    _index(alice)
    assert _found(alice, "unchecked") == [message.message_id]


def test_an_edit_is_found_in_the_place_of_what_it_replaces(alice: Account) -> None:
    bob = peer("bob").did
    first = received(alice, bob, "meet at the harbour")
    _index(alice)
    edit = received(alice, bob, "meet at the station")
    Message.objects.filter(pk=edit.pk).update(replaces=first.message_id, shown=False)
    assert _found(alice, "harbour") == []
    _index(alice)
    assert _found(alice, "harbour") == []
    assert _found(alice, "station") == [first.message_id]


def test_what_was_taken_back_or_deleted_is_not_found(alice: Account) -> None:
    bob = peer("bob").did
    first = received(alice, bob, "meet at the harbour")
    _index(alice)
    taking_back = NewMessage(takes_back=True, replaces=first.message_id)
    composed = agent().compose(alice.did, [bob], taking_back, created_at=timezone.now())
    row = received(alice, bob, "stands for it")
    Message.objects.filter(pk=row.pk).update(
        message_id=composed.message_id, sealed=composed.sealed, replaces=first.message_id, shown=False
    )
    assert _found(alice, "harbour") == []
    _index(alice)
    assert _found(alice, "harbour") == []

    second = received(alice, bob, "meet at the lighthouse")
    _index(alice)
    assert _found(alice, "lighthouse") == [second.message_id]
    forgetting.forget(alice, second.message_id, now=timezone.now())
    assert _found(alice, "lighthouse") == []
    with _in_a_worker():
        search_index.begin_again(alice)
        tasks.index_messages(alice.pk)
    assert agent().search(alice.did, "meet", limit=9).found == []


def test_the_index_can_be_made_again(alice: Account) -> None:
    message = received(alice, peer("bob").did, "made again")
    _index(alice)
    with _in_a_worker():
        search_index.begin_again(alice)
    assert _found(alice, "again") == []
    _index(alice)
    assert _found(alice, "again") == [message.message_id]


def test_the_page_shows_results_with_and_without_script(alice: Account, at_alices: Client) -> None:
    bob = peer("bob", display_name="Bob")
    message = received(alice, bob.did, "See you at the harbour, pier nine")
    _index(alice)
    link = reverse("conversation", args=[message.conversation.conversation_id])
    whole = assert_nothing_inline(_page(at_alices, "harbour"))
    part = _page(at_alices, "harbour", **{"HX-Request": "true"})
    for html in (part, "".join(whole.words)):
        assert "pier nine" in html
    assert f'href="{link}?around={message.message_id}#m{message.message_id}"' in part
    assert "<mark>harbour</mark>" in part
    assert "<html" not in part


def test_operators_find_names_without_their_accents(alice: Account) -> None:
    jose, josefa = peer("pepe", display_name="José"), peer("pepa", display_name="Joséfa")
    sent = received(alice, jose.did, "the ferry")
    received(alice, josefa.did, "the ferry")
    _index(alice)
    # Who is called just so is meant before who has it in the name.
    assert _found(alice, "ferry from:jose") == _found(alice, "ferry from:JOSÉ") == [sent.message_id]
    assert len(_found(alice, "ferry from:jos")) == 2
    assert len(_found(alice, "ferry in:jose")) == 2


def test_operators_narrow_what_is_found(alice: Account, at_alices: Client) -> None:
    bob, carol = peer("bob", display_name="Bob"), peer("carol", display_name="Carol")
    old = received(alice, bob.did, "the train", at=datetime(2025, 5, 1, 12, tzinfo=UTC))
    new = received(alice, bob.did, "the train: https://train.example", at=datetime(2026, 5, 1, tzinfo=UTC))
    other = received(alice, carol.did, "the train")
    _index(alice)
    assert set(_found(alice, "train")) == {old.message_id, new.message_id, other.message_id}
    assert _found(alice, "train from:bob") == [new.message_id, old.message_id]
    assert _found(alice, "from:bob before:2026") == [old.message_id]
    assert _found(alice, "in:bob has:link") == [new.message_id]
    assert _found(alice, "train after:2026-05-02") == [other.message_id]
    assert _found(alice, "train from:carol in:bob") == []
    html = _page(at_alices, "train from:bob has:link", **{"HX-Request": "true"})
    assert "<mark>train</mark>" in html
    assert "<mark>bob</mark>" not in html
    assert re.findall(r'name="q" value="([^"]*)" data-query', html) == ["train has:link", "train from:bob"]
    assert "Nobody found" in _page(at_alices, "from:nobody", **{"HX-Request": "true"})
    for query in ("train before:2026-13-99", "train after:2026-13-99"):
        html = _page(at_alices, query, **{"HX-Request": "true"})
        assert "<h2>No such day</h2><p>“<bdi>2026-13-99</bdi>” is no day" in html
        assert re.findall(r'name="q" value="([^"]*)" data-query', html) == ["train"]
        assert "<mark>" not in html
    assert "Take a filter away" in _page(at_alices, "from:carol has:image", **{"HX-Request": "true"})


@pytest.mark.parametrize("stranger", [{"standing": "request"}, {"standing": "declined"}, {"blocked": True}])
def test_strangers_take_over_no_operator(alice: Account, stranger: dict[str, object]) -> None:
    bob, carol = peer("smith", display_name="Bob Smith"), peer("king", display_name="Carol King")
    group = received(alice, bob.did, "the ferry", others=(carol.did,))
    for name in ("Bob", "Carol"):
        theirs = received(alice, peer(name.lower(), display_name=name).did, "I am new here")
        Conversation.objects.filter(pk=theirs.conversation_id).update(**stranger)
    _index(alice)
    assert _found(alice, "from:bob") == _found(alice, "in:carol") == [group.message_id]


def test_strangers_name_no_group_that_a_search_is_narrowed_to(alice: Account) -> None:
    known = _named_group(alice, "Ferry club")
    asking = _named_group(alice, "Ferry friends")
    Conversation.objects.filter(pk=asking.pk).update(standing=Conversation.Standing.REQUEST)
    assert groups.names_of(alice, 9) == {known.conversation_id: "Ferry club"}


def _named_group(account: Account, name: str) -> Conversation:
    did, others = peer("dora").did, (peer("erik").did,)
    message = received(account, did, "hello", others=others)
    update = NewMessage(group_update=NewGroupUpdate(title=name))
    composed = agent().compose(account.did, [did, *others], update, created_at=timezone.now())
    change = Message.GroupChange.NAME
    Message.objects.filter(pk=message.pk).update(
        message_id=composed.message_id, sealed=composed.sealed, changes_group=change, shown=False
    )
    groups.bring_in_line(message.conversation)
    return message.conversation


def test_an_image_is_found_as_a_file_and_as_an_image(alice: Account) -> None:
    image = _with_file(alice, peer("bob").did, "roof.png", "image/png")
    text = _with_file(alice, peer("carol").did, "roof.txt", "text/plain")
    _index(alice)
    assert set(_found(alice, "has:file roof")) == {image.message_id, text.message_id}
    assert _found(alice, "has:image") == [image.message_id]


def _with_file(account: Account, sender: str, name: str, media_type: str) -> Message:
    made = agent().encrypt_file(account.did, "1", name, media_type, 3, [b"abc"], lambda _data: None)
    attachment = Attachment("1", made.sealed, "https://a.example/1", timezone.now() + timedelta(days=1))
    composed = agent().compose(account.did, [sender], "", created_at=timezone.now(), attachments=[attachment])
    message = received(account, sender, name)
    Message.objects.filter(pk=message.pk).update(message_id=composed.message_id, sealed=composed.sealed)
    message.refresh_from_db()
    return message


def test_what_is_not_shown_hides_nothing_that_is(
    alice: Account, at_alices: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "LIMIT", 2)
    old = received(alice, peer("carol").did, "the harbour", at=timezone.now() - timedelta(hours=1))
    newer = [received(alice, peer("bob").did, f"harbour {number}") for number in range(5)]
    _index(alice)
    ids = [message.conversation_id for message in newer]
    Conversation.objects.filter(pk__in=ids).update(blocked=True)
    found = search(alice, "harbour")
    assert ([each.message_id for each in found.found], found.cursor) == ([old.message_id], None)
    monkeypatch.setattr(searching, "MOST_EMPTY_PAGES", 2)
    part = _page(at_alices, "harbour", **{"HX-Request": "true"})
    assert "Nothing found so far" in part
    assert "No message has" not in part
    assert "Older messages" in part


def test_conversations_are_found_by_who_is_in_them(alice: Account, at_alices: Client) -> None:
    for number in range(12):
        received(alice, peer(f"bob{number}", display_name=f"Bob {number}").did, "hello")
    part = _page(at_alices, "bob", **{"HX-Request": "true"})
    assert part.count('<a class="row') == 10
    assert "No message has" in part
    after = re.search(r'name="people_after" value="([^"]+)"', part)
    assert after
    answer = at_alices.post(
        reverse("search"), {"q": "bob", "people_after": after[1]}, headers={"HX-Request": "true"}
    )
    assert answer.content.decode().count('<a class="row') == 2
    assert '<a class="row' not in _page(at_alices, "bob has:file", **{"HX-Request": "true"})
    assert "Bob 3" in "".join(assert_nothing_inline(_page(at_alices, "bob3.test")).words)


def test_archived_conversations_are_found_by_who_is_in_them_too(alice: Account, at_alices: Client) -> None:
    archived = received(alice, peer("carol", display_name="Carol").did, "hello").conversation
    Conversation.objects.filter(pk=archived.pk).update(archived_at=timezone.now())
    link = reverse("conversation", args=[archived.conversation_id])
    assert f'href="{link}"' in _page(at_alices, "carol", **{"HX-Request": "true"})


def test_no_address_holds_what_is_searched_for(alice: Account, at_alices: Client) -> None:
    for number in range(21):
        received(alice, peer("bob").did, f"harbour {number}")
    _index(alice)
    answer = at_alices.get(reverse("search"), {"q": "harbour"})
    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("inbox"))
    for headers in ({}, {"HX-Request": "true"}):
        html = _page(at_alices, "harbour", **headers)
        assert not re.findall(r'(?:href|action|hx-\w+)="[^"]*harbour', html)
        cursor = re.search(r'name="cursor" value="([^"]+)"', html)
        assert cursor
        older = at_alices.post(reverse("search"), {"q": "harbour", "cursor": cursor[1]}, headers=headers)
        assert older.content.decode().count("<mark>harbour</mark>") == 1
        assert {"HX-Push-Url", "HX-Replace-Url", "HX-Location"}.isdisjoint(older.headers)


def test_a_search_needs_the_forms_token(alice: Account) -> None:
    browser = browser_of(alice)
    browser.handler.enforce_csrf_checks = True
    assert browser.post(reverse("search"), {"q": "harbour"}).status_code == 403


def test_every_other_state_has_words(alice: Account, at_alices: Client) -> None:
    def words(query: str) -> str:
        return _page(at_alices, query, **{"HX-Request": "true"})

    assert "Nothing found" in words("nowhere")
    assert "too much" in words(" ".join("abcdefghijklmnopqrs"))
    for blank in ("", " ", "\u200f", '"\u200b \ufe0f"', "\x00"):
        assert words(blank).strip() == ""


def test_a_sign_that_the_database_refuses_is_a_blank(alice: Account) -> None:
    assert search(alice, "harbour from:zz\x00b").problem == "unknown"
    assert search(alice, "har\x00bour").query == "har bour"


def test_hostile_text_and_queries_stay_text(alice: Account, at_alices: Client) -> None:
    received(alice, peer("mallory", display_name=HOSTILE).did, f"{HOSTILE} needle")
    _index(alice)
    for query in ("needle", HOSTILE):
        page = _page(at_alices, query)
        assert_nothing_inline(page)
        assert "<script>alert(1)" not in page


def test_an_excerpt_is_around_the_words_and_marks_them() -> None:
    long = "word " * 100 + "and the Ｎeedle 漢字 stands here " + "word " * 100  # noqa: RUF001
    runs = excerpt(long, "needle 漢字")
    assert [run.text for run in runs if run.found] == ["Ｎeedle", "漢字"]  # noqa: RUF001
    assert runs[0].text == "…"
    assert sum(len(run.text) for run in runs) < 260
    assert excerpt("שלום עולם", "עולם") == [Run("שלום "), Run("עולם", found=True)]
    assert excerpt("Straße", "strasse") == [Run("Straße", found=True)]
    assert excerpt("nothing here", "else") == [Run("nothing here")]


@pytest.mark.parametrize(
    ("text", "most"),
    [
        # Each of these letters becomes eighteen.
        ("\ufdfa" * 20_000, highlighting.MOST // 18 + highlighting.PIECE),
        ("word " * 20_000, highlighting.MOST),
        ("word " * 150 + "needle " * 20_000, 3 * highlighting.PIECE),
    ],
    ids=["long letters", "many", "early"],
)
def test_of_a_long_text_no_more_is_folded_than_is_needed(
    text: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded = Mock(wraps=highlighting._fold)
    monkeypatch.setattr(highlighting, "_fold", folded)
    runs = excerpt(text, "needle Needle needle")
    assert folded.call_count <= most + 1
    marked = [run.text for run in runs if run.found]
    assert marked[:1] == (["needle"] if "needle" in text else [])
    assert sum(len(run.text) for run in runs) <= highlighting.BEFORE + highlighting.AFTER + 2


def test_a_word_that_stands_where_two_pieces_meet_is_marked() -> None:
    before = "x" * (highlighting.PIECE - 4) + " "
    runs = excerpt(before + "needle" + " y" * highlighting.PIECE, "needle y")
    assert [run.text for run in runs if run.found][:1] == ["needle"]
