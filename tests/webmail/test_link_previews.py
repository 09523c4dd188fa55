"""Previews of links: made from a real server's answers, sent in the message, and shown from there alone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from html import unescape
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from PIL import Image
from pytest_django import Settings

from accounts.models import Account
from tests.accounts.http_server import Server
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer
from tests.webmail.linked_site import linked_site
from tests.webmail.pictures import bomb, decoders_busy, photo
from tests.webmail.test_pages import assert_nothing_inline, html_of
from webmail import changing, drafts, exported_settings, outgoing, pending, threads
from webmail.images.child import PREVIEW_BYTES
from webmail.models import Conversation, Message, PendingMessage, PreviewChoice
from webmail.previews import choices
from webmail.previews.card import Card, decoded, first_link, links_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]


@pytest.fixture
def site() -> Iterator[Server]:
    with linked_site() as server:
        yield server


@pytest.fixture
def alice(db: None, agent_process: AgentProcess, settings: Settings) -> Account:
    cache.clear()
    settings.UNDO_SECONDS = 0
    return new_account("alice", display_name="Alice")


def field_in(html: str) -> str:
    """What the form of a composer carries of its preview."""
    (found,) = re.findall(r'<input type="hidden" name="preview" value="([^"]*)">', html)
    return unescape(found)


def made(browser: Client, text: str, **more: str) -> str:
    answer = browser.post(reverse("link-preview"), {"text": text, **more})
    assert answer.status_code == 200
    return answer.content.decode()


def send(browser: Client, conversation: Conversation, text: str, preview: str, **more: str) -> int:
    fields = {"text": text, "token": str(uuid4()), "preview": preview, **more}
    return browser.post(reverse("conversation-send", args=[conversation.conversation_id]), fields).status_code


def newest(alice: Account, conversation: Conversation) -> threads.Entry:
    return threads.thread(alice, conversation).entries[-1]


def picture_at(browser: Client, message_id: str) -> tuple[int, bytes]:
    answer = browser.get(reverse("preview-picture", args=[message_id]))
    return answer.status_code, answer.content


# ---- Which link


def test_the_first_link_is_the_one_that_the_text_leads_to() -> None:
    assert first_link("see (https://a.test/x_(y)), and https://b.test") == "https://a.test/x_(y)"
    assert first_link("[words](https://a.test/#there) https://b.test") == "https://a.test/#there"
    assert links_in("[words](https://a.test) https://b.test") == ["https://a.test", "https://b.test"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no link",
        "http://elsewhere.test/ is not secret",
        "https://user:pass@a.test/",
        "ftp://a.test",
        "https://1.2.3.999/",
    ],
)
def test_of_other_texts_there_is_no_preview(text: str) -> None:
    assert first_link(text) is None


def test_nobody_has_very_many_made(at_alices: Client, site: Server, settings: Settings) -> None:
    settings.PREVIEWS_OF_ONE = 1
    assert "The &lt;weir&gt;" in made(at_alices, f"{site.url}/1 ")
    html = made(at_alices, f"{site.url}/2 ")
    assert "You had very many previews made." in html
    assert field_in(html) == ""


# ---- In the composer


def test_a_card_is_offered_kept_and_sent_and_its_picture_comes_from_the_message(
    alice: Account, at_alices: Client, with_bob: Conversation, site: Server
) -> None:
    link = f"{site.url}/page"
    html = made(at_alices, f"look: {link} there")
    assert_nothing_inline(html)
    assert "The &lt;weir&gt;" in html
    assert "<canvas" in html
    asked = site.requests
    # It stays as it is while somebody types on.
    assert field_in(made(at_alices, f"look: {link} there!", preview=field_in(html))) == field_in(html)
    assert send(at_alices, with_bob, f"look: {link} there", field_in(html)) == 302
    entry = newest(alice, with_bob)
    assert entry.preview is not None
    assert (entry.preview.url, entry.preview.host, entry.preview.title) == (link, "127.0.0.1", "The <weir>")
    assert (entry.preview.description, entry.preview.picture) == ("A walk along the river.", True)
    page = html_of(at_alices, reverse("conversation", args=[with_bob.conversation_id]))
    assert reverse("preview-picture", args=[entry.id]) in page
    status, content = picture_at(at_alices, entry.id)
    assert status == 200
    assert max(Image.open(io.BytesIO(content)).size) == 320
    assert site.requests == asked
    # And it is nobody else's.
    assert picture_at(browser_of(new_account("eve")), entry.id)[0] == 404
    Message.objects.update(trust=Message.Trust.UNCHECKED)
    assert picture_at(at_alices, entry.id)[0] == 404


def test_a_removed_card_is_not_offered_again_and_not_sent(
    alice: Account, at_alices: Client, with_bob: Conversation, site: Server
) -> None:
    text = f"look: {site.url}/page there"
    kept = field_in(made(at_alices, text))
    removed = field_in(made(at_alices, text, preview=kept, do="no-preview"))
    assert decoded(removed) == Card(f"{site.url}/page", removed=True)
    asked = site.requests
    assert field_in(made(at_alices, text, preview=removed)) == removed
    assert site.requests == asked
    assert send(at_alices, with_bob, text, removed) == 302
    assert newest(alice, with_bob).preview is None
    # Who changes their mind has it made again; another link is another matter.
    assert decoded(field_in(made(at_alices, text, preview=removed, do="preview"))) == decoded(kept)
    other = decoded(field_in(made(at_alices, f"{site.url}/other ", preview=removed)))
    assert other is not None
    assert (other.url, other.removed) == (f"{site.url}/other", False)


def test_a_card_whose_link_left_the_text_is_not_sent(
    alice: Account, at_alices: Client, with_bob: Conversation, site: Server
) -> None:
    kept = field_in(made(at_alices, f"{site.url}/page"))
    assert field_in(made(at_alices, "rather not", preview=kept)) == ""
    assert send(at_alices, with_bob, "rather not", kept) == 302
    assert newest(alice, with_bob).preview is None


@pytest.mark.parametrize(
    "field",
    [
        "x",
        "[]",
        "{}",
        "[" * 10_000,
        '{"url": 1, "removed": true}',
        '{"url": "javascript:alert(1)", "title": "t", "description": "", "picture": ""}',
        '{"url": "https://a.test", "title": "", "description": "", "picture": ""}',
        '{"url": "https://a.test", "title": "t", "description": "", "picture": "*"}',
        '{"url": "https://a.test", "title": "\\ud800", "description": "", "picture": ""}',
        json.dumps({"url": "https://a.test", "title": "t" * 201, "description": "", "picture": ""}),
        json.dumps({"url": "https://a.test", "title": "t", "description": "", "picture": "A" * 16_400}),
        "x" * 100_000,
    ],
    ids=range(12),
)
def test_a_field_with_anything_else_is_no_card_and_loses_nothing(
    alice: Account, at_alices: Client, with_bob: Conversation, field: str
) -> None:
    assert decoded(field) is None
    assert send(at_alices, with_bob, "https://a.test", field) == 302
    entry = newest(alice, with_bob)
    assert (entry.text, entry.preview) == ("https://a.test", None)


def test_a_long_text_goes_without_the_picture(
    alice: Account, at_alices: Client, with_bob: Conversation, site: Server
) -> None:
    link = f"{site.url}/page"
    kept = field_in(made(at_alices, link))
    assert send(at_alices, with_bob, f"{link} " + "x" * 47_900, kept) == 302
    preview = newest(alice, with_bob).preview
    assert preview is not None
    assert (preview.title, preview.picture) == ("The <weir>", False)
    assert send(at_alices, with_bob, f"{link} " + "x" * 39_900, kept) == 302
    preview = newest(alice, with_bob).preview
    assert preview is not None
    assert preview.picture


def test_without_script_a_button_makes_it_and_another_takes_it_away(
    alice: Account, at_alices: Client, with_bob: Conversation, site: Server
) -> None:
    address = reverse("conversation-send", args=[with_bob.conversation_id])
    page = html_of(at_alices, reverse("conversation", args=[with_bob.conversation_id]))
    assert 'name="do" value="preview"' in page
    text = f"look: {site.url}/page"
    shown = at_alices.post(address, {"text": text, "token": str(uuid4()), "do": "preview", "preview": ""})
    html = shown.content.decode()
    assert shown.status_code == 200
    assert f"{text}</textarea>" in html
    assert "The &lt;weir&gt;" in html
    fields = {"text": text, "token": str(uuid4()), "preview": field_in(html)}
    without = at_alices.post(address, {**fields, "do": "no-preview"}).content.decode()
    removed = decoded(field_in(without))
    assert removed is not None
    assert removed.removed
    assert not Message.objects.filter(account=alice, direction="out").exists()
    assert at_alices.post(address, fields).status_code == 302
    assert newest(alice, with_bob).preview is not None
    nothing = at_alices.post(address, {"text": "no link", "token": str(uuid4()), "do": "preview"})
    assert "It has to begin with https://." in nothing.content.decode()


def test_a_new_conversation_may_begin_with_one(
    alice: Account, at_alices: Client, site: Server, settings: Settings
) -> None:
    address = reverse("new-conversation")
    text = f"look: {site.url}/page"
    html = at_alices.post(address, {"text": text, "do": "preview", "preview": ""}).content.decode()
    kept = decoded(field_in(html))
    assert kept is not None
    assert kept.title == "The <weir>"
    assert f"{text}</textarea>" in html


def test_a_draft_and_a_message_that_waits_keep_it(
    alice: Account, at_alices: Client, with_bob: Conversation, site: Server, settings: Settings
) -> None:
    text = f"look: {site.url}/page"
    kept = field_in(made(at_alices, text))
    fields = {"text": text, "preview": kept, "writer": "a" * 32, "revision": "0"}
    keep = reverse("draft-keep", args=[with_bob.conversation_id])
    assert at_alices.post(keep, fields).status_code == 200
    page = reverse("conversation", args=[with_bob.conversation_id])
    elsewhere = browser_of(alice)
    assert decoded(field_in(html_of(elsewhere, page))) == decoded(kept)
    news = elsewhere.get(
        reverse("draft-news", args=[with_bob.conversation_id]), {"writer": "b" * 32, "revision": "0"}
    )
    assert "The &lt;weir&gt;" in news.json()["preview"]

    settings.UNDO_SECONDS = 10
    assert send(at_alices, with_bob, text, kept) == 302
    assert "The &lt;weir&gt;" in html_of(at_alices, page)
    row = PendingMessage.objects.get()
    assert at_alices.post(reverse("pending-undo", args=[row.pk])).status_code == 302
    draft = drafts.of_conversation(alice, with_bob)
    assert draft is not None
    assert draft.content is not None
    assert draft.content.preview == decoded(kept)
    assert send(at_alices, with_bob, text, kept) == 302
    row = PendingMessage.objects.get()
    assert at_alices.post(reverse("pending-send", args=[row.pk])).status_code == 302
    preview = newest(alice, with_bob).preview
    assert preview is not None
    assert preview.picture
    assert pending.in_conversation(alice, with_bob) == []


# ---- Switched off


def test_who_switched_previews_off_has_nobody_asked(
    alice: Account, at_alices: Client, with_bob: Conversation, site: Server
) -> None:
    settings_page = reverse("receipts")
    assert "your server asks that site" in html_of(at_alices, settings_page)
    assert at_alices.post(settings_page, {"about": "previews"}).status_code == 302
    assert not choices.offered(alice)
    page = html_of(at_alices, reverse("conversation", args=[with_bob.conversation_id]))
    assert "composer-preview" not in page
    assert field_in(made(at_alices, f"{site.url}/page ", do="preview")) == ""
    assert site.requests == 0
    # The other form of the page leaves it alone.
    at_alices.post(settings_page, {"opened": "1"})
    assert not choices.offered(alice)
    at_alices.post(settings_page, {"about": "previews", "previews": "1"})
    assert choices.offered(alice)


def test_the_choice_goes_along_with_the_account(alice: Account) -> None:
    assert [each for each in exported_settings.settings_of(alice) if each["kind"] == "link-previews"] == []
    choices.choose(alice, False)
    (exported,) = [each for each in exported_settings.settings_of(alice) if each["kind"] == "link-previews"]
    PreviewChoice.objects.all().delete()
    for data in ([exported], [{"kind": "link-previews", "offered": 1}], [exported]):
        exported_settings.take_settings(alice, json.dumps(data).encode())
    assert not choices.offered(alice)
    # What was chosen here holds.
    choices.choose(alice, True)
    exported_settings.take_settings(alice, json.dumps([exported]).encode())
    assert choices.offered(alice)


def test_what_somebody_has_not_accepted_shows_no_picture(
    alice: Account, at_alices: Client, with_bob: Conversation, site: Server
) -> None:
    kept = decoded(field_in(made(at_alices, f"{site.url}/page")))
    outgoing.send(alice, [peer("carol").did], f"{site.url}/page", str(uuid4()), preview=kept)
    message = Message.objects.filter(account=alice, direction="out").latest("pk")
    assert picture_at(at_alices, message.message_id)[0] == 200
    Message.objects.filter(pk=message.pk).update(aside=True)
    assert picture_at(at_alices, message.message_id)[0] == 403
    assert picture_at(at_alices, Message.objects.filter(direction="in").latest("pk").message_id)[0] == 404


def with_picture(alice: Account, picture: bytes) -> str:
    link = "https://a.test/page"
    sent = outgoing.send(
        alice, [peer("bob").did], link, str(uuid4()), preview=Card(link, "The weir", "", picture)
    )
    return sent.message_id


def test_a_picture_that_asks_for_much_is_not_decoded(alice: Account, at_alices: Client) -> None:
    assert len(bomb(8000)) <= PREVIEW_BYTES
    assert picture_at(at_alices, with_picture(alice, bomb(8000)))[0] == 415
    assert picture_at(at_alices, with_picture(alice, photo((1200, 800))))[0] == 200


def test_a_picture_whose_turn_does_not_come_may_be_asked_for_again(
    alice: Account, at_alices: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = with_picture(alice, photo((1200, 800)))
    with decoders_busy(monkeypatch):
        assert picture_at(at_alices, picture) == (503, b"")
    assert picture_at(at_alices, picture)[0] == 200


def test_a_browser_keeps_a_picture_unless_it_is_behind_a_lock_or_disappears(
    alice: Account, at_alices: Client
) -> None:
    def cached(message_id: str) -> str:
        answer = at_alices.get(reverse("preview-picture", args=[message_id]))
        assert answer.status_code == 200
        return answer.headers["Cache-Control"]

    stays = with_picture(alice, photo((200, 100)))
    assert cached(stays) == "private, no-cache"
    disappears = with_picture(alice, photo((200, 100)))
    Message.objects.filter(message_id=disappears).update(expires_after=3600)
    assert cached(disappears) == "no-store"
    Account.objects.update(custody=Account.Custody.LOCKED)
    assert cached(stays) == "no-store"


def test_a_browser_that_has_a_picture_is_told_so_for_as_long_as_it_may_be_seen(
    alice: Account, at_alices: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = with_picture(alice, photo((200, 100)))
    address = reverse("preview-picture", args=[message_id])
    tag = at_alices.get(address).headers["ETag"]
    has_it = {"If-None-Match": tag}
    with monkeypatch.context() as patch:
        # It takes neither the agent nor a process for images.
        patch.setattr("webmail.previews.received.agent", None)
        answer = at_alices.get(address, headers=has_it)
        assert (answer.status_code, answer.content) == (304, b"")
        assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (tag, "private, no-cache")
        assert browser_of(new_account("eve")).get(address, headers=has_it).status_code == 404
        Message.objects.update(aside=Message.Aside.BLOCKED)
        assert at_alices.get(address, headers=has_it).status_code == 403
        Message.objects.update(aside=Message.Aside.NO)
    assert at_alices.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    Account.objects.update(custody=Account.Custody.LOCKED)
    assert at_alices.get(address, headers=has_it).status_code == 200
    Account.objects.update(custody=Account.Custody.MANAGED)
    changing.edit(alice, message_id, "no link any more", str(uuid4()))
    assert at_alices.get(address, headers=has_it).status_code == 404
    assert Client().get(address, headers=has_it).status_code in (302, 401)
