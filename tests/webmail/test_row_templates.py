"""Rows and messages are rendered as safely, and in the same words, as all other templates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.http import HttpRequest
from django.template import Context, Template
from django.template.loader import get_template
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone, translation

from webmail.conversations import ConversationRow
from webmail.people import person

ID = "0a" * 32
BAD = '"><script>alert(1)</script>'


@pytest.fixture
def request_of(rf: RequestFactory) -> Iterator[HttpRequest]:
    with timezone.override(UTC):
        yield rf.get("/")


def row(name: str) -> ConversationRow:
    bob = person("did:plc:bob", "bob.test", name, False)
    at = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    return ConversationRow(ID, name, [bob], False, name, name, at, 1, None, "", None, False, pinned=True)


def shown(request: HttpRequest, **given: object) -> str:
    template = Template('{% row_template "webmail/_convos.html" rows=rows open_id="" %}')
    return template.render(Context({"request": request, **given}))


def test_what_people_wrote_is_escaped_wherever_it_stands(request_of: HttpRequest) -> None:
    html = shown(request_of, rows=[row(BAD)])
    assert "<script" not in html
    assert html.count("&lt;script") == 4  # the title, who wrote, what they wrote, and the name of the menu
    assert '<svg class="icon icon--s"' in html
    sentence = get_template("webmail/_key_notes.html", using="rows").render(
        {"notes": [{"person": row(BAD).people[0], "at": datetime(2026, 11, 20, tzinfo=UTC), "back": True}]},
        request_of,
    )
    assert "A device of <bdi>&#34;&gt;&lt;script&gt;" in sentence


def test_addresses_and_words_are_those_of_other_templates(request_of: HttpRequest) -> None:
    html = shown(request_of, rows=[row("Bob")])
    assert f'href="{reverse("conversation", args=[ID])}"' in html
    assert 'aria-label="Menu of Bob"' in html
    with translation.override("de"):
        assert 'aria-label="Menü von Bob"' in shown(request_of, rows=[row("Bob")])
    assert "pinned" in shown(request_of, rows=[row("Bob")])
    avatar = Template('{% row_template "_avatar.html" person=person css_class="" %}')
    pictured = person("did:plc:bob", "bob.test", "Bob", True)
    address = reverse("avatar", args=["did:plc:bob"])
    assert f'src="{address}"' in avatar.render(Context({"request": request_of, "person": pictured}))
