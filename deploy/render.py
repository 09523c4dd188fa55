"""Fills the ${UPPER_CASE} placeholders of configuration templates from named values.

Used by the containers' entry points (values from the environment), and by the demo and the tests, so that
all of them run the same files. Needs nothing but Python's standard library.

    python3 render.py TEMPLATE TARGET      fills one template from the environment
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

_PLACEHOLDER = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
# What configuration languages could take for more than a value.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\"'\\`;{}]")


class RenderError(ValueError):
    """A placeholder without a value, or a value that could mean more than itself."""


def render(template: str, values: Mapping[str, str]) -> str:
    """The template with each placeholder replaced. Raises RenderError, naming the placeholder."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            raise RenderError(f"{name} has no value")
        if _UNSAFE.search(values[name]):
            raise RenderError(f"{name} holds a character that a configuration file can't take")
        return values[name]

    return _PLACEHOLDER.sub(value, template)


def render_file(template: Path, target: Path, values: Mapping[str, str]) -> None:
    target.write_text(render(template.read_text("utf-8"), values), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: render.py TEMPLATE TARGET")
    try:
        render_file(Path(sys.argv[1]), Path(sys.argv[2]), os.environ)
    except (RenderError, OSError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
