"""What people type, upload or are shown once lies nowhere afterwards: in no database, log, queue or file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.environment import RUN
from tests.faults.canaries import Used, use_in_every_way
from tests.faults.secret_search import (
    Place,
    columns_of,
    environments_of,
    files_below,
    files_of_postgres,
    found,
    keys_of_redis,
)
from tests.services.inhabited import inhabited_installation
from tests.services.postgres import new_database
from tests.services.programs import need


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def used(request: pytest.FixtureRequest) -> Iterator[Used]:
    """An installation with each kind of database."""
    directory = RUN.directory / f"canaries-{request.param}"
    temporary = directory / "tmp"
    temporary.mkdir(parents=True)
    settings, agent_settings = {}, {}
    if request.param == "PostgreSQL":
        need("PostgreSQL")
        server = request.getfixturevalue("postgres")
        settings["WAXWING_DATABASE_URL"] = new_database(server, "canaries")
        agent_settings["WAXWING_AGENT_DATABASE_URL"] = new_database(server, "canaries_of_agent")
    with pytest.MonkeyPatch.context() as patch:
        # Whatever a process of the installation keeps for a while lies here.
        patch.setenv("TMPDIR", str(temporary))
        with inhabited_installation(
            directory, "alice", "bob", "carol", settings=settings, agent_settings=agent_settings
        ) as place:
            yield use_in_every_way(place, temporary)


def places(used: Used) -> Iterator[Place]:
    """Everything that the installation keeps, the agent's own included."""
    directory = used.running.installation.directory
    yield from files_below(directory)
    yield from files_below(used.temporary)
    for database in (used.running.environment["WAXWING_DATABASE_URL"], used.running.agent_database_url):
        yield from columns_of(database)
        if database.startswith("postgres"):
            yield from files_of_postgres(database)
    yield from keys_of_redis(used.running.installation.redis_url)


def test_nothing_of_it_is_kept_anywhere(used: Used) -> None:
    assert len(used.secrets) >= 30
    assert found(used.secrets, places(used)) == []


def test_ordinary_mail_lies_in_the_mailbox_alone(used: Used) -> None:
    mailbox = str(used.running.installation.directory / "data" / "mail")
    assert len(used.mail) == 2
    hits = found(used.mail, places(used))
    assert [hit for hit in hits if mailbox not in hit] == []
    assert len(hits) == len(used.mail)


def test_no_page_that_says_no_repeats_it(used: Used) -> None:
    assert len(used.refusals) >= 16
    assert found(used.secrets | used.mail, used.refusals.items()) == []


def test_it_is_in_no_environment_or_command_line(used: Used) -> None:
    everything = [
        place for process in used.running.processes.values() for place in environments_of(process.pid)
    ]
    assert everything
    assert found(used.secrets | used.mail, everything) == []


def test_all_of_it_was_looked_at(used: Used) -> None:
    looked_at = dict(places(used))
    names = ["agent.log", "web.log", "worker.log"]
    on_sqlite = used.running.agent_database_url.startswith("sqlite")
    names += ["agent.sqlite3"] if on_sqlite else ["log", "PG_VERSION"]
    for name in names:
        assert any(where.endswith(f"/{name}") for where in looked_at), name
    for table in ("django_session", "crypto_agent_auditentry", "crypto_agent_locksecret", "webmail_blob"):
        assert looked_at[f"table {table}"], table
    assert any(where.startswith("Redis") for where in looked_at)
    # What may be written down is found: the name under which bob's passkey is kept.
    assert found({"a name": b"A key"}, looked_at.items()) != []
