"""Threads answer one request after the other with one connection to the database, and few keep one."""

from __future__ import annotations

import asyncio
import socketserver
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial
from typing import cast
from urllib.parse import urlsplit

import httpx
import pytest
from django.core.signals import request_started
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation

import outbound
from accounts.sqlite_in_turn.base import TURNS, DatabaseWrapper
from crypto_agent.client import AgentClient, AgentUnavailable
from turns import Turns, computing
from webmail import answering_threads
from webmail.answering_threads import AnsweringThreads, spare_round_trips
from webmail.idle_connections import let_go_of_database
from webmail.mailbox import MailboxError
from webmail.mailbox import imap as mailbox_of_imap
from webmail.mailbox.imap import ImapMailbox

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[..., list[HttpResponse]]


def ask_database(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse(str(id(connection.connection)))


def begun(answer: Callable[[HttpRequest], HttpResponseBase]) -> HttpResponseBase:
    """As a request is answered."""
    request_started.send(sender=None)
    return answer(HttpRequest())


@pytest.fixture
def threads() -> Iterator[AnsweringThreads]:
    made = AnsweringThreads(most_kept=1)
    yield made
    made._threads.shutdown()


@pytest.fixture
def ask(threads: AnsweringThreads) -> Ask:
    """Has functions answer requests, all at the same time."""

    def asked(*answers: Callable[[HttpRequest], HttpResponseBase]) -> list[HttpResponse]:
        async def run() -> list[HttpResponseBase]:
            waiting: list[Awaitable[HttpResponseBase]] = [
                asyncio.wrap_future(threads.start(partial(begun, answer))) for answer in answers
            ]
            return await asyncio.gather(*waiting)

        # In a thread of its own: the browser tests' event loop runs in this one.
        with ThreadPoolExecutor(1) as pool:
            answered = cast(list[HttpResponse], pool.submit(asyncio.run, run()).result(30))
        # One that has just answered is not waiting for more yet, and another would be made beside it.
        executor = threads._threads
        while executor._idle_semaphore._value < len(executor._threads):
            time.sleep(0.001)
        return answered

    return asked


def test_a_thread_keeps_its_connection(ask: Ask) -> None:
    (first,), (second,) = ask(ask_database), ask(ask_database)
    assert first.content == second.content


def test_no_more_are_kept_than_there_is_room_for(ask: Ask) -> None:
    together = threading.Barrier(2)
    open_after: list[bool] = []

    def slowly(request: HttpRequest) -> HttpResponse:
        answer = ask_database(request)
        together.wait(10)
        return answer

    def look(request: HttpRequest) -> HttpResponse:
        open_after.append(connection.connection is not None)
        together.wait(10)
        return HttpResponse()

    ask(slowly, slowly)
    ask(look, look)
    assert sorted(open_after) == [False, True]


def test_one_that_was_let_go_of_makes_room(ask: Ask) -> None:
    def let_go(request: HttpRequest) -> HttpResponse:
        ask_database(request)
        let_go_of_database()
        return HttpResponse()

    ask(ask_database)
    ask(let_go)
    (first,), (second,) = ask(ask_database), ask(ask_database)
    assert first.content == second.content


def test_one_that_is_old_or_lost_is_opened_again(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(request: HttpRequest) -> HttpResponse:
        ask_database(request)
        connection.connection.close()
        return HttpResponse()

    def fail(request: HttpRequest) -> HttpResponse:
        with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT nothing")
        return HttpResponse()

    monkeypatch.setattr(answering_threads, "KEPT_SECONDS", 0)
    opened: list[object] = []

    def note(request: HttpRequest) -> HttpResponse:
        opened.append(connection.connection)
        return ask_database(request)

    ask(note)
    ask(note)
    assert opened == [None, None]
    monkeypatch.setattr(answering_threads, "KEPT_SECONDS", 60)
    ask(ask_database)
    ask(fail)
    assert ask(ask_database)[0].status_code == 200
    if connection.vendor == "postgresql":
        ask(lose)
        assert ask(ask_database)[0].status_code == 200


def test_nothing_of_a_request_is_left_in_its_thread(ask: Ask) -> None:
    def in_german(request: HttpRequest) -> HttpResponse:
        translation.activate("de")
        return HttpResponse()

    ask(in_german)
    (answer,) = ask(lambda request: HttpResponse(translation.get_language()))
    assert answer.content == b"en"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no server that could go away")
def test_the_database_is_asked_whether_it_answers_only_where_something_came_or_it_is_long_ago(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering_threads, "MOMENTS_S", 60)
    # A client of Django's tests takes Django's own receiver away for a while, and puts it back behind this.
    request_started.disconnect(spare_round_trips)
    request_started.connect(spare_round_trips)
    asked_again: list[bool] = []

    def of_server(request: HttpRequest) -> HttpResponse:
        asked_again.append(not connection.health_check_done)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return HttpResponse(str(cursor.fetchone()[0]))

    def end(pid: bytes) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [int(pid)])

    first, second = (ask(of_server)[0].content for _ in range(2))
    assert first == second
    end(second)
    assert ask(of_server)[0].content != second
    monkeypatch.setattr(answering_threads, "MOMENTS_S", 0)
    ask(of_server)
    assert asked_again[1:] == [False, True, True]


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringThreads]:
    monkeypatch.setattr(computing, "LONGEST_WAIT_S", 20.0)
    made = AnsweringThreads(most_kept=1, turns=Turns())
    yield made
    made._threads.shutdown()


