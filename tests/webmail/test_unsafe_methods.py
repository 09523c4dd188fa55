"""Every address of the web process: none changes anything when it is only asked for, and none takes what
another site has a browser send."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import Account
from tests.services.browser_sessions import cookies_of_new_browser
from tests.webmail.every_address import ADDRESSES, path_of, somebody, something_of
from tests.webmail.ordinary_mail import mail_to
from webmail.models import Conversation, Message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process", "redis_server")]

#: What other programs than browsers post, with the reason why no browser's token is asked of it.
WITHOUT_TOKEN = {
    "ingress": "other servers hand envelopes over here: a browser's cookies open nothing more",
    "blob": "is only asked for, by other people's programs",
}
#: Rows that may change when a page is asked for: the columns, and why.
MAY_CHANGE = {
    "accounts.Peer": "what was last looked up of somebody, a cache",
    "accounts.PeerCertificate": "the same",
    "sessions.Session": "sentences for the next page, and sign-ins that are on their way",
}
#: When the agent was last asked how an account's keys are kept, beside what it said.
NOTED = {"custody_checked_at"}


@pytest.fixture
def alice(settings: Settings, tmp_path: Path) -> Account:
    settings.MAILBOX_URL = f"maildir://{tmp_path / 'mail'}"
    return somebody()


@pytest.fixture
def values(alice: Account) -> dict[str, str]:
    return something_of(alice, mail_to(alice))


def rows() -> dict[str, list[dict[str, Any]]]:
    """Everything that is in the database."""
    return {
        model._meta.label: [
            {name: value for name, value in row.items() if name not in NOTED}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in apps.get_models()
        if model._meta.label not in MAY_CHANGE
    }


def changed(before: dict[str, list[dict[str, Any]]], now: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The tables that are not what they were."""
    return [label for label in now if now[label] != before[label]]


def browser(account: Account, *, strict: bool) -> Client:
    made = Client(enforce_csrf_checks=strict)
    made.cookies.load(cookies_of_new_browser(account))
    return made


def is_signed_in(client: Client) -> bool:
    """Still: who was signed out by one address would be refused at the next for that."""
    return client.get("/undo-send/").status_code == 200


def test_asking_for_it_changes_nothing(alice: Account, values: dict[str, str]) -> None:
    client = browser(alice, strict=False)
    client.get("/keys/")
    before, found = rows(), {}
    for name in ADDRESSES:
        statuses = [
            client.get(path_of(name, values), {"do": "delete", "q": "x"}, headers=headers).status_code
            for headers in ({}, {"HX-Request": "true"})
        ]
        now = rows()
        if now != before or max(statuses) >= 500:
            found[name] = statuses, changed(before, now)
        before = now
    assert found == {}
    assert is_signed_in(client)


def test_what_another_site_has_a_browser_send_is_refused(alice: Account, values: dict[str, str]) -> None:
    client = browser(alice, strict=True)
    client.get("/keys/")
    before, found = rows(), {}
    for name in ADDRESSES:
        refusals = {400, 404, 405} if name in WITHOUT_TOKEN else {403}
        statuses = [
            method(path_of(name, values)).status_code
            for method in (client.post, client.put, client.patch, client.delete)
        ]
        now = rows()
        if now != before or set(statuses) - refusals:
            found[name] = statuses, changed(before, now)
        before = now
    assert found == {}
    assert is_signed_in(client)


def test_what_a_page_of_somebody_else_posts_changes_nothing(alice: Account, values: dict[str, str]) -> None:
    """It is open since before who is signed in signed in."""
    client = browser(somebody("Bob"), strict=True)
    page = client.get("/undo-send/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    client.cookies.load(cookies_of_new_browser(alice))
    client.get("/undo-send/")
    before, found = rows(), {}
    for name in ADDRESSES:
        if name in WITHOUT_TOKEN:
            continue
        fields = {"do": "delete", "q": "x", "seconds": "5", "text": "x"}
        answer = client.post(path_of(name, values), {**fields, "csrfmiddlewaretoken": token[1]})
        now = rows()
        if now != before or answer.status_code >= 500:
            found[name] = answer.status_code, changed(before, now)
        before = now
    assert found == {}
    assert is_signed_in(client)


def test_a_conversation_is_read_by_no_link_to_its_news(alice: Account, values: dict[str, str]) -> None:
    """The one address that notes something when it is asked for: a page says that somebody sees it, with a
    header that no other site can have a browser send."""
    client = browser(alice, strict=True)
    news = reverse("conversation-news", args=[values["conversation_id"]])
    for headers in ({}, {"Origin": "https://elsewhere.example"}):
        client.get(news, {"seen": "1"}, headers=headers)
        assert Message.objects.get().unread
    client.get(news, {"seen": "1"}, headers={"HX-Request": "true"})
    assert not Message.objects.get().unread
    assert Conversation.objects.get().unread_count == 0


@pytest.fixture
def administrator(alice: Account, values: dict[str, str]) -> Client:
    """Of an installation in which something is."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    return client


def admin_paths() -> Iterator[str]:
    yield "/admin/"
    yield "/admin/agent/"
    for model in admin.site._registry:
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{base}_changelist")
        yield reverse(f"{base}_add")
        for row in model._default_manager.all()[:1]:
            for act in ("change", "delete", "history"):
                yield reverse(f"{base}_{act}", args=[row.pk])


def test_the_admin_pages_hold_to_the_same(administrator: Client) -> None:
    paths = list(admin_paths())
    assert any("account" in path and "change" in path for path in paths)
    administrator.get("/admin/")
    before = rows()
    for path in paths:
        answer = administrator.get(path)
        assert answer.status_code in (200, 302, 403, 405), path
        assert administrator.post(path, {"action": "delete_selected"}).status_code in (403, 405), path
    assert rows() == before
