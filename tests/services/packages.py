"""Installs the programs that the tests start from Debian's packages, where that is possible and allowed."""

import os
import shutil
import subprocess
from collections.abc import Callable

from tests.services.programs import PROGRAMS, missing


def install_missing(say: Callable[[str], None]) -> None:
    """Installs what is missing, if we are root and have apt-get; names every group that stays missing."""
    packages = [package for group in PROGRAMS if missing(group) for package in PROGRAMS[group][0]]
    if packages and shutil.which("apt-get") and os.geteuid() == 0:
        say(f"Installing {', '.join(packages)} from Debian's packages.")
        _apt_get("update", "--quiet=2")
        _apt_get("install", "--yes", "--quiet=2", "--no-install-recommends", *packages)
        obstacle = "apt-get could not install it"
    else:
        obstacle = "it is not installed, and only root on a system with apt-get can install it here"
    for group in PROGRAMS:
        if missing(group):
            say(f"Tests that need {group} are left out: {obstacle}.")


def _apt_get(*arguments: str) -> None:
    """What goes wrong is in its own words on the terminal, and the programs stay missing."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", *arguments], env=environment, stdin=subprocess.DEVNULL, check=False)
