"""`make demo` as a person runs it: started, looked at, stopped, started again, and with a part that dies."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from demo.ports import free_port
from demo.processes import inherited_environment

VARIABLES = ("PORT", "AGENT_PORT", "INGRESS_PORT", "REDIS_PORT", "IMAP_PORT", "PDS_PORT", "PLC_PORT")


def chosen_ports() -> dict[str, str]:
    ports: set[int] = set()
    while len(ports) < len(VARIABLES):
        ports.add(free_port())
    return {f"WAXWING_{name}": str(port) for name, port in zip(VARIABLES, ports, strict=True)}


@contextmanager
def running_demo(folder: Path, ports: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The demo, once it has said that it is up."""
    output = (folder / "output").open("w")
    demo = subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=folder,
        env={**inherited_environment(), **ports},
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 300
        while "Ctrl-C stops everything" not in said(folder):
            assert demo.poll() is None, said(folder)
            assert time.monotonic() < deadline, said(folder)
            time.sleep(0.1)
        yield demo
    finally:
        if demo.poll() is None:
            demo.terminate()
            demo.wait(30)
        output.close()


def said(folder: Path) -> str:
    return (folder / "output").read_text()


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that have to do with the folder, as `ps` would show them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command or str(folder) in environment:
            found.append(command)
    return found


def readable_by_others(folder: Path) -> list[Path]:
    """Which of the files with secrets or people's data another user could read; all of them exist."""
    state = folder / ".run" / "demo"
    files = [
        *("secrets.json", "agent/operator-key", "network/secrets.json", "redis/redis.conf"),
        *("data/webmail.sqlite3", "agent/agent.sqlite3", "network/pds/account.sqlite"),
    ]
    return [state / name for name in files if (state / name).stat().st_mode & 0o077]


def accounts(folder: Path) -> dict[str, str]:
    announced = json.loads((folder / ".run" / "demo" / "network" / "network.json").read_text())
    return {name: account["did"] for name, account in announced["accounts"].items()}


def test_it_starts_stops_and_starts_again_and_when_a_part_dies_it_is_named_and_everything_stops(
    demo_folder: Path,
) -> None:
    ports = chosen_ports()
    with running_demo(demo_folder, ports) as demo:
        text = said(demo_folder)
        url = f"http://localhost:{ports['WAXWING_PORT']}"
        assert f"Waxwing is at {url}\n" in text
        assert httpx.get(f"{url}/sign-in/").status_code == httpx.codes.OK
        agent_port = ports["WAXWING_AGENT_PORT"]
        document = httpx.get(f"http://127.0.0.1:{agent_port}/.well-known/did.json").json()
        assert document["id"] == f"did:web:localhost%3A{agent_port}"
        for name in ("alice", "bob", "carol"):
            assert f"{name}.test" in text
            assert f"{name}-pass" in text
        assert readable_by_others(demo_folder) == []
        first = accounts(demo_folder)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
    assert said(demo_folder).endswith("Stopping.\nEverything has stopped.\n")
    assert processes_of(demo_folder) == []

    with running_demo(demo_folder, ports) as demo:
        assert accounts(demo_folder) == first
        ingress = next(
            int(process.name)
            for process in Path("/proc").glob("[0-9]*")
            if parent_of(process) == demo.pid and b"django\0ingress" in (process / "cmdline").read_bytes()
        )
        os.kill(ingress, signal.SIGKILL)
        assert demo.wait(30) == 1
    assert "ingress ended by itself, with status -9. The end of " in said(demo_folder)
    assert processes_of(demo_folder) == []


def parent_of(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0
