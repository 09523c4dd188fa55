"""Messages that go out later: taken back for a moment, or waiting for a time of their own."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentClient, AgentLimited, Composed, Expires, SealedContent
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.test_pages import assert_nothing_inline, html_of
from webmail import (
    blocking,
    conversation_settings,
    keeping_back,
    outgoing,
    pending,
    queues,
    sending_times,
    tasks,
    threads,
)
from webmail.blobs import attaching, sweeping
from webmail.draft_content import DraftContent
from webmail.models import Blob, Conversation, Delivery, Draft, Message, PendingMessage
from webmail.outgoing import CannotSend
from webmail.pending import NotPending

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

TEXT = "Path by the weir 🌊"


@pytest.fixture
def alice(db: None, agent_process: AgentProcess, settings: Settings, tmp_path: Path) -> Account:
    settings.BLOB_DIR = tmp_path / "blobs"
    settings.UNDO_SECONDS = 10
    return new_account("alice")


def hand_in(browser: Client, conversation: Conversation, text: str = TEXT, **more: object) -> PendingMessage:
    send = reverse("conversation-send", args=[conversation.conversation_id])
    answer = browser.post(send, {"text": text, "token": str(uuid4()), **more})
    assert answer.status_code == 302, answer.content
    row = PendingMessage.objects.latest("pk")
    assert answer.headers["Location"].endswith(f"#p{row.pk}")
    return row


def tomorrow() -> str:
    """What the button that says "Tomorrow morning" hands in."""
    _words, moment = sending_times.choices(timezone.now())[0]
    return moment.isoformat()


def page(browser: Client, conversation: Conversation) -> str:
    return html_of(browser, reverse("conversation", args=[conversation.conversation_id]))


def sent_by(account: Account) -> list[Message]:
    return list(Message.objects.filter(account=account, direction="out"))


def test_a_message_is_held_for_longer_than_it_may_be_taken_back(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    began = timezone.now()
    row = hand_in(at_alices, with_bob)
    assert timedelta(seconds=11) <= row.release_at - began < timedelta(seconds=20)
    assert sent_by(alice) == []
    html = page(at_alices, with_bob)
    assert_nothing_inline(html)
    assert TEXT in html
    assert html.count("Sending in a moment") == 2
    assert pending.release(row.pk, now=row.release_at - timedelta(milliseconds=1)) is None
    message = pending.release(row.pk, now=row.release_at)
    assert message is not None
    assert message.state == Message.State.COMPOSED
    assert message.created_at < row.release_at - timedelta(seconds=10)
    assert [each.recipient_did for each in Delivery.objects.all()] == [
        did for did in with_bob.participants if did != alice.did
    ]
    (segment,) = threads.entry(alice, message.message_id).segments
    assert segment.text == TEXT
    # It may run twice, and what was handed in twice is there once.
    assert pending.release(row.pk, now=row.release_at) is None
    assert outgoing.sent_before(alice, row.token) == message
    again = at_alices.post(
        reverse("conversation-send", args=[with_bob.conversation_id]), {"text": TEXT, "token": row.token}
    )
    assert again.headers["Location"].endswith(f"#m{message.message_id}")
    assert sent_by(alice) == [message]
    assert "Sending in a moment" not in page(at_alices, with_bob)


def test_an_answer_that_waits_shows_what_it_answers(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    (bob,) = [did for did in with_bob.participants if did != alice.did]
    bobs = received(alice, bob, "Which path <b>?\nMore")
    row = hand_in(at_alices, with_bob, in_reply_to=bobs.message_id)

    def waiting() -> str:
        html = page(at_alices, with_bob)
        return html[html.index(f'id="p{row.pk}"') :].partition(TEXT)[0]

    quote = (
        f'<a class="quote" href="{reverse("message-place", args=[bobs.message_id])}"><b><bdi>Bob</bdi></b>'
    )
    assert quote + '<span dir="auto">Which path &lt;b&gt;?</span></a>' in waiting()
    bobs.delete()
    assert '<p class="quote"><span>A message that is not here</span></p>' in waiting()
    # One that answers nothing has none.
    row = hand_in(at_alices, with_bob)
    assert "quote" not in waiting()


def test_taken_back_it_is_a_draft_with_its_files(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    blob = attaching.attach(alice, "way.pdf", "a/b", 3, [b"abc"], now=timezone.now() - timedelta(days=2))
    more = {
        "file": [blob.pk],
        f"name-{blob.pk}": "way.pdf",
    }
    row = hand_in(at_alices, with_bob, **more)
    sweeping.sweep(timezone.now())
    assert Blob.objects.filter(pk=blob.pk).exists()
    answer = at_alices.post(reverse("pending-undo", args=[row.pk]))
    assert answer.status_code == 302
    assert not PendingMessage.objects.exists()
    html = page(at_alices, with_bob)
    assert f"{TEXT}</textarea>" in html
    assert f'name="file" value="{blob.pk}" checked' in html
    sweeping.sweep(timezone.now())
    assert Blob.objects.get(pk=blob.pk).draft == Draft.objects.get()
    # Released and taken back both: whoever is later finds nothing.
    assert pending.release(row.pk, now=row.release_at) is None
    assert sent_by(alice) == []
    with pytest.raises(NotPending):
        pending.take_back(alice, row.pk, now=timezone.now())
    # And it can be sent again, with all that it had.
    fields = {"file": [blob.pk], f"name-{blob.pk}": "way.pdf", "revision": Draft.objects.get().revision}
    again = hand_in(at_alices, with_bob, **fields)
    message = pending.release(again.pk, now=again.release_at)
    assert message is not None
    assert threads.entry(alice, message.message_id).files[0].name == "way.pdf"
    assert not Draft.objects.exists()


def test_what_was_typed_meanwhile_stays_below_what_was_taken_back(
    at_alices: Client, with_bob: Conversation
) -> None:
    row = hand_in(at_alices, with_bob, "first")
    keep = reverse("draft-keep", args=[with_bob.conversation_id])
    at_alices.post(keep, {"text": "second", "writer": "a" * 32, "revision": "0"})
    answer = at_alices.post(reverse("pending-undo", args=[row.pk]), headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (204, "draft, news")
    assert "first\nsecond</textarea>" in page(at_alices, with_bob)


def test_too_late_is_said(alice: Account, at_alices: Client, with_bob: Conversation) -> None:
    row = hand_in(at_alices, with_bob)
    pending.release(row.pk, now=row.release_at)
    for name in ("pending-undo", "pending-discard", "pending-send"):
        answer = at_alices.post(reverse(name, args=[row.pk]))
        assert answer.status_code == 409
        assert "sent or taken back meanwhile" in answer.content.decode()
        part = at_alices.post(reverse(name, args=[row.pk]), headers={"HX-Request": "true"})
        assert "sent or taken back meanwhile" in part.content.decode()
    assert len(sent_by(alice)) == 1


def test_others_have_no_part_in_it(alice: Account, at_alices: Client, with_bob: Conversation) -> None:
    row = hand_in(at_alices, with_bob)
    mallory = browser_of(new_account("mallory"))
    for name in ("pending-undo", "pending-discard", "pending-send"):
        assert mallory.post(reverse(name, args=[row.pk])).status_code == 409
    assert mallory.post(reverse("pending-time", args=[row.pk]), {"at": tomorrow()}).status_code == 404
    assert TEXT not in html_of(mallory, reverse("scheduled"))
    assert PendingMessage.objects.count() == 1


def test_whoever_was_blocked_meanwhile_gets_nothing_at_once_either(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    row = hand_in(at_alices, with_bob)
    Conversation.objects.filter(pk=with_bob.pk).update(blocked=True)
    with pytest.raises(CannotSend) as refused:
        pending.change_time(alice, row.pk, None, now=timezone.now())
    assert refused.value.code == "blocked"
    assert sent_by(alice) == []
    assert PendingMessage.objects.filter(pk=row.pk).exists()


def test_what_is_scheduled_for_somebody_blocked_says_what_it_waits_for(
    at_alices: Client, with_bob: Conversation
) -> None:
    row = hand_in(at_alices, with_bob)
    Conversation.objects.filter(pk=with_bob.pk).update(blocked=True)
    assert pending.release(row.pk, now=row.release_at) is None
    assert "Waits until you unblock them" in html_of(at_alices, reverse("scheduled"))


def test_what_waited_for_somebody_blocked_goes_out_when_they_are_not(
    alice: Account, at_alices: Client, with_bob: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = hand_in(at_alices, with_bob)
    (bob,) = (did for did in with_bob.participants if did != alice.did)
    blocking.block(alice, bob, timezone.now())
    assert pending.release(row.pk, now=row.release_at) is None
    PendingMessage.objects.filter(pk=row.pk).update(content_created_at=timezone.now() - timedelta(minutes=1))
    given: list[tuple[str, int]] = []
    monkeypatch.setattr(queues, "give", lambda task, key, **_more: given.append((task, key)))
    blocking.unblock(alice, bob)
    assert (queues.RELEASE, row.pk) in given
    assert pending.release(row.pk, now=timezone.now()) is not None


def test_what_was_handed_in_again_after_it_went_goes_once(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    first = hand_in(at_alices, with_bob)
    later = timezone.now() + timedelta(minutes=1)
    sent = pending.release(first.pk, now=later)
    assert sent is not None
    (other,) = (did for did in with_bob.participants if did != alice.did)
    again = keeping_back.hold(
        alice,
        [other],
        DraftContent(TEXT),
        sent.token or "",
        held_for=keeping_back.undo_time(alice),
        now=timezone.now(),
    )
    assert pending.release(again.pk, now=later) == sent
    assert sent_by(alice) == [sent]
    assert not PendingMessage.objects.exists()


def test_without_the_moment_it_goes_at_once(
    alice: Account, at_alices: Client, with_bob: Conversation, settings: Settings
) -> None:
    settings.UNDO_SECONDS = 0
    send = reverse("conversation-send", args=[with_bob.conversation_id])
    at_alices.post(send, {"text": TEXT, "token": str(uuid4())})
    assert len(sent_by(alice)) == 1
    assert not PendingMessage.objects.exists()


def test_a_message_waits_for_its_time_and_says_it_was_written_then(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    at_alices.cookies["zone"] = "Europe/Vienna"
    vienna = ZoneInfo("Europe/Vienna")
    morning = datetime.combine(
        timezone.now().astimezone(vienna).date() + timedelta(days=1), sending_times.MORNING, vienna
    )
    assert f'name="at" value="{morning.isoformat()}"' in page(at_alices, with_bob)
    row = hand_in(at_alices, with_bob, at=morning.isoformat(), when="")
    assert row.release_at == morning
    html = page(at_alices, with_bob)
    assert "Goes out" in html
    assert "Sending in a moment" not in html
    listed = html_of(at_alices, reverse("scheduled"))
    assert_nothing_inline(listed)
    assert TEXT in listed
    assert sent_by(alice) == []
    message = pending.release(row.pk, now=row.release_at + timedelta(seconds=2))
    assert message is not None
    assert message.created_at == row.release_at
    assert "Nothing is scheduled" in html_of(at_alices, reverse("scheduled"))


def test_its_time_can_be_changed_and_it_can_go_at_once(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    row = hand_in(at_alices, with_bob, at=tomorrow())
    address = reverse("pending-time", args=[row.pk])
    assert_nothing_inline(html_of(at_alices, address))
    later = timezone.localtime() + timedelta(days=3)
    typed = later.strftime("%Y-%m-%dT%H:%M")
    assert at_alices.post(address, {"at": "chosen", "when": typed}).status_code == 302
    row.refresh_from_db()
    assert abs(row.release_at - later) < timedelta(minutes=1)
    assert row.content_created_at == row.release_at
    for wrong, said in (
        ("2020-01-01T08:00", "time is over"),
        ("", "Choose a day"),
        ("9999-12-31T23:59", "within a year"),
        ("soon", "Choose a day"),
    ):
        answer = at_alices.post(address, {"at": "chosen", "when": wrong})
        assert answer.status_code == 422
        assert said in answer.content.decode()
    began = timezone.now()
    assert at_alices.post(reverse("pending-send", args=[row.pk])).status_code == 302
    (message,) = sent_by(alice)
    assert began - timedelta(seconds=1) < message.created_at < timezone.now() + timedelta(seconds=1)
    assert not PendingMessage.objects.exists()


def test_discarded_it_is_gone_with_its_files(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    blob = attaching.attach(alice, "a.pdf", "a/b", 3, [b"abc"], now=timezone.now())
    row = hand_in(at_alices, with_bob, at=tomorrow(), file=[blob.pk])
    discard = reverse("pending-discard", args=[row.pk])
    question = html_of(at_alices, f"{discard}?from=scheduled")
    assert "Discard this message?" in question
    assert TEXT in question
    assert f'href="{reverse("scheduled")}">Keep it' in question
    assert PendingMessage.objects.exists()
    answer = at_alices.post(discard, {"from": "scheduled"})
    assert answer.headers["Location"] == reverse("scheduled")
    assert not PendingMessage.objects.exists()
    assert not Blob.objects.exists()


def test_in_its_place_it_is_asked_whether_to_discard(at_alices: Client, with_bob: Conversation) -> None:
    row = hand_in(at_alices, with_bob, at=tomorrow())
    discard = reverse("pending-discard", args=[row.pk])
    htmx = {"HX-Request": "true"}
    part = at_alices.get(discard, headers=htmx).content.decode()
    assert_nothing_inline(part)
    assert "Discard this message?" in part
    assert "Keep it" in part
    fields = {"conversation": with_bob.conversation_id}
    answer = at_alices.post(discard, fields, headers=htmx)
    assert answer.headers["HX-Trigger"] == "news"
    assert TEXT not in answer.content.decode()
    # In another window, too late.
    late = at_alices.get(discard, headers=htmx)
    assert "It was sent or taken back meanwhile." in late.content.decode()
    assert late.headers["HX-Retarget"] == "#toasts"
    again = at_alices.post(discard, fields, headers=htmx).content.decode()
    assert "It was sent or taken back meanwhile." in again
    assert "Discard this message?" not in again


def test_a_file_does_not_go_after_its_time(alice: Account, at_alices: Client, with_bob: Conversation) -> None:
    blob = attaching.attach(alice, "a.pdf", "a/b", 3, [b"abc"], now=timezone.now())
    late = (timezone.localtime() + timedelta(days=40)).strftime("%Y-%m-%dT%H:%M")
    fields = {"text": TEXT, "token": str(uuid4()), "at": "chosen", "when": late, "file": [blob.pk]}
    answer = at_alices.post(reverse("conversation-send", args=[with_bob.conversation_id]), fields)
    assert answer.status_code == 422
    assert "Choose an earlier time" in answer.content.decode()
    assert TEXT in answer.content.decode()
    assert not PendingMessage.objects.exists()


def test_a_file_does_not_go_after_its_time_where_that_is_changed_either(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    blob = attaching.attach(alice, "a.pdf", "a/b", 3, [b"abc"], now=timezone.now())
    row = hand_in(at_alices, with_bob, at=tomorrow(), file=[blob.pk])
    late = (timezone.localtime() + timedelta(days=40)).strftime("%Y-%m-%dT%H:%M")
    answer = at_alices.post(reverse("pending-time", args=[row.pk]), {"at": "chosen", "when": late})
    assert answer.status_code == 422
    assert "Choose an earlier time" in answer.content.decode()
    assert PendingMessage.objects.get(pk=row.pk).release_at == row.release_at


def test_a_file_is_in_one_message_that_waits(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    blob = attaching.attach(alice, "film.bin", "a/b", 80_000, [bytes(80_000)], now=timezone.now())
    row = hand_in(at_alices, with_bob, at=tomorrow(), file=[blob.pk])
    send = reverse("conversation-send", args=[with_bob.conversation_id])
    for seconds in (10, 0):
        at_alices.post(reverse("undo-send"), {"seconds": seconds})
        answer = at_alices.post(send, {"text": "again", "token": str(uuid4()), "file": [blob.pk]})
        assert answer.status_code == 422
        assert "A file is in another message already." in answer.content.decode()
    assert PendingMessage.objects.get() == row
    assert sent_by(alice) == []
    message = pending.release(row.pk, now=row.release_at)
    assert message is not None
    assert Blob.objects.get().message_id == message.message_id


def test_discarded_a_message_leaves_the_files_of_others(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    blob = attaching.attach(alice, "film.bin", "a/b", 80_000, [bytes(80_000)], now=timezone.now())
    other = hand_in(at_alices, with_bob, "names it as well", at=tomorrow())
    PendingMessage.objects.filter(pk=other.pk).update(files=[blob.pk], inline=[False])
    row = hand_in(at_alices, with_bob, at=tomorrow(), file=[blob.pk])
    pending.discard(alice, other.pk)
    assert Blob.objects.get(pk=blob.pk).pending == row


def test_a_page_that_still_shows_a_file_does_not_take_it_from_a_message_that_waits(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    blob = attaching.attach(alice, "film.bin", "a/b", 80_000, [bytes(80_000)], now=timezone.now())
    row = hand_in(at_alices, with_bob, file=[blob.pk])
    assert row.inline == [False]
    at_alices.post(reverse("file-remove", args=[blob.pk]))
    message = pending.release(row.pk, now=row.release_at)
    assert message is not None
    assert Blob.objects.get().message_id == message.message_id


def test_a_message_does_not_go_out_without_a_file(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    blob = attaching.attach(alice, "film.bin", "a/b", 80_000, [bytes(80_000)], now=timezone.now())
    row = hand_in(at_alices, with_bob, at=tomorrow(), file=[blob.pk], **{f"name-{blob.pk}": "film.bin"})
    gone = "A file of this message is gone"
    places = (reverse("conversation", args=[with_bob.conversation_id]), reverse("scheduled"))
    for place in places:
        assert gone not in html_of(at_alices, place)
    attaching.remove(Blob.objects.get(), timezone.now())
    assert pending.release(row.pk, now=row.release_at) is None
    assert sent_by(alice) == []
    assert PendingMessage.objects.get().release_at == row.release_at + pending.PUT_OFF
    for place in places:
        html = html_of(at_alices, place)
        assert TEXT in html
        assert gone in html
    now = at_alices.post(reverse("pending-send", args=[row.pk]))
    assert now.status_code == 409
    assert "A file waited too long and was removed." in now.content.decode()
    # Written anew it goes without.
    at_alices.post(reverse("pending-undo", args=[row.pk]))
    html = page(at_alices, with_bob)
    assert f"{TEXT}</textarea>" in html
    assert "film.bin" not in html


def test_a_page_of_what_is_scheduled_that_is_open_gets_that_alone(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    fields = {"text": TEXT, "token": str(uuid4()), "at": tomorrow()}
    at_alices.post(reverse("conversation-send", args=[with_bob.conversation_id]), fields)
    htmx = {"HX-Request": "true", "HX-Target": "scheduled"}
    part = at_alices.get(reverse("scheduled"), headers=htmx).content.decode()
    assert TEXT in part
    assert "<html" not in part
    PendingMessage.objects.all().delete()
    assert "Nothing is scheduled" in at_alices.get(reverse("scheduled"), headers=htmx).content.decode()


def test_a_new_conversation_may_wait_too(alice: Account, at_alices: Client) -> None:
    carol = peer("carol", display_name="Carol")
    offered = at_alices.get(reverse("new-conversation")).content.decode()
    times = sending_times.choices(timezone.now())
    for words, moment in times:
        button = rf'name="at" value="{re.escape(moment.isoformat())}" data-send[^>]*><span>{words}</span>'
        assert re.search(button, offered)
    _words, monday = times[-1]
    fields = {"to": [carol.did], "text": TEXT, "token": str(uuid4()), "do": "", "at": monday.isoformat()}
    answer = at_alices.post(reverse("new-conversation"), fields)
    row = PendingMessage.objects.get()
    assert answer.headers["Location"] == reverse("conversation", args=[row.conversation.conversation_id])
    assert row.release_at.weekday() == 0
    assert TEXT in page(at_alices, row.conversation)


def test_the_scheduler_gives_what_is_due_its_moment(
    alice: Account, with_bob: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    others = [did for did in with_bob.participants if did != alice.did]
    rows = [
        keeping_back.schedule(
            alice, others, pending.DraftContent(TEXT), str(uuid4()), now + timedelta(seconds=seconds), now=now
        )
        for seconds in (1, 12, 60)
    ]
    given = pending.due(now + timedelta(seconds=2))
    assert [pk for pk, _seconds in given] == [rows[0].pk, rows[1].pk]
    assert given[0][1] == 0
    assert given[1][1] == pytest.approx(10, abs=0.1)
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(tasks.queues, "give", lambda *task, **more: asked.append((*task, more)))
    tasks.reconcile()
    assert [key for name, key, _more in asked if name == tasks.queues.RELEASE] == [rows[0].pk, rows[1].pk]


def test_the_times_that_are_offered_are_in_the_zone_of_the_person() -> None:
    with timezone.override(ZoneInfo("America/New_York")):
        # Sunday evening there, Monday in London.
        now = datetime(2026, 11, 30, 2, 0, tzinfo=ZoneInfo("UTC"))
        assert [(words, moment.isoformat()) for words, moment in sending_times.choices(now)] == [
            ("Tomorrow morning", "2026-11-30T08:00:00-05:00")
        ]
        saturday = datetime(2026, 11, 28, 17, 0, tzinfo=ZoneInfo("UTC"))
        assert [words for words, _moment in sending_times.choices(saturday)] == [
            "Tomorrow morning",
            "Monday morning",
        ]
        typed = sending_times.chosen_time("chosen", "2026-12-24T18:30")
        assert typed.isoformat() == "2026-12-24T18:30:00-05:00"
        for wrong in ("2026-12-24T18:30Z", "2026-13-24T18:30", ""):
            with pytest.raises(CannotSend):
                sending_times.chosen_time("chosen", wrong)


def test_a_button_chooses_the_moment_that_it_says_however_late_it_is_pressed(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    """ "Tomorrow" and "Monday" would be others by then."""
    soon = timezone.now() + timedelta(minutes=5)
    assert hand_in(at_alices, with_bob, at=soon.isoformat()).release_at == soon
    over = (timezone.now() - timedelta(minutes=1)).isoformat()
    send = reverse("conversation-send", args=[with_bob.conversation_id])
    answer = at_alices.post(send, {"text": TEXT, "token": str(uuid4()), "at": over})
    assert answer.status_code == 422
    assert "That time is over" in answer.content.decode()


def test_it_disappears_as_is_chosen_while_it_waits(
    alice: Account, at_alices: Client, with_bob: Conversation
) -> None:
    row = hand_in(at_alices, with_bob, at=tomorrow())
    held = hand_in(at_alices, with_bob, "Sent before it was chosen")
    for seconds in (3600, 86_400):
        address = reverse("conversation-disappear", args=[with_bob.conversation_id])
        assert at_alices.post(address, {"seconds": seconds}).status_code == 302
    assert TEXT in html_of(at_alices, reverse("scheduled"))
    message = pending.release(row.pk, now=row.release_at)
    assert message is not None
    assert (message.expires_after, message.created_at) == (86_400, row.release_at)
    at_rest = SealedContent(with_bob.conversation_id, message.message_id, bytes(message.sealed))
    (read,) = agent().read(alice.did, [at_rest])
    assert (read.text, read.expires) == (TEXT, Expires(True, 86_400))
    message = pending.release(held.pk, now=held.release_at)
    assert message is not None
    assert message.expires_after == 0


@pytest.mark.parametrize("first", ["release", "disappear"])
def test_another_time_chosen_at_the_same_moment_stands(
    alice: Account,
    at_alices: Client,
    with_bob: Conversation,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
) -> None:
    """One page has composed what waits, and before it stores that, another page stores what it made."""
    row, now = hand_in(at_alices, with_bob, at=tomorrow()), timezone.now()
    later = (now + timedelta(days=3)).replace(microsecond=0)
    compose = outgoing.compose

    def change(what: str) -> None:
        if what == "release":
            pending.change_time(alice, row.pk, later, now=now)
        else:
            conversation_settings.choose_time(alice, with_bob, 3600, now=now)

    def overtaken(*some: Any, **more: Any) -> Composed:
        monkeypatch.setattr(outgoing, "compose", compose)
        composed = compose(*some, **more)
        change("disappear" if first == "release" else "release")
        return composed

    monkeypatch.setattr(outgoing, "compose", overtaken)
    change(first)
    message = pending.release(row.pk, now=later)
    assert message is not None
    assert (message.created_at, message.expires_after) == (later, 3600)


def test_a_time_that_what_waits_cannot_have_is_not_chosen(
    at_alices: Client, with_bob: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = hand_in(at_alices, with_bob, at=tomorrow())

    def limited(*_any: object, **_more: object) -> None:
        raise AgentLimited("RateLimitExceeded", "", 60)

    address = reverse("conversation-disappear", args=[with_bob.conversation_id])
    with monkeypatch.context() as full:
        full.setattr(AgentClient, "compose", limited)
        answer = at_alices.post(address, {"seconds": 3600})
    assert answer.status_code == 422
    assert "Nothing was changed" in answer.content.decode()
    assert "What you write disappears" not in answer.content.decode()
    assert Conversation.objects.get(pk=with_bob.pk).expires_after == 0
    assert PendingMessage.objects.get(pk=row.pk).message_id == row.message_id


def time_within(row: PendingMessage) -> Expires | None:
    """After how long what waits says that it disappears."""
    at_rest = SealedContent(row.conversation.conversation_id, row.message_id, bytes(row.sealed))
    (read,) = agent().read(row.account.did, [at_rest])
    return read.expires


def scheduled(account: Account, conversation: Conversation, expires: Expires | None) -> PendingMessage:
    now, content = timezone.now(), DraftContent(TEXT)
    later = now + timedelta(hours=1)
    others = [did for did in conversation.participants if did != account.did]
    return keeping_back.schedule(account, others, content, str(uuid4()), later, expires=expires, now=now)


@pytest.mark.parametrize("before", [None, Expires(True, 86_400)])
def test_what_is_scheduled_as_a_time_is_chosen_has_that_time(
    alice: Account, with_bob: Conversation, before: Expires | None
) -> None:
    """Its page had read the time before, whoever stores first."""
    conversation_settings.choose_time(alice, with_bob, 3600, now=timezone.now())
    row = scheduled(alice, with_bob, before)
    assert (row.expires_after, time_within(row)) == (3600, Expires(True, 3600))
    conversation_settings.choose_time(alice, with_bob, 0, now=timezone.now())
    row = scheduled(alice, with_bob, before)
    assert (row.expires_after, time_within(row)) == (0, None)


def test_what_is_scheduled_between_composing_and_choosing_a_time_has_that_time(
    alice: Account, with_bob: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for_another_time = pending.for_another_time

    def overtaken(*some: Any) -> Any:
        monkeypatch.setattr(pending, "for_another_time", for_another_time)
        composed = for_another_time(*some)
        scheduled(alice, with_bob, None)
        return composed

    monkeypatch.setattr(pending, "for_another_time", overtaken)
    conversation_settings.choose_time(alice, with_bob, 3600, now=timezone.now())
    (row,) = PendingMessage.objects.all()
    assert (row.expires_after, time_within(row)) == (3600, Expires(True, 3600))


def test_what_gets_its_time_as_another_is_chosen_disappears_by_that(
    alice: Account, at_alices: Client, with_bob: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held is not composed for the time that is chosen, and is scheduled at the same moment."""
    row, compose = hand_in(at_alices, with_bob), outgoing.compose

    def overtaken(*some: Any, **more: Any) -> Composed:
        monkeypatch.setattr(outgoing, "compose", compose)
        composed = compose(*some, **more)
        conversation_settings.choose_time(alice, with_bob, 3600, now=timezone.now())
        return composed

    monkeypatch.setattr(outgoing, "compose", overtaken)
    later = timezone.now() + timedelta(days=1)
    pending.change_time(alice, row.pk, later, now=timezone.now())
    row.refresh_from_db()
    assert (row.kind, row.expires_after, time_within(row)) == ("scheduled", 3600, Expires(True, 3600))


