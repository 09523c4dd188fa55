"""A zip archive that is given out while it grows, in little memory; its directory comes last, so one that was
cut off does not open."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime


class ZipStream:
    """Entries one after the other; ``made_at`` is the time that stands with each."""

    def __init__(self, made_at: datetime) -> None:
        self._sink = _Sink()
        # Fast rather than small: most of what is large is compressed already.
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1)  # type: ignore[call-overload]
        self._time = made_at.astimezone(UTC).timetuple()[:6]

    def entry(self, path: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Writes an entry and gives out the archive so far, in pieces of any size. Take all of it before the
        next."""
        info = zipfile.ZipInfo(path, self._time)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        with self._zip.open(info, "w", force_zip64=True) as out:
            for chunk in chunks:
                out.write(chunk)
                # Nothing, while the compressor still waits for more.
                if piece := self._sink.taken():
                    yield piece
        yield self._sink.taken()

    def end(self) -> bytes:
        """The directory of the archive, which makes it whole."""
        self._zip.close()
        return self._sink.taken()


class _Sink:
    """Where the archive is written to. It has no ``seek``, so that nothing already given out is changed."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        data, self._pieces = b"".join(self._pieces), []
        return data
