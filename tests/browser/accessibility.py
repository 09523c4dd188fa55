"""axe-core's rules, run in the page that a browser shows."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from playwright.sync_api import Page

from demo.node_packages import NODE, NPM

#: package.json, its lock and npm's settings.
_SOURCE = Path(__file__).parent / "axe"
_GRAVE = ("serious", "critical")
#: The rules that compare colours; the others look at elements, where they are, and what they say.
COLOURS = ("color-contrast", "link-in-text-block")


def violations(page: Page, *, rules: Sequence[str] = (), only_grave: bool = False) -> list[str]:
    """However slight, or the serious and critical ones alone, of these rules or all: rule, what is wrong, and
    the elements, with what was found of the first; one line each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{_script()}\n;void 0")
    # Preloading reads style sheets again by putting them into the page, which the policy refuses.
    options: dict[str, object] = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": [*rules]}
    found = page.evaluate(
        "(options) => axe.run(document, options).then(({ violations }) => violations)", options
    )
    return [
        f"{one['id']}: {one['help']}: {'; '.join(node['html'][:160] for node in one['nodes'][:4])}"
        f" ({one['nodes'][0]['failureSummary']})"
        for one in found
        if not only_grave or one["impact"] in _GRAVE
    ]


@cache
def _script() -> str:
    return (_installed() / "node_modules" / "axe-core" / "axe.min.js").read_text()


def _installed() -> Path:
    """The folder with the package, installed once on this machine."""
    key = hashlib.sha256((_SOURCE / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "waxwing"
    folder = cache_folder / f"axe-{key}"
    if folder.exists():
        return folder
    cache_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder) as temporary:
        unfinished = Path(temporary) / "axe"
        shutil.copytree(_SOURCE, unfinished)
        subprocess.run(
            [NODE, NPM, "ci", "--ignore-scripts", "--no-progress"],
            cwd=unfinished,
            env={**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
            check=True,
            capture_output=True,
            timeout=120,
        )
        unfinished.rename(folder)
    return folder
