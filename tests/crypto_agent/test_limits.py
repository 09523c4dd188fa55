"""What one hour allows: limits that hold, for each purpose by itself, and alarms on bulk opening."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from crypto_agent.client import AgentLimited, AgentUnavailable, SealedContent
from crypto_agent.hourly_limits import DEFAULTS, OTHER, HourlyLimits
from tests.crypto_agent.app import MakeApp
from tests.crypto_agent.leaving import PASSPHRASE
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT, receive, write
from tests.crypto_agent.running_agent import Agent, running_agent
from tests.services.postgres import new_database
from tests.services.programs import need

LIMITS = "worker.open=1000,web.read=50,web.compose=10,web.search=5"
#: Nothing opens it, which is found out at once; it is counted like any other.
ENVELOPE = b"no envelope"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def limited_agent(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Agent]:
    """An agent with low limits on each kind of database."""
    url = ""
    if request.param == "postgres":
        need("PostgreSQL")
        url = new_database(request.getfixturevalue("postgres"), "limits")
    directory = tmp_path_factory.mktemp("limited-agent")
    with running_agent(directory, url, WAXWING_AGENT_HOURLY_LIMITS=LIMITS) as agent:
        yield agent


def _someone(agent: Agent, number: int) -> str:
    did = f"did:plc:someone{number}"
    agent.client("web").create_device(did, "someone.test", "mail.test")
    return did


def _used(agent: Agent, did: str, purpose: str) -> int:
    rows = agent.execute(
        f"SELECT used FROM crypto_agent_usecount WHERE did = '{did}' AND purpose = '{purpose}'"  # noqa: S608
    )
    return int(rows[0][0])


def _an_hour_passes(agent: Agent) -> None:
    """Every hour that was begun lies further back."""
    rows = agent.execute("SELECT id, began_at FROM crypto_agent_usecount")
    for row, began_at in rows:
        began = began_at if isinstance(began_at, datetime) else datetime.fromisoformat(began_at)
        agent.execute(
            f"UPDATE crypto_agent_usecount SET began_at = '{began - timedelta(hours=1)}' WHERE id = {row}"  # noqa: S608
        )


def test_things_are_counted_and_not_calls(limited_agent: Agent) -> None:
    did, worker = _someone(limited_agent, 1), limited_agent.client("worker")
    for _ in range(10):
        worker.open(did, [ENVELOPE] * 99)
    worker.open(did, [ENVELOPE] * 10)
    assert _used(limited_agent, did, "open") == 1000
    with pytest.raises(AgentLimited):
        worker.open(did, [ENVELOPE])


def test_the_refusal_says_when_to_come_back_and_the_clock_opens_it_again(limited_agent: Agent) -> None:
    did, web = _someone(limited_agent, 2), limited_agent.client("web")
    composed = web.compose(did, [BOB], "Hello", created_at=WRITTEN_AT)
    web.read(did, [composed.content] * 50)
    with pytest.raises(AgentLimited) as limited:
        web.read(did, [composed.content])
    assert isinstance(limited.value, AgentUnavailable)
    assert limited.value.code == "LimitReached"
    assert 3500 < limited.value.retry_after_s <= 3600
    _an_hour_passes(limited_agent)
    assert web.read(did, [composed.content])[0].text == "Hello"


def test_each_purpose_caller_and_account_has_a_limit_of_its_own(limited_agent: Agent) -> None:
    did, other = _someone(limited_agent, 3), _someone(limited_agent, 4)
    web, worker = limited_agent.client("web"), limited_agent.client("worker")
    composed = web.compose(did, [BOB], "Hello", created_at=WRITTEN_AT)
    web.read(did, [composed.content] * 50)
    with pytest.raises(AgentLimited):
        web.read(did, [composed.content])
    assert worker.read(did, [composed.content])[0].text == "Hello"
    assert web.compose(did, [BOB], "More", created_at=WRITTEN_AT)
    assert web.read(other, [composed.content])[0].error == "cannot-unseal"


def test_searching_is_a_purpose_of_its_own_and_no_opening(limited_agent: Agent) -> None:
    did, web = _someone(limited_agent, 8), limited_agent.client("web")
    composed = web.compose(did, [BOB], "Hello", created_at=WRITTEN_AT)
    web.read(did, [composed.content] * 50)
    for _ in range(5):
        web.search(did, "hello")
    with pytest.raises(AgentLimited):
        web.search(did, "hello")
    assert _used(limited_agent, did, "search") == 5
    assert _used(limited_agent, did, "opening") == 50


def test_what_is_refused_is_on_record_and_counts_for_nothing(limited_agent: Agent) -> None:
    did, web = _someone(limited_agent, 5), limited_agent.client("web")
    for number in range(10):
        web.compose(did, [BOB], f"Hello {number}", created_at=WRITTEN_AT)
    for _ in range(3):
        with pytest.raises(AgentLimited):
            web.compose(did, [BOB], "One too many", created_at=WRITTEN_AT)
    assert _used(limited_agent, did, "compose") == 10
    entries = limited_agent.execute("SELECT did, purpose, outcome FROM crypto_agent_auditentry")
    outcomes = [outcome for whose, purpose, outcome in entries if (whose, purpose) == (did, "compose")]
    assert (outcomes.count("ok"), outcomes.count("LimitReached")) == (10, 3)
    assert len(outcomes) == 13


def test_a_limit_holds_under_eight_threads_at_once(limited_agent: Agent) -> None:
    did = _someone(limited_agent, 6)

    def ask(_: int) -> int:
        client = limited_agent.client("worker")
        opened = 0
        for _ in range(30):
            try:
                opened += len(client.open(did, [ENVELOPE] * 7))
            except AgentLimited:
                return opened
        return opened

    with ThreadPoolExecutor(8) as pool:
        opened = sum(pool.map(ask, range(8)))
    assert opened == 1000 - 1000 % 7
    assert _used(limited_agent, did, "open") == opened
    assert limited_agent.command("verify_audit").returncode == 0


def test_a_batch_above_the_limit_gets_through_once_an_hour_and_waits_for_good_never(
    limited_agent: Agent,
) -> None:
    did, web = _someone(limited_agent, 7), limited_agent.client("web")
    batch = [SealedContent("01" * 33, "01" * 32, b"sealed")] * 80
    assert len(web.read(did, batch)) == 80
    with pytest.raises(AgentLimited):
        web.read(did, batch)
    _an_hour_passes(limited_agent)
    assert len(web.read(did, batch)) == 80


def test_apps_of_an_account_share_a_limit(app: MakeApp, agent: Agent) -> None:
    caller, grant = app("status")
    before = _sum(agent, "app")
    caller.call("status")
    assert _sum(agent, "app") == before + 1
    agent.execute("UPDATE crypto_agent_usecount SET used = 10000 WHERE caller = 'app' AND purpose = 'status'")
    with pytest.raises(Exception, match="LimitReached"):
        caller.call("status")
    (entry,) = agent.execute(
        "SELECT caller, outcome FROM crypto_agent_auditentry ORDER BY sequence DESC LIMIT 1"
    )
    assert tuple(entry) == (f"grant {grant.grant_id}", "LimitReached")
    agent.execute("DELETE FROM crypto_agent_usecount WHERE caller = 'app'")


def _sum(agent: Agent, caller: str) -> int:
    (row,) = agent.execute(
        f"SELECT coalesce(sum(used), 0) FROM crypto_agent_usecount WHERE caller = '{caller}'"  # noqa: S608
    )
    return int(row[0])


def test_the_count_and_the_entry_are_written_together_or_not_at_all(own_agent: Agent) -> None:
    own_agent.client("web").create_device(ALICE, "alice.test", "mail.test")
    worker = own_agent.client("worker")
    worker.open(ALICE, [ENVELOPE])
    for broken, code in (
        ("usecount BEGIN SELECT RAISE(ABORT, 'the disk is full'); END", "DatabaseUnavailable"),
        ("audithead BEGIN SELECT RAISE(ABORT, 'the disk is full'); END", "AuditUnavailable"),
    ):
        entries = own_agent.execute("SELECT count(*) FROM crypto_agent_auditentry WHERE outcome = 'ok'")
        own_agent.execute(f"CREATE TRIGGER broken BEFORE UPDATE ON crypto_agent_{broken}")
        with pytest.raises(AgentUnavailable) as unavailable:
            worker.open(ALICE, [ENVELOPE])
        assert unavailable.value.code == code
        own_agent.execute("DROP TRIGGER broken")
        assert (
            own_agent.execute("SELECT count(*) FROM crypto_agent_auditentry WHERE outcome = 'ok'") == entries
        )
        assert _used(own_agent, ALICE, "open") == 1


@pytest.fixture(scope="module")
def alarmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent with its own limits, where alice has had fifty thousand things opened within a minute."""
    with running_agent(tmp_path_factory.mktemp("alarmed-agent"), WAXWING_LOG_LEVEL="INFO") as agent:
        agent.client("web").create_device(ALICE, "alice.test", "mail.test")
        agent.client("web").create_device(BOB, "bob.test", "mail.test")
        assert agent.client().status().alarms == 0

        def ask(_: int) -> None:
            agent.client("worker").open(ALICE, [ENVELOPE] * 6250)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(8)))
        yield agent


