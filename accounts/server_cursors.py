"""Cursors of PostgreSQL that leave the parameters to the server and are given values in binary.

The server can keep the plan of such a statement; Django's own cursors put parameters into the SQL, where a
statement may have any number. As text, bytes would come as hex, and times would be parsed in Python.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import ServerBindingCursor
from psycopg.adapt import Loader
from psycopg.pq import Format


class _JsonAsText(Loader):
    """What Django's own JSON field makes values of, as in its own cursors."""

    format = Format.BINARY

    def load(self, data: bytes | bytearray | memoryview) -> str:
        # The first byte is the version of the form.
        return bytes(data[1:]).decode()


def server_cursor(connection: Any) -> Any:
    """A cursor of Django's connection to PostgreSQL, opened if need be."""
    connection.ensure_connection()
    held = connection.connection
    held.adapters.register_loader("jsonb", _JsonAsText)
    usual, held.cursor_factory = held.cursor_factory, ServerBindingCursor
    try:
        cursor = connection.cursor()
    finally:
        held.cursor_factory = usual
    cursor.cursor.format = Format.BINARY
    return cursor
