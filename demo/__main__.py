"""`make demo` and `make run`: everything on this machine, until Ctrl-C.

python -m demo           with a local network and three people
python -m demo --live    against the live network
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from demo import dovecot, node_packages
from demo.broker import NoRedis
from demo.installation import (
    Installation,
    Ports,
    broker,
    live_agent_settings,
    live_settings,
    local_agent_settings,
    local_network_settings,
    make_directories,
    preparations,
    processes,
)
from demo.local_network import PEOPLE, network_process
from demo.mailbox_choice import MailboxChoice, MailboxGone, choose_mailbox
from demo.ports import BadPort, PortInUse, check_free, chosen_port
from demo.processes import ProcessFailed
from demo.state import AlreadyRunning, run_folder
from demo.supervision import Interrupted, Supervisor

#: Variable, its default, and what listens there.
PORTS = {
    "WAXWING_PORT": (8000, "the web pages"),
    "WAXWING_AGENT_PORT": (8700, "the crypto agent"),
    "WAXWING_INGRESS_PORT": (8025, "incoming mail"),
    "WAXWING_REDIS_PORT": (6390, "Redis"),
    "WAXWING_IMAP_PORT": (8143, "Dovecot"),
    "WAXWING_PDS_PORT": (2583, "the local PDS"),
    "WAXWING_PLC_PORT": (2582, "the local PLC directory"),
}


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo")
    parser.add_argument("--live", action="store_true", help="no local PDS: sign in with your real handle")
    live = parser.parse_args().live
    try:
        with run_folder("run" if live else "demo") as folder:
            start_and_watch(folder, live=live)
    except Interrupted:
        say("Everything has stopped.")
        return 0
    except (
        AlreadyRunning,
        BadPort,
        MailboxGone,
        NoRedis,
        PortInUse,
        ProcessFailed,
        node_packages.InstallFailed,
    ) as problem:
        print(problem, file=sys.stderr, flush=True)
    return 1


def start_and_watch(folder: Path, *, live: bool) -> None:
    """Never returns: raises Interrupted at the wish of a person, or what went wrong; nothing runs then."""
    mailbox = choose_mailbox(folder)
    unused = ({"WAXWING_PDS_PORT", "WAXWING_PLC_PORT"} if live else set()) | (
        set() if mailbox.uses_dovecot else {"WAXWING_IMAP_PORT"}
    )
    ports = {name: chosen_port(os.environ, name, PORTS[name][0]) for name in PORTS if name not in unused}
    for variable in ports:
        check_free(ports[variable], PORTS[variable][1], variable)

    with Supervisor(folder / "logs", say) as supervisor:
        try:
            installation = start_all(supervisor, folder, ports, mailbox, live=live)
            say(welcome(installation, mailbox, folder / "logs", live=live))
            supervisor.watch()
        finally:
            say("Stopping.")


def start_all(
    supervisor: Supervisor, folder: Path, ports: Mapping[str, int], mailbox: MailboxChoice, *, live: bool
) -> Installation:
    """Starts everything, side by side where one thing does not need another."""
    settings: dict[str, str] = {}
    servers = []
    if live:
        settings |= live_settings(os.environ)
        agent_settings = live_agent_settings(os.environ)
    else:
        pds_port, plc_port = ports["WAXWING_PDS_PORT"], ports["WAXWING_PLC_PORT"]
        packages = node_packages.install(say, supervisor.check)
        servers.append(
            network_process(
                folder / "network", PEOPLE, pds_port=pds_port, plc_port=plc_port, packages=packages
            )
        )
        settings |= local_network_settings(f"http://localhost:{plc_port}", f"http://localhost:{pds_port}")
        agent_settings = local_agent_settings(f"http://localhost:{plc_port}", ports["WAXWING_AGENT_PORT"])
    imap = dovecot.prepare(folder / "dovecot", ports["WAXWING_IMAP_PORT"]) if mailbox.uses_dovecot else None
    if imap:
        servers.append(imap.spec)
        settings |= imap.settings()
    installation = Installation(
        folder,
        Ports(
            web=ports["WAXWING_PORT"],
            agent=ports["WAXWING_AGENT_PORT"],
            ingress=ports["WAXWING_INGRESS_PORT"],
            redis=ports["WAXWING_REDIS_PORT"],
        ),
        settings,
        agent_settings,
    )
    make_directories(installation)

    say("Starting (a few seconds).")
    supervisor.begin([broker(installation), *servers])
    supervisor.run(preparations(installation))
    supervisor.wait()
    supervisor.begin(processes(installation))
    if imap:
        imap.warm_up()
    supervisor.wait()
    return installation


def welcome(installation: Installation, mailbox: MailboxChoice, logs: Path, *, live: bool) -> str:
    """What a person needs to know once everything is up."""
    if live:
        sign_in = ["Sign in there with your own handle."]
    else:
        sign_in = [
            "Sign in there with the handle and password of one of these people; use a private window,",
            "or another browser, for each further one:",
            *(f"    {one.handle:<12} {one.password}" for one in PEOPLE),
        ]
    return "\n".join(
        [
            "",
            f"Waxwing is at {installation.url}",
            "",
            *sign_in,
            "",
            f"Mailbox: {mailbox.explanation}. Logs: {os.path.relpath(logs)}. Ctrl-C stops everything.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
