"""Reporting somebody: the account chooses which of their messages it discloses, and to whom.

A report holds text that was sealed for the account alone, given away by the account itself. It is kept under
the installation's token keys, so that the database alone shows none of it, for 90 days at most, and is shown
to the operator's administrators and nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils.translation import gettext as _

from accounts import token_encryption
from accounts.models import Account
from webmail import requests
from webmail.models import Message, Report
from webmail.people import people_of
from webmail.refusals import Refusal

#: Messages to choose from: the newest of a person.
MOST_MESSAGES = 30
LONGEST_WORDS = 2000
#: Reports of one account in a day.
MOST_A_DAY = 20
KEPT = timedelta(days=90)


class CannotReport(Refusal):
    """A report was not taken. `code`: "no-reason" or "too-many"."""


@dataclass(frozen=True)
class Disclosed:
    """What a report says. `messages` are those chosen, oldest first, each with its time (ISO 8601)."""

    words: str
    messages: list[tuple[str, str]]


def messages_of(account: Account, did: str) -> list[requests.Waiting]:
    """The newest messages of a person that could be disclosed: those whose signature was checked and whose
    text can be read now."""
    rows = Message.objects.filter(
        Q(shown=True) | ~Q(aside=Message.Aside.NO),
        account=account,
        sender_did=did,
        trust__in=Message.VOUCHED_FOR,
        replaces="",
    )
    newest = rows.select_related("conversation").order_by("-placed_at", "-pk")[:MOST_MESSAGES]
    return [each for each in requests.as_text(account, list(newest)) if not each.shut]


def disclose(account: Account, did: str, words: str, message_ids: Sequence[str]) -> Disclosed:
    """What a report of these messages says; messages of anybody else are left out."""
    chosen = [each for each in messages_of(account, did) if each.id in set(message_ids)]
    return Disclosed(
        words.strip()[:LONGEST_WORDS],
        [(each.placed_at.isoformat(timespec="seconds"), each.text) for each in reversed(chosen)],
    )


def report(account: Account, did: str, reason: str, disclosed: Disclosed, *, now: datetime) -> Report:
    """Give a report to the operator. Raises CannotReport."""
    if reason not in Report.Reason.values:
        raise CannotReport("no-reason", _("Choose what it is about."))
    lately = Report.objects.filter(account=account, created_at__gt=now - timedelta(days=1))
    if lately.count() >= MOST_A_DAY:
        raise CannotReport("too-many", _("You made many reports today. Try again tomorrow."))
    return Report.objects.create(
        account=account,
        did=did,
        handle=people_of([did])[did].handle[:253],
        reason=reason,
        sealed=token_encryption.seal(json.dumps({"words": disclosed.words, "messages": disclosed.messages})),
        messages=len(disclosed.messages),
        created_at=now,
    )


def disclosed_in(row: Report) -> Disclosed:
    """What a stored report says. Raises accounts.token_encryption.TokenUnreadable."""
    fields = json.loads(token_encryption.unseal(row.sealed))
    return Disclosed(str(fields["words"]), [(str(at), str(text)) for at, text in fields["messages"]])


def as_plain_text(account: Account, did: str, reason: str, disclosed: Disclosed) -> str:
    """The report as text, to be given to another service by hand."""
    person = people_of([did])[did]
    about = dict(Report.Reason.choices).get(reason, "")
    lines = [
        _("Report about %(handle)s (%(did)s)") % {"handle": person.handle, "did": did},
        _("By %(handle)s (%(did)s)") % {"handle": account.handle, "did": account.did},
        *([str(about)] if about else []),
        *([disclosed.words] if disclosed.words else []),
        *(f"{at}\n{text}" for at, text in disclosed.messages),
    ]
    return "\n\n".join(lines)


def prune(now: datetime) -> int:
    """Remove reports whose time is over; how many."""
    removed, _by_model = Report.objects.filter(created_at__lt=now - KEPT).delete()
    return removed
