"""How much of a request the web process takes in before it says no."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from webmail.asgi import MAX_BODY, application

PART = bytes(64 * 1024)


def post(path: str, parts: int) -> tuple[int, int]:
    """Posts so many parts without saying how many; the status, and how many parts were taken."""
    taken = 0
    sent: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal taken
        if taken == parts:
            await asyncio.sleep(10)
        taken += 1
        return {"type": "http.request", "body": PART, "more_body": taken < parts}

    async def send(event: Mapping[str, Any]) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
        "query_string": b"",
        "scheme": "http",
    }
    # In a thread of its own: the browser tests' event loop runs in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, application(scope, receive, send)).result()
    return next(event["status"] for event in sent if event["type"] == "http.response.start"), taken


@pytest.mark.parametrize("path", ["/theme/", "/inbox/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "/nowhere/"])
def test_a_large_body_is_not_taken_in(path: str) -> None:
    status, taken = post(path, 200)
    assert status == 413
    assert taken <= MAX_BODY // len(PART) + 1


def test_a_bounded_body_gets_the_answer_of_its_page() -> None:
    assert post("/inbox/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", 1) == (400, 1)
