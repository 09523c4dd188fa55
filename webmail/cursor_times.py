"""Times in cursors, as the addresses of pages hold them: whole microseconds since 1970 in UTC."""

from datetime import UTC, datetime, timedelta

#: For the pattern of a cursor: no time that a row can have takes more.
PATTERN = "-?[0-9]{1,18}"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def written(moment: datetime) -> str:
    return f"{(moment - _EPOCH) // timedelta(microseconds=1)}"


def read(text: str) -> datetime | None:
    """The time of a text that PATTERN matches; None beyond all times that there are."""
    try:
        return _EPOCH + timedelta(microseconds=int(text))
    except OverflowError:
        return None
