"""The search index and searches in it."""

from collections.abc import Sequence
from typing import Any

from crypto_agent import client_json as js
from crypto_agent.client.batching import batches
from crypto_agent.client.transport import Transport
from crypto_agent.client_values import Found, IndexItem, SearchFilters, SearchResults


class SearchCalls(Transport):
    """The search index and searches in it."""

    def index_messages(self, did: str, items: Sequence[IndexItem]) -> list[str]:
        """Adds messages to the search index; the ids of those that can't be read. May be repeated."""
        unreadable: list[str] = []
        for batch in batches(items, lambda item: len(item.content.sealed)):
            arguments = {"did": did, "items": [js.index_item_json(item) for item in batch]}
            unreadable += self._procedure("indexMessages", arguments)["unreadable"]
        return unreadable

    def empty_index(self, did: str) -> None:
        """Removes everything from the search index, for it to be filled again."""
        self._procedure("emptyIndex", {"did": did})

    def forget_messages(self, did: str, message_ids: Sequence[str]) -> int:
        """Removes messages from the search index for good; how many were in it."""
        return sum(
            self._procedure("forgetMessages", {"did": did, "messageIds": batch})["forgotten"]
            for batch in batches(message_ids, len)
        )

    def search(
        self,
        did: str,
        query: str,
        *,
        filters: SearchFilters | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> SearchResults:
        """The messages with all words and "phrases" of ``query``, newest first; see SearchFilters.

        Raises AgentRefused ``InvalidRequest`` for a query that is blank without filters, or too long.
        """
        arguments: dict[str, Any] = {
            "did": did,
            "query": query,
            "limit": limit,
            **js.search_filters_json(filters or SearchFilters()),
        }
        if cursor is not None:
            arguments["cursor"] = cursor
        answer = self._procedure("search", arguments)
        found = [Found(one["conversationId"], one["messageId"]) for one in answer["found"]]
        return SearchResults(found, answer.get("cursor"))
