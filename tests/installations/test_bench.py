"""The benchmarks of whole installations make their lines, with little of everything."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import delivery, streams
from bench.first_sync import syncing
from bench.web import pages
from bench.web.account import Size
from tests.services.programs import need


def read(lines: Iterator[str]) -> dict[str, dict[str, Any]]:
    """The figures by their names."""
    figures = [json.loads(line) for line in lines]
    return {figure["name"]: figure for figure in figures}


def test_pages_are_asked_for_beside_their_floor() -> None:
    amount = pages.Amount(Size(conversations=12, messages=120, long=30, searched=60), times=2, rounds=1)
    found = read(pages.of("sqlite", {}, amount, frozenset({"web/open", "web/search", "web/search/alone"})))
    assert [figure["requests"] for figure in found.values()] == [16, 16, 2]
    assert found["web/open"]["wanted"] == {"p95_ms": 100, "ratio": 2}
    assert found["web/search"]["wanted"] == {"p95_ms": 300}
    assert all(figure["median_ms"] > 0 < figure["floor_median_ms"] for figure in found.values())


def test_open_streams_hold_no_connection_to_the_database() -> None:
    # In a thread of its own: the browser tests' event loop runs in this one.
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(lambda: read(streams.figures(30))).result()
    # Of the streams none; something else may hold one now and then.
    assert found["sse/30/connections"]["connections"] <= 4
    assert found["sse/30/memory"]["ceiling"] == 150


def test_a_message_is_timed_from_page_to_page() -> None:
    need("Dovecot")
    found = read(delivery.figures(2))
    assert found["e2e/deliver"]["requests"] == 2
    assert found["e2e/deliver"]["wanted"] == {"p95_ms": 1000, "ratio": 3}
    assert 0 < found["e2e/deliver"]["floor_median_ms"] < found["e2e/deliver"]["median_ms"]


def test_a_mailbox_is_taken_in_beside_a_bare_fetch() -> None:
    need("Dovecot")
    found = read(syncing.figures(60))
    whole = found["sync/60"]
    assert whole["wanted"] == {"seconds": 15, "ratio": 1.5}
    assert found["sync/60/usable"]["seconds"] <= whole["seconds"]
    assert whole["seconds"] <= found["sync/60/archived"]["seconds"]
