"""Queries that Django puts into SQL once, for rows that nearly every request asks for.

Putting one together takes Django some ten times as long as the database takes to answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators

Row = TypeVar("Row", bound=Model)
#: A query is kept for so many arguments; a longer one is put together each time.
MOST_ARGUMENTS = 8


class PreparedRows(Generic[Row]):
    """The rows of ``query(argument, …)``, made as Django makes them.

    The arguments are texts and whole numbers that columns are compared with, and nothing else may follow from
    what they are: the query is put together for others of their kind and number.
    """

    def __init__(self, query: Callable[..., QuerySet[Row]]) -> None:
        self._query = query
        self._kept: dict[tuple[type, ...], _Statement] = {}

    def rows(self, *arguments: str | int) -> list[Row]:
        """The rows for ``arguments``; raises what a query of the same kind would."""
        kinds = tuple(map(type, arguments))
        statement = self._kept.get(kinds)
        if statement is None:
            statement = _put_together(self._query, arguments)
            if len(arguments) <= MOST_ARGUMENTS:
                self._kept[kinds] = statement
        return statement.rows(arguments)

    def one(self, *arguments: str | int) -> Row | None:
        """The first row, if there is any."""
        rows = self.rows(*arguments)
        return rows[0] if rows else None


@dataclass(frozen=True)
class _Statement:
    sql: str
    #: What is asked for beside the arguments, and where in it which argument stands.
    parameters: Sequence[Any]
    places: Sequence[tuple[int, int]]
    #: The columns that have to be converted: position, functions, and what they are told of the column.
    converters: Sequence[tuple[int, Sequence[Any], Any]]
    model: type[Model]
    columns: slice
    names: Sequence[str]
    related: Sequence[Any]
    #: What the rows are annotated with, and its position.
    annotations: Sequence[tuple[str, int]]

    def rows(self, arguments: Sequence[str | int]) -> list[Any]:
        parameters = list(self.parameters)
        for place, argument in self.places:
            parameters[place] = arguments[argument]
        connection = connections[DEFAULT_DB_ALIAS]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, parameters)
            found = cursor.fetchall()
        return [self._row(values, connection) for values in found]

    def _row(self, values: Sequence[Any], connection: Any) -> Model:
        row = list(values)
        for position, functions, expression in self.converters:
            for function in functions:
                row[position] = function(row[position], expression, connection)
        made = self.model.from_db(DEFAULT_DB_ALIAS, self.names, row[self.columns])
        for each in self.related:
            each.populate(row, made)
        for name, position in self.annotations:
            setattr(made, name, row[position])
        return made


def _put_together(query: Callable[..., QuerySet[Any]], arguments: Sequence[str | int]) -> _Statement:
    stand_ins = [_stand_in(number, argument) for number, argument in enumerate(arguments)]
    compiler = query(*stand_ins).query.get_compiler(DEFAULT_DB_ALIAS)
    sql, parameters = compiler.as_sql()
    places = [(place, stand_ins.index(value)) for place, value in enumerate(parameters) if value in stand_ins]
    if {argument for _place, argument in places} != set(range(len(arguments))):
        raise ValueError("an argument is no parameter of the query")
    select, described = compiler.select, compiler.klass_info
    fields = described["select_fields"]
    converters = compiler.get_converters([column[0] for column in select])
    return _Statement(
        sql=sql,
        parameters=parameters,
        places=places,
        converters=[(position, *converter) for position, converter in converters.items()],
        model=described["model"],
        columns=slice(fields[0], fields[-1] + 1),
        names=[column[0].target.attname for column in select[fields[0] : fields[-1] + 1]],
        # The stubs know it as it is in a later Django.
        related=get_related_populators(described, select, DEFAULT_DB_ALIAS),  # type: ignore[call-arg]
        annotations=list(compiler.annotation_col_map.items()),
    )


def _stand_in(number: int, argument: str | int) -> str | int:
    """What no query compares a column with by itself."""
    return f"\x00argument{number}" if isinstance(argument, str) else -(2**62) - number
