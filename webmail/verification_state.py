"""What an account's owner said of people's keys, as an account's export carries it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from accounts.models import Account
from webmail import comparisons
from webmail.exported_values import did_in, fitting
from webmail.message_state import State, time_value
from webmail.models import Verification

MOST_FINGERPRINTS = 200

_FINGERPRINT = re.compile(r"[0-9a-f]{64}", re.ASCII)


def exported(account: Account) -> list[dict[str, Any]]:
    """The newest of each contact, the latest first."""
    dids = Verification.objects.filter(account=account).values_list("did", flat=True).distinct()
    newest = comparisons.newest_of(account, dids)
    return [
        {
            "did": row.did,
            "outcome": row.outcome,
            "how": row.how,
            "fingerprints": row.fingerprints,
            "ownFingerprints": row.own_fingerprints,
            "at": row.at.isoformat(),
        }
        for row in sorted(newest.values(), key=lambda row: row.at, reverse=True)
    ]


def take_in(account: Account, entries: Iterable[State]) -> int:
    """Keeps what an export says, unless something newer was said here. May run twice.

    Says how many entries say nothing, which are left out.
    """
    rows, left_out = read(account, entries)
    here = comparisons.newest_of(account, [row.did for row in rows])
    Verification.objects.bulk_create(row for row in rows if row.did not in here or here[row.did].at < row.at)
    return left_out


def read(account: Account, entries: Iterable[State]) -> tuple[list[Verification], int]:
    """The rows that such entries say, not kept yet, and how many say nothing."""
    return fitting(entries, lambda entry: _row(account, entry))


def _row(account: Account, entry: State) -> Verification:
    return Verification(
        account=account,
        did=did_in(entry["did"]),
        outcome=Verification.Outcome(entry["outcome"]),
        how=Verification.How(entry["how"]),
        fingerprints=_fingerprints(entry["fingerprints"]),
        own_fingerprints=_fingerprints(entry["ownFingerprints"]),
        at=time_value(entry["at"]),
    )


def _fingerprints(found: Any) -> list[str]:
    if not isinstance(found, list) or len(found) > MOST_FINGERPRINTS:
        raise ValueError("no fingerprints")
    if not all(isinstance(each, str) and _FINGERPRINT.fullmatch(each) for each in found):
        raise ValueError("no fingerprints")
    return sorted(found)
