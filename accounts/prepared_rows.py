"""Queries that Django puts into SQL once, for what nearly every request asks for.

Putting one together takes Django some ten times as long as the database takes to answer it. Their constants
stand in the SQL: only so can PostgreSQL plan once what an index of some rows answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators

Row = TypeVar("Row", bound=Model)
Value = str | int | datetime
#: A value that a column is compared with, or several of one kind of which it has to be one.
Argument = Value | Sequence[str] | Sequence[int]
#: A query is kept for so many arguments. PostgreSQL takes several values as one array; for SQLite it is kept
#: for several up to the last of these numbers, to each of which fewer are filled up with the first one again,
#: and put together each time for more.
MOST_ARGUMENTS = 8
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

_Kinds = tuple[tuple[type, int], ...]
#: Constants that can stand in the SQL as they are.
_PLAIN = re.compile("[a-z0-9-]*", re.ASCII)


class _Prepared:
    #: Whether rows of a model are made of what is found.
    _of_model = True

    def __init__(self, query: Callable[..., QuerySet[Any, Any]]) -> None:
        self._query = query
        self._kept: dict[_Kinds, _Statement] = {}

    def _found(self, arguments: Sequence[Argument]) -> list[Any]:
        if not all(isinstance(argument, Value) or argument for argument in arguments):
            return []
        given = [_given(argument) for argument in arguments]
        kinds = tuple(
            (type(argument), 0) if isinstance(argument, Value) else (type(argument[0]), len(values))
            for argument, values in zip(arguments, given, strict=True)
        )
        statement = self._kept.get(kinds)
        if statement is None:
            statement = _put_together(self._query, kinds, of_model=self._of_model)
            if len(arguments) <= MOST_ARGUMENTS and all(size <= SIZES[-1] for _kind, size in kinds):
                self._kept[kinds] = statement
        return statement.found([value for values in given for value in values])


class PreparedRows(_Prepared, Generic[Row]):
    """The rows of ``query(argument, …)``, made as Django makes them.

    The arguments are what columns are compared with, and nothing else may follow from what they are: the
    query is put together for others of their kind and number. Where one is a sequence without anything in
    it, nothing is found, and nothing asked.
    """

    def __init__(self, query: Callable[..., QuerySet[Row]]) -> None:
        super().__init__(query)

    def rows(self, *arguments: Argument) -> list[Row]:
        """The rows for ``arguments``; raises what a query of the same kind would."""
        return self._found(arguments)

    def one(self, *arguments: Argument) -> Row | None:
        """The first row, if there is any."""
        rows = self.rows(*arguments)
        return rows[0] if rows else None


class PreparedValues(_Prepared):
    """The same of a query of ``values_list``: tuples in place of rows."""

    _of_model = False

    def rows(self, *arguments: Argument) -> list[tuple[Any, ...]]:
        """What is found for ``arguments``; raises what a query of the same kind would."""
        return self._found(arguments)


@dataclass(frozen=True)
class _Model:
    """How rows of a model are made of what the database gives."""

    model: type[Model]
    columns: slice
    names: Sequence[str]
    related: Sequence[Any]
    #: What the rows are annotated with, and its position.
    annotations: Sequence[tuple[str, int]]

    def made(self, row: Sequence[Any]) -> Model:
        made = self.model.from_db(DEFAULT_DB_ALIAS, self.names, row[self.columns])
        for each in self.related:
            each.populate(row, made)
        for name, position in self.annotations:
            setattr(made, name, row[position])
        return made


@dataclass(frozen=True)
class _Statement:
    sql: str
    #: What is asked for beside the arguments' values, and where in it which of these stands.
    parameters: Sequence[Any]
    places: Sequence[tuple[int, int]]
    #: The columns that have to be converted: position, functions, and what they are told of the column.
    converters: Sequence[tuple[int, Sequence[Any], Any]]
    #: None where values are asked for.
    model: _Model | None

    def found(self, values: Sequence[Argument]) -> list[Any]:
        connection = connections[DEFAULT_DB_ALIAS]
        parameters = list(self.parameters)
        for place, number in self.places:
            parameters[place] = _as_parameter(values[number], connection)
        with _cursor(connection) as cursor:
            cursor.execute(self.sql, parameters)
            found = cursor.fetchall()
        rows = [self._converted(row, connection) for row in found] if self.converters else found
        return rows if self.model is None else [self.model.made(row) for row in rows]

    def _converted(self, values: Sequence[Any], connection: Any) -> Sequence[Any]:
        row = list(values)
        for position, functions, expression in self.converters:
            for function in functions:
                row[position] = function(row[position], expression, connection)
        return row if self.model else tuple(row)


def _cursor(connection: Any) -> Any:
    if not _takes_arrays():
        return connection.cursor()
    from accounts.server_cursors import server_cursor

    return server_cursor(connection)


def _takes_arrays() -> bool:
    return connections[DEFAULT_DB_ALIAS].vendor == "postgresql"


def _given(argument: Argument) -> Sequence[Argument]:
    """What the database is given for one argument."""
    if isinstance(argument, Value) or _takes_arrays():
        return [argument if isinstance(argument, Value) else list(argument)]  # type: ignore[list-item]
    size = next((size for size in SIZES if size >= len(argument)), 0)
    return [*argument, *[argument[0]] * (size - len(argument))]


def _put_together(query: Callable[..., QuerySet[Any, Any]], kinds: _Kinds, *, of_model: bool) -> _Statement:
    connection = connections[DEFAULT_DB_ALIAS]
    stand_ins: list[Value] = []
    arguments: list[Argument] = []
    for kind, size in kinds:
        several = [_stand_in(len(stand_ins) + number, kind) for number in range(size or 1)]
        stand_ins += several
        arguments.append(several if size else several[0])  # type: ignore[arg-type]
    compiler = query(*arguments).query.get_compiler(DEFAULT_DB_ALIAS)
    sql, parameters = compiler.as_sql()
    sought = {_as_parameter(value, connection): number for number, value in enumerate(stand_ins)}
    sql, parameters, places = _written(sql, parameters, sought)
    if {number for _place, number in places} != set(range(len(stand_ins))):
        raise ValueError("an argument is no parameter of the query")
    if _takes_arrays():
        sql = _with_arrays(sql, [place for place, number in places if kinds[number][1]])
    converters = compiler.get_converters([column[0] for column in compiler.select])
    return _Statement(
        sql=sql,
        parameters=parameters,
        places=places,
        converters=[(position, *converter) for position, converter in converters.items()],
        model=_model(compiler) if of_model else None,
    )


def _written(
    sql: str, parameters: Sequence[Any], sought: Mapping[Any, int]
) -> tuple[str, Sequence[Any], Sequence[tuple[int, int]]]:
    """The SQL with its constants in it, its other parameters, and at which of these which value goes."""
    first, *pieces = sql.split("%s")
    written: list[str] = [first]
    kept: list[Any] = []
    places: list[tuple[int, int]] = []
    for value, piece in zip(parameters, pieces, strict=True):
        number = sought.get(value) if isinstance(value, Hashable) else None
        constant = _constant(value) if number is None else None
        if constant is not None:
            written += constant, piece
            continue
        if number is not None:
            places.append((len(kept), number))
        kept.append(value)
        written += "%s", piece
    return "".join(written), kept, places


def _constant(value: Any) -> str | None:
    """A value as it can stand in the SQL; None for what is given beside it."""
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return f"'{value}'"
    return str(int(value)) if isinstance(value, int) and not isinstance(value, bool) else None


def _with_arrays(sql: str, places: Collection[int]) -> str:
    """The SQL of PostgreSQL with an array at each of these places, one of which a column has to be."""
    pieces = sql.split("%s")
    for place in places:
        if not pieces[place].endswith(" IN ("):
            raise ValueError("several values, but the query asks for one")
        pieces[place] = pieces[place].removesuffix(" IN (") + " = ANY ("
    return "%s".join(pieces)


def _model(compiler: Any) -> _Model:
    select, described = compiler.select, compiler.klass_info
    fields = described["select_fields"]
    return _Model(
        model=described["model"],
        columns=slice(fields[0], fields[-1] + 1),
        names=[column[0].target.attname for column in select[fields[0] : fields[-1] + 1]],
        # The stubs know it as it is in a later Django.
        related=get_related_populators(described, select, DEFAULT_DB_ALIAS),  # type: ignore[call-arg]
        annotations=list(compiler.annotation_col_map.items()),
    )


def _as_parameter(value: Argument, connection: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def _stand_in(number: int, kind: type) -> Value:
    """What no query compares a column with by itself."""
    if issubclass(kind, str):
        return f"\x00argument{number}"
    if issubclass(kind, datetime):
        return datetime(1, 1, 2, tzinfo=UTC) + timedelta(microseconds=number)
    return -(2**62) - number