@pytest.fixture
def exported(alice: Account, with_bob: Conversation) -> list[dict[str, Any]]:
    """The settings of the conversation, which disappear after an hour, as of tomorrow; here they do not."""
    conversation_settings.choose_time(alice, with_bob, 3600, now=timezone.now() + timedelta(days=1))
    found = [dict(each) for each in conversation_settings.settings_json(alice)]
    Conversation.objects.filter(pk=with_bob.pk).update(expires_after=0, settings_changed_at=timezone.now())
    return found


def test_it_disappears_as_an_import_brings_it(
    alice: Account, with_bob: Conversation, exported: list[dict[str, Any]]
) -> None:
    row = scheduled(alice, with_bob, None)
    for _again in range(2):
        assert conversation_settings.take_settings(alice, exported) == 0
    row.refresh_from_db()
    assert (row.expires_after, time_within(row)) == (3600, Expires(True, 3600))
    assert Conversation.objects.get(pk=with_bob.pk).expires_after == 3600


def test_a_time_that_what_waits_cannot_have_is_left_out_of_an_import_or_waits_for_the_agent(
    alice: Account,
    with_bob: Conversation,
    exported: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = scheduled(alice, with_bob, None)

    def limited(*_any: object, **_more: object) -> None:
        raise AgentLimited("RateLimitExceeded", "", 60)

    with monkeypatch.context() as full:
        full.setattr(AgentClient, "compose", limited)
        with pytest.raises(AgentLimited):
            conversation_settings.take_settings(alice, exported)
    draft = bytes(row.draft)
    PendingMessage.objects.filter(pk=row.pk).update(draft=draft[:-1] + bytes([draft[-1] ^ 1]))
    assert conversation_settings.take_settings(alice, exported) == 1
    row.refresh_from_db()
    assert (row.expires_after, time_within(row)) == (0, None)
    assert Conversation.objects.get(pk=with_bob.pk).expires_after == 0


def test_an_import_overtaken_by_a_later_choice_changes_nothing(
    alice: Account,
    with_bob: Conversation,
    exported: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row, for_another_time = scheduled(alice, with_bob, None), pending.for_another_time

    def overtaken(*some: Any) -> Any:
        monkeypatch.setattr(pending, "for_another_time", for_another_time)
        composed = for_another_time(*some)
        Conversation.objects.filter(pk=with_bob.pk).update(settings_changed_at=exported[0]["changedAt"])
        return composed

    monkeypatch.setattr(pending, "for_another_time", overtaken)
    assert conversation_settings.take_settings(alice, exported) == 0
    row.refresh_from_db()
    assert (row.expires_after, time_within(row)) == (0, None)
