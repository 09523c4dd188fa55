"""Requests: conversations that strangers began, who they are and what they wrote, until the account answers.

Looking at one has no effect that its sender could notice: everything shown is here already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from accounts import identities, identity_age
from accounts.models import Account
from crypto_agent.client import ReadMessage
from webmail import reasons
from webmail.blobs.fetching import FILE_KIND
from webmail.conversations import NotFound
from webmail.edits import newest_edits, versions_of
from webmail.identity_facts import IdentityFacts, facts_of
from webmail.known_people import likenesses
from webmail.likeness import Likeness
from webmail.models import Contact, Conversation, Message
from webmail.opened import read_placed
from webmail.people import Person, people_of

#: Cards on the page, and those among them that one person began. The newest are shown.
MOST_SHOWN = 30
MOST_OF_ONE = 3
#: Messages of one card that are shown, its newest, and characters of each.
MOST_MESSAGES = 3
LONGEST_TEXT = 2000
#: The directory is asked for so many people at a time, and again after a while for those it said nothing of.
AGES_AT_ONCE = 20
ASK_AGAIN = timedelta(hours=1)

Standing = Conversation.Standing


@dataclass(frozen=True)
class Waiting:
    """A message as a card shows it, by its newest version: text alone, or `shut` with the reason. `files` is
    how many it has; `taken_back` says that its sender wants it shown to nobody."""

    id: str
    sender: Person
    text: str
    cut: bool
    files: int
    shut: str
    placed_at: datetime
    edited: bool = False
    taken_back: bool = False


@dataclass(frozen=True)
class Request:
    """A conversation that waits for an answer. `others` are those beside the account and who began it;
    `more_of_them` is how many further conversations the same person began, which are not shown."""

    id: str
    starter: IdentityFacts
    others: list[Person]
    count: int
    messages: list[Waiting]
    time: datetime
    #: Whether the signature of something in it was checked: else the name is only a claim.
    checked: bool
    declined: bool
    more_of_them: int
    #: Whom who began it reads like, and is not.
    like: Likeness | None = None
    #: Who of the others does, whoever began it.
    others_like: list[tuple[Person, Likeness]] = field(default_factory=list)


@dataclass(frozen=True)
class RequestList:
    """`older` is how many more wait that are not shown."""

    cards: list[Request]
    older: int
    declined: int


def count(account: Account) -> int:
    """How many conversations wait for an answer."""
    return waiting(account).count()


def waiting(account: Account | int) -> QuerySet[Conversation]:
    """The conversations that wait for an answer."""
    return _rows(account, Standing.REQUEST)


def list_requests(account: Account, standing: Conversation.Standing = Standing.REQUEST) -> RequestList:
    """The newest requests, or the newest of those declined, in a constant number of queries and one agent
    call."""
    keys = list(_rows(account, standing).values_list("pk", "started_by"))
    chosen = _newest_of_each(keys)
    rows = _rows(account, standing).filter(pk__in=chosen)
    by_starter = Counter(started_by for _pk, started_by in keys)
    shown_of = Counter(started_by for pk, started_by in keys if pk in chosen)
    cards = _cards(account, list(rows))
    return RequestList(
        cards=[
            replace(card, more_of_them=by_starter[did] - shown_of[did])
            for card in cards
            for did in (card.starter.person.did,)
        ],
        older=len(set(by_starter) - set(shown_of)),
        declined=_rows(account, Standing.DECLINED).count(),
    )


def find(account: Account, conversation_id: str) -> Conversation:
    """A conversation that the account has not agreed to. Raises NotFound."""
    rows = Conversation.objects.filter(account=account, conversation_id=conversation_id)
    found = rows.exclude(standing=Standing.ACCEPTED).first()
    if found is None:
        raise NotFound(conversation_id)
    return found


def card(account: Account, conversation: Conversation) -> Request:
    """One request."""
    return _cards(account, [conversation])[0]


def as_text(account: Account, messages: Sequence[Message]) -> list[Waiting]:
    """Messages as a card shows them: text alone. Of what was set aside, edits and deletions were as well."""
    newest = {pk: versions[-1] for pk, versions in versions_of(messages, 1).items()}
    read = _read(account, messages, newest)
    people = people_of(message.sender_did for message in messages)
    return [_waiting(account, message, newest, read, people) for message in messages]


def learn_ages(account: Account, *, now: datetime) -> None:
    """Ask the directory how old the identities are of strangers who began a conversation, also where the
    account's choice let them in; later again where it does not say."""
    asking = Q(did__in=_rows(account, Standing.REQUEST).values("started_by"))
    let_in = Q(did__in=_rows(account, Standing.ACCEPTED).values("started_by"))
    unknown = Contact.objects.filter(
        asking | (let_in & Q(standing=Contact.Standing.NONE)),
        Q(made_asked_at__isnull=True) | Q(made_asked_at__lt=now - ASK_AGAIN),
        account=account,
        did__startswith="did:plc:",
        made_at__isnull=True,
    )
    asked = list(unknown[:AGES_AT_ONCE])
    known = identity_age.known([contact.did for contact in asked])
    for contact in asked:
        try:
            contact.made_at = known.get(contact.did) or identity_age.made_at(contact.did)
        except identities.IdentityError:
            contact.made_at = None
        contact.made_asked_at = now
        contact.save(update_fields=["made_at", "made_asked_at"])


