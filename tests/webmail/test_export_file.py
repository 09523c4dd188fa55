"""The file of an export: other programs read it, and whatever is not whole is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tracemalloc
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from webmail import account_import, export_file
from webmail.export_file import ExportFileError, Writer

DID = "did:plc:alicealicealicealicealic"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def written(mails: Iterable[bytes] = (b"one", b"", b"three" * 200)) -> bytes:
    writer = Writer(DID, NOW)
    file = [writer.part("README.txt", b"words"), writer.part("keys.cbor", b"keys")]
    file += [writer.next_part("archive", mail) for mail in mails]
    manifest = writer.manifest()
    file += [writer.part("manifest.json", manifest), writer.part("end.cbor", b"end"), writer.end()]
    return b"".join(file)


FILE = written()


def refusal(data: bytes) -> str:
    return refusal_of(io.BytesIO(data))


def refusal_of(file: io.BytesIO) -> str:
    with pytest.raises(ExportFileError) as refused:
        export_file.check(file)
    return refused.value.code


def test_a_tar_program_reads_what_was_written() -> None:
    with tarfile.open(fileobj=io.BytesIO(FILE)) as tar:
        assert tar.getnames() == [
            *("README.txt", "keys.cbor", "archive/000001.eml", "archive/000002.eml", "archive/000003.eml"),
            *("manifest.json", "end.cbor"),
        ]
        third = tar.extractfile("archive/000003.eml")
        assert third
        assert third.read() == b"three" * 200
        assert {member.mode for member in tar} == {0o600}


def test_a_whole_file_says_what_is_in_it() -> None:
    checked = export_file.check(io.BytesIO(FILE))
    assert (checked.did, checked.counts) == (DID, {"archive": 3})
    assert export_file.find(io.BytesIO(FILE), "keys.cbor") == b"keys"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda file: b"", "not-an-export"),
        (lambda file: b"PK" + bytes(600), "not-an-export"),
        (lambda file: bytes(2000), "not-an-export"),
        (lambda file: file[:1500], "cut-off"),
        (lambda file: file[:-1024], "cut-off"),
        (lambda file: file[:-1], "cut-off"),
        (lambda file: file + b"\0", "changed"),
        (lambda file: file.replace(b"three", b"threw", 1), "changed"),
        (lambda file: file.replace(b'"version": 1', b'"version": 2'), "other-version"),
        (lambda file: file.replace(b"archive/000002", b"archive/../002"), "changed"),
    ],
    ids=[
        *("empty", "zip", "zeros", "cut off", "without its end", "without its last octet", "with one more"),
        *("another word", "newer", "another path"),
    ],
)
def test_what_is_not_whole_is_refused(change: Callable[[bytes], bytes], code: str) -> None:
    assert refusal(change(FILE)) == code


def in_tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def test_links_paths_and_things_of_no_part_are_refused() -> None:
    link = tarfile.TarInfo("keys.cbor")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    for info in (link, tarfile.TarInfo("/etc/passwd"), tarfile.TarInfo("archive/../../x")):
        assert refusal(in_tar((info, b""))) == "not-an-export"
    readme = tarfile.TarInfo("README.txt")
    assert refusal(in_tar((readme, b"words"), (tarfile.TarInfo("keys.cbor"), bytes(2 << 20)))) == "changed"
    assert refusal(in_tar((readme, b"words"), (tarfile.TarInfo("README.txt"), b"words"))) == "changed"


def test_a_manifest_of_something_else_is_refused() -> None:
    for manifest in (b"[", b"{}", b"[]", json.dumps({"format": "waxwing-account-export"}).encode()):
        file = in_tar((tarfile.TarInfo("manifest.json"), manifest), (tarfile.TarInfo("end.cbor"), b"end"))
        assert refusal(file) == "changed"


def test_no_octet_can_be_changed_unnoticed() -> None:
    """Wherever it is: in a part, in what a tar says of it, in what fills its last block, or in the end."""
    whole = export_file.check(io.BytesIO(FILE))
    end = FILE.index(b"end.cbor") + 512
    for place in range(len(FILE)):
        changed = bytearray(FILE)
        changed[place] ^= 1 << place % 8
        try:
            checked = export_file.check(io.BytesIO(bytes(changed)))
        except ExportFileError:
            continue
        # The agent holds the manifest to the part that follows it, and opens no other one.
        assert checked.manifest_digest != whole.manifest_digest or end <= place < end + len(b"end")


@given(st.binary(max_size=3000))
def test_anything_at_all_is_refused(data: bytes) -> None:
    refusal(data)


def test_a_large_file_is_checked_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.tar"
    writer = Writer(DID, NOW)
    with path.open("wb") as file:
        file.write(writer.part("keys.cbor", b"keys"))
        for _ in range(150):
            file.write(writer.next_part("archive", os.urandom(400_000)))
        manifest = writer.manifest()
        file.write(writer.part("manifest.json", manifest) + writer.part("end.cbor", b"end") + writer.end())
    assert path.stat().st_size > 60_000_000
    tracemalloc.start()
    try:
        with path.open("rb") as file:
            assert export_file.check(file).counts == {"archive": 150}
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_manifest_of_values_without_end_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.tar"
    manifest = b"[" + b"[]," * 3_000_000 + b"[]]"
    path.write_bytes(
        in_tar((tarfile.TarInfo("manifest.json"), manifest), (tarfile.TarInfo("end.cbor"), b"end"))
    )
    tracemalloc.start()
    try:
        with path.open("rb") as file:
            assert refusal_of(file) == "changed"
        assert tracemalloc.get_traced_memory()[1] < 3 * len(manifest)
    finally:
        tracemalloc.stop()


def test_parts_without_end_are_refused_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_file, "MOST_MANIFEST_BYTES", 100_000)
    writer = Writer(DID, NOW)
    endless = (writer.next_part("archive", b"") for _ in range(1_000_000))

    class Endless(io.BytesIO):
        """Written while it is read, as long as somebody reads on."""

        def read(self, size: int | None = -1) -> bytes:
            place = self.tell()
            self.seek(0, os.SEEK_END)
            self.write(next(endless))
            self.seek(place)
            return super().read(size)

    assert refusal_of(Endless()) == "changed"
    assert writer.numbers["archive"] < 5000


def test_states_without_end_are_refused_before_they_are_opened() -> None:
    writer = Writer(DID, NOW)
    states = [writer.next_part("state", b"sealed") for _ in range(account_import.MOST_STATES)]
    one_more, mail = writer.next_part("state", b"sealed"), writer.next_part("archive", b"mail")
    ((found, batch),) = account_import._batches(io.BytesIO(b"".join([*states, mail, writer.end()])), 0)
    assert (len(found), len(batch)) == (account_import.MOST_STATES, 1)
    with pytest.raises(ExportFileError):
        list(account_import._batches(io.BytesIO(b"".join([*states, one_more, mail, writer.end()])), 0))


@pytest.mark.django_db
def test_what_was_uploaded_and_never_begun_goes_after_a_day(settings: Settings, tmp_path: Path) -> None:
    settings.IMPORT_DIR = tmp_path
    path = account_import.keep_upload([b"one", b"two"], 6)
    assert path.read_bytes() == b"onetwo"
    assert path.stat().st_mode & 0o777 == 0o600
    written_at = path.stat().st_mtime
    account_import.remove_abandoned(written_at + 23 * 3600)
    assert path.exists()
    account_import.remove_abandoned(written_at + 25 * 3600)
    assert not path.exists()


def test_an_upload_does_not_fill_the_disk(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IMPORT_DIR = tmp_path
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(account_import, "FREE_BYTES", free // 2)
    account_import.keep_upload([b"one"], 3)
    with pytest.raises(ExportFileError) as refused:
        account_import.keep_upload([b"two"], free)
    assert refused.value.code == "no-room"
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"one"]
