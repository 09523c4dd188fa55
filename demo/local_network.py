"""A real PDS and PLC directory on this machine's loopback address, for the demo and the tests."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from demo import node_packages
from demo.node_packages import NODE, SOURCE, Say
from demo.ports import free_port
from demo.processes import ProcessSpec, RunningProcess, inherited_environment, start


@dataclass(frozen=True)
class Person:
    """Somebody with an account at the local PDS. The password protects nothing: it is printed."""

    name: str
    handle: str
    display_name: str
    email: str
    password: str


def person(name: str) -> Person:
    """`alice` is alice.test, Alice, alice@pds.test, alice-pass."""
    return Person(name, f"{name}.test", name.capitalize(), f"{name}@pds.test", f"{name}-pass")


PEOPLE = (person("alice"), person("bob"), person("carol"))


@dataclass(frozen=True)
class LocalAccount:
    """An account that exists at the local PDS."""

    person: Person
    did: str


@dataclass(frozen=True)
class NetworkInfo:
    """Where the two servers are (`http://localhost:port`), and who has an account."""

    plc_url: str
    pds_url: str
    accounts: Mapping[str, LocalAccount]


def network_process(
    directory: Path,
    people: Sequence[Person],
    *,
    pds_port: int,
    plc_port: int,
    packages: Path,
    smtp_url: str = "",
    fetch_map: Mapping[str, str] | None = None,
) -> ProcessSpec:
    """The process that serves both; it keeps everything in `directory`, and may be started there again.

    What an earlier run announced there is forgotten. `packages` is what `node_packages.install` returned; the
    PDS hands in its mail at `smtp_url` (none if empty); `fetch_map` gives, for https origins, the http URL on
    loopback from which the PDS fetches what it wants of them.
    """
    (directory / "network.json").unlink(missing_ok=True)
    accounts = [
        {
            "name": one.name,
            "handle": one.handle,
            "email": one.email,
            "password": one.password,
            "displayName": one.display_name,
        }
        for one in people
    ]
    environment = {
        **inherited_environment(),
        "NETWORK_DIRECTORY": str(directory),
        "PACKAGES": str(packages),
        "PDS_PORT": str(pds_port),
        "PLC_PORT": str(plc_port),
        "ACCOUNTS": json.dumps(accounts),
        "SMTP_URL": smtp_url,
        "FETCH_MAP": json.dumps(dict(fetch_map or {})),
    }
    return ProcessSpec(
        name="network",
        command=(str(NODE), str(SOURCE / "boot.cjs")),
        environment=environment,
        directory=SOURCE,
        is_ready=(directory / "network.json").exists,
        is_used_by_others=True,
    )


def read_info(directory: Path, people: Sequence[Person]) -> NetworkInfo:
    """What the running network in `directory` announced."""
    said = json.loads((directory / "network.json").read_text())
    accounts = {one.name: LocalAccount(one, said["accounts"][one.name]["did"]) for one in people}
    return NetworkInfo(said["plc"], said["pds"], accounts)


class LocalNetwork:
    """The local network as a context manager; `info` says where it is."""

    def __init__(
        self,
        directory: Path,
        people: Sequence[Person] = PEOPLE,
        *,
        pds_port: int | None = None,
        plc_port: int | None = None,
        smtp_url: str = "",
        fetch_map: Mapping[str, str] | None = None,
        say: Say = print,
    ) -> None:
        self.directory = directory
        self.people = people
        self._spec = partial(
            network_process,
            directory,
            people,
            pds_port=pds_port or free_port(),
            plc_port=plc_port or free_port(),
            packages=node_packages.install(say),
            smtp_url=smtp_url,
            fetch_map=fetch_map,
        )
        self._process: RunningProcess | None = None

    @property
    def info(self) -> NetworkInfo:
        return read_info(self.directory, self.people)

    def start(self) -> None:
        """Returns when both servers answer and everybody has an account; raises ProcessFailed."""
        self._process = start(self._spec(), self.directory / "network.log")
        try:
            self._process.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
