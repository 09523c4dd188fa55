"""Ports of the demo: one that is taken, and one that is not a port."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import ports
from demo.ports import BadPort, PortInUse, check_free, chosen_port, free_port
from demo.processes import inherited_environment

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_free_port_passes() -> None:
    check_free(free_port(), "the web pages", "WAXWING_PORT")


def test_a_taken_port_is_named_with_the_variable_that_moves_it(taken_port: int) -> None:
    with pytest.raises(PortInUse) as raised:
        check_free(taken_port, "the web pages", "WAXWING_PORT")
    assert str(raised.value) == (
        f"Port {taken_port}, for the web pages, is in use by another program: stop that program,"
        f" or choose another port with WAXWING_PORT={taken_port + 100}."
    )


def test_the_demo_stops_at_a_taken_port_with_that_sentence_alone(taken_port: int, demo_folder: Path) -> None:
    environment = inherited_environment()
    for variable in ("AGENT", "INGRESS", "REDIS", "IMAP", "PDS", "PLC"):
        environment[f"WAXWING_{variable}_PORT"] = str(free_port())
    demo = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=demo_folder,
        env={**environment, "WAXWING_PORT": str(taken_port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert demo.returncode == 1
    assert demo.stdout == ""
    assert demo.stderr.count("\n") == 1
    assert f"Port {taken_port}, for the web pages, is in use" in demo.stderr
    assert "WAXWING_PORT=" in demo.stderr


@pytest.mark.parametrize("value", ["0", "65536", "eight thousand", "-1", "8000.5", "²"])
def test_what_is_no_port_is_refused_by_name(value: str) -> None:
    with pytest.raises(BadPort, match="WAXWING_PORT must be a port"):
        chosen_port({"WAXWING_PORT": value}, "WAXWING_PORT", 8000)


@pytest.mark.parametrize(("environment", "port"), [({}, 8000), ({"WAXWING_PORT": "9000"}, 9000)])
def test_a_port_is_chosen_or_the_default(environment: dict[str, str], port: int) -> None:
    assert chosen_port(environment, "WAXWING_PORT", 8000) == port


def test_pass_on_nothing_of_our_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAXWING_SECRET_KEY", "one of ours")
    assert "WAXWING_SECRET_KEY" in os.environ
    assert "WAXWING_SECRET_KEY" not in inherited_environment()


def test_a_passing_port_is_given_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = free_port()
    with pytest.raises(subprocess.TimeoutExpired):
        _given_elsewhere(mine)
    other = mine - 1 if mine - 1 in ports.PASSING else mine + 1
    monkeypatch.setattr(ports, "PASSING", [mine, other])
    assert free_port() == other


def _given_elsewhere(port: int) -> None:
    """Another process asks for a port of which there is this one alone."""
    asked = f"from demo import ports; ports.PASSING = [{port}]; ports.free_port()"
    subprocess.run([sys.executable, "-c", asked], cwd=ROOT, timeout=3, check=True)
