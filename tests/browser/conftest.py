"""A whole installation in the local network, and people at browser windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Locator

from demo.local_network import NetworkInfo
from tests.accounts.repository import Repository
from tests.browser.first_visit import FirstVisit, make_first_visit
from tests.browser.visitors import PHONE, WIDE, Visitor, foreign_hosts, visitor_at
from tests.environment import RUN
from tests.services.installations import RunningInstallation, running_installation
from tests.services.new_device import NewDevice
from tests.services.smtp_sink import SmtpSink

#: As people have it: a page that only catches up by a look every minute fails its test.
UNHURRIED = {
    "WAXWING_PULL_SECONDS": "60",
    "WAXWING_RECONCILE_SECONDS": "10",
    "WAXWING_TELL_OPENED": "true",
}

#: What a person may have set for a conversation, as it was at first.
AS_BEGUN = (
    "UPDATE webmail_conversation"
    " SET pinned = FALSE, muted = FALSE, mentions_muted = FALSE, archived_at = NULL"
    " WHERE pinned OR muted OR mentions_muted OR archived_at IS NOT NULL"
)


@pytest.fixture(autouse=True)
def _fingers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over BiDi a touch of Firefox presses nothing."""
    if request.config.getoption("browser") == "firefox":
        monkeypatch.setattr(Locator, "tap", Locator.click)


@pytest.fixture(scope="session")
def installation(local_network: NetworkInfo, smtp_sink: SmtpSink) -> Iterator[RunningInstallation]:
    """Web, worker, scheduler, ingress, agent and broker, as `make demo` starts them; ordinary mail leaves."""
    settings = {**UNHURRIED, "WAXWING_SMTP_RELAY_URL": smtp_sink.url}
    with running_installation(RUN.directory / "browser", local_network, settings=settings) as running:
        yield running


FirstVisitOf = Callable[[str], FirstVisit]


@pytest.fixture(scope="session")
def first_visit_of(
    browser: Browser, installation: RunningInstallation, local_network: NetworkInfo
) -> FirstVisitOf:
    """`first_visit_of("alice")` is what she saw when she came for the first time, once in a run; Bob comes
    with a phone."""
    made: dict[str, FirstVisit] = {}

    def first_visit_of(name: str) -> FirstVisit:
        if name not in made:
            person = local_network.accounts[name].person
            form = {"viewport": PHONE, "touch": True} if name == "bob" else {}
            with visitor_at(browser, installation.url, person, **form) as visitor:  # type: ignore[arg-type]
                made[name] = make_first_visit(visitor)
        return made[name]

    return first_visit_of


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(
    browser: Browser,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    first_visit_of: FirstVisitOf,
) -> Iterator[Visit]:
    """`visit("alice")` opens a browser in which she is signed in, at her inbox, where nothing is pinned,
    muted or archived by a test that came before.

    At the end nothing may have failed in a script, been refused by the policy, or gone to another host.
    """
    installation.sql(AS_BEGUN)
    with ExitStack() as stack:
        visitors: list[Visitor] = []

        def visit(name: str, *, signed_in: bool = True, **form: object) -> Visitor:
            person = local_network.accounts[name].person
            state = first_visit_of(name).storage_state if signed_in else None
            # What is done at both sizes is done once with a service worker between pages and server, which
            # takes a quarter longer, and once without.
            form.setdefault("service_worker", form.get("viewport") != WIDE)
            # A phone is touched.
            form.setdefault("touch", form.get("viewport") == PHONE)
            visitor = stack.enter_context(
                visitor_at(browser, installation.url, person, storage_state=state, **form)  # type: ignore[arg-type]
            )
            visitors.append(visitor)
            visitor.page.goto("/" if signed_in else "/sign-in/")
            return visitor

        yield visit
        assert [complaint for visitor in visitors for complaint in visitor.complaints] == []
        assert (
            foreign_hosts(visitors, installation.url, installation.url_by_number, local_network.pds_url)
            == set()
        )


@pytest.fixture
def new_device(local_network: NetworkInfo) -> Iterator[Callable[[str], NewDevice]]:
    """`new_device("bob")` puts a device of another program into his repository until the test ends."""
    made: list[NewDevice] = []

    def add(name: str) -> NewDevice:
        account = local_network.accounts[name]
        device = NewDevice.of(account.did, account.person.handle, timezone.now())
        device.publish(Repository(local_network, account))
        made.append(device)
        return device

    yield add
    for device in made:
        device.withdraw()
