"""Names and words of strangers in administrators' pages, in what a woken browser shows, and on pages: markup
is text there, and what turns or hides words is shown or gone."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import token_encryption
from accounts.models import Account, Device, Peer
from accounts.one_line import TURNING
from accounts.profiles import clean_name
from accounts.visible import visible
from tests.accounts.test_records import certificate
from tests.webmail.every_address import ADDRESSES, path_of, somebody, something_of
from tests.webmail.installation import browser_of, new_account, peer, received
from webmail.models import Conversation, PushSubscription, Report
from webmail.push import notices

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{ 7|add:7 }}</title>'
TURNS = "\u202egnp.\u2066evil\u200b\u00ad\ufeff"
HOSTILE = f"{MARKUP}{TURNS}"


def value_of(field: models.Field[Any, Any], account: Account, of: dict[type, models.Model]) -> object:
    """Something hostile where somebody else's words may stand, and something that fits elsewhere."""
    if isinstance(field, models.ForeignKey):
        return account if field.related_model is Account else of.get(field.related_model)  # type: ignore[call-overload]
    if field.name == "certificate_pem":
        return certificate().pem
    if field.choices:
        return next(value for value, _label in field.flatchoices)
    if isinstance(field, models.CharField | models.TextField):
        room = getattr(field, "max_length", None) or 5000
        return (HOSTILE + "w" * room)[:room] if room > len(MARKUP) else HOSTILE[:room]
    if isinstance(field, models.JSONField):
        return [HOSTILE]
    if isinstance(field, models.DateTimeField):
        return timezone.now()
    if isinstance(field, models.BooleanField):
        return True
    if isinstance(field, models.BinaryField):
        said = {
            "versions": [{"at": timezone.now().isoformat(), "text": HOSTILE, "more": 0}],
            "left_out": 0,
            "taken_back": False,
            "files": [{"name": HOSTILE, "media_type": HOSTILE, "size": 1}],
        }
        return token_encryption.seal(json.dumps({"words": HOSTILE, "messages": [said]}))
    return 1


@pytest.fixture
def hostile_rows() -> dict[type[models.Model], models.Model]:
    """One of each that administrators see, as if no other check had been there."""
    account = Account.objects.create(
        did=f"did:plc:{HOSTILE}", handle=HOSTILE[:253], display_name=HOSTILE, pds_url=HOSTILE
    )
    made: dict[type[models.Model], models.Model] = {Account: account}
    ours = [model for model in admin.site._registry if model._meta.app_label in ("accounts", "webmail")]
    for model in sorted(ours, key=lambda model: model is not Peer):
        if model is not Account:
            fields = [each for each in model._meta.fields if not each.primary_key]
            row = model(**{field.name: value_of(field, account, made) for field in fields})
            if isinstance(row, Device):
                row.withdrawn_at = row.revoked_at = None
            row.save()
            made[model] = row
    assert len(made) >= 9
    return made


def test_the_admin_pages_show_markup_as_text(
    admin_client: Client, hostile_rows: dict[type[models.Model], models.Model]
) -> None:
    for model, row in hostile_rows.items():
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages = [
            f"{reverse(f'{base}_changelist')}{query}" for query in ("", "?q=%22%3E%3Cimg+src%3Dx", "?o=1")
        ]
        pages += [reverse(f"{base}_{act}", args=[row.pk]) for act in ("change", "history", "delete")]
        for page in pages:
            answer = admin_client.get(page)
            html = answer.content.decode()
            assert answer.status_code in (200, 302, 403), page
            assert "<img src=x" not in html, page
            assert "<script>alert" not in html, page
            assert "14</title>" not in html, page
        assert "&lt;img src=x" in admin_client.get(pages[-3]).content.decode(), model
    device = hostile_rows[Device]
    asked = admin_client.post(
        reverse("admin:accounts_device_changelist"),
        {"action": "revoke_selected", "_selected_action": [device.pk]},
    ).content.decode()
    assert "&lt;img src=x" in asked
    assert "<img src=x" not in asked


