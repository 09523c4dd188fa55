"""The answers to an ordinary mail, as its page shows them: what they say and how far they came."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
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
    """`text` is None where its copy is gone, where `away` says that the mailbox cannot be reached, and where
    `on_page` says that the page has it already."""

    id: int
    created_at: datetime
    message_id: str
    text: str | None
    away: bool
    on_page: bool
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


def written(account: Account, arrival_id: int) -> Iterator[bytes]:
    """All answers to a mail as they were sent, the oldest first, but those whose copy is gone.

    Raises MailboxError.
    """
    for row in OutgoingMail.objects.filter(account=account, arrival_id=arrival_id).order_by("pk"):
        try:
            yield in_transit.unsealed(row.sealed)
        except in_transit.Unreadable:
            yield from filing.copies(account, [row.name]).values()


def shown_answers(
    account: Account, arrival_id: int, *, on_page: Collection[int] = frozenset()
) -> list[ShownAnswer]:
    """The last answers to a mail, in the order in which they were written.

    What those of the keys `on_page` say is not read: a page that hears of news has it, and it stays the same.
    """
    rows = list(
        OutgoingMail.objects.filter(account=account, arrival_id=arrival_id)
        .prefetch_related("recipients")
        .order_by("-pk")[:MOST]
    )
    texts, is_away = _texts(account, [row for row in rows if row.pk not in on_page])
    return [
        ShownAnswer(
            id=row.pk,
            created_at=row.created_at,
            message_id=filing.message_id_of(row.name),
            text=texts.get(row.name),
            away=is_away and row.name not in texts and row.pk not in on_page,
            on_page=row.pk in on_page,
            ways=[_way(recipient) for recipient in row.recipients.all()],
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


def _texts(account: Account, rows: Sequence[OutgoingMail]) -> tuple[dict[str, str], bool]:
    """What the answers say, from what waits here or else from the Sent folder; and whether that could not be
    reached."""
    raws: dict[str, bytes] = {}
    for row in rows:
        try:
            raws[row.name] = in_transit.unsealed(row.sealed)
        except in_transit.Unreadable:
            continue
    is_away = False
    try:
        raws |= filing.copies(account, [row.name for row in rows if row.name not in raws])
    except MailboxError:
        is_away = True
    return {name: read_mail(raw).text or "" for name, raw in raws.items()}, is_away
