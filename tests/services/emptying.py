"""How the tables are emptied after a test whose transactions were committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.core.management.color import Style
    from django.db.backends.postgresql.operations import DatabaseOperations


def empty_by_deleting() -> None:
    """Django truncates, for which PostgreSQL makes all files of all tables and indexes anew; a test leaves a
    few rows in a few of them."""
    # Django's own can't be imported before it has its settings.
    from django.db.backends.postgresql.operations import DatabaseOperations

    DatabaseOperations.sql_flush = _deletions  # type: ignore[method-assign]


def _deletions(
    operations: DatabaseOperations, style: Style, tables: Sequence[str], **_ways_of_truncating: Any
) -> list[str]:
    """The statements, which Django runs in one transaction."""
    names = [operations.quote_name(table) for table in tables]
    return [
        # As truncating does: what another process is about to write is waited for.
        f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE",
        # Neither what refers to a row nor a trigger stands in the way.
        "SET LOCAL session_replication_role = replica",
        *(f"DELETE FROM {name}" for name in names),  # noqa: S608
        "SET LOCAL session_replication_role = DEFAULT",
    ]
