"""The answers to an ordinary mail, as its page shows them: what they say and how far they came."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from accounts.models import Account
from webmail.carriers.sentences import sentence
from webmail.mailbox import MailboxError
from webmail.models import OutgoingMail, OutgoingMailRecipient
from webmail.ordinary import filing, in_transit
from webmail.ordinary.parsing import read_mail

#: Answers to one mail that its page shows, the last ones.
MOST = 10

State = OutgoingMailRecipient.State


@dataclass(frozen=True)
class Way:
    """How far an answer came to one address. `failure` goes on after "Not delivered:", `advice` follows."""

    address: str
    state: str
    words: str
    failure: str
    advice: str
    code: str
    reply: str
    next_attempt_at: datetime | None


@dataclass(frozen=True)
class ShownAnswer:
    """`text` is None where its copy is gone or the mailbox cannot be reached."""

    id: int
    created_at: datetime
    message_id: str
    text: str | None
    ways: list[Way]

    @property
    def is_carried_on(self) -> bool:
        return any(way.state == State.HANDED_OVER for way in self.ways)

    @property
    def can_retry(self) -> bool:
        return any(way.state in OutgoingMailRecipient.RETRIED for way in self.ways)


def answered(account: Account, arrival_ids: Iterable[int]) -> set[int]:
    """Those of the mails that have an answer."""
    rows = OutgoingMail.objects.filter(account=account, arrival_id__in=list(arrival_ids))
    return set(rows.values_list("arrival_id", flat=True))


def shown_answers(account: Account, arrival_id: int) -> list[ShownAnswer]:
    """The last answers to a mail, in the order in which they were written."""
    rows = list(
        OutgoingMail.objects.filter(account=account, arrival_id=arrival_id)
        .prefetch_related("recipients")
        .order_by("-pk")[:MOST]
    )
    texts = _texts(account, rows)
    return [
        ShownAnswer(
            row.pk,
            row.created_at,
            filing.message_id_of(row.name),
            texts.get(row.name),
            [_way(recipient) for recipient in row.recipients.all()],
        )
        for row in reversed(rows)
    ]


def _way(recipient: OutgoingMailRecipient) -> Way:
    words = {
        State.WAITING: _("Waiting to be sent"),
        State.HANDED_OVER: _("Handed over"),
        State.ACCEPTED: _("Their server has it"),
        State.UNCERTAIN: _("Perhaps arrived"),
        State.FAILED: _("Not delivered"),
    }[State(recipient.state)]
    failure, advice = _failure(recipient.failure_code)
    return Way(
        recipient.address,
        recipient.state,
        words,
        failure,
        advice,
        recipient.failure_code,
        recipient.failure_reply,
        recipient.next_attempt_at,
    )


def _failure(code: str) -> tuple[str, str]:
    if not code:
        return "", ""
    if code == "copy-unreadable":
        return _("what waited here could not be read any more."), _("Retry.")
    found = sentence(code)
    return str(found.cause), str(found.advice)


def _texts(account: Account, rows: list[OutgoingMail]) -> dict[str, str]:
    """What the answers say, from what waits here or else from the Sent folder."""
    raws: dict[str, bytes] = {}
    for row in rows:
        try:
            raws[row.name] = in_transit.unsealed(row.sealed)
        except in_transit.Unreadable:
            continue
    with suppress(MailboxError):
        raws |= filing.copies(account, [row.name for row in rows if row.name not in raws])
    return {name: read_mail(raw).text or "" for name, raw in raws.items()}
