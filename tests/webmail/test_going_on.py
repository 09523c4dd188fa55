"""Groups between people of real servers: a name travels, and other people make another conversation."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import browser_of
from webmail import conversations, rebuild, threads
from webmail.group_page import name_group
from webmail.identity_facts import facts_of
from webmail.models import Conversation, Message

pytestmark = pytest.mark.django_db

TOKEN = "b8e6b3f2-0d5c-4b63-9a4c-3f1f7e6b9f4{}"


def shown_to(account: Account) -> dict[str, list[str]]:
    """What the account's conversations say, by their titles."""
    found = {}
    for row in conversations.list_conversations(account).rows:
        thread = threads.thread(account, conversations.find(account, row.id))
        found[row.title] = [entry.event or entry.segments[0].text for entry in thread.entries]
    return found


def deliver(message: Message, *recipients: Account) -> None:
    envelopes = seal(message)
    for recipient in recipients:
        hand_over(recipient, envelopes[recipient.did])


def test_a_name_reaches_everybody_and_comes_back_from_the_archive(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    deliver(write(alice, [bob, carol], "where to?"), bob, carol)
    group = Conversation.objects.get(account=alice)
    deliver(name_group(alice, group, "Sunday walk", TOKEN.format(0)), bob, carol)
    for account in (alice, bob, carol):
        assert list(shown_to(account)) == ["Sunday walk"]
    before = shown_to(bob)
    assert len(before["Sunday walk"]) == 2
    Message.objects.filter(account=bob).delete()
    Conversation.objects.filter(account=bob).delete()
    rebuild.rebuild(bob)
    assert shown_to(bob) == before


def test_what_one_shares_with_somebody_is_called_as_in_the_list(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    write(alice, [bob], "hello")
    write(alice, [bob, carol], "where to?")
    carol_too = facts_of(alice, [bob.did])[bob.did].shared
    assert carol_too == [row.title for row in conversations.list_conversations(alice).rows]
    assert " and " in carol_too[0]
    group = Conversation.objects.order_by("-last_activity")[0]
    name_group(alice, group, "Sunday walk", TOKEN.format(5))
    assert facts_of(alice, [bob.did])[bob.did].shared == ["Sunday walk", carol_too[1]]


def test_adding_somebody_starts_a_wider_conversation_of_the_same_name_and_says_so(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    deliver(write(alice, [bob, carol], "where to?"), bob, carol)
    group = Conversation.objects.get(account=alice)
    name_group(alice, group, "Sunday walk", TOKEN.format(1))
    page = reverse("new-conversation")
    at_alices = browser_of(alice)
    offered = at_alices.get(page, {"from": group.conversation_id, "without": carol.did}).content.decode()
    assert re.findall(r'name="to" value="([^"]+)"', offered) == [bob.did]
    assert "of the same name" in offered
    narrower = _go_on(at_alices, group, [bob.did], token=2, tell="1")
    assert narrower.participants == sorted([alice.did, bob.did])
    said = shown_to(alice)
    assert said["Sunday walk"][-1].startswith("I go on in a narrower conversation, without ")
    assert narrower.named_by_id is None

    wider = _go_on(at_alices, narrower, [bob.did, carol.did], token=3)
    assert wider.pk == group.pk
    assert len(shown_to(alice)) == 2
    # The same page again changes nothing.
    count = Message.objects.count()
    assert _go_on(at_alices, narrower, [bob.did, carol.did], token=3) == wider
    assert Message.objects.count() == count


def _go_on(
    client: Client, former: Conversation, dids: list[str], *, token: int, tell: str = ""
) -> Conversation:
    form = {
        "do": "send",
        "from": former.conversation_id,
        "to": dids,
        "text": "on we go",
        "token": TOKEN.format(token),
        "tell": tell,
    }
    answer = client.post(reverse("new-conversation"), form)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    conversation_id = answer.headers["Location"].strip("/").split("/")[-1]
    return Conversation.objects.get(account=former.account, conversation_id=conversation_id)
