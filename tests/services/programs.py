"""Which installed programs the tests can start, and what is left out where one is missing."""

import shutil
from functools import cache
from pathlib import Path

import pytest

#: What a test may need, the Debian packages that bring it, and the programs that show it is there.
PROGRAMS = {
    "PostgreSQL": (("postgresql",), ("postgres", "initdb")),
    "Redis": (("redis-server",), ("redis-server",)),
    "Dovecot": (("dovecot-core", "dovecot-imapd", "dovecot-lmtpd"), ("dovecot",)),
    "Postfix": (("postfix", "postfix-pcre"), ("postfix",)),
    "OpenDKIM": (("opendkim",), ("opendkim",)),
    # Another implementation than the one that signs, for Debian's own Python.
    "dkimpy": (("python3-dkim",), ("dkimverify",)),
    "NSD": (("nsd",), ("nsd",)),
    "Caddy": (("caddy",), ("caddy",)),
    "SoftHSM": (("softhsm2",), ("softhsm2-util",)),
    "Chromium": (("chromium", "chromium-headless-shell"), ("chromium",)),
    "Firefox": (("firefox-esr",), ("firefox-esr",)),
    # Near to the engine of Safari.
    "WebKitGTK": (("webkit2gtk-driver", "xvfb"), ("WebKitWebDriver", "Xvfb")),
    "gettext": (("gettext",), ("xgettext", "msgmerge", "msguniq")),
}


def find_program(name: str) -> Path | None:
    """The program on the PATH, where Debian keeps servers, or with PostgreSQL's own."""
    postgres = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    for folder in [None, "/usr/sbin", "/usr/local/sbin", *map(str, reversed(postgres))]:
        if found := shutil.which(name, path=folder):
            return Path(found)
    return None


@cache
def find_postgres() -> Path | None:
    """The folder of PostgreSQL's programs."""
    program = find_program("initdb")
    return program.resolve().parent if program else None


def missing(group: str) -> list[str]:
    """The programs of the group that are not installed."""
    return [name for name in PROGRAMS[group][1] if not find_program(name)]


def need(group: str) -> None:
    """Skips the calling test, by name of the group, if a program of the group is not installed."""
    if missing(group):
        pytest.skip(f"{LEFT_OUT}{group}: {', '.join(missing(group))} not installed")


#: Begins the reason of every test that a missing program leaves out.
LEFT_OUT = "left out for want of "
