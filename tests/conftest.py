"""Fixtures that start the real servers, once in a run, when the first test asks for them."""

import os
import shutil
from collections.abc import Iterator

import hypothesis
import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from demo.broker import redis_process
from demo.local_network import LocalNetwork, NetworkInfo
from demo.processes import start
from tests.environment import RUN
from tests.services.agent import AgentProcess
from tests.services.agent import agent_process as run_agent
from tests.services.certificates import self_signed
from tests.services.chromium import chromium
from tests.services.emptying import empty_by_deleting
from tests.services.firefox import firefox
from tests.services.postgres import postgres_server
from tests.services.preparations import template_for_tests
from tests.services.programs import LEFT_OUT, find_postgres
from tests.services.smtp_sink import SmtpSink
from webmail.catalogues import compile_all

# How long one example takes says more of what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# httpx reads all certificates of the world for each client, and for each request without one, which takes
# longer than most requests here. Nothing here goes to a server that would need them.
os.environ["SSL_CERT_FILE"] = str(self_signed(RUN.directory / "authorities.pem", "127.0.0.1"))

# What `make setup` does for everybody else.
compile_all()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The run's PostgreSQL; the URL of its `postgres` database."""
    with postgres_server(RUN.postgres) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The run's Redis, which the settings name; its URL."""
    directory = RUN.directory / "redis"
    running = start(redis_process(directory, RUN.redis, RUN.redis_password), directory / "log")
    try:
        running.wait_until_ready()
        yield RUN.redis_url
    finally:
        running.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest) -> None:
    """Tests with a database have the servers that a request or a task of the webmail reaches for."""
    if find_postgres():
        server = request.getfixturevalue("postgres")
        empty_by_deleting()
        _take_tables_that_are_made(server)
    request.getfixturevalue("redis_server")


def _take_tables_that_are_made(server: str) -> None:
    """A copy takes a tenth of the time in which all migrations are made."""
    # Django's settings are not there yet when this file is read.
    from django.conf import settings
    from django.db import connection

    of_the_agent = settings.ROOT_URLCONF.startswith("crypto_agent")
    template = template_for_tests(server, "agent-database" if of_the_agent else "database")
    if template:
        connection.settings_dict["TEST"]["TEMPLATE"] = template


@pytest.fixture(scope="session")
def smtp_sink() -> Iterator[SmtpSink]:
    """Gets the mail that the local PDS sends to people, and what leaves for other hosts."""
    with SmtpSink(closed_to=frozenset({"localhost"})) as sink:
        yield sink


@pytest.fixture(scope="session")
def local_network(smtp_sink: SmtpSink) -> Iterator[NetworkInfo]:
    """The PDS and PLC directory that the settings name, with alice.test, bob.test and carol.test."""
    network = LocalNetwork(
        RUN.directory / "network",
        pds_port=RUN.pds,
        plc_port=RUN.plc,
        smtp_url=smtp_sink.url,
        fetch_map={RUN.public_origin: f"http://127.0.0.1:{RUN.public}"},
    )
    with network:
        yield network.info


@pytest.fixture(scope="session")
def agent_process() -> Iterator[AgentProcess]:
    """The crypto agent that the settings name, open, with its own database."""
    with run_agent(RUN.directory / "agent", RUN.agent) as agent:
        yield agent


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What steers browsers."""
    with sync_playwright() as running:
        yield running


#: What starts the browser that is chosen.
BROWSERS = {"chromium": chromium, "firefox": firefox}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--browser", choices=BROWSERS, default="chromium", help="in which the pages are walked through"
    )


@pytest.fixture(scope="session")
def browser(playwright: Playwright, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Chromium, or what `--browser` names; take a context of it for each person."""
    with BROWSERS[request.config.getoption("browser")](playwright) as running:
        yield running


@pytest.fixture(scope="session")
def chromium_is_chosen(request: pytest.FixtureRequest) -> None:
    """For tests with a Chromium of their own, which say nothing of another browser."""
    if request.config.getoption("browser") != "chromium":
        pytest.skip("needs what only Chromium gives to tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for every group of tests that a missing program leaves out."""
    counts: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        if reason.startswith(LEFT_OUT):
            counts[reason] = counts.get(reason, 0) + 1
    for reason, count in sorted(counts.items()):
        terminalreporter.write_line(f"{count} tests {reason}")
    if not find_postgres():
        terminalreporter.write_line("PostgreSQL is not installed: database tests ran on SQLite alone")


def pytest_unconfigure() -> None:
    shutil.rmtree(RUN.directory, ignore_errors=True)
