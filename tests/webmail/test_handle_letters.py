"""Handles that imitate somebody whom nobody here knows, and those that are only written in other letters."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import new_account, peer, received
from webmail import contacts
from webmail.handle_letters import letters_of
from webmail.models import Conversation


@pytest.mark.parametrize(
    ("handle", "kind", "shown"),
    [
        ("xn--pple-43d.com", "mixed", "\u0430pple.com"),
        ("alice.xn--bnk-6cd.example.com", "mixed", "alice.b\u0430nk.example.com"),
        ("xn--80ak6aa92e.com", "misread", "\u0430\u0440\u0440\u04cf\u0435.com"),
        ("xn--alce-mza.test", "misread", "al\u0131ce.test"),
        ("xn--0.example.com", "no-name", "xn--0.example.com"),
        ("xn--mnchen-3ya.de", "plain", "m\u00fcnchen.de"),
        ("xn--80a1acny.example.com", "plain", "\u043f\u043e\u0447\u0442\u0430.example.com"),
        ("xn--wgv71a119e.jp", "plain", "\u65e5\u672c\u8a9e.jp"),
        ("xn--l8je8j.jp", "plain", "\u306e\u3042\u3044.jp"),
    ],
)
def test_what_a_handle_stands_for(handle: str, kind: str, shown: str) -> None:
    found = letters_of(handle)
    assert found is not None
    assert (found.kind, found.shown) == (kind, shown)
    assert found.deceive == (kind != "plain")


def test_what_a_handle_can_be_read_as() -> None:
    found = letters_of("xn--80ak6aa92e.com")
    assert found is not None
    assert found.read_as == "apple.com"


@pytest.mark.parametrize("handle", ["alice.test", "tomorrow.example.com", "handle.invalid", ""])
def test_most_handles_are_what_they_look_like(handle: str) -> None:
    assert letters_of(handle) is None


@pytest.mark.django_db
@pytest.mark.usefixtures("agent_process")
def test_pages_say_that_a_handle_is_not_what_it_looks_like(at_alices: Client, alice: Account) -> None:
    stranger = peer("apple")
    stranger.handle = "xn--80ak6aa92e.com"
    stranger.save()
    received(alice, stranger.did, "It is me")
    contacts.know(alice, {stranger.did: timezone.now()})
    Conversation.objects.update(standing=Conversation.Standing.REQUEST, started_by=stranger.did)
    requests = at_alices.get(reverse("requests")).content.decode()
    person = at_alices.get(reverse("person", args=[stranger.did])).content.decode()
    for page in (requests, person):
        assert "can be read as <bdi>apple.com</bdi>" in page
        assert "<bdi>xn--80ak6aa92e.com</bdi>" in page
    assert "btn--primary" not in requests[requests.index("<article") :]

    stranger.handle = "xn--mnchen-3ya.de"
    stranger.save()
    person = at_alices.get(reverse("person", args=[stranger.did])).content.decode()
    assert "In its own letters: <bdi>m\u00fcnchen.de</bdi>" in person
    assert "notice--like" not in person


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")