@pytest.mark.parametrize("waits", [False, True], ids=["computes", "waits"])
def test_who_came_first_is_answered_first_unless_it_waits_for_another(
    in_turn: AnsweringThreads, waits: bool
) -> None:
    begun, going_on, answered = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        begun.set()
        with computing.waiting() if waits else nullcontext():
            assert going_on.wait(10)
        answered.append("first")

    first = in_turn.start(work)
    assert begun.wait(10)
    second = in_turn.start(partial(answered.append, "second"))
    if waits:
        second.result(10)
    else:
        with pytest.raises(TimeoutError):
            second.result(0.3)
    going_on.set()
    for each in (first, second):
        each.result(10)
    assert answered == (["second", "first"] if waits else ["first", "second"])


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def nobody_answers(turns: Turns) -> Iterator[tuple[int, list[bool]]]:
    """A server that ends each connection; whether a thread of this process had its turn then."""
    had_turn: list[bool] = []

    class Ends(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            had_turn.append(bool(turns._current))

    with socketserver.TCPServer(("127.0.0.1", 0), Ends) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], had_turn
        server.shutdown()


@pytest.mark.parametrize(
    "ask",
    [
        lambda port: AgentClient(f"http://127.0.0.1:{port}", "secret" * 8, "web").status(),
        lambda port: AgentClient(f"http://127.0.0.1:{port}", "secret" * 8, "web").encrypt_file(
            "did:plc:" + "a" * 24, "1", "a", "a/b", 3, [b"abc"], bytes
        ),
        lambda port: outbound.shared_client().get(f"http://127.0.0.1:{port}/"),
        lambda port: ImapMailbox(urlsplit(f"imap://127.0.0.1:{port}"), "a", "").__enter__(),
    ],
    ids=["agent", "agent, with a file", "another server", "mailbox"],
)
def test_others_go_on_while_a_server_is_waited_for(
    ask: Callable[[int], object],
    nobody_answers: tuple[int, list[bool]],
    turns: Turns,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailbox_of_imap, "mailbox_token", lambda *_, **__: "token")
    port, had_turn = nobody_answers
    with computing.in_turn(turns):
        with pytest.raises((AgentUnavailable, httpx.HTTPError, MailboxError)):
            ask(port)
        assert turns._current, "it has its turn again"
    assert had_turn
    assert not any(had_turn)


def test_others_go_on_while_another_transaction_is_waited_for(turns: Turns) -> None:
    mine = TURNS.take(1)
    assert mine is not None
    database = DatabaseWrapper({"OPTIONS": {"timeout": 20}}, "other")
    with ThreadPoolExecutor(1) as pool:

        def wait() -> None:
            with computing.in_turn(turns):
                database._turn = database._waited_for()

        waiting = pool.submit(wait)
        until = time.monotonic() + 10
        while not TURNS._waiting:
            assert time.monotonic() < until
            time.sleep(0.001)
        assert not turns._current
        mine.end()
        waiting.result(10)
    database._end_turn()