def test_fifty_thousand_openings_within_a_minute_raise_one_alarm(alarmed: Agent) -> None:
    assert alarmed.client().status().alarms == 1
    assert httpx.get(f"{alarmed.url}/healthz").json()["alarms"] == 1
    (alarm,) = alarmed.client().list_alarms()
    assert (alarm.did, alarm.things) == (ALICE, 20_000)
    assert timedelta() < alarm.at - alarm.hour_began_at < timedelta(minutes=1)
    entries = alarmed.execute(
        "SELECT sequence, caller, did, purpose, count, outcome FROM crypto_agent_auditentry"
    )
    alarms = [tuple(row) for row in entries if row[1] == "agent"]
    assert alarms == [(alarm.entry, "agent", ALICE, "bulkOpening", 20_000, "alarm")]
    assert alarmed.command("verify_audit").returncode == 0


def test_the_alarm_is_logged_once_without_saying_whose_or_what(alarmed: Agent) -> None:
    lines = [line for line in alarmed.log.decode().splitlines() if "alarm" in line]
    assert len(lines) == 1
    assert " ERROR " in lines[0]
    assert "20000 messages of one account were opened within an hour" in lines[0]
    assert ALICE not in lines[0]


def test_the_worker_reaches_its_limit_and_others_go_on(alarmed: Agent) -> None:
    with pytest.raises(AgentLimited):
        alarmed.client("worker").open(ALICE, [ENVELOPE])
    assert alarmed.client("worker").open(BOB, [ENVELOPE])[0].error


