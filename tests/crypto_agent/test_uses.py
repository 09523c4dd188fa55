"""What an account's own log shows: who used its keys, when, for what, how often, and what was refused."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from crypto_agent.client import AgentRefused, KeyUses, UseGroup
from tests.crypto_agent.app import MakeApp
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT, receive, write
from tests.crypto_agent.running_agent import Agent, running_agent

DAY = timedelta(days=1)


def _lines(uses: KeyUses) -> list[tuple[str, str, int, int, str]]:
    return [
        (group.caller, group.purpose, group.calls, group.things, group.outcome) for group in uses.page.groups
    ]


def test_uses_are_grouped_by_caller_purpose_and_outcome(own_agent: Agent) -> None:
    web, worker = own_agent.client("web"), own_agent.client("worker")
    web.create_device(ALICE, "alice.test", "mail.test")
    bob = web.create_device(BOB, "bob.test", "mail.test")
    _, sealed = write(web, worker, ALICE, [bob])
    message = receive(worker, BOB, sealed.copies[0].envelope)
    web.read(BOB, [message.content] * 3)
    web.read(BOB, [message.content] * 2)
    with pytest.raises(AgentRefused):
        web.revoke_device(BOB, "00" * 32)
    assert _lines(web.list_uses(BOB)) == [
        ("web", "revokeDevice", 1, 1, "NoSuchDevice"),
        ("web", "read", 2, 5, "ok"),
        ("worker", "open", 1, 1, "ok"),
        ("web", "createDevice", 1, 1, "ok"),
    ]
    assert _lines(web.list_uses(BOB, show="refused")) == [("web", "revokeDevice", 1, 1, "NoSuchDevice")]
    assert _lines(web.list_uses(BOB, show="apps")) == []
    assert {line[:2] for line in _lines(web.list_uses(ALICE))} == {
        ("web", "createDevice"),
        ("web", "compose"),
        ("worker", "seal"),
    }


def test_behind_a_group_stand_its_entries(own_agent: Agent) -> None:
    web = own_agent.client("web")
    web.create_device(ALICE, "alice.test", "mail.test")
    composed = web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT)
    for count in (1, 2, 3, 4, 5):
        web.read(ALICE, [composed.content] * count)
        web.list_devices(ALICE)
    group = next(group for group in web.list_uses(ALICE).page.groups if group.purpose == "read")
    assert (group.calls, group.things) == (5, 15)
    behind = {"caller": "web", "purpose": "read", "outcome": "ok", "oldest": group.oldest}
    first = web.list_use_entries(ALICE, newest=group.newest, limit=3, **behind)  # type: ignore[arg-type]
    assert [use.count for use in first.uses] == [5, 4, 3]
    assert first.next_newest is not None
    rest = web.list_use_entries(ALICE, newest=first.next_newest, limit=3, **behind)  # type: ignore[arg-type]
    assert [use.count for use in rest.uses] == [2, 1]
    assert rest.next_newest is None
    nobody = web.list_use_entries(BOB, newest=group.newest, **behind)  # type: ignore[arg-type]
    assert nobody.uses == []


def test_apps_are_called_as_their_user_called_them(app: MakeApp, agent: Agent) -> None:
    caller, grant = app("status")
    caller.call("status")
    with pytest.raises(Exception, match="PurposeNotGranted"):
        caller.call("sign", message={"recipients": [BOB], "text": "Hello"})
    did = _did_of(agent, grant.grant_id)
    uses = agent.client().list_uses(did, show="apps").page.groups
    mine = [(use.app_name, use.purpose, use.outcome) for use in uses if grant.grant_id in use.caller]
    assert mine == [("Tests", "app.sign", "PurposeNotGranted"), ("Tests", "app.status", "ok")]
    refused = agent.client().list_uses(did, show="refused").page.groups
    assert all(use.outcome != "ok" for use in refused)
    assert ("Tests", "app.sign") in {(use.app_name, use.purpose) for use in refused}


def _did_of(agent: Agent, grant_id: str) -> str:
    rows = agent.execute(
        "SELECT did FROM crypto_agent_auditentry "  # noqa: S608
        f"WHERE caller = 'grant {grant_id}' ORDER BY sequence DESC LIMIT 1"
    )
    return str(rows[0][0])


def test_an_alarm_is_told_to_the_person_it_is_about_for_a_month(own_agent: Agent) -> None:
    own_agent.client("web").create_device(ALICE, "alice.test", "mail.test")
    own_agent.client("web").create_device(BOB, "bob.test", "mail.test")
    own_agent.client("worker").open(ALICE, [b"no envelope"])
    own_agent.execute("UPDATE crypto_agent_usecount SET used = 19999 WHERE did <> '' AND purpose = 'opening'")
    own_agent.client("worker").open(ALICE, [b"no envelope"])
    (alarm,) = own_agent.client().list_uses(ALICE).alarms
    assert (alarm.did, alarm.things) == (ALICE, 20_000)
    assert "bulkOpening" not in {group.purpose for group in own_agent.client().list_uses(ALICE).page.groups}
    assert own_agent.client().list_uses(BOB).alarms == []
    own_agent.execute("UPDATE crypto_agent_alarm SET at = '2026-01-01 00:00:00'")
    assert own_agent.client().list_uses(ALICE).alarms == []


def test_someone_without_uses_has_none(own_agent: Agent) -> None:
    uses = own_agent.client().list_uses("did:plc:nobody")
    assert (uses.page.groups, uses.page.cursor, uses.alarms) == ([], None, [])


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 19])
def test_a_cursor_of_ones_own_making_is_refused(agent: Agent, cursor: str) -> None:
    with pytest.raises(AgentRefused, match="InvalidRequest"):
        agent.client().list_uses(ALICE, cursor=cursor)


@pytest.mark.parametrize("zone", ["../../etc/passwd", "Nowhere/Land", ""])
def test_an_unknown_time_zone_is_refused(agent: Agent, zone: str) -> None:
    with pytest.raises(AgentRefused, match="InvalidRequest"):
        agent.client().list_uses(ALICE, time_zone=zone)


@pytest.fixture(scope="module")
def old_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent whose log has a million entries of alice, over some three years, one a thousand refused."""
    with running_agent(tmp_path_factory.mktemp("old-agent")) as agent:
        start = datetime(2023, 11, 20)
        with closing(sqlite3.connect(agent.database)) as database:
            database.executemany(
                "INSERT INTO crypto_agent_auditentry (sequence, at, caller, did, purpose, count, outcome, "
                "previous_hash, entry_hash) VALUES (?, ?, ?, ?, ?, ?, ?, x'00', x'00')",
                (
                    (
                        number,
                        str(start + number * timedelta(seconds=90)),
                        ("web", "worker")[number % 2],
                        ALICE,
                        ("read", "open", "archive")[number % 3],
                        7,
                        "CannotUnseal" if number % 1000 == 0 else "ok",
                    )
                    for number in range(1, 1_000_001)
                ),
            )
            database.execute("UPDATE crypto_agent_audithead SET sequence = 1000000")
            database.commit()
        yield agent


