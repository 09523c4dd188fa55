"""Segments that are replaced while a search goes through them."""

import os
from datetime import UTC, datetime

import pytest

from crypto_agent import data_key_renewal, key_store, searching, stored_segments
from crypto_agent.client import SearchFilters
from crypto_agent.custody import AccountKeys
from crypto_agent.data_key_rotation import rotate_data_key
from crypto_agent.errors import DatabaseUnavailable
from crypto_agent.search_segments import Entry
from crypto_agent.stored_segments import Stored
from tests.crypto_agent.people import ALICE

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ENTRIES = [Entry(f"{number:064x}", "01" * 33, ALICE, number, 0, b"steady") for number in range(3)]

pytestmark = pytest.mark.django_db


def _replaced_after_listing(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """So many times, the segments are put together anew right after a search has listed them."""
    account, keys = key_store.new_account(ALICE, NOW, os.urandom)
    for entry in ENTRIES:
        stored_segments.add_entries(account, keys, [entry], NOW, os.urandom)
    overview, left = stored_segments.overview, [None] * times

    def listed(keys: AccountKeys) -> list[Stored]:
        found = overview(keys)
        if left:
            left.pop()
            account.search_segments.all().delete()
            stored_segments.add_entries(account, keys, ENTRIES, NOW, os.urandom)
        return found

    monkeypatch.setattr(stored_segments, "overview", listed)


def test_a_search_begins_again_where_a_segment_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced_after_listing(monkeypatch, 2)
    found = searching.search(ALICE, "steady", SearchFilters(), 20, None).found
    assert [one.message_id for one in found] == [entry.message_id for entry in reversed(ENTRIES)]


def test_a_search_does_not_begin_again_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced_after_listing(monkeypatch, 100)
    with pytest.raises(DatabaseUnavailable):
        searching.search(ALICE, "steady", SearchFilters(), 20, None)


def test_a_search_finds_what_is_encrypted_again_while_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    account, keys = key_store.new_account(ALICE, NOW, os.urandom)
    stored_segments.add_entries(account, keys, ENTRIES, NOW, os.urandom)
    overview = stored_segments.overview

    def listed(keys: AccountKeys) -> list[Stored]:
        found = overview(keys)
        rotate_data_key(ALICE, NOW, os.urandom)
        assert list(data_key_renewal.move_on(ALICE, "schedule", datetime.now(UTC), os.urandom)) == [1]
        return found

    monkeypatch.setattr(stored_segments, "overview", listed)
    found = searching.search(ALICE, "steady", SearchFilters(), 20, None).found
    assert [one.message_id for one in found] == [entry.message_id for entry in reversed(ENTRIES)]
