"""What is erased while the search index takes it in is in it no more."""

from collections.abc import Sequence

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentClient, IndexItem
from tests.webmail.conftest import Write, seal
from tests.webmail.strangers import arrives
from webmail import forgetting, search_index
from webmail.models import Message

pytestmark = pytest.mark.django_db


def test_what_is_erased_while_it_is_taken_in_is_not_found(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    seal(write(alice, [bob], "Hello"))
    kept = arrives(write, bob, [alice], "Meet at the harbour")
    let_go = arrives(write, bob, [alice], "Meet at the pier")

    class ErasedMeanwhile:
        """The agent, for which another worker erases a message once its row was read."""

        def __getattr__(self, name: str) -> object:
            return getattr(agent(), name)

        def index_messages(self, did: str, items: Sequence[IndexItem]) -> list[str]:
            forgetting.forget(alice, let_go.message_id, now=timezone.now())
            assert not forgetting.erase(alice, now=timezone.now())
            return agent().index_messages(did, items)

    with monkeypatch.context() as patch:
        patch.setattr(search_index, "agent", ErasedMeanwhile)
        assert not search_index.index_waiting(alice, now=timezone.now())
    assert Message.objects.get(pk=let_go.pk).erased_at
    as_web = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")
    found = as_web.search(alice.did, "meet", limit=9).found
    assert [each.message_id for each in found] == [kept.message_id]
