"""Messages that are being changed: what is typed is kept, and shown again where it was begun."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account
from tests.webmail.test_pages import assert_nothing_inline, html_of
from webmail import changing, draft_export, drafts, forgetting, outgoing, threads
from webmail.draft_content import DraftContent
from webmail.draft_places import DraftOnPage, DraftPlace
from webmail.models import Conversation, Delivery, Draft, Message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

ONE, OTHER = "a" * 32, "b" * 32
BEGUN = "The key is under the mat, no, under the"
NOTICE = "You were changing a message"


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice")


@pytest.fixture
def message(alice: Account, with_bob: Conversation) -> Message:
    others = [did for did in with_bob.participants if did != alice.did]
    return outgoing.send(alice, others, "The key is under the mat", str(uuid4()))


def keep(browser: Client, message: Message, text: str = BEGUN, **more: object) -> dict[str, Any]:
    fields = {"text": text, "writer": ONE, "revision": "0", **more}
    answer = browser.post(reverse("draft-keep-edit", args=[message.message_id]), fields)
    assert answer.status_code == 200, answer.content
    told: dict[str, Any] = answer.json()
    return told


def page(browser: Client, message: Message) -> str:
    return html_of(browser, reverse("conversation", args=[message.conversation.conversation_id]))


def form(browser: Client, message: Message) -> str:
    return html_of(browser, reverse("message-edit", args=[message.message_id]))


def test_what_a_message_is_changed_to_is_there_in_another_browser(
    alice: Account, at_alices: Client, message: Message
) -> None:
    assert NOTICE not in page(at_alices, message)
    composing = reverse("draft-keep", args=[message.conversation.conversation_id])
    at_alices.post(composing, {"text": "half an answer", "writer": ONE, "revision": "0"})
    kept = keep(at_alices, message)
    assert kept == {"revision": kept["revision"], "overtook": False, "left": False}
    elsewhere = browser_of(alice)
    html = assert_nothing_inline_in(page(elsewhere, message))
    assert NOTICE in html
    assert BEGUN in html
    assert "half an answer</textarea>" in html
    html = assert_nothing_inline_in(form(elsewhere, message))
    assert NOTICE not in html
    assert f"autofocus>{BEGUN}</textarea>" in html
    assert f'name="revision" value="{kept["revision"]}"' in html
    by_script = elsewhere.get(
        reverse("message-edit", args=[message.message_id]), headers={"HX-Request": "true"}
    )
    assert f"autofocus>{BEGUN}</textarea>" in by_script.content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM webmail_draft")
        assert BEGUN not in repr([bytes(x) if isinstance(x, memoryview) else x for x in cursor.fetchall()])

    saved = elsewhere.post(
        reverse("message-edit", args=[message.message_id]),
        {"text": "Under the pot", "token": str(uuid4()), "revision": kept["revision"]},
    )
    assert saved.status_code == 302
    assert threads.entry(alice, message.message_id).text == "Under the pot"
    html = page(elsewhere, message)
    assert NOTICE not in html
    assert "half an answer</textarea>" in html


def test_what_another_page_wrote_meanwhile_stays(alice: Account, at_alices: Client, message: Message) -> None:
    first = keep(at_alices, message, "at the desk")["revision"]
    assert keep(at_alices, message, "on the train", writer=OTHER)["overtook"]
    asked = {"message": message.message_id}
    assert at_alices.get(reverse("draft-overtaken"), asked).json()["text"] == "at the desk"
    fields = {"text": "at the desk", "token": str(uuid4()), "writer": ONE, "revision": first}
    at_alices.post(reverse("message-edit", args=[message.message_id]), fields)
    assert f"autofocus>{'on the train'}</textarea>" in form(at_alices, message)
    # What could not be saved says of the draft what it knew before.
    refused = at_alices.post(
        reverse("message-edit", args=[message.message_id]), {**fields, "text": " ", "token": str(uuid4())}
    )
    assert refused.status_code == 422
    assert f'name="revision" value="{first}"' in refused.content.decode()


def test_a_message_may_be_left_as_it_was(alice: Account, at_alices: Client, message: Message) -> None:
    keep(at_alices, message)
    leaving = reverse("message-edit-leave", args=[message.message_id])
    question = html_of(at_alices, leaving)
    assert "Discard this change?" in question
    assert BEGUN in question
    assert Draft.objects.exists()
    by_script = at_alices.post(leaving, headers={"HX-Request": "true"}).content.decode()
    assert f'id="m{message.message_id}"' in by_script
    assert "<textarea" not in by_script
    assert not Draft.objects.exists()
    for answer in (at_alices.post(leaving), at_alices.get(leaving)):
        assert f"around={message.message_id}" in answer.headers["Location"]
    assert "autofocus>The key is under the mat</textarea>" in form(at_alices, message)


@pytest.mark.parametrize("way", ["deleted", "expired", "taken back"])
def test_it_goes_with_its_message(alice: Account, at_alices: Client, message: Message, way: str) -> None:
    keep(at_alices, message)
    now = timezone.now()
    if way == "deleted":
        forgetting.forget(alice, message.message_id, now=now)
    elif way == "expired":
        message.deliveries.update(state=Delivery.State.ACCEPTED)
        Message.objects.filter(pk=message.pk).update(expires_at=now - timedelta(seconds=1))
        forgetting.forget_expired(now)
    else:
        changing.take_back(alice, message.message_id, str(uuid4()))
    assert not Draft.objects.exists()
    assert NOTICE not in page(at_alices, message)


def test_what_was_taken_back_is_not_changed_any_more(
    alice: Account, at_alices: Client, message: Message
) -> None:
    message.deliveries.update(state=Delivery.State.ACCEPTED)
    assert changing.take_back(alice, message.message_id, str(uuid4()))
    fields = {"text": BEGUN, "writer": ONE, "revision": "0"}
    answer = at_alices.post(reverse("draft-keep-edit", args=[message.message_id]), fields)
    assert (answer.status_code, answer.json()["code"]) == (422, "taken-back")
    assert "This message was taken back" in answer.json()["error"]
    assert not Draft.objects.exists()
    assert NOTICE not in page(at_alices, message)


def test_of_several_the_newest_is_said_that_is_not_open(
    alice: Account, at_alices: Client, message: Message
) -> None:
    others = [did for did in message.conversation.participants if did != alice.did]
    newer = outgoing.send(alice, others, "It is blue", str(uuid4()))
    keep(at_alices, message, "about the key")
    keep(at_alices, newer, "about its colour")
    for html, said, silent in (
        (page(at_alices, message), "about its colour", "about the key"),
        (form(at_alices, newer), "about the key", None),
        (form(at_alices, message), "about its colour", None),
    ):
        assert html.count(NOTICE) == 1
        assert f"<bdi>{said}</bdi>" in html
        assert silent is None or silent not in html


def test_it_is_no_draft_of_a_conversation(
    alice: Account, at_alices: Client, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(at_alices, message)
    assert BEGUN not in html_of(at_alices, reverse("inbox"))
    assert list(draft_export.drafts_json(alice)) == []
    # Nor does it take the room of one, or the other way round.
    monkeypatch.setattr(drafts, "MOST_NEW", 1)
    fields = {"text": "anew", "draft": ONE, "writer": ONE, "revision": "0"}
    assert at_alices.post(reverse("draft-keep-new"), fields).status_code == 200
    keep(at_alices, message, revision=kept["revision"])
    another = outgoing.send(alice, [alice.did], "another", str(uuid4()))
    refused = at_alices.post(reverse("draft-keep-edit", args=[another.message_id]), fields)
    assert refused.status_code == 422
    assert drafts.of_conversation(alice, message.conversation) is None


def test_nobody_elses_message_is_changed(alice: Account, at_alices: Client, message: Message) -> None:
    mallory = browser_of(new_account("mallory"))
    keep(at_alices, message)
    (theirs,) = Message.objects.filter(direction="in")
    for browser, one in ((mallory, message), (at_alices, theirs)):
        for name in ("draft-keep-edit", "message-edit-leave"):
            answer = browser.post(reverse(name, args=[one.message_id]), {"text": "x"})
            assert answer.status_code == 404
        asked = {"message": one.message_id}
        assert browser.get(reverse("draft-overtaken"), asked).status_code == 404
    assert Draft.objects.get().account == alice


def test_an_ended_sign_in_loses_no_change(alice: Account, message: Message) -> None:
    edit = reverse("message-edit", args=[message.message_id])
    fields = {"text": BEGUN, "token": str(uuid4()), "writer": ONE, "revision": "3"}
    for address in (edit, reverse("draft-keep-edit", args=[message.message_id])):
        by_script = Client().post(address, fields, headers={"HX-Request": "true"})
        assert by_script.status_code == 401
        assert "HX-Redirect" not in by_script.headers
    html = Client().post(edit, fields).content.decode()
    assert f"{BEGUN}</textarea>" in html
    assert 'name="revision" value="3"' in html
    assert Client().get(edit).headers["Location"].startswith(reverse("sign-in"))


def test_a_message_that_cannot_be_shown_just_now_keeps_its_change(
    alice: Account, at_alices: Client, message: Message
) -> None:
    place = DraftPlace(message=message)
    drafts.keep(alice, DraftOnPage(place, ONE), DraftContent(BEGUN), now=timezone.now())
    Draft.objects.update(sealed=b"nothing that opens")
    html = form(at_alices, message)
    # Typing there does not write over what can't be shown.
    assert "data-shut" in html
    assert NOTICE in page(at_alices, message)


def assert_nothing_inline_in(html: str) -> str:
    assert_nothing_inline(html)
    return html