def _all_pages(agent: Agent, show: str, at_most: int) -> Iterator[list[UseGroup]]:
    cursor = None
    for _ in range(at_most):
        uses = agent.client().list_uses(ALICE, show=show, cursor=cursor)  # type: ignore[arg-type]
        yield uses.page.groups
        cursor = uses.page.cursor
        if cursor is None:
            return


@pytest.mark.parametrize("show", ["all", "refused", "apps"])
def test_a_page_of_a_million_entries_takes_no_longer_than_one_of_a_few(old_agent: Agent, show: str) -> None:
    client = old_agent.client()
    client.list_uses(ALICE, show=show)  # type: ignore[arg-type]
    took = []
    for _ in range(5):
        started = time.monotonic()
        client.list_uses(ALICE, show=show)  # type: ignore[arg-type]
        took.append(time.monotonic() - started)
    # The quickest, since what else the machine does slows some.
    assert min(took) < 1


def test_pages_follow_each_other_without_a_gap_or_a_repetition(old_agent: Agent) -> None:
    seen: list[UseGroup] = [group for page in _all_pages(old_agent, "all", 4) for group in page]
    seen = [group for group in seen if group.purpose != "listUses"]
    days = [group.day for group in seen]
    assert days == sorted(days, reverse=True)
    assert len({(group.day, group.caller, group.purpose, group.outcome) for group in seen}) == len(seen)
    assert len(set(days)) > 15
    for day in sorted(set(days))[1:-1]:
        assert sum(group.calls for group in seen if group.day == day) == DAY // timedelta(seconds=90)


def test_every_refusal_is_found_among_a_million(old_agent: Agent) -> None:
    pages = list(_all_pages(old_agent, "refused", 100))
    assert len(pages) > 10
    assert sum(group.calls for page in pages for group in page) == 1000


def test_days_are_those_of_the_reader(old_agent: Agent) -> None:
    def first_of_a_day(zone: str) -> datetime:
        groups = old_agent.client().list_uses(ALICE, time_zone=zone).page.groups
        day = sorted({group.day for group in groups})[-3]
        return min(group.first_at for group in groups if group.day == day)

    assert first_of_a_day("UTC").hour == 0
    kolkata = first_of_a_day("Asia/Kolkata")
    assert (kolkata.hour, kolkata.minute // 30) == (18, 1)


def test_a_day_with_very_many_entries_is_cut_and_goes_on(own_agent: Agent) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    with closing(sqlite3.connect(own_agent.database)) as database:
        database.executemany(
            "INSERT INTO crypto_agent_auditentry (sequence, at, caller, did, purpose, count, outcome, "
            "previous_hash, entry_hash) VALUES (?, ?, 'web', ?, 'read', 1, 'ok', x'00', x'00')",
            ((number, str(now), ALICE) for number in range(1, 12_001)),
        )
        database.execute("UPDATE crypto_agent_audithead SET sequence = 12000")
        database.commit()
    pages = list(_all_pages(own_agent, "all", 10))
    reads = [group.calls for page in pages for group in page if group.purpose == "read"]
    assert sum(reads) == 12_000
    assert len(reads) == 3
