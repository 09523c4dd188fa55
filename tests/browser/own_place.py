"""A network and an installation for a test alone, where something happens once or everything is erased."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from demo.local_network import LocalNetwork
from tests.environment import RUN
from tests.services.installations import RunningInstallation, running_installation


@dataclass
class Place:
    network: LocalNetwork
    running: RunningInstallation


@contextmanager
def own_place(name: str) -> Iterator[Place]:
    """Both of them, in a folder of that name."""
    directory = RUN.directory / name
    with (
        LocalNetwork(directory / "network") as network,
        running_installation(directory / "installation", network.info) as running,
    ):
        yield Place(network, running)
