"""What somebody writes disappears as they chose for the conversation, wherever they write it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from accounts.people import look_up
from tests.webmail.conftest import Write
from webmail import conversation_settings, events
from webmail.models import Conversation, Message, PendingMessage

pytestmark = pytest.mark.django_db

HOUR = 3600


def choose(conversation: Conversation, seconds: int) -> None:
    conversation_settings.choose_time(conversation.account, conversation, seconds, now=timezone.now())


def newest_in(conversation: Conversation) -> int:
    return Message.objects.filter(conversation=conversation).latest("pk").expires_after


@pytest.mark.parametrize("undo", [0, 10])
def test_written_on_the_page_for_new_conversations(
    alice: Account, bob: Account, write: Write, at_alices: Client, settings: Settings, undo: int
) -> None:
    settings.UNDO_SECONDS = undo
    with_bob = write(alice, [bob], "Hello").conversation
    choose(with_bob, HOUR)
    form = {"to": bob.did, "text": "From the page for new ones", "token": str(uuid4()), "do": "send"}
    answer = at_alices.post(reverse("new-conversation"), form)
    assert with_bob.conversation_id in answer.headers["Location"]
    held = PendingMessage.objects.first()
    assert (held.expires_after if held else newest_in(with_bob)) == HOUR


def test_the_page_for_new_conversations_says_so_before_they_are_written(
    alice: Account, bob: Account, carol: Account, write: Write, at_alices: Client
) -> None:
    """As far as people are chosen, in what takes the place of the chips and on the page itself."""
    for person in (bob, carol):
        look_up(person.did)
    choose(write(alice, [bob], "Hello").conversation, HOUR)
    # Her notes to herself are not what she writes to nobody yet.
    choose(write(alice, [alice], "A note").conversation, HOUR)

    def said(page: str, *chosen: str, **form: str) -> bool:
        answer = at_alices.post(reverse(page), {"to": [*chosen], **form}).content.decode()
        assert answer.count('id="disappears"') == 1
        return "What you write disappears 1 hour after reading." in answer

    for page in ("choose-people", "new-conversation"):
        assert not said(page)
        assert said(page, bob.did)
        assert said(page, add=bob.did)
        assert not said(page, bob.did, carol.did)
        assert said(page, bob.did, carol.did, remove=carol.did)


def test_the_words_of_whoever_leaves(
    alice: Account, bob: Account, carol: Account, write: Write, at_alices: Client
) -> None:
    group = write(alice, [bob, carol], "Here we are").conversation
    choose(group, HOUR)
    leave = reverse("conversation-leave", args=[group.conversation_id])
    assert (
        at_alices.post(leave, {"do": "tell", "words": "I am off", "token": str(uuid4())}).status_code == 302
    )
    assert Message.objects.filter(conversation=group).count() == 2
    assert newest_in(group) == HOUR


def test_where_a_conversation_goes_on_is_told_for_as_long_as_all_else_there(
    alice: Account, bob: Account, carol: Account, write: Write, at_alices: Client
) -> None:
    for person in (bob, carol):
        # The page would look for two that are unknown in threads, whose rows outlast the test.
        look_up(person.did)
    with_bob = write(alice, [bob], "Just the two of us").conversation
    choose(with_bob, HOUR)
    form = {
        "do": "send",
        "from": with_bob.conversation_id,
        "to": [bob.did, carol.did],
        "tell": "1",
        "text": "Carol comes too",
        "token": str(uuid4()),
    }
    assert at_alices.post(reverse("new-conversation"), form).status_code == 302
    assert Message.objects.filter(conversation=with_bob).count() == 2
    assert newest_in(with_bob) == HOUR
    # Nothing was chosen for the wider one.
    assert newest_in(Conversation.objects.exclude(pk=with_bob.pk).get()) == 0


def test_pages_that_lie_open_are_told_and_given_the_time(
    alice: Account, bob: Account, write: Write, at_alices: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_bob = write(alice, [bob], "Hello").conversation
    told: list[tuple[object, ...]] = []
    with monkeypatch.context() as listening:
        listening.setattr(events, "publish", lambda *what: told.append(what))
        choose(with_bob, HOUR)
    assert told == [(alice.pk, "settings")]
    menu = reverse("conversation-menu", args=[with_bob.conversation_id])

    def answer(**shown: int) -> str:
        headers = {"HX-Request": "true", "HX-Target": "settings-buttons"}
        return at_alices.get(menu, shown, headers=headers).content.decode()

    assert "disappear" not in answer()
    assert "disappear" not in answer(shown=HOUR)
    given = answer(shown=0)
    assert given.count('hx-swap-oob="true"') == 2
    assert "What you write disappears 1 hour after reading." in given
    assert f'<option value="{HOUR}" selected>' in given


def test_pages_that_lie_open_are_told_of_what_an_import_brings(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_bob = write(alice, [bob], "Hello").conversation
    choose(with_bob, HOUR)
    exported = list(conversation_settings.settings_json(alice))
    Conversation.objects.filter(pk=with_bob.pk).update(settings_changed_at=None, expires_after=0)
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr(events, "publish", lambda *what: told.append(what))
    for _again in range(2):
        assert conversation_settings.take_settings(alice, exported) == 0
    assert told == [(alice.pk, "conversations", "settings")]
    with_bob.refresh_from_db()
    assert with_bob.expires_after == HOUR
