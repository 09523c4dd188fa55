"""A clone of the repository to run the demo in, so that it does not meet one that is running."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LEFT_BEHIND = (
    ".git",
    ".venv",
    ".run",
    ".*_cache",
    ".hypothesis",
    "node_modules",
    "staticfiles",
    "__pycache__",
)


@pytest.fixture
def demo_folder(tmp_path: Path) -> Path:
    """A copy of the work tree as it is."""
    copy = tmp_path / "clone"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    return copy
