"""What passes through the web process: as it was, in little memory, and never readable on disk."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from pytest_django import Settings

from webmail.blobs import spool
from webmail.blobs.spool import Spool, SpoolFull


@pytest.fixture(autouse=True)
def small_memory(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SPOOL_DIR = tmp_path / "spool"
    monkeypatch.setattr(spool, "MEMORY_BYTES", 100)


@how(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(max_size=80)),
    st.lists(st.tuples(st.booleans(), st.integers(-1, 60))),
)
def test_it_reads_as_a_file_does(parts: list[bytes], reads: list[tuple[bool, int]]) -> None:
    """In memory or on disk, by bytes and by lines, again and again."""
    plain = io.BytesIO(b"".join(parts))
    with Spool() as spooled:
        for part in parts:
            spooled.write(part)
        assert spooled.seek(0, os.SEEK_END) == len(plain.getvalue())
        for _again in range(2):
            spooled.seek(0)
            plain.seek(0)
            for by_line, size in reads:
                if by_line:
                    assert spooled.readline(size) == plain.readline(size)
                else:
                    assert spooled.read(size) == plain.read(size)
                assert spooled.tell() == plain.tell()
        assert b"".join(spooled.chunks()) == plain.getvalue()


def test_nothing_on_the_disk_can_be_read_or_found(tmp_path: Path) -> None:
    canary = b"canary " * 1000
    with Spool() as spooled:
        spooled.write(canary)
        # What the file object keeps back is on the disk then.
        spooled.seek(0)
        assert list((tmp_path / "spool").iterdir()) == []
        (open_file,) = _open_below(tmp_path)
        on_disk = open_file.read_bytes()
        assert b"canary" not in on_disk
        assert b"".join(spooled.chunks()) == canary
        assert len(open_file.read_bytes()) == len(canary)


def test_a_process_has_so_much_on_its_disk_and_no_more(settings: Settings) -> None:
    settings.SPOOL_BYTES = 1000
    first, second = Spool(), Spool()
    first.write(bytes(600))
    with pytest.raises(SpoolFull):
        second.write(bytes(600))
    second.close()
    first.close()
    first.close()
    with Spool() as third:
        third.write(bytes(1000))


def test_it_is_read_from_its_beginning_only() -> None:
    with Spool() as spooled, pytest.raises(ValueError, match="beginning"):
        spooled.seek(3)


def _open_below(folder: Path) -> list[Path]:
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if str(folder) in os.readlink(path):
                found.append(path)
    return found
