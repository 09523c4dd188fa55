"""Whom servers run as: some of them refuse to run as root."""

import os
import pwd


def unprivileged_user(preferred: str) -> str | None:
    """`preferred` or another ordinary user if we are root, otherwise None: they run as we do."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return preferred if preferred in names else "nobody"
