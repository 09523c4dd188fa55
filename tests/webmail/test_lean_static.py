"""Our scripts and styles are sent without comments and indentation, and are the same otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

from webmail.lean_static import is_ours, lean

STATIC = Path(__file__).parent.parent.parent / "static"


def test_comments_and_indentation_are_left_out() -> None:
    assert (
        lean("a.js", "// why\nrun(() => {\n  // how\n  go(); // now\n\n});\n")
        == "run(() => {\ngo(); // now\n});\n"
    )
    assert (
        lean("a.css", "/* One\n   of two */\na { b: c; } /* d */\n  e { f: g; }\n")
        == "a { b: c; }\ne { f: g; }\n"
    )


def test_sources_that_are_linked_stay_as_they_are(tmp_path: Path) -> None:
    source, collected = tmp_path / "source", tmp_path / "collected"
    source.mkdir()
    (source / "a.js").write_text("// why\nrun();\n")
    storage = {"BACKEND": "webmail.lean_static.LeanStaticFilesStorage"}
    with override_settings(
        STATICFILES_DIRS=[source],
        STATICFILES_FINDERS=["django.contrib.staticfiles.finders.FileSystemFinder"],
        STATIC_ROOT=collected,
        STORAGES=settings.STORAGES | {"staticfiles": storage},
    ):
        call_command("collectstatic", interactive=False, link=True, verbosity=0)
    assert (source / "a.js").read_text() == "// why\nrun();\n"
    assert (collected / "a.js").read_text() == "run();\n"


def test_what_others_made_is_sent_as_it_is() -> None:
    assert is_ours("app.js")
    assert is_ours("app.css")
    for name in ("qr-0.7.0/index.js", "admin/css/base.css", "icons.svg"):
        assert not is_ours(name)


@pytest.mark.parametrize("name", sorted(file.name for file in STATIC.iterdir() if is_ours(file.name)))
def test_none_of_ours_has_text_of_several_lines(name: str) -> None:
    """In which a line that looks like a comment, or its indentation, would be part of the text."""
    text = (STATIC / name).read_text()
    assert not [line for line in text.splitlines() if line.count("`") % 2]
    if name.endswith(".js"):
        assert not [line for line in text.splitlines() if line.lstrip().startswith(("/*", "*"))]
