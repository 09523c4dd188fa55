"""PostgreSQL's tables of keys, in whose files a destroyed or changed row lies until they are written anew.

Its VACUUM makes room in them and leaves the bytes; VACUUM FULL copies what still counts into new files and
gives up the old ones. SQLite needs none of it: secure_delete writes zeros over such rows at once.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper
from psycopg.errors import Diagnostic

from crypto_agent.models import (
    ArchiveKey,
    AttestationKey,
    DataKey,
    DeviceKey,
    LockSecret,
    PassphraseKey,
    PrekeySecret,
)

log = logging.getLogger(__name__)

#: Each has what a key is wrapped in, and no more than a few rows for each account.
TABLES = tuple(
    model._meta.db_table
    for model in (
        DataKey,
        DeviceKey,
        PrekeySecret,
        ArchiveKey,
        AttestationKey,
        LockSecret,
        PassphraseKey,
    )
)
#: Calls that need a table wait for it meanwhile: not longer than for this and then this.
LOCK_WAIT, REWRITE_TIME = "1s", "20s"
#: PostgreSQL 14 counts when it likes.
FLUSHED_ON_DEMAND = 150000

_NUMBER = re.compile(r"\d+")
_CHANGES = (
    "SELECT relname, n_tup_upd + n_tup_del FROM pg_stat_user_tables"
    " WHERE relname = ANY(%s) AND relid = to_regclass(relname)"
)

#: How many rows of a table were ever changed or deleted when this process last wrote it anew.
_written_at: dict[str, int] = {}


def rewrite() -> bool:
    """Writes those tables anew in which rows were destroyed or overwritten; whether nothing of such rows is
    left in a file. Call outside of transactions. Can run twice; what could not be done is done next time."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor, _not_for_long(cursor):
        changed = [(table, count) for table, count in _changes(cursor) if _written_at.get(table, 0) != count]
        left = [table for table, count in changed if not _rewritten(cursor, table, count)]
    return not left


def _changes(cursor: CursorWrapper) -> list[tuple[str, int]]:
    if cursor.connection.info.server_version >= FLUSHED_ON_DEMAND:
        # What this connection itself did would be counted a little later.
        cursor.execute("SELECT pg_stat_force_next_flush()")
    cursor.execute(_CHANGES, [list(TABLES)])
    return [(str(table), int(count)) for table, count in cursor.fetchall()]


def _rewritten(cursor: CursorWrapper, table: str, count: int) -> bool:
    kept: list[int] = []

    def note(said: Diagnostic) -> None:
        if number := _NUMBER.search(said.message_detail or ""):
            kept.append(int(number[0]))

    driver = cursor.connection
    driver.add_notice_handler(note)
    try:
        cursor.execute(f'VACUUM (FULL, VERBOSE) "{table}"')
    except OperationalError as error:
        log.warning("%s is written anew later: %s", table, type(error.__cause__ or error).__name__)
        return False
    finally:
        driver.remove_notice_handler(note)
    if not kept:
        log.warning("%s can't be written anew: the agent's role has to own it", table)
        return False
    if any(kept):
        # A transaction that began before still sees them, so they were copied, too.
        log.info("%s is written anew again later: somebody still reads what was destroyed", table)
        return False
    _written_at[table] = count
    return True


@contextmanager
def _not_for_long(cursor: CursorWrapper) -> Iterator[None]:
    cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_WAIT])
    cursor.execute("SELECT set_config('statement_timeout', %s, false)", [REWRITE_TIME])
    try:
        yield
    finally:
        cursor.execute("RESET lock_timeout")
        cursor.execute("RESET statement_timeout")
