"""Connections to the database that a long answer does not need while it waits."""

from django.db import connections


def let_go_of_database() -> None:
    """Closes this thread's connections, but in a transaction; the next query opens one again.

    Django gives those of a request back only when its answer ends.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
