"""The pages on which people see how their keys were used."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from accounts import app_pages, use_words
from accounts.agent import agent
from crypto_agent.client import AgentRefused
from crypto_agent.tokens import PERMITTED
from tests.accounts.conftest import SignIn
from tests.services.agent import AgentProcess

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def _log_of(process: AgentProcess) -> Iterator[sqlite3.Connection]:
    path = process.spec.environment["WAXWING_AGENT_DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=20)) as database:
        yield database
        database.commit()


def _page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return unescape(response.content.decode())


@pytest.mark.parametrize("path", ["/devices/uses/", "/devices/uses/entries/"])
def test_they_are_for_signed_in_people(client: Client, path: str) -> None:
    assert client.get(path)["Location"].startswith("/sign-in/")
    assert client.post(path).status_code == 405


def test_a_person_reads_who_did_what_with_their_keys(
    client: Client, enrolled: SignIn, agent_process: AgentProcess
) -> None:
    enrolled(client, "alice")
    page = _page(client, "/devices/uses/")
    assert "Today" in page
    assert "Made your device, or saw that it is there" in page
    assert "This site's pages" in page
    assert "/devices/uses/" in _page(client, "/devices/")


def test_each_group_leads_to_its_entries(
    client: Client, enrolled: SignIn, agent_process: AgentProcess
) -> None:
    account = enrolled(client, "alice")
    for _ in range(3):
        agent().list_grants(account.did)
    response = client.get("/devices/uses/")
    (line,) = [line for _, lines in response.context["days"] for line in lines if "your apps" in line.what]
    assert line.group.calls >= 3
    assert f"entries/?{line.query}" in unescape(response.content.decode())
    entries = client.get(f"/devices/uses/entries/?{line.query}")
    assert [use.sequence for use in entries.context["uses"]] == sorted(
        (use.sequence for use in entries.context["uses"]), reverse=True
    )
    assert len(entries.context["uses"]) == line.group.calls


def test_the_log_of_another_person_is_not_shown(
    client: Client, enrolled: SignIn, agent_process: AgentProcess
) -> None:
    enrolled(Client(), "bob")
    enrolled(client, "alice")
    bobs = {"caller": "web", "purpose": "createDevice", "outcome": "ok", "oldest": "1", "newest": "999999999"}
    entries = client.get("/devices/uses/entries/", bobs).context["uses"]
    with _log_of(agent_process) as log:
        marks = ",".join(str(use.sequence) for use in entries)
        found = log.execute(
            f"SELECT DISTINCT did FROM crypto_agent_auditentry WHERE sequence IN ({marks})"  # noqa: S608
        )
        assert len(found.fetchall()) == 1


def test_what_was_refused_and_what_apps_did_stand_apart(
    client: Client, enrolled: SignIn, agent_process: AgentProcess
) -> None:
    account = enrolled(client, "carol")
    with pytest.raises(AgentRefused):
        agent().revoke_device(account.did, "00" * 32)
    refused = _page(client, "/devices/uses/?show=refused")
    assert "Refused: there is no such device" in refused
    assert "Made your device" not in refused
    apps = _page(client, "/devices/uses/?show=apps")
    assert "No app has used your keys." in apps
    grant = agent().create_grant(
        account.did,
        "<b>Diary</b>",
        ["status"],
        expires_at=timezone.now() + timedelta(days=1),
        hourly_limit=5,
    )
    with _log_of(agent_process) as log:
        log.execute(
            "INSERT INTO crypto_agent_auditentry (sequence, at, caller, did, purpose, count, outcome, "
            "previous_hash, entry_hash) SELECT max(sequence) + 1, ?, ?, ?, 'app.open', 7, 'ok', x'00', x'00' "
            "FROM crypto_agent_auditentry",
            (str(timezone.now().replace(tzinfo=None)), f"grant {grant.grant.grant_id}", account.did),
        )
        log.execute("UPDATE crypto_agent_audithead SET sequence = sequence + 1")
    response = client.get("/devices/uses/?show=apps")
    assert "<bdi>&lt;b&gt;Diary&lt;/b&gt;</bdi> · 7 messages, once" in response.content.decode()


def test_an_alarm_stands_on_top(client: Client, enrolled: SignIn, agent_process: AgentProcess) -> None:
    account = enrolled(client, "bob")
    with _log_of(agent_process) as log:
        now = str(timezone.now().replace(tzinfo=None))
        log.execute(
            "INSERT INTO crypto_agent_alarm (entry, did, at, hour_began_at, things) "
            "VALUES (?, ?, ?, ?, 20000)",
            (10**9, account.did, now, now),
        )
    page = _page(client, "/devices/uses/")
    assert "20000 messages were opened or shown within an hour" in page
    assert page.index("within an hour") < page.index("This site's pages")
    with _log_of(agent_process) as log:
        log.execute("DELETE FROM crypto_agent_alarm")
    assert "within an hour" not in _page(client, "/devices/uses/")


def test_older_uses_come_page_by_page(client: Client, enrolled: SignIn, agent_process: AgentProcess) -> None:
    account = enrolled(client, "alice")
    now = timezone.now().replace(tzinfo=None)
    with _log_of(agent_process) as log:
        newest = log.execute("SELECT max(sequence) FROM crypto_agent_auditentry").fetchone()[0]
        log.executemany(
            "INSERT INTO crypto_agent_auditentry (sequence, at, caller, did, purpose, count, outcome, "
            "previous_hash, entry_hash) VALUES (?, ?, 'worker', ?, 'open', 1, 'ok', x'00', x'00')",
            [
                (newest + 1 + number, str(now - timedelta(days=100 - number)), account.did)
                for number in range(100)
            ],
        )
        log.execute("UPDATE crypto_agent_audithead SET sequence = ?", (newest + 100,))
    first = client.get("/devices/uses/")
    assert first.context["cursor"]
    second = client.get(f"/devices/uses/?before={first.context['cursor']}")
    assert second.context["later"]
    days = [day for page in (first, second) for day, _ in page.context["days"]]
    assert days == sorted(set(days), reverse=True)
    assert len(days) > 60


@pytest.mark.parametrize(
    "query",
    [
        "",
        "caller=web",
        "caller=web&purpose=read&outcome=ok&oldest=1&newest=x",
        "caller=web&purpose=read&outcome=ok&oldest=-1&newest=1",
        f"caller={'x' * 65}&purpose=read&outcome=ok&oldest=1&newest=1",
        "caller=web&purpose=read&outcome=ok&oldest=1&newest=" + "9" * 20,
    ],
)
def test_addresses_of_ones_own_making_name_nothing(
    client: Client, enrolled: SignIn, agent_process: AgentProcess, query: str
) -> None:
    enrolled(client, "alice")
    assert client.get(f"/devices/uses/entries/?{query}").status_code == 404
    assert client.get(f"/devices/uses/?before={'9' * 99}&show=everything").context["show"] == "all"


def test_while_the_agent_is_away_the_page_says_so(
    client: Client, enrolled: SignIn, agent_process: AgentProcess
) -> None:
    enrolled(client, "alice")
    agent_process.stop()
    try:
        listed = client.get("/devices/uses/")
        assert (listed.status_code, listed.context["known"]) == (503, False)
        assert "does not answer just now" in listed.content.decode()
        assert "not used yet" not in listed.content.decode()
        entries = "caller=web&purpose=read&outcome=ok&oldest=1&newest=9"
        assert client.get(f"/devices/uses/entries/?{entries}").status_code == 503
    finally:
        agent_process.start()


def test_every_purpose_has_words() -> None:
    unspoken = {"getStatus", "getKeyStatus", "listAlarms", "listFormerDataKeys"}
    apps = {f"app.{purpose}" for purpose in app_pages.PURPOSES}
    assert use_words.PURPOSES.keys() >= set().union(*PERMITTED.values(), apps) - unspoken
