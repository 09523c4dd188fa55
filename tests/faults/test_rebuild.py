"""The index is lost, and comes back from the mailboxes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.environment import RUN
from tests.faults.conftest import CANARY
from tests.services.inhabited import Inhabited
from tests.services.installations import QUICK, RunningInstallation, wait_until
from tests.services.postgres import new_database
from tests.services.programs import find_postgres
from tests.services.windows import Shown, Window

#: The rest of the web and worker processes' own; agent, Redis and the mailboxes stay as they are.
OF_THE_WEBMAIL = ("web", "worker", "deliveries", "lookups", "scheduler", "ingress")
INDEX = (
    *("arrival", "mailboxcursor", "deliverycopy", "delivery", "receipt", "acknowledgement", "message"),
    *("draft", "pendingmessage", "conversationmember", "conversation"),
)

Seen = dict[str, list[tuple[str, bool, str, str, str]]]


def seen_by(window: Window) -> Seen:
    """Everything a person sees but how far what they sent came, which no mailbox knows."""
    return {
        path: [(one.id, one.own, one.author, one.text, trust_of(one)) for one in thread]
        for path, thread in window.everything().items()
    }


def places_in_time(running: RunningInstallation) -> dict[str, set[datetime]]:
    """When each message stands in its conversations, to the millisecond, which the archive keeps."""
    found: dict[str, set[datetime]] = {}
    for message, at in running.sql("SELECT message_id, placed_at FROM webmail_message"):
        moment = at if isinstance(at, datetime) else datetime.fromisoformat(at).replace(tzinfo=UTC)
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        found.setdefault(message, set()).add(moment)
    return found


def trust_of(message: Shown) -> str:
    return "" if message.own else message.state


@pytest.fixture(scope="module")
def before(in_use: Inhabited) -> dict[str, Seen]:
    """What each person saw before the index was lost, conversations in the order of the list."""
    return {name: seen_by(window) for name, window in in_use.people.items()}


@pytest.fixture(scope="module")
def times_before(in_use: Inhabited) -> dict[str, set[datetime]]:
    return places_in_time(in_use.running)


@pytest.fixture(scope="module")
def restored(
    in_use: Inhabited,
    before: dict[str, Seen],
    times_before: dict[str, set[datetime]],
    request: pytest.FixtureRequest,
) -> Iterator[RunningInstallation]:
    """The same installation on an empty database of the other kind, its index rebuilt by the command."""
    in_use.running.stop(*OF_THE_WEBMAIL)
    url = f"sqlite:///{RUN.directory / 'restored.sqlite3'}"
    if find_postgres():
        url = new_database(request.getfixturevalue("postgres"), "restored")
    settings = {**in_use.running.installation.settings, "WAXWING_DATABASE_URL": url}
    restored = RunningInstallation(replace(in_use.running.installation, settings=settings), None)
    restored.prepare()
    said = restored.manage("rebuild_index", *(window.did for window in in_use.people.values()))
    assert said.count("messages in the archive") == 3
    # Before any worker could have asked again who signed.
    assert restored.sql("SELECT DISTINCT trust FROM webmail_message ORDER BY 1") == [("own",), ("signed",)]
    try:
        restored.start(*OF_THE_WEBMAIL)
        for window in in_use.people.values():
            window.client.cookies.clear()
            window.sign_in()
            window.enrol()
        yield restored
    finally:
        restored.stop()
        in_use.running.start(*OF_THE_WEBMAIL)
        for window in in_use.people.values():
            window.client.cookies.clear()
            window.sign_in()


def index_of(restored: RunningInstallation) -> list[list[tuple[Any, ...]]]:
    """All rows of the index, but for when they were last looked at."""
    return [
        restored.sql(
            "SELECT id, conversation_id, participants, last_message_id, last_activity, unread_count"
            " FROM webmail_conversation ORDER BY id"
        ),
        restored.sql(
            "SELECT id, account_id, conversation_id, message_id, direction, sender_did, trust, created_at,"
            " placed_at, shown, unread, archived_at FROM webmail_message ORDER BY id"
        ),
        restored.sql("SELECT id, envelope_id, state, folder, uid, reason FROM webmail_arrival ORDER BY id"),
    ]


def test_everybody_sees_what_they_saw(
    in_use: Inhabited, before: dict[str, Seen], restored: RunningInstallation
) -> None:
    assert sum(len(thread) for thread in before["alice"].values()) == 10
    assert CANARY in str(before["bob"])
    for name, window in in_use.people.items():
        assert seen_by(window) == before[name]
        assert list(window.rows()) == list(before[name])
        assert not [row for row in window.rows().values() if "unread" in row]


def test_every_message_stands_where_it_stood(
    restored: RunningInstallation, times_before: dict[str, set[datetime]]
) -> None:
    assert places_in_time(restored) == times_before


def test_what_was_set_aside_is_set_aside_with_its_reason(
    in_use: Inhabited, restored: RunningInstallation
) -> None:
    page = in_use.people["bob"].words("/kept-aside/")
    assert page.count("None of your keys opens it") == 1
    assert page.count("Ordinary mail, not sealed") == 1
    assert "Nothing is kept aside" in in_use.people["alice"].words("/kept-aside/")


def test_a_second_time_changes_nothing(in_use: Inhabited, restored: RunningInstallation) -> None:
    before = index_of(restored)
    archives = [restored.mails(window.did, "Archive") for window in in_use.people.values()]
    restored.manage("rebuild_index")
    assert index_of(restored) == before
    assert [restored.mails(window.did, "Archive") for window in in_use.people.values()] == archives


def test_conversations_go_on(in_use: Inhabited, restored: RunningInstallation) -> None:
    alice, bob = in_use.people["alice"], in_use.people["bob"]
    pair = alice.write([bob.did], "after the loss")
    wait_until(lambda: "after the loss" in bob.texts(pair))
    assert "number 4" in bob.texts(pair)


def test_mail_that_arrives_meanwhile_is_neither_lost_nor_doubled(
    in_use: Inhabited, restored: RunningInstallation
) -> None:
    """The index vanishes while everything runs and people write."""
    assert QUICK["WAXWING_PULL_SECONDS"] == "4"
    alice, bob = in_use.people["alice"], in_use.people["bob"]
    pair = alice.write([bob.did], "just before")
    wait_until(lambda: "just before" in bob.texts(pair))
    wait_until(lambda: not restored.sql("SELECT id FROM webmail_message WHERE archived_at IS NULL"))
    expected = Counter(bob.texts(pair))
    restored.sql(
        "UPDATE webmail_conversation SET last_message_id = NULL, named_by_id = NULL, pictured_by_id = NULL"
    )
    for table in INDEX:
        restored.sql(f"DELETE FROM webmail_{table}")  # noqa: S608 (names from above)

    rebuilding = threading.Thread(target=restored.manage, args=("rebuild_index",))
    rebuilding.start()
    for number in range(12):
        alice.write([bob.did], f"meanwhile {number}")
        expected[f"meanwhile {number}"] += 1
    rebuilding.join()
    wait_until(lambda: expected - Counter(bob.texts(pair)) == Counter())
    for window in (alice, bob):
        assert Counter(window.texts(pair)) == expected
    wait_until(lambda: len(restored.mails(bob.did, "INBOX")) == 1)
    (plain,) = restored.mails(bob.did, "INBOX")
    assert b"a plain mail" in plain
