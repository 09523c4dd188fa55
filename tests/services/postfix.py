"""A Postfix of the test run's own."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.ports import free_port
from demo.postfix import Postfix, prepare, why_not
from demo.processes import start
from tests.services.programs import LEFT_OUT, need


@contextmanager
def postfix_server(
    *,
    ingress_port: int,
    policy_port: int = 1,
    mail_domains: Sequence[str],
    tls_chain: Path | None = None,
    relayhost: str = "",
    dkim_milter: str = "",
    limits: Mapping[str, int] | None = None,
) -> Iterator[Postfix]:
    """Runs Postfix on free loopback ports with an empty queue; a failure shows the end of its log.

    For the arguments see demo.postfix.prepare.
    """
    need("Postfix")
    reason = why_not()
    if reason is not None:
        pytest.skip(f"{LEFT_OUT}Postfix: {reason}")
    directory = Path(tempfile.mkdtemp(prefix="waxwing-postfix-"))
    # Postfix's own user has to pass.
    directory.chmod(0o755)
    postfix = prepare(
        directory,
        port=free_port(),
        relay_port=free_port(),
        ingress_port=ingress_port,
        policy_port=policy_port,
        mail_domains=mail_domains,
        tls_chain=tls_chain,
        relayhost=relayhost,
        dkim_milter=dkim_milter,
        limits=limits,
    )
    running = start(postfix.spec, directory / "log")
    try:
        running.wait_until_ready()
        yield postfix
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)
