"""Catalogues of the pages' words in other languages (GNU gettext).

python -m webmail.catalogues            makes the .mo files that Django reads from the .po files in locale/
python -m webmail.catalogues --update   first takes new words in from the code (needs the gettext programs)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import polib

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "locale"
#: Not ours to translate, or for operators in English alone.
LEFT_OUT = (
    ".venv",
    "node_modules",
    "tests",
    "bench",
    "demo",
    "crypto_agent",
    "staticfiles",
    "templates/admin",
)


def compile_all(folder: Path = LOCALE) -> list[Path]:
    """Makes each .mo file that is older than its .po file; those that were made."""
    made = []
    for source in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        unfinished = target.with_suffix(f".{os.getpid()}")
        polib.pofile(str(source)).save_as_mofile(str(unfinished))
        unfinished.rename(target)
        made.append(target)
    return made


def update(root: Path = ROOT) -> None:
    """Takes the words of the code below ``root`` into every catalogue there; what is gone goes.

    Gettext's guesses from sentences that look alike are left out: they are mostly wrong, and look translated.
    """
    ignored = [f"--ignore={path}" for path in LEFT_OUT]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "django",
            "makemessages",
            "--all",
            "--no-obsolete",
            "--no-wrap",
            "--add-location=file",
            *ignored,
        ],
        cwd=root,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for path in (root / "locale").glob("*/LC_MESSAGES/*.po"):
        _forget_guesses(path)


def _forget_guesses(path: Path) -> None:
    catalogue = polib.pofile(str(path), wrapwidth=0)
    for entry in catalogue:
        if entry.fuzzy:
            entry.flags.remove("fuzzy")
            entry.msgstr, entry.previous_msgid, entry.previous_msgid_plural = "", None, None
            entry.msgstr_plural = dict.fromkeys(entry.msgstr_plural, "")
    catalogue.save()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m webmail.catalogues")
    parser.add_argument("--update", action="store_true", help="take new words in from the code first")
    if parser.parse_args().update:
        update()
    compile_all()


if __name__ == "__main__":
    main()
