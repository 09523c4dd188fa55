"""Counts what is done with each account's keys, refuses what is above an hour's limit, and raises alarms.

A count is kept with the audit entry, in one transaction: nothing is released that was not counted, and what
several threads ask for at once stays within the limit, since each waits for the audit log's head.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from django.conf import settings
from django.db import transaction
from django.db.models import F

from crypto_agent import audit
from crypto_agent.errors import LimitReached
from crypto_agent.models import Alarm, UseCount
from crypto_agent.prepared_query import PreparedStatement, time_for_row
from crypto_agent.shared_commits import durably
from crypto_agent.use_values import Alarm as AlarmValue

log = logging.getLogger(__name__)

HOUR = timedelta(hours=1)
#: For how long the person whose keys were used is told of an alarm.
MONTH = timedelta(days=30)
#: Purposes that give out what people wrote. Searching answers ids alone.
OPENING = frozenset(
    {
        "open",
        "read",
        "readArchive",
        "decryptFile",
        "openDrafts",
        "readForExport",
        "decryptFileForExport",
        # Drafts are among what the parts of an export hold.
        "openExportPart",
    }
)
#: Under this name, and under no account's, openings are counted for the alarm.
ALL_OPENING = "opening"
#: How an alarm stands in the audit log.
ALARM_CALLER = "agent"
ALARM_PURPOSE = "bulkOpening"
ALARM_OUTCOME = "alarm"
ALARMS_LISTED = 100

#: Between which times the hour that runs began, as the database compares them.
_Between: TypeAlias = tuple[datetime | str, datetime | str]

_TABLE = UseCount._meta.db_table
_ROW_THAT_RUNS = "WHERE did = %s AND caller = %s AND purpose = %s AND began_at > %s AND began_at <= %s"
_FULL = PreparedStatement(f"SELECT 1 FROM {_TABLE} {_ROW_THAT_RUNS} AND used > %s")  # noqa: S608 (a table)
# These add to a count of the hour that runs, unless there is more to do than that.
_ADD = f"UPDATE {_TABLE} SET used = used + %s {_ROW_THAT_RUNS}"  # noqa: S608
_ADD_UP_TO = PreparedStatement(f"{_ADD} AND used <= %s")
_ADD_WITHOUT_ALARM = PreparedStatement(f"{_ADD} AND (alarmed OR used < %s)")


@dataclass(frozen=True)
class Counted:
    """What a use is counted as: ``caller`` one of hourly_limits.CALLERS, ``purpose`` without a prefix."""

    did: str
    caller: str
    purpose: str
    things: int


def counted(did: str, caller: str, purpose: str, things: int) -> Counted:
    """A call is counted as one thing at least."""
    return Counted(did, caller, purpose, max(1, things))


def check(use: Counted, now: datetime) -> None:
    """Raises LimitReached if the hour has no room for the use. Counts nothing; see ``put_on_record``."""
    most = settings.HOURLY_LIMITS.of(use.caller, use.purpose) - use.things
    if not _FULL.rows(use.did, use.caller, use.purpose, *_running(now), most):
        return
    row = UseCount.objects.filter(did=use.did, caller=use.caller, purpose=use.purpose).first()
    if row is not None and _runs(row, now) and not _fits(row, use):
        raise _reached(row, now)


def put_on_record(entry: audit.Use, use: Counted) -> None:
    """Writes the audit entry and counts the use, both or neither; has to precede the answer.

    Raises LimitReached if others used up the hour meanwhile, and what audit.append raises.
    """
    with audit.explained(entry):
        durably(partial(_put_on_record, entry, use))


def _put_on_record(entry: audit.Use, use: Counted) -> None:
    audit.add(entry)
    running = _running(entry.at)
    _count(use, entry.at, running)
    if use.purpose in OPENING:
        _watch(use.did, use.things, settings.ALARM_OPENED_OF_ACCOUNT, entry.at, running)
        _watch("", use.things, settings.ALARM_OPENED_OF_ALL, entry.at, running)


def alarms_since(moment: datetime) -> int:
    """How many alarms were raised after ``moment``; raises DatabaseError where the table can't be read."""
    return Alarm.objects.filter(at__gt=moment).count()


def newest_alarms(did: str | None = None, *, since: datetime | None = None) -> list[AlarmValue]:
    """The newest alarms, newest first: of all accounts, or of one; at most ALARMS_LISTED."""
    rows = Alarm.objects.order_by("-entry")
    if did is not None:
        rows = rows.filter(did=did)
    if since is not None:
        rows = rows.filter(at__gt=since)
    return [
        AlarmValue(row.entry, row.did or None, row.at, row.hour_began_at, row.things)
        for row in rows[:ALARMS_LISTED]
    ]


def _count(use: Counted, now: datetime, running: _Between) -> None:
    most = settings.HOURLY_LIMITS.of(use.caller, use.purpose) - use.things
    if _ADD_UP_TO.changed(use.things, use.did, use.caller, use.purpose, *running, most):
        return
    row = _locked(use.did, use.caller, use.purpose, now)
    if not _fits(row, use):
        raise _reached(row, now)
    UseCount.objects.filter(pk=row.pk).update(used=F("used") + use.things)


def _watch(did: str, things: int, threshold: int, now: datetime, running: _Between) -> None:
    """Counts openings of an account, or of all under "", and raises one alarm in an hour."""
    if _ADD_WITHOUT_ALARM.changed(things, did, "", ALL_OPENING, *running, threshold - things):
        return
    row = _locked(did, "", ALL_OPENING, now)
    row.used += things
    if row.used >= threshold and not row.alarmed:
        row.alarmed = True
        use = audit.Use(now, ALARM_CALLER, did, ALARM_PURPOSE, row.used, ALARM_OUTCOME, None)
        sequence, things = audit.add(use), row.used
        Alarm.objects.create(entry=sequence, did=did, at=now, hour_began_at=row.began_at, things=things)
        whose = "one account" if did else "all accounts together"
        transaction.on_commit(
            lambda: log.error(
                "alarm: %d messages of %s were opened within an hour (audit entry %d)",
                things,
                whose,
                sequence,
            )
        )
    row.save(update_fields=["used", "alarmed"])


def _running(now: datetime) -> _Between:
    return time_for_row(now - HOUR), time_for_row(now + HOUR)


def _locked(did: str, caller: str, purpose: str, now: datetime) -> UseCount:
    """The count of the hour that runs, begun if there is none, locked until the transaction ends."""
    rows = UseCount.objects.select_for_update()
    row, _ = rows.get_or_create(did=did, caller=caller, purpose=purpose, defaults={"began_at": now})
    if not _runs(row, now):
        row.began_at, row.used, row.alarmed = now, 0, False
        row.save(update_fields=["began_at", "used", "alarmed"])
    return row


def _runs(row: UseCount, now: datetime) -> bool:
    # An hour that begins in the future was begun by a clock that was wrong.
    return now - HOUR < row.began_at <= now + HOUR


def _fits(row: UseCount, use: Counted) -> bool:
    """One call is always let through in an hour, so that a long batch never waits for good."""
    return row.used == 0 or row.used + use.things <= settings.HOURLY_LIMITS.of(use.caller, use.purpose)


def _reached(row: UseCount, now: datetime) -> LimitReached:
    seconds = max(1, round((row.began_at + HOUR - now).total_seconds()))
    return LimitReached(f"the limit of this hour is reached: again in {seconds} s", seconds)