def test_all_accounts_together_have_an_alarm_too(alarmed: Agent) -> None:
    alarmed.execute("UPDATE crypto_agent_usecount SET used = 99999 WHERE did = '' AND purpose = 'opening'")
    alarmed.client("worker").open(BOB, [ENVELOPE])
    newest = alarmed.client().list_alarms()[0]
    assert (newest.did, newest.things) == (None, 100_000)
    assert alarmed.client().status().alarms == 2


def test_an_alarm_leaves_the_status_after_a_day_and_the_next_hour_may_raise_another(tmp_path: Path) -> None:
    with running_agent(tmp_path, WAXWING_AGENT_ALARM_OPENED_OF_ACCOUNT="10") as agent:
        agent.client("web").create_device(ALICE, "alice.test", "mail.test")
        worker = agent.client("worker")
        for _ in range(3):
            worker.open(ALICE, [ENVELOPE] * 10)
        assert agent.client().status().alarms == 1
        agent.execute("UPDATE crypto_agent_alarm SET at = '2026-01-01 00:00:00'")
        assert agent.client().status().alarms == 0
        _an_hour_passes(agent)
        worker.open(ALICE, [ENVELOPE] * 10)
        assert agent.client().status().alarms == 1
        assert len(agent.client().list_alarms()) == 2


def test_reading_counts_for_the_alarm_and_sealing_does_not(own_agent: Agent) -> None:
    web, worker = own_agent.client("web"), own_agent.client("worker")
    web.create_device(ALICE, "alice.test", "mail.test")
    bob = web.create_device(BOB, "bob.test", "mail.test")
    composed, sealed = write(web, worker, ALICE, [bob])
    web.read(ALICE, [composed.content] * 3)
    assert _used(own_agent, ALICE, "opening") == 3
    receive(worker, BOB, sealed.copies[0].envelope)
    worker.read_archive(BOB, [b"archived"])
    assert _used(own_agent, BOB, "opening") == 2
    assert _used(own_agent, "", "opening") == 5


def test_a_part_of_an_export_is_opened_in_this_sense_too(own_agent: Agent) -> None:
    web = own_agent.client()
    web.create_device(ALICE, "alice.test", "mail.test")
    export = web.export_account(ALICE, PASSPHRASE)
    part = web.seal_export_part(ALICE, export.export_key, "state/000001", b"a draft")
    taken = web.import_account(ALICE, PASSPHRASE, export.keys)
    for _ in range(2):
        assert web.open_export_part(ALICE, taken.import_key, "state/000001", part) == b"a draft"
    assert _used(own_agent, ALICE, "opening") == 2
    assert _used(own_agent, "", "opening") == 2


def test_defaults_leave_room_for_a_first_sync_and_for_a_rebuild() -> None:
    limits = HourlyLimits([], {})
    assert limits.of("worker", "open") >= 10_000
    assert limits.of("worker", "archive") >= 10_000
    assert limits.of("worker", "readArchive") >= 100_000
    assert limits.of("worker", "indexMessages") >= 100_000
    assert limits.of("web", "search") == DEFAULTS["web.search"] != OTHER
    assert limits.of("web", "createDevice") == OTHER


@pytest.mark.parametrize(
    "setting", ["web.read", "web.read=0", "web.raed=5", "nobody.read=5", "read=5", "web.read=-1"]
)
def test_a_setting_that_limits_nothing_is_an_error(setting: str) -> None:
    with pytest.raises(ValueError, match=r"web|nobody|read"):
        HourlyLimits([setting], {"web": frozenset({"read"})})
    assert HourlyLimits(["web.read=5", "other=7"], {"web": frozenset({"read"})}).of("web", "read") == 5
