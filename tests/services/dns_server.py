"""An authoritative DNS server of the test run's own: NSD, on a loopback port."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.resolver

from demo.ports import free_port
from demo.processes import ProcessSpec, inherited_environment, start
from tests.services.programs import find_program, need

_HEAD = "$TTL 60\n@ IN SOA ns.invalid. operator.invalid. 1 60 60 60 60\n@ IN NS ns.invalid.\n"


@dataclass(frozen=True)
class DnsServer:
    """Answers for its zones, and refuses to answer for others."""

    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], self.port, 2
        return resolver

    def answers(self, zone: str) -> bool:
        try:
            self.resolver().resolve(zone, "SOA")
        except dns.exception.DNSException:
            return False
        return True


@contextmanager
def dns_server(zones: Mapping[str, str]) -> Iterator[DnsServer]:
    """Runs NSD with zones, by name, as the lines of their files; SOA and NS are added."""
    need("NSD")
    directory = Path(tempfile.mkdtemp(prefix="waxwing-nsd-"))
    server = DnsServer(free_port())
    lines = [
        "server:",
        f"  ip-address: 127.0.0.1@{server.port}",
        '  username: ""',
        '  chroot: ""',
        '  database: ""',
        '  pidfile: ""',
        f"  zonesdir: {directory}",
        f"  xfrdfile: {directory}/xfrd",
        f"  xfrdir: {directory}",
        f"  zonelistfile: {directory}/zones",
        "  server-count: 1",
        "remote-control:",
        "  control-enable: no",
    ]
    for name, records in zones.items():
        (directory / f"{name}.zone").write_text(f"$ORIGIN {name}.\n{_HEAD}{records}\n")
        lines += ["zone:", f"  name: {name}", f"  zonefile: {name}.zone"]
    (directory / "nsd.conf").write_text("\n".join(lines) + "\n")
    spec = ProcessSpec(
        name="nsd",
        command=(str(find_program("nsd")), "-d", "-c", str(directory / "nsd.conf")),
        environment=inherited_environment(),
        directory=directory,
        is_ready=lambda: all(server.answers(zone) for zone in zones),
        start_seconds=20,
    )
    running = start(spec, directory / "log")
    try:
        running.wait_until_ready()
        yield server
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)
