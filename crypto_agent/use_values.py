"""How an account's keys were used, by the audit log, and alarms about it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

#: Which uses of keys to list.
Shown = Literal["all", "refused", "apps"]


@dataclass(frozen=True)
class Alarm:
    """``things`` messages were opened and read in one hour; ``did`` is None for all accounts together."""

    #: The number of its entry in the audit log.
    entry: int
    did: str | None
    at: datetime
    hour_began_at: datetime
    things: int


@dataclass(frozen=True)
class UseGroup:
    """What one caller did for one purpose on one day with one outcome, by the audit log."""

    day: date
    #: "web", "worker", "grant …", "unknown app", or another name in the audit log.
    caller: str
    #: What the user calls the app of a grant.
    app_name: str | None
    purpose: str
    #: "ok", or the name of an error.
    outcome: str
    calls: int
    things: int
    first_at: datetime
    last_at: datetime
    #: The numbers of the first and the last of its entries.
    oldest: int
    newest: int


@dataclass(frozen=True)
class UseGroups:
    """One page of them, newest day first; ``cursor`` asks for the next one, None at the end."""

    groups: list[UseGroup]
    cursor: str | None


@dataclass(frozen=True)
class KeyUses:
    """A page of uses, and the alarms on bulk opening of the last month, newest first."""

    page: UseGroups
    alarms: list[Alarm]


@dataclass(frozen=True)
class Use:
    """One entry of the audit log: its number, its time, and how many things were asked for."""

    sequence: int
    at: datetime
    count: int


@dataclass(frozen=True)
class Uses:
    """Entries of a group, newest first; ``next_newest`` is where the next page begins, None at the end."""

    uses: list[Use]
    next_newest: int | None
