"""A first page of the list that is full: as many conversations as it holds, each with somebody who has a
name, a handle and a picture, and with words that were said last.

Nobody wrote them. What has to do with the agent's or the webmail's database is done by processes of theirs
(sealed_notes, listed_rows).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from demo import installation as parts
from tests.services.installations import RunningInstallation


@contextmanager
def full_list(installation: RunningInstallation, did: str, folder: Path) -> Iterator[None]:
    """The account with this DID has it meanwhile; ``folder`` is for what the processes pass on."""
    notes = folder / "sealed-notes"
    agent = parts.agent_environment(installation.installation)
    _run("sealed_notes", did, str(notes), environment=agent)
    _run("listed_rows", "put", did, str(notes), environment=installation.environment)
    try:
        yield
    finally:
        _run("listed_rows", "remove", did, str(notes), environment=installation.environment)


def _run(module: str, *arguments: str, environment: Mapping[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", f"tests.browser.full_list.{module}", *arguments],
        env=dict(environment),
        cwd=parts.ROOT,
        check=True,
        timeout=120,
    )
