"""Two installations in a network of their own.

Alice's keeps mail in files and its index in SQLite; bob's has Dovecot and PostgreSQL.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from demo.local_network import LocalNetwork
from tests.environment import RUN
from tests.services.installations import RunningInstallation, free_ports, running_installation
from tests.services.postgres import new_database
from tests.services.programs import find_postgres
from tests.services.smtp_sink import SmtpSink
from tests.services.windows import Window


@dataclass
class World:
    """The network, the installations, and the people's windows."""

    network: LocalNetwork
    mail_to_people: SmtpSink
    alices: RunningInstallation
    bobs: RunningInstallation
    alice: Window
    bob: Window
    #: Has an account at alice's.
    carol: Window


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    # Each module has its own.
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_")
    directory = RUN.directory / f"installations-{name}"
    with SmtpSink() as sink, LocalNetwork(directory / "network", smtp_url=sink.url) as network:
        bobs_settings = {}
        if find_postgres():
            server = request.getfixturevalue("postgres")
            bobs_settings["WAXWING_DATABASE_URL"] = new_database(server, f"bobs_{name}")
        people = network.info.accounts
        bobs_ports = free_ports()
        # The mail server that carries on what alice's installation sends to mail domains.
        alices_settings = {"WAXWING_SMTP_RELAY_URL": f"smtp://127.0.0.1:{bobs_ports.ingress}"}
        with (
            running_installation(directory / "alices", network.info, settings=alices_settings) as alices,
            running_installation(
                directory / "bobs",
                network.info,
                with_dovecot=True,
                settings=bobs_settings,
                ports=bobs_ports,
            ) as bobs,
        ):
            alice = Window(alices.url, people["alice"])
            bob = Window(bobs.url, people["bob"])
            carol = Window(alices.url, people["carol"])
            for window in (alice, bob, carol):
                window.sign_in()
                window.enrol()
            yield World(network, sink, alices, bobs, alice, bob, carol)
