"""Static files as they are sent: without what only those read who write them.

Ours are small enough that comments and indentation are a fifth of them, compressed. What others wrote is sent
as they made it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


class LeanStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Leaves comments and indentation out of our scripts and styles, then compresses everything."""

    def post_process(
        self, paths: dict[str, Any], dry_run: bool = False, **options: Any
    ) -> Iterator[tuple[str, str, bool]]:
        if not dry_run:
            for name in filter(is_ours, paths):
                file = Path(self.path(name))
                text = file.read_text(encoding="utf-8")
                # Not through it: `collectstatic --link` makes links to the sources.
                file.unlink()
                file.write_text(lean(name, text), encoding="utf-8")
                # What is made of it is to be made of this, not of the file where it comes from.
                paths[name] = (self, name)
        yield from super().post_process(paths, dry_run, **options)


def is_ours(name: str) -> bool:
    """What other people made lies in folders of its own."""
    return "/" not in name and name.endswith((".css", ".js"))


def lean(name: str, text: str) -> str:
    """The text of a script or of styles without comments that have lines of their own, and indentation."""
    if name.endswith(".css"):
        text = _COMMENT.sub("", text)
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))
