"""What is made while it is downloaded: in large pieces, so many at once, and only for who goes on reading."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync
from django.http import StreamingHttpResponse
from django.urls import reverse

from tests.webmail.installation import browser_of, new_account
from webmail.turns import Turns
from webmail.views import downloads
from webmail.views.downloads import MOST_OF_ONE, NoTurn, in_large_chunks, turn_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]


@pytest.fixture(autouse=True)
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """Those of a process that has just begun."""
    turns = Turns(downloads.MOST_AT_ONCE, MOST_OF_ONE)
    monkeypatch.setattr(downloads, "_turns", turns)
    return turns


@pytest.mark.parametrize("sizes", [[], [1], [1] * 100_000, [200_000, 1, 64 * 1024, 3]])
def test_the_octets_stay_the_same_and_the_pieces_become_large(sizes: list[int]) -> None:
    pieces = list(in_large_chunks(bytes([number % 256]) * size for number, size in enumerate(sizes)))
    assert b"".join(pieces) == b"".join(bytes([n % 256]) * size for n, size in enumerate(sizes))
    assert all(len(piece) >= downloads.CHUNK_BYTES for piece in pieces[:-1])
    assert all(pieces)


def test_one_account_has_so_many_downloads_at_once_and_each_ends_with_its_answer() -> None:
    alice, bob = new_account("alice"), new_account("bob")
    answers: list[StreamingHttpResponse] = []
    for _ in range(MOST_OF_ONE):
        with turn_of(alice) as turn:
            answers.append(turn.download(iter([b"octets"]), "a.zip", "application/zip"))
    with pytest.raises(NoTurn), turn_of(alice):
        pass
    with turn_of(bob):
        pass
    # Asked for and never read, and closed twice: the turn comes back once.
    answers[0].close()
    answers[0].close()
    with turn_of(alice) as turn:
        answers.append(turn.download(iter([b"octets"]), "a.zip", "application/zip"))
    with pytest.raises(NoTurn), turn_of(alice):
        pass


class Made:
    """Chunks that somebody made, who has to be told when no more are wanted."""

    def __init__(self, fails: bool) -> None:
        self.closed = 0
        self._fails = fails

    def __iter__(self) -> Made:
        return self

    def __next__(self) -> bytes:
        return bytes(downloads.CHUNK_BYTES)

    def close(self) -> None:
        self.closed += 1
        if self._fails:
            raise OSError("the disk is gone")


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_what_is_downloaded_is_closed_with_the_answer_and_the_turn_ends_whatever_comes_of_it(
    begun: bool, fails: bool
) -> None:
    alice = new_account("alice")

    async def read_some(answer: StreamingHttpResponse) -> None:
        async for _chunk in answer:
            return

    for _ in range(MOST_OF_ONE + 1):
        made = Made(fails)
        with turn_of(alice) as turn:
            answer = turn.download(made, "a.zip", "application/zip")
        if begun:
            async_to_sync(read_some)(answer)
        answer.close()
        assert made.closed == 1


def test_a_turn_that_nothing_came_of_is_free_again() -> None:
    alice = new_account("alice")
    for _ in range(MOST_OF_ONE + 1):
        with pytest.raises(ValueError, match="the agent refused"), turn_of(alice):
            raise ValueError("the agent refused")


def test_who_does_not_take_what_was_made_gets_no_more_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PATIENCE_S", 0.05)
    alice, ended = new_account("alice"), []

    def made() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(downloads.CHUNK_BYTES)
        finally:
            ended.append(True)

    async def read(answer: StreamingHttpResponse) -> int:
        taken = 0
        async for chunk in answer:
            taken += len(chunk)
            # Quickly twice, and then not within the time.
            await asyncio.sleep(0 if taken < 3 * downloads.CHUNK_BYTES else 5)
        return taken

    with turn_of(alice) as turn:
        answer = turn.download(made(), "a.zip", "application/zip")
    with pytest.raises(asyncio.CancelledError):
        async_to_sync(read)(answer)
    answer.close()
    assert ended == [True]


@pytest.mark.parametrize("name", ["readable-export", "account-export"])
def test_a_page_says_that_others_are_still_being_made(name: str, turns: Turns) -> None:
    alice = new_account("alice")
    while turns.take(alice.pk):
        pass
    typed = {
        "format": "json",
        "understood": "on",
        **dict.fromkeys(("passphrase", "again"), "correct horse battery staple"),
    }
    page = browser_of(alice).post(reverse(name), typed)
    assert "Other downloads are still being made" in page.content.decode()
