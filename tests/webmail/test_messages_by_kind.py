"""A message that is filled into the markup of its kind is, octet for octet, as it is rendered by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.http import HttpRequest
from django.template.loader import get_template
from django.test import RequestFactory
from django.urls import NoReverseMatch
from django.utils import timezone, translation

from webmail.key_notes import KeyNote
from webmail.messages_by_kind import ByKind, Render
from webmail.people import Person, person
from webmail.progress import Progress
from webmail.quotes import Quote
from webmail.reactions import Reaction
from webmail.text import Segment
from webmail.threads import Entry, FilePart, Preview
from webmail.topic_list import Topic

BOB = person("did:plc:bob", "bob.test", "Bob", False)
BAD = "\"><script>alert('1')</script> & 100 %(id)s %s %%"
AT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
ACCEPTED = Progress(3, "On their server", None, can_retry=False, mark="3")
PLAIN = Entry(
    id="0a" * 32,
    own=False,
    sender=BOB,
    segments=[Segment("Hello")],
    files=[],
    emoji_only=False,
    degraded=False,
    tombstone=False,
    edited=False,
    shut=None,
    created_at=AT,
    placed_at=AT,
    trust="signed",
    state=None,
)
#: For each field of an entry, other values than those of PLAIN.
OTHERS: dict[str, list[Any]] = {
    "id": ["0b" * 32, "0c" * 64, "0d"],
    "own": [True],
    "sender": [
        person("did:plc:carol", "carol.test", "Carol", True),
        Person("did:plc:carol", BAD, BAD, 1),
        replace(BOB, tone=BOB.tone % 6 + 1),
    ],
    "segments": [
        [],
        [Segment("")],
        [Segment(BAD)],
        [Segment("x", url="https://example.test/?a&b"), Segment("y", url="https://example.test/", host="h")],
        [Segment("@Bob", mentions=True)],
        [Segment("@Alice", mentions=True, own=True), Segment(" and more")],
    ],
    "files": [[FilePart(0, "letter.pdf", "application/pdf", 1000, None, False)]],
    "emoji_only": [True],
    "degraded": [True],
    "tombstone": [True],
    "edited": [True],
    "shut": ["The agent is away."],
    "created_at": [AT - timedelta(hours=30), AT.replace(microsecond=7)],
    "placed_at": [AT + timedelta(days=2)],
    "trust": ["unchecked", "refused"],
    "state": [
        ACCEPTED,
        replace(ACCEPTED, steps=4),
        replace(ACCEPTED, words=BAD),
        replace(ACCEPTED, mark="4o1r1"),
        replace(ACCEPTED, held=True),
        replace(ACCEPTED, held=True, can_discard=True),
        replace(ACCEPTED, waits=True),
        replace(ACCEPTED, alone=True),
        replace(ACCEPTED, alone=True, steps=0),
    ],
    "first_of_run": [False],
    "last_of_run": [False],
    "day": [date(2026, 11, 20)],
    "unread": [True],
    "first_unread": [True],
    "can_retry": [True],
    "event": [BAD],
    "quote": [Quote("0e" * 32, BOB, False, BAD, False), Quote("0e" * 32, BOB, True, "near", True)],
    "reactions": [[Reaction("👍", [BOB], False)]],
    "version": ["12345678"],
    "expires_after": [60],
    "expires_at": [AT],
    "saved": [True],
    "preview": [Preview("https://example.test/", "example.test", "Title", "More", True)],
    "not_compared": [True],
    "key_notes": [(KeyNote(BOB, AT),)],
    "topic": [Topic("0f" * 33, "0e" * 32, "Trains"), Topic("0f" * 33, "0e" * 32, "Trains", True)],
    "waits": [True],
}
VARIANTS = [
    pytest.param(name, value, id=f"{name}-{number}")
    for name, values in OTHERS.items()
    for number, value in enumerate(values)
]


@pytest.fixture
def request_of(rf: RequestFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpRequest]:
    """One whose forms have the same tokens each time."""
    monkeypatch.setattr("webmail.templatetags.messages_menu.uuid4", lambda: "token")
    monkeypatch.setattr("django.middleware.csrf._mask_cipher_secret", lambda secret: secret)
    request = rf.get("/")
    request.META["CSRF_COOKIE"] = "a" * 32
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        yield request


def markup(request: HttpRequest, entries: list[Entry], by_kind: Any) -> str:
    """What a page has of these messages, where what the template makes of one is given to ``by_kind``."""
    template: Any = get_template("webmail/_entries.html", using="rows")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(template.template.globals, "by_kind", by_kind)
        return str(template.render({"entries": entries, "mark_unread": True}, request))


def each_by_itself(request: HttpRequest, entries: list[Entry]) -> str:
    return markup(request, entries, lambda render: render)


def by_kind(request: HttpRequest, entries: list[Entry]) -> tuple[str, int]:
    """The same by kind, and how many messages the template made."""
    made = 0

    def counting(render: Render) -> ByKind:
        def counted(entry: Entry) -> str:
            nonlocal made
            made += 1
            return render(entry)

        return ByKind(counted)

    return markup(request, entries, counting), made


def test_each_field_has_other_values() -> None:
    assert {each.name for each in fields(Entry)} == OTHERS.keys()
    assert all(getattr(PLAIN, name) not in values for name, values in OTHERS.items())


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("name", "value"), VARIANTS)
def test_no_octet_differs(request_of: HttpRequest, name: str, value: Any, own: bool) -> None:
    first = replace(PLAIN, own=own, state=ACCEPTED if own else None)
    second = replace(first, id="1b" * 32, segments=[Segment(BAD)], created_at=AT + timedelta(hours=9))
    entries = [first, replace(first, **{name: value}), second, replace(second, **{name: value})]
    assert by_kind(request_of, entries)[0] == each_by_itself(request_of, entries)


def test_one_of_each_kind_is_rendered(request_of: HttpRequest) -> None:
    entries = [
        replace(PLAIN, id=f"{number:064x}", own=number % 2 == 0, segments=[Segment(f"{number}")])
        for number in range(20)
    ]
    assert by_kind(request_of, entries) == (each_by_itself(request_of, entries), 2)


def test_two_answers_share_nothing(request_of: HttpRequest) -> None:
    assert by_kind(request_of, [PLAIN])[1] == 1
    with translation.override("de"):
        german, made = by_kind(request_of, [PLAIN])
    assert made == 1
    assert "Antworten" in german


def test_a_failed_message_has_a_form_of_its_own(request_of: HttpRequest) -> None:
    failed = replace(ACCEPTED, failure=BAD, can_retry=True, can_discard=True)
    entries = [replace(PLAIN, own=True, id=f"{number:064x}", state=failed) for number in range(3)]
    assert by_kind(request_of, entries) == (each_by_itself(request_of, entries), 3)


def test_what_is_no_id_is_not_filled_in(request_of: HttpRequest) -> None:
    with pytest.raises(NoReverseMatch):
        by_kind(request_of, [PLAIN, replace(PLAIN, id=BAD)])
