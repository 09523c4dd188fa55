"""What the audit log says of one account's keys, for the person whose keys they are.

An account may have millions of entries: each page reads a bounded number of them, by an index.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.db.models import Q, QuerySet

from crypto_agent import audit
from crypto_agent.errors import InvalidRequest
from crypto_agent.grants import GrantedPurpose
from crypto_agent.limits import ALARM_CALLER
from crypto_agent.models import AuditEntry, Grant
from crypto_agent.use_values import Use, UseGroup, UseGroups, Uses

#: Entries that are read for one page of groups. A page ends with a day, where that many hold one.
READ_AT_ONCE = 5000
GRANT = "grant "
_APP_PURPOSES = [f"app.{purpose.value}" for purpose in GrantedPurpose]

_COLUMNS = ("sequence", "at", "caller", "purpose", "count", "outcome")
_Row = tuple[int, datetime, str, str, int, str]


def list_uses(did: str, *, show: str, before: int | None, limit: int, time_zone: str) -> UseGroups:
    """Uses of the account's keys by day, caller, purpose and outcome, newest first: about ``limit`` groups.

    ``show`` is "all", "refused" or "apps"; ``before`` is the cursor of the page before; days are those of
    ``time_zone``, and a day is cut only if it alone has more than ``READ_AT_ONCE`` entries. Raises
    InvalidRequest for an unknown time zone.
    """
    if time_zone not in available_timezones():
        raise InvalidRequest("timeZone: not a known time zone")
    rows = _shown(did, show)
    if before is not None:
        rows = rows.filter(sequence__lt=before)
    found = list(rows.values_list(*_COLUMNS)[: READ_AT_ONCE + 1])
    days = _by_day(found[:READ_AT_ONCE], ZoneInfo(time_zone))
    whole = days[:-1] if len(found) > READ_AT_ONCE and len(days) > 1 else days
    groups: list[UseGroup] = []
    last: int | None = None
    names = _app_names(did)
    for day, entries in whole:
        if groups and len(groups) >= limit:
            break
        groups += _groups(day, entries, names)
        last = entries[-1][0]
    more = last is not None and found[-1][0] < last
    return UseGroups(groups, str(last) if more else None)


def list_entries(
    did: str, *, caller: str, purpose: str, outcome: str, oldest: int, newest: int, limit: int
) -> Uses:
    """The entries behind one group, newest first, ``limit`` at most; ``next_newest`` goes on."""
    rows = AuditEntry.objects.filter(
        did=did, purpose=purpose, caller=caller, outcome=outcome, sequence__range=(oldest, newest)
    ).order_by("-sequence")
    found = list(rows.values_list("sequence", "at", "count")[: limit + 1])
    uses = [Use(sequence, at, count) for sequence, at, count in found[:limit]]
    return Uses(uses, found[limit][0] if len(found) > limit else None)


def _shown(did: str, show: str) -> QuerySet[AuditEntry, Any]:
    # What stands beyond the head was not written by the agent.
    written = AuditEntry.objects.filter(did=did, sequence__lte=audit.head_sequence())
    rows = written.exclude(caller=ALARM_CALLER).order_by("-sequence")
    if show == "refused":
        # Two ranges of the index, where "not equal" would have to look at every entry. Errors' names are one
        # word; an outcome in several says what was done.
        return rows.filter(Q(outcome__lt="ok") | Q(outcome__gt="ok")).exclude(outcome__contains=" ")
    if show == "apps":
        return rows.filter(purpose__in=_APP_PURPOSES)
    return rows


def _by_day(rows: Iterable[_Row], zone: ZoneInfo) -> list[tuple[date, list[_Row]]]:
    days: list[tuple[date, list[_Row]]] = []
    for row in rows:
        day = row[1].astimezone(zone).date()
        if not days or days[-1][0] != day:
            days.append((day, []))
        days[-1][1].append(row)
    return days


def _groups(day: date, rows: Sequence[_Row], names: dict[str, str]) -> list[UseGroup]:
    found: dict[tuple[str, str, str], list[_Row]] = {}
    for row in rows:
        found.setdefault((row[2], row[3], row[5]), []).append(row)
    return [
        UseGroup(
            day=day,
            caller=caller,
            app_name=names.get(caller.removeprefix(GRANT)) if caller.startswith(GRANT) else None,
            purpose=purpose,
            outcome=outcome,
            calls=len(entries),
            things=sum(entry[4] for entry in entries),
            first_at=min(entry[1] for entry in entries),
            last_at=max(entry[1] for entry in entries),
            oldest=entries[-1][0],
            newest=entries[0][0],
        )
        for (caller, purpose, outcome), entries in found.items()
    ]


def _app_names(did: str) -> dict[str, str]:
    return dict(Grant.objects.filter(account__did=did).values_list("grant_id", "name"))
