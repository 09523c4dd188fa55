"""A whole installation in a local network of its own, where people have signed in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.local_network import LocalNetwork
from tests.services.installations import RunningInstallation, running_installation
from tests.services.windows import Window


@dataclass
class Inhabited:
    """The installation, and the windows of the people who use it by their names."""

    network: LocalNetwork
    running: RunningInstallation
    people: dict[str, Window]


@contextmanager
def inhabited_installation(
    directory: Path,
    *names: str,
    with_dovecot: bool = False,
    settings: Mapping[str, str] | None = None,
    agent_settings: Mapping[str, str] | None = None,
) -> Iterator[Inhabited]:
    """The named people of the network are signed in and enrolled; all files lie below `directory`."""
    with (
        LocalNetwork(directory / "network") as network,
        running_installation(
            directory / "installation",
            network.info,
            with_dovecot=with_dovecot,
            settings=settings,
            agent_settings=agent_settings,
        ) as running,
    ):
        people = {name: Window(running.url, network.info.accounts[name]) for name in names}
        for window in people.values():
            window.sign_in()
            window.enrol()
        yield Inhabited(network, running, people)
