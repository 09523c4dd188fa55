"""Enter sends for who chose that, in all browsers of theirs."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.test_pages import assert_nothing_inline, html_of
from webmail import exported_settings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice")


def test_it_holds_in_each_browser_and_the_help_says_so(alice: Account) -> None:
    message = received(alice, peer("bob").did, "Hello")
    chosen_in, other = browser_of(alice), browser_of(alice)
    page = reverse("conversation", args=[message.conversation.conversation_id])
    for address in (page, reverse("new-conversation")):
        assert "data-enter-sends" not in html_of(other, address)
    assert "<kbd>Ctrl</kbd><kbd>Enter</kbd></span></dt><dd>Send" in html_of(other, reverse("keys"))
    html = chosen_in.post(reverse("enter-key"), {"enter": "send"}, follow=True).content.decode()
    assert_nothing_inline(html)
    assert "That holds from now on." in html
    assert 'value="send" checked' in html
    for address in (page, reverse("new-conversation")):
        assert "data-enter-sends" in html_of(other, address)
    assert "<kbd>Enter</kbd></dt><dd>Send" in html_of(other, reverse("keys"))
    chosen_in.post(reverse("enter-key"), {"enter": "line"})
    assert "data-enter-sends" not in html_of(other, page)


@pytest.mark.parametrize("wrong", ["", "true", "x" * 5000])
def test_nothing_else_can_be_chosen(alice: Account, wrong: str) -> None:
    answer = browser_of(alice).post(reverse("enter-key"), {"enter": wrong})
    assert answer.status_code == 422
    assert "Nothing was changed." in answer.content.decode()
    alice.refresh_from_db()
    assert alice.enter_sends is None


def test_the_choice_goes_along_in_an_export(alice: Account) -> None:
    def exported(account: Account) -> list[object]:
        return [each for each in exported_settings.settings_of(account) if each["kind"] == "enter-key"]

    assert exported(alice) == []
    browser_of(alice).post(reverse("enter-key"), {"enter": "send"})
    alice.refresh_from_db()
    (own,) = exported(alice)
    there = new_account("bob")
    for data, holds in (
        ([{"kind": "enter-key", "sends": wrong} for wrong in (1, "yes", None)], None),
        ([own], True),
        # What was chosen there meanwhile stays.
        ([{"kind": "enter-key", "sends": False}], True),
    ):
        exported_settings.take_settings(there, json.dumps(data).encode())
        there.refresh_from_db()
        assert there.enter_sends is holds
