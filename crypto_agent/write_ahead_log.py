"""SQLite's write-ahead log, in which what was overwritten in the database lies until it is worked off."""

from django.db import connection


def empty() -> bool:
    """Works it off now, as far as no other reader holds it back; whether all is. Others have none."""
    if connection.vendor != "sqlite":
        return True
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy, _pages, _worked_off = cursor.fetchone()
    return not busy
