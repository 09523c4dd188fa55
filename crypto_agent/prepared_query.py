"""Queries that Django puts into SQL once, for rows that are read or written with every use of a key.

Putting one together takes Django several times as long as the database needs to answer it, and Django's own
cursor as long again.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import QuerySet

#: Stand for the arguments while the SQL is put together; nothing that is asked for looks like them.
_TEXTS = tuple(f"\x00argument{number}" for number in range(4))


class _OfThread(threading.local):
    """This thread's connection, which Django takes as long to find as a short query takes."""

    def __init__(self) -> None:
        self.database = connections[DEFAULT_DB_ALIAS]


_of_thread = _OfThread()


class PreparedQuery:
    """The rows of ``query(text, …)`` as tuples of ``columns``, just as the database driver gives them.

    ``query`` takes so many texts as ``arguments`` says, four at most.
    """

    def __init__(
        self,
        query: Callable[..., QuerySet[Any]],
        columns: Sequence[str],
        arguments: int = 1,
    ) -> None:
        self._query = query
        self._columns = columns
        self._arguments = _TEXTS[:arguments]

    def rows(self, *arguments: str) -> list[tuple[Any, ...]]:
        """The rows for ``arguments``; raises what a query of the same kind would."""
        sql, order = self._statement
        found: list[tuple[Any, ...]] = _executed(sql, [arguments[index] for index in order]).fetchall()
        return found

    @cached_property
    def _statement(self) -> tuple[str, tuple[int, ...]]:
        """SQL as the driver takes it, and which argument stands where in it."""
        query = self._query(*self._arguments).values_list(*self._columns).query
        sql, parameters = query.sql_with_params()
        placeholder = _placeholder()
        # Constants become part of the SQL: SQLite plans anew each time for a parameter that decides whether
        # an index for some of the rows will do.
        places = tuple(
            placeholder if value in self._arguments else _literal(str(value)) for value in parameters
        )
        order = tuple(self._arguments.index(value) for value in parameters if value in self._arguments)
        return sql % places, order


class PreparedStatement:
    """SQL that stands for itself, with ``%s`` for each value."""

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def rows(self, *values: object) -> list[tuple[Any, ...]]:
        """What it finds with ``values``, which are as the database driver takes them.

        Raises what a query of the same kind would.
        """
        found: list[tuple[Any, ...]] = _executed(self._statement, values).fetchall()
        return found

    def changed(self, *values: object) -> int:
        """How many rows it adds or changes with them."""
        rows: int = _executed(self._statement, values).rowcount
        return rows

    @cached_property
    def _statement(self) -> str:
        return self._sql.replace("%s", _placeholder())


def time_for_row(value: datetime) -> datetime | str:
    """An aware time as the database driver takes it; SQLite has it as text, in UTC."""
    adapted = connection.ops.adapt_datetimefield_value(value)
    assert adapted is not None
    return adapted


def time_in_row(value: datetime | str) -> datetime:
    """A time as the database driver gives it in a row, aware; SQLite has it as text, in UTC."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _executed(sql: str, values: Sequence[object]) -> Any:
    """The driver's own cursor after ``sql``, outside of a transaction or in the one at hand."""
    database = _of_thread.database
    if database.connection is None:
        database.ensure_connection()
    if database.in_atomic_block:
        database.validate_no_broken_transaction()
    try:
        return database.connection.execute(sql, values)
    except Exception as error:
        # Entered only now: it finds Django's own exception for the driver's.
        with database.wrap_database_errors:
            raise error


def _placeholder() -> str:
    return "?" if connection.vendor == "sqlite" else "%s"


def _literal(text: str) -> str:
    if not text.isascii() or not text.isalnum():
        raise ValueError("a constant that is not plain text")
    return f"'{text}'"
