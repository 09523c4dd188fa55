"""OpenDKIM, started by the script that production uses (deploy/opendkim), and who checks what it signs."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.ports import accepts_connections, free_port
from demo.processes import ProcessSpec, RunningProcess, inherited_environment, start
from tests.services.dns_server import DnsServer
from tests.services.programs import need

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"

#: Debian's dkimpy, which asks the DNS server for the key; prints, of each signature, whether it holds.
_VERIFIER = """
import json, sys
import dkim, dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], int(sys.argv[1]), 5
dns.resolver.override_system_resolver(resolver)
dns.resolver.default_resolver = resolver
message = dkim.DKIM(sys.stdin.buffer.read(), timeout=5)
count = sum(name.lower() == b"dkim-signature" for name, _value in message.headers)
def holds(index):
    try:
        return message.verify(idx=index)
    except dkim.DKIMException as error:
        print(error, file=sys.stderr)
        return False
print(json.dumps([holds(index) for index in range(count)]))
"""


class Signer:
    """A running OpenDKIM that a test may stop and start again."""

    def __init__(self, directory: Path, mail_domain: str) -> None:
        self.port = free_port()
        self._log = directory / "log"
        self._spec = ProcessSpec(
            name="opendkim",
            command=(str(DEPLOY / "opendkim" / "start"),),
            environment={
                **inherited_environment(),
                "PATH": "/usr/sbin:/usr/bin:/bin",
                "MAIL_DOMAIN": mail_domain,
                "DKIM_CONFIG": str(DEPLOY / "opendkim" / "opendkim.conf"),
                "DKIM_SOCKET": f"inet:{self.port}@127.0.0.1",
                "DKIM_KEY_PATH": str(directory / "dkim_key"),
                "DKIM_SELECTOR_PATH": str(directory / "dkim_selector"),
            },
            directory=directory,
            is_ready=lambda: accepts_connections(self.port),
            start_seconds=20,
        )
        self._running: RunningProcess | None = None

    @property
    def milter(self) -> str:
        """Its address as Postfix writes it."""
        return f"inet:127.0.0.1:{self.port}"

    def start(self) -> None:
        self._running = start(self._spec, self._log)
        self._running.wait_until_ready()

    def stop(self) -> None:
        if self._running:
            self._running.stop()


@contextmanager
def opendkim_signer(secrets: Path, mail_domain: str) -> Iterator[Signer]:
    """Runs OpenDKIM with the key and the selector that deploy/make-secrets made in the folder."""
    need("OpenDKIM")
    directory = Path(tempfile.mkdtemp(prefix="waxwing-opendkim-"))
    for name in ("dkim_key", "dkim_selector"):
        shutil.copy(secrets / name, directory)
    signer = Signer(directory, mail_domain)
    try:
        signer.start()
        yield signer
    finally:
        signer.stop()
        shutil.rmtree(directory, ignore_errors=True)


def verified(mail: bytes, dns: DnsServer) -> list[bool]:
    """Of each DKIM signature of a mail whether it holds, by the keys that the DNS server has (dkimpy)."""
    need("dkimpy")
    done = subprocess.run(
        ["/usr/bin/python3", "-c", _VERIFIER, str(dns.port)], input=mail, capture_output=True, check=True
    )
    results: list[bool] = json.loads(done.stdout)
    return results
