"""Queries that Django puts into SQL once, for rows that are read before every use of a key.

Putting one together takes Django several times as long as the database needs to answer it.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import QuerySet

#: Stands for the argument while the SQL is put together; no DID looks like it.
_ARGUMENT = "\x00argument"


class PreparedQuery:
    """The rows of ``query(text)`` as tuples of ``columns``, just as the database driver gives them."""

    def __init__(self, query: Callable[[str], QuerySet[Any]], columns: Sequence[str]) -> None:
        self._query = query
        self._columns = columns

    def rows(self, argument: str) -> list[tuple[Any, ...]]:
        """The rows for ``argument``; raises what a query of the same kind would."""
        sql, parameters = self._statement
        with connection.cursor() as cursor:
            cursor.execute(sql, [argument if value == _ARGUMENT else value for value in parameters])
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    @cached_property
    def _statement(self) -> tuple[str, tuple[Any, ...]]:
        return self._query(_ARGUMENT).values_list(*self._columns).query.sql_with_params()
