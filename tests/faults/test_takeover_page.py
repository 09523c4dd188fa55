"""The page on takeovers names tests; each of them is there."""

import re

from demo.installation import ROOT

PAGE = ROOT / "docs" / "takeover.md"
#: `test_file.py::test_name`, or `::test_name` of the file named last.
NAMED = re.compile(r"`((?:[\w/]+\.py)?)::(test_\w+)`")


def test_every_test_that_the_page_names_is_there() -> None:
    named = NAMED.findall(PAGE.read_text())
    assert len(named) >= 40
    file = ""
    for place, test in named:
        file = place or file
        written = [path.read_text() for path in (ROOT / "tests").rglob(file.rpartition("/")[2])]
        assert any(re.search(rf"^ *def {test}\(", text, re.M) for text in written), (file, test)


def test_every_file_that_the_page_names_is_there() -> None:
    for path in re.findall(r"`(tests/[\w/]+\.py)`", PAGE.read_text()):
        assert (ROOT / path).is_file()