def _rows(account: Account | int, standing: Conversation.Standing) -> QuerySet[Conversation]:
    return Conversation.objects.filter(
        account=account, standing=standing, blocked=False, last_message__isnull=False
    )


def _newest_of_each(keys: Sequence[tuple[int, str]]) -> set[int]:
    """The keys of the conversations to show, of (key, starter) newest first."""
    taken: Counter[str] = Counter()
    chosen: set[int] = set()
    for pk, starter in keys:
        if taken[starter] < MOST_OF_ONE and len(chosen) < MOST_SHOWN:
            taken[starter] += 1
            chosen.add(pk)
    return chosen


def _cards(account: Account, rows: Sequence[Conversation]) -> list[Request]:
    facts = facts_of(account, {row.started_by for row in rows})
    everybody = {did for row in rows for did in (row.started_by, *row.participants)}
    like = likenesses(account, everybody)
    people = people_of(everybody)
    messages = _newest_messages(rows)
    shown = [message for found in messages.values() for message in found]
    newest = newest_edits(shown)
    read = _read(account, shown, newest)
    counts = {
        pk: (number, checked)
        for pk, number, checked in Message.objects.filter(conversation__in=rows, shown=True)
        .values_list("conversation_id")
        .order_by()
        .annotate(number=Count("pk"), checked=Count("pk", filter=Q(trust__in=Message.VOUCHED_FOR)))
    }
    return [
        Request(
            id=row.conversation_id,
            starter=facts[row.started_by],
            others=[people[did] for did in _others(account, row)],
            count=counts.get(row.pk, (0, 0))[0],
            messages=[
                _waiting(account, message, newest, read, people) for message in messages.get(row.pk, [])
            ],
            time=row.last_activity,
            checked=counts.get(row.pk, (0, 0))[1] > 0,
            declined=row.standing == Standing.DECLINED,
            more_of_them=0,
            like=like.get(row.started_by),
            others_like=[(people[did], like[did]) for did in _others(account, row) if did in like],
        )
        for row in rows
    ]


def _others(account: Account, row: Conversation) -> list[str]:
    return [did for did in row.participants if did not in (account.did, row.started_by)]


def _newest_messages(conversations: Sequence[Conversation]) -> dict[int, list[Message]]:
    """The newest messages of each by its key, oldest first, in one query."""
    newest_first = [F("placed_at").desc(), F("pk").desc()]
    rows = Message.objects.filter(conversation__in=conversations, shown=True, replaces="")
    rows = rows.annotate(place=Window(RowNumber(), partition_by=F("conversation"), order_by=newest_first))
    rows = rows.filter(place__lte=MOST_MESSAGES).select_related("conversation").order_by("placed_at", "pk")
    found: dict[int, list[Message]] = {}
    for row in rows:
        found.setdefault(row.conversation_id, []).append(row)
    return found


def _read(
    account: Account, messages: Sequence[Message], newest: Mapping[int, Message]
) -> dict[int, ReadMessage]:
    """The newest versions, each by the key of its own row."""
    return read_placed(
        account,
        ((message.conversation.conversation_id, newest.get(message.pk, message)) for message in messages),
    )


def _waiting(
    account: Account,
    message: Message,
    newest: Mapping[int, Message],
    answers: Mapping[int, ReadMessage],
    people: Mapping[str, Person],
) -> Waiting:
    version = newest.get(message.pk, message)
    read = answers.get(version.pk)
    text = (read.text or read.fallback or "") if read and not read.error else ""
    taken_back = bool(read and read.tombstone)
    return Waiting(
        id=message.message_id,
        sender=people[message.sender_did],
        text=text[:LONGEST_TEXT],
        cut=len(text) > LONGEST_TEXT,
        files=sum(part.get("kind") == FILE_KIND for part in read.parts) if read and not read.error else 0,
        shut=_why_shut(account, message, read),
        placed_at=message.placed_at,
        edited=version.pk != message.pk and not taken_back,
        taken_back=taken_back,
    )


def _why_shut(account: Account, message: Message, read: ReadMessage | None) -> str:
    if account.locked_here:
        return reasons.of_kept_aside("locked")
    if message.trust not in Message.VOUCHED_FOR:
        return reasons.of_kept_aside(message.trust_code)
    if read is None:
        return reasons.of_kept_aside("agent-unavailable")
    return reasons.of_kept_aside(read.error) if read.error else ""