def test_whoever_reads_a_report_sees_what_was_hidden_in_it(
    admin_client: Client, hostile_rows: dict[type[models.Model], models.Model]
) -> None:
    page = admin_client.get(reverse("admin:webmail_report_change", args=[hostile_rows[Report].pk]))
    html = page.content.decode()
    assert html.count("[U+202E]gnp.[U+2066]evil[U+200B][U+00AD][U+FEFF]") == 4


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a[U+202E]b"),
        ("a\x00\x1b[0m", "a[U+0000][U+001B][0m"),
        ("one\n\ttwo", "one\n\ttwo"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("a\ud800\U000e0041", "a[U+D800][U+E0041]"),
        ("\u2028", "[U+2028]"),
    ],
)
def test_what_is_hidden_is_shown_by_its_number(text: str, shown: str) -> None:
    assert visible(text) == shown


def conversation_with(alice: Account, *names: str, at: datetime | None = None) -> Conversation:
    people = [peer(f"p{number}", display_name=clean_name(name)).did for number, name in enumerate(names)]
    message = received(alice, people[0], MARKUP, others=tuple(people[1:]), at=at)
    Conversation.objects.filter(pk=message.conversation_id).update(standing=Conversation.Standing.ACCEPTED)
    return message.conversation


@pytest.mark.parametrize("names", [(HOSTILE,), (HOSTILE, "Carol", "\u05de\u05d9\u05e8\u05d4"), ("w" * 5000,)])
def test_what_a_woken_browser_shows_is_short_text_that_turns_nothing(names: tuple[str, ...]) -> None:
    alice = new_account("alice")
    PushSubscription.objects.create(account=alice, endpoint="https://push.example/1")
    conversation_with(alice, *names)
    given = browser_of(alice).get("/notifications/notice/")
    assert given.headers["Content-Type"] == "application/json"
    assert given.headers["X-Content-Type-Options"] == "nosniff"
    notice = given.json()
    assert set(notice) == {"title", "body", "path", "unread"}
    # What was written is in none of it, nor in what push services are given, which is nothing.
    assert "alert" not in notice["body"]
    assert len(notice["title"]) <= notices.MOST_TITLE
    turning = [letter for letter in notice["title"] if letter in TURNING]
    # Those that stand around a name end where it does, and the mark at the beginning turns nothing.
    assert turning.count("\u2068") == turning.count("\u2069")
    assert set(turning) <= {"\u2068", "\u2069", "\u200e"}
    assert "\u200b" not in notice["title"]


@pytest.mark.parametrize("name", ADDRESSES)
def test_no_page_and_no_sentence_of_what_was_done_has_markup_of_others(
    name: str, settings: Settings, tmp_path: Path
) -> None:
    settings.MAILBOX_URL = f"maildir://{tmp_path / 'mail'}"
    alice = somebody(HOSTILE)
    mail = f"From: {encoded(HOSTILE)} <a@b.example>\r\nSubject: {encoded(HOSTILE)}\r\n\r\n{MARKUP}\r\n"
    values = something_of(alice, mail.encode(), name=HOSTILE, text=HOSTILE)
    browser = browser_of(alice)
    path = path_of(name, values)
    for answer in (
        browser.get(path, {"q": MARKUP, "next": MARKUP, "done": MARKUP}),
        browser.get(path, headers={"HX-Request": "true"}),
        browser.post(
            path, {"do": MARKUP, "text": MARKUP, "name": MARKUP, "q": MARKUP, "who": MARKUP}, follow=True
        ),
    ):
        if "html" in answer.headers.get("Content-Type", ""):
            assert "<img src=x" not in answer.content.decode()
            assert "<script>alert" not in answer.content.decode()


def encoded(words: str) -> str:
    """As a field of a mail's header has them (RFC 2047)."""
    return f"=?utf-8?b?{base64.b64encode(words.encode()).decode()}?="
