"""Drafts: kept as they are typed, the same in every browser, gone with sending, lost by nothing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.agent import agent
from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.test_pages import assert_nothing_inline, html_of
from webmail import draft_export, drafts, keeping_back, outgoing
from webmail.blobs import attaching, sweeping
from webmail.draft_content import DraftContent
from webmail.draft_places import DraftOnPage, DraftPlace
from webmail.models import Blob, Conversation, Draft, Message, PendingMessage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

TEXT = "I looked at the numbers again and 🌊"
ONE, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def alice(db: None, agent_process: AgentProcess, settings: Settings, tmp_path: Path) -> Account:
    settings.BLOB_DIR = tmp_path / "blobs"
    return new_account("alice")


def keep(browser: Client, conversation: Conversation, text: str, **more: object) -> dict[str, Any]:
    fields = {"text": text, "writer": ONE, "revision": "0", **more}
    answer = browser.post(reverse("draft-keep", args=[conversation.conversation_id]), fields)
    assert answer.status_code == 200, answer.content
    told: dict[str, Any] = answer.json()
    return told


def page(browser: Client, conversation: Conversation) -> str:
    return html_of(browser, reverse("conversation", args=[conversation.conversation_id]))


def news(
    browser: Client, conversation: Conversation, writer: str, revision: object
) -> dict[str, object] | None:
    asked = {"writer": writer, "revision": str(revision)}
    answer = browser.get(reverse("draft-news", args=[conversation.conversation_id]), asked)
    if answer.status_code == 204:
        return None
    told: dict[str, object] = answer.json()
    return told


def test_what_is_typed_is_there_in_another_browser_and_in_the_list(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    first = keep(at_alices, with_bob, TEXT)
    assert first == {"revision": first["revision"], "overtook": False, "left": False}
    told = keep(at_alices, with_bob, TEXT + " more", revision=first["revision"])
    assert told == {"revision": first["revision"] + 1, "overtook": False, "left": False}
    elsewhere = browser_of(alice)
    html = page(elsewhere, with_bob)
    assert_nothing_inline(html)
    assert f"{TEXT} more</textarea>" in html
    assert f'name="revision" value="{told["revision"]}"' in html
    row = html_of(elsewhere, reverse("inbox"))
    assert "Draft:" in row
    assert f"{TEXT} more" in row
    # Where it is open it stands in the field.
    assert "Draft:" not in html
    assert Draft.objects.count() == 1


def test_nothing_of_it_is_in_the_database_in_the_clear(at_alices: Client, with_bob: Conversation) -> None:
    keep(at_alices, with_bob, "unmistakable words")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM webmail_draft")
        (row,) = cursor.fetchall()
    assert "unmistakable" not in repr([bytes(x) if isinstance(x, memoryview) else x for x in row])


def test_an_empty_field_is_no_draft(at_alices: Client, with_bob: Conversation) -> None:
    told = keep(at_alices, with_bob, TEXT)
    keep(at_alices, with_bob, " \n", revision=told["revision"])
    assert not Draft.objects.exists()
    assert "Draft:" not in html_of(at_alices, reverse("inbox"))


def test_of_two_pages_the_last_one_wins_and_both_are_told(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    first = keep(at_alices, with_bob, "on the train", writer=ONE)["revision"]
    # The other page has not seen it.
    told = keep(at_alices, with_bob, "at the desk", writer=OTHER, revision=0)
    assert told == {"revision": first + 1, "overtook": True, "left": False}
    changed = news(at_alices, with_bob, ONE, first)
    assert changed is not None
    assert (changed["text"], changed["revision"]) == ("at the desk", first + 1)
    # Its own text is the one beside it; a third page had none there.
    assert changed["replaced"] is True
    for nobody in ("ef" * 16, ""):
        third = news(at_alices, with_bob, nobody, 0)
        assert third is not None
        assert (third["overtook"], third["replaced"]) == (True, False)
    assert news(at_alices, with_bob, OTHER, first + 1) is None
    assert news(at_alices, with_bob, ONE, first + 1) is None
    # Nothing that was typed is lost.
    asked = {"conversation": with_bob.conversation_id}
    assert at_alices.get(reverse("draft-overtaken"), asked).json()["text"] == "on the train"
    somebody = browser_of(new_account("mallory"))
    assert somebody.get(reverse("draft-overtaken"), asked).status_code == 404
    assert somebody.get(reverse("draft-news", args=[with_bob.conversation_id])).status_code == 404


def test_sending_takes_the_draft_away_and_other_pages_hear_of_it(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    kept = keep(at_alices, with_bob, TEXT, writer=ONE)
    send = reverse("conversation-send", args=[with_bob.conversation_id])
    at_alices.post(send, {"text": TEXT, "token": str(uuid4()), "revision": kept["revision"]})
    assert Message.objects.filter(account=alice, direction="out").count() == 1
    assert not Draft.objects.exists()
    told = news(at_alices, with_bob, OTHER, kept["revision"])
    assert told is not None
    assert (told["text"], told["revision"]) == ("", 0)
    assert news(at_alices, with_bob, OTHER, 0) is None


def sent_from(browser: Client, conversation: Conversation, text: str, **more: object) -> None:
    """From the composer of a page, as the last one that kept ``text``."""
    fields = {"text": text, "token": str(uuid4()), "writer": ONE, "revision": "0", **more}
    send = reverse("conversation-send", args=[conversation.conversation_id])
    assert browser.post(send, fields).status_code == 302


def of_conversation(account: Account, conversation: Conversation) -> str | None:
    found = drafts.of_conversation(account, conversation)
    return found.content.text if found and found.content else None


def test_a_note_from_the_page_of_a_new_conversation_leaves_the_draft_of_the_existing_one(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    keep(at_alices, with_bob, "a long text, half of it written")
    (bob,) = [did for did in with_bob.participants if did != alice.did]
    fields = {"to": [bob], "text": "quick note", "draft": OTHER, "writer": OTHER, "revision": "0"}
    at_alices.post(reverse("draft-keep-new"), fields)
    assert Draft.objects.count() == 2
    sent = at_alices.post(reverse("new-conversation"), {**fields, "token": str(uuid4()), "do": "send"})
    assert sent.status_code == 302
    assert Message.objects.get(account=alice, direction="out").conversation == with_bob
    assert [row.conversation for row in Draft.objects.all()] == [with_bob]
    assert of_conversation(alice, with_bob) == "a long text, half of it written"
    # Nor does one whose page names no draft, or that of a conversation, take it away.
    for draft in ("", Draft.objects.get().draft_id):
        told = {**fields, "draft": draft, "token": str(uuid4()), "do": "send"}
        assert at_alices.post(reverse("new-conversation"), told).status_code == 302
        assert of_conversation(alice, with_bob) == "a long text, half of it written"


@pytest.mark.parametrize("undo_seconds", [0, 20])
def test_what_was_overtaken_is_the_draft_again_once_the_other_is_sent(
    alice: Account, at_alices: Client, with_bob: Conversation, settings: Settings, undo_seconds: int
) -> None:
    settings.UNDO_SECONDS = undo_seconds
    blob = attaching.attach(alice, "train.txt", "a/b", 3, [b"abc"], now=timezone.now() - timedelta(days=2))
    named = {"file": [blob.pk], f"name-{blob.pk}": "train.txt"}
    keep(at_alices, with_bob, "on the train", writer=OTHER, **named)
    kept = keep(at_alices, with_bob, "at the desk", writer=ONE, revision=0)
    sent_from(at_alices, with_bob, "at the desk", revision=kept["revision"])
    assert of_conversation(alice, with_bob) == "on the train"
    told = news(at_alices, with_bob, ONE, kept["revision"])
    assert told is not None
    assert (told["text"], told["overtook"]) == ("on the train", False)
    # With its file, which nobody swept away meanwhile.
    sweeping.sweep(timezone.now())
    assert "train.txt" in page(at_alices, with_bob)
    # It is the draft of nobody's page: who writes on elsewhere overtakes it.
    assert keep(at_alices, with_bob, "more from the desk", writer=ONE, revision=0)["overtook"]


def test_what_a_page_has_not_seen_is_not_sent_with_what_it_has(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    kept = keep(at_alices, with_bob, "at the desk", writer=ONE)
    keep(at_alices, with_bob, "on the train", writer=OTHER, revision=0)
    sent_from(at_alices, with_bob, "at the desk", revision=kept["revision"])
    assert of_conversation(alice, with_bob) == "on the train"
    # What was sent does not come back.
    assert not Draft.objects.get().overtaken
    # A page without script that shows it takes it along.
    sent_from(at_alices, with_bob, "on the train", writer="", revision=Draft.objects.get().revision)
    assert not Draft.objects.exists()


@pytest.mark.parametrize("way", ["written on", "emptied", "sent", "without script"])
def test_a_page_that_knows_a_former_draft_does_not_know_the_one_that_stands_there_now(
    alice: Account, at_alices: Client, with_bob: Conversation, way: str
) -> None:
    asleep = keep(at_alices, with_bob, "half a thought", writer=ONE)["revision"]
    drafts.discard(alice, DraftPlace(with_bob))
    keep(at_alices, with_bob, "a long text on the phone", writer=OTHER)
    told = news(at_alices, with_bob, ONE, asleep)
    assert told is not None
    assert told["text"] == "a long text on the phone"
    if way == "written on":
        told = keep(at_alices, with_bob, "half a thought, and", writer=ONE, revision=asleep)
        assert told["overtook"]
        other = drafts.overtaken(alice, DraftPlace(with_bob))
        assert other is not None
        assert other.text == "a long text on the phone"
        return
    if way == "emptied":
        assert keep(at_alices, with_bob, "", writer=ONE, revision=asleep)["left"]
    else:
        writer = ONE if way == "sent" else ""
        sent_from(at_alices, with_bob, "half a thought", writer=writer, revision=asleep)
    assert of_conversation(alice, with_bob) == "a long text on the phone"


def test_a_text_that_is_put_back_is_known_to_no_page(alice: Account, with_bob: Conversation) -> None:
    revisions = set()
    for draft_id in (ONE, OTHER):
        sealed = agent().seal_draft(alice.did, draft_id, DraftContent(TEXT).encoded())
        with transaction.atomic():
            drafts.put_back(alice, with_bob, draft_id, sealed, timezone.now())
        revisions.add(Draft.objects.get().revision)
        drafts.discard(alice, DraftPlace(with_bob))
        with transaction.atomic():
            drafts.put_back_new(alice, draft_id, sealed, timezone.now())
        revisions.add(Draft.objects.get().revision)
        drafts.discard(alice, DraftPlace(draft_id=draft_id))
        take_drafts(alice, [exported_draft(1)])
        revisions.add(Draft.objects.get().revision)
        Draft.objects.all().delete()
    assert len(revisions) == 6


def test_a_field_that_is_emptied_takes_away_what_its_page_has_seen_alone(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    begun = keep(at_alices, with_bob, "begun at the desk", writer=ONE)["revision"]
    keep(at_alices, with_bob, "finished on the train", writer=OTHER, revision=begun)
    told = keep(at_alices, with_bob, "", writer=ONE, revision=begun)
    assert told == {"revision": 0, "overtook": False, "left": True}
    assert of_conversation(alice, with_bob) == "finished on the train"
    # What is written there after all does not destroy it either.
    keep(at_alices, with_bob, "something else", writer=ONE, revision=0)
    told = keep(at_alices, with_bob, "", writer=ONE, revision=0)
    assert told["left"]
    assert of_conversation(alice, with_bob) == "finished on the train"
    assert not keep(at_alices, with_bob, "", writer=ONE, revision=Draft.objects.get().revision)["left"]
    assert not Draft.objects.exists()


def test_two_texts_change_places_as_often_as_somebody_wants(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    asked = {"conversation": with_bob.conversation_id}
    keep(at_alices, with_bob, "on the train", writer=OTHER)
    keep(at_alices, with_bob, "at the desk", writer=ONE, revision=0)
    pair = ["on the train", "at the desk"]
    for shown, other in (pair, pair[::-1]):
        keep(at_alices, with_bob, shown, writer=ONE, swap="1")
        assert of_conversation(alice, with_bob) == shown
        assert at_alices.get(reverse("draft-overtaken"), asked).json()["text"] == other
    # A page that is opened now offers it as well.
    assert 'data-line="overtook" role="status">' in page(at_alices, with_bob)


def test_a_third_page_leaves_the_texts_of_both_others(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    def other() -> str:
        found = drafts.overtaken(alice, DraftPlace(with_bob))
        assert found is not None
        return found.text

    keep(at_alices, with_bob, "on the laptop", writer=ONE)
    keep(at_alices, with_bob, "on the phone", writer=OTHER)
    told = keep(at_alices, with_bob, "on the tablet", writer="c" * 32)
    assert told["overtook"]
    assert of_conversation(alice, with_bob) == "on the tablet"
    assert other() == "on the laptop\non the phone"
    # Nor does a fourth.
    keep(at_alices, with_bob, "at work", writer="d" * 32)
    assert other() == "on the laptop\non the phone\non the tablet"
    sent_from(at_alices, with_bob, "at work", writer="d" * 32)
    assert of_conversation(alice, with_bob) == "on the laptop\non the phone\non the tablet"


def test_pages_that_overtake_each_other_do_not_pile_up_what_they_had(
    alice: Account, at_alices: Client, with_bob: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for writer, text in ((ONE, "one"), (OTHER, "two"), (ONE, "one, more"), (OTHER, "two, more")):
        keep(at_alices, with_bob, text, writer=writer)
    found = drafts.overtaken(alice, DraftPlace(with_bob))
    assert found is not None
    assert found.text == "one, more"
    # What is too long together is the newer one alone.
    monkeypatch.setattr(drafts, "MOST_BYTES", len(DraftContent("x" * 19).encoded()))
    keep(at_alices, with_bob, "x" * 19, writer="c" * 32)
    found = drafts.overtaken(alice, DraftPlace(with_bob))
    assert found is not None
    assert found.text == "two, more"


def test_a_message_that_cannot_be_tried_again_leaves_the_draft_in_the_field(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    keep(at_alices, with_bob, TEXT)
    others = [did for did in with_bob.participants if did != alice.did]
    blob = attaching.attach(alice, "gone.pdf", "a/b", 80_000, [bytes(80_000)], now=timezone.now())
    message = outgoing.send(alice, others, "with a file", str(uuid4()), files=[blob])
    attaching.remove(Blob.objects.get(), timezone.now())
    answer = at_alices.post(reverse("message-retry", args=[message.message_id]))
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "A file of this message is gone" in html
    assert f"{TEXT}</textarea>" in html


def test_a_page_that_comes_again_without_script_knows_no_more_than_before(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    begun = keep(at_alices, with_bob, "begun", writer=ONE)["revision"]
    keep(at_alices, with_bob, "finished on the train", writer=OTHER, revision=begun)
    send = reverse("conversation-send", args=[with_bob.conversation_id])
    refused = at_alices.post(send, {"text": "x" * 48_001, "token": str(uuid4()), "revision": begun})
    assert refused.status_code == 422
    assert f'name="revision" value="{begun}"' in refused.content.decode()
    fields = {"text": "anew", "draft": ONE, "writer": ONE, "revision": "7"}
    html = at_alices.post(reverse("new-conversation"), fields).content.decode()
    assert f'name="writer" value="{ONE}"' in html
    assert 'name="revision" value="7"' in html


def test_what_could_not_be_sent_stays_a_draft(at_alices: Client, with_bob: Conversation) -> None:
    keep(at_alices, with_bob, "x" * 48_001)
    send = reverse("conversation-send", args=[with_bob.conversation_id])
    answer = at_alices.post(send, {"text": "x" * 48_001, "token": str(uuid4())})
    assert answer.status_code == 422
    assert Draft.objects.count() == 1
    # And what goes out by itself, such as a retry, leaves it alone.
    outgoing.send(with_bob.account, [with_bob.account.did], "a note", str(uuid4()))
    assert Draft.objects.count() == 1


def test_a_draft_of_a_new_conversation_has_its_people(alice: Account, at_alices: Client) -> None:
    bob, carol = peer("bob", display_name="Robert"), peer("carol", display_name="Carol")
    fields = {"to": [bob.did, carol.did], "text": TEXT, "draft": ONE, "writer": ONE, "revision": "0"}
    assert at_alices.post(reverse("draft-keep-new"), fields).status_code == 200
    listed = html_of(at_alices, reverse("inbox"))
    assert "Robert, Carol" in listed
    assert TEXT in listed
    assert "Robert" not in html_of(at_alices, reverse("inbox") + "?filter=unread")
    fields["to"] = [bob.did]
    at_alices.post(reverse("draft-keep-new"), {**fields, "revision": Draft.objects.get().revision})
    html = html_of(at_alices, f"{reverse('new-conversation')}?draft={ONE}")
    assert_nothing_inline(html)
    assert TEXT in html
    assert f'name="to" value="{bob.did}"' in html
    assert f'name="draft" value="{ONE}"' in html
    question = at_alices.get(reverse("draft-discard", args=[ONE])).content.decode()
    assert "Discard this draft?" in question
    assert f'href="{reverse("new-conversation")}?draft={ONE}">Keep it' in question
    answer = at_alices.post(reverse("draft-discard", args=[ONE]))
    assert answer.status_code == 302
    assert not Draft.objects.exists()
    # Somebody else's page can neither have nor discard it.
    at_alices.post(reverse("draft-keep-new"), fields)
    mallory = browser_of(new_account("mallory"))
    mallory.post(reverse("draft-discard", args=[ONE]))
    assert TEXT not in html_of(mallory, f"{reverse('new-conversation')}?draft={ONE}")
    assert Draft.objects.filter(account=alice).count() == 1
    for wrong in ("", "zz" * 16, "a" * 31):
        assert at_alices.post(reverse("draft-keep-new"), {**fields, "draft": wrong}).status_code == 404


@pytest.mark.parametrize("undo_seconds", [0, 20])
def test_what_was_sent_meanwhile_is_no_draft_of_a_new_conversation_again(
    at_alices: Client, with_bob: Conversation, settings: Settings, undo_seconds: int
) -> None:
    settings.UNDO_SECONDS = undo_seconds
    (bob,) = [did for did in with_bob.participants if did != with_bob.account.did]
    fields = {"to": [bob], "text": TEXT, "draft": ONE, "writer": ONE, "revision": "0", "token": str(uuid4())}
    kept = reverse("draft-keep-new")
    assert at_alices.post(kept, fields).status_code == 200
    assert at_alices.post(reverse("new-conversation"), {**fields, "do": "send"}).status_code == 302
    late = at_alices.post(kept, fields)
    assert (late.status_code, late.json()["code"]) == (422, "sent")
    assert "was sent already" in late.json()["error"]
    assert not Draft.objects.exists()
    # A page of another one, or the same taken back, is kept.
    PendingMessage.objects.all().delete()
    token = str(uuid4()) if undo_seconds == 0 else fields["token"]
    assert at_alices.post(kept, {**fields, "token": token}).status_code == 200


def test_there_are_not_endlessly_many(at_alices: Client) -> None:
    for number in range(drafts.MOST_NEW + 1):
        fields = {"text": TEXT, "draft": f"{number:032x}", "writer": ONE, "revision": "0"}
        answer = at_alices.post(reverse("draft-keep-new"), fields)
    assert answer.status_code == 422
    assert "many drafts" in answer.json()["error"]
    assert Draft.objects.count() == drafts.MOST_NEW


def test_a_draft_keeps_its_files(alice: Account, at_alices: Client, with_bob: Conversation) -> None:
    long_ago = timezone.now() - timedelta(days=2)
    blobs = [
        attaching.attach(alice, name, "a/b", 3, [b"abc"], now=long_ago) for name in ("kept.txt", "gone.txt")
    ]
    named = {f"name-{blob.pk}": name for blob, name in zip(blobs, ("kept.txt", "gone.txt"), strict=True)}
    both = keep(at_alices, with_bob, "", file=[blob.pk for blob in blobs], **named)
    keep(at_alices, with_bob, "", file=[blobs[0].pk], revision=both["revision"], **named)
    sweeping.sweep(timezone.now())
    assert list(Blob.objects.values_list("pk", flat=True)) == [blobs[0].pk]
    html = page(at_alices, with_bob)
    assert f'name="file" value="{blobs[0].pk}" checked' in html
    assert "kept.txt" in html
    told = news(at_alices, with_bob, OTHER, 0)
    assert told is not None
    assert "kept.txt" in str(told["files"])
    # Another account's files are nobody's to keep.
    other = new_account("mallory")
    theirs = received(other, peer("eve").did, "Hi").conversation
    keep(browser_of(other), theirs, "mine now", file=[blobs[0].pk])
    assert Blob.objects.get().draft is not None
    assert Blob.objects.get().draft.account == alice  # type: ignore[union-attr]


def test_an_agent_that_is_away_costs_no_draft(
    at_alices: Client, with_bob: Conversation, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accounts import agent as accounts_agent
    from crypto_agent.client import AgentClient

    keep(at_alices, with_bob, TEXT)
    away = AgentClient("http://127.0.0.1:1", settings.AGENT_TOKEN_SECRET, "web")
    monkeypatch.setattr(accounts_agent, "kept_client", lambda: away)
    answer = at_alices.post(
        reverse("draft-keep", args=[with_bob.conversation_id]),
        {"text": "over it", "writer": ONE, "revision": "0"},
    )
    assert answer.status_code == 503
    html = page(at_alices, with_bob)
    # Typing there does not write over what can't be shown.
    assert "data-shut" in html
    assert "A draft is kept here" in html
    monkeypatch.undo()
    assert TEXT in page(at_alices, with_bob)


def test_an_ended_sign_in_loses_nothing_that_was_typed(alice: Account, with_bob: Conversation) -> None:
    nobody = Client()
    send = reverse("conversation-send", args=[with_bob.conversation_id])
    fields = {"text": "<b>typed</b>", "token": str(uuid4()), "file": ["7"], "name-7": "a.txt", "evil": "x"}
    for address in (send, reverse("draft-keep", args=[with_bob.conversation_id])):
        by_script = nobody.post(address, fields, headers={"HX-Request": "true"})
        assert by_script.status_code == 401
        assert "HX-Redirect" not in by_script.headers
    answer = nobody.post(send, fields)
    assert answer.status_code == 401
    html = answer.content.decode()
    assert_nothing_inline(html)
    assert "&lt;b&gt;typed&lt;/b&gt;" in html
    assert f'action="{send}"' in html
    assert 'name="name-7" value="a.txt"' in html
    assert "evil" not in html
    # Signed in again, the same form goes through.
    sent = browser_of(alice).post(send, {"text": "<b>typed</b>", "token": fields["token"]})
    assert sent.status_code == 302
    more = {"at": "chosen", "when": "2031-05-06T07:08", "from": "ab" * 32, "tell": "1", "q": "dora.example"}
    new = nobody.post(
        reverse("new-conversation"), {"text": "typed anew", "to": ["did:plc:bob"], "do": "send", **more}
    )
    for name, value in more.items():
        assert f'<input type="hidden" name="{name}" value="{value}">' in new.content.decode()
    assert new.status_code == 401
    assert "typed anew" in new.content.decode()
    assert "did:plc:bob" in new.content.decode()
    assert nobody.get(reverse("new-conversation")).headers["Location"].startswith(reverse("sign-in"))


def take_drafts(account: Account, found: list[dict[str, Any]]) -> int:
    """How many were left out."""
    rows, left_out = draft_export.rows_of(account, found)
    draft_export.keep(rows)
    return left_out


def test_an_export_takes_drafts_along(alice: Account, at_alices: Client, with_bob: Conversation) -> None:
    keep(at_alices, with_bob, TEXT)
    fields = {"to": ["did:plc:carol"], "text": "anew", "draft": ONE, "writer": ONE, "revision": "0"}
    at_alices.post(reverse("draft-keep-new"), fields)
    now = timezone.now()
    others = [did for did in with_bob.participants if did != alice.did]
    later, named = DraftContent("not before tomorrow"), group_begun_later(alice, now)
    keeping_back.schedule(
        alice,
        others,
        later,
        str(uuid4()),
        now + timedelta(days=1),
        on_page=DraftOnPage(DraftPlace(with_bob), ONE),
        now=now,
    )
    exported = json.dumps(list(draft_export.drafts_json(alice)))
    # Composed for its time, it took no draft with it but the conversation's own.
    texts = ["anew", "not before tomorrow", "not before the walk"]
    assert sorted(each["text"] for each in json.loads(exported)) == sorted(texts)
    Draft.objects.all().delete()
    PendingMessage.objects.all().delete()
    for _again in range(2):
        take_drafts(alice, json.loads(exported))
    of_bob = drafts.of_conversation(alice, with_bob)
    assert of_bob is not None
    assert of_bob.content == later
    anew = drafts.at(alice, DraftPlace(draft_id=ONE))
    assert anew is not None
    assert anew.content == DraftContent("anew", people=("did:plc:carol",))
    assert named in [content for _id, _time, content in drafts.of_new_conversations(alice)]
    assert take_drafts(alice, [{"id": "x", "text": "", "conversation": "", "people": []}]) == 1


def group_begun_later(alice: Account, now: datetime) -> DraftContent:
    """What waits for its time with the name of the group that it begins."""
    people = (peer("dan").did, peer("eve").did)
    content = DraftContent("not before the walk", people=people, name="Sunday walk")
    keeping_back.schedule(alice, people, content, str(uuid4()), now + timedelta(days=1), now=now)
    return content


def exported_draft(number: int, **more: object) -> dict[str, object]:
    people = ["did:plc:carol"]
    return {"id": f"{number:032x}", "text": f"draft {number}", "conversation": "", "people": people, **more}


def test_drafts_of_an_import_keep_their_order(alice: Account) -> None:
    take_drafts(alice, [exported_draft(number) for number in range(3)])
    listed = [draft_id for draft_id, _at, _content in drafts.of_new_conversations(alice)]
    assert listed == [f"{number:032x}" for number in range(3)]


def test_a_draft_kept_while_an_import_seals_stays(alice: Account, with_bob: Conversation) -> None:
    given = exported_draft(1, conversation=with_bob.conversation_id, text="of the file")
    sealed, _left_out = draft_export.rows_of(alice, [given])
    keep(browser_of(alice), with_bob, TEXT)
    draft_export.keep(sealed)
    of_bob = drafts.of_conversation(alice, with_bob)
    assert of_bob is not None
    assert of_bob.content == DraftContent(TEXT)


def test_drafts_of_an_import_are_matched_within_the_account(alice: Account) -> None:
    bob = new_account("bob")
    for account in (bob, alice):
        text = f"of {account.handle}"
        take_drafts(account, [exported_draft(1, text=text)])
    for account in (bob, alice):
        found = drafts.at(account, DraftPlace(draft_id=f"{1:032x}"))
        assert found is not None
        assert found.content == DraftContent(f"of {account.handle}", people=("did:plc:carol",))


def test_a_message_that_waits_does_not_come_as_a_draft_beside_itself(
    alice: Account, with_bob: Conversation
) -> None:
    others = [did for did in with_bob.participants if did != alice.did]
    now = timezone.now()
    keeping_back.schedule(
        alice, others, DraftContent("later"), str(uuid4()), now + timedelta(days=1), now=now
    )
    take_drafts(alice, list(draft_export.drafts_json(alice)))
    assert not Draft.objects.exists()


def test_an_import_brings_a_bounded_number_of_drafts(
    alice: Account, at_alices: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_export, "MOST_NEW", drafts.MOST_NEW + 5)
    for _again in range(2):
        take_drafts(alice, [exported_draft(number) for number in range(drafts.MOST_NEW + 9)])
    kept = set(Draft.objects.values_list("draft_id", flat=True))
    assert kept == {f"{number:032x}" for number in range(drafts.MOST_NEW + 5)}
    # Each of them can still be written in, and there is no room for another.
    fields = {"to": ["did:plc:carol"], "text": "more", "writer": ONE, "revision": "1"}
    for draft_id, status in ((f"{3:032x}", 200), (OTHER, 422)):
        answer = at_alices.post(reverse("draft-keep-new"), {**fields, "draft": draft_id})
        assert answer.status_code == status, answer.content


@pytest.mark.parametrize(
    "wrong",
    [
        {"people": ["nobody"]},
        {"people": ["did:plc:carol"] * 8193},
        {"conversation": "xyz"},
        {"text": "x" * drafts.MOST_BYTES},
        {"topic": "not the key of one"},
    ],
)
def test_what_is_no_draft_is_left_out(alice: Account, wrong: dict[str, object]) -> None:
    assert take_drafts(alice, [exported_draft(1, **wrong), exported_draft(2)]) == 1
    assert Draft.objects.get().draft_id == f"{2:032x}"
