"""What an account's export carries of consent: its choice, whom it accepted and blocked, what it answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.models import Account
from webmail import blocking
from webmail.exported_values import conversation_id_in, did_in, fitting, participants_in
from webmail.message_state import State, time_value
from webmail.models import BlockedAddress, ConsentChoice, Contact, Conversation, Message, WhoMayWrite
from webmail.ordinary.parsing import MAX_FIELD
from webmail.placing import conversation_for


@dataclass(frozen=True)
class Answered:
    """Somebody (`id` is their DID) or a conversation (its hex id), as the account answered them."""

    id: str
    standing: str
    since: datetime | None = None
    participants: tuple[str, ...] = ()
    started_by: str = ""


@dataclass
class Answers:
    """What was read of consent, and how many could not be. `choice` is empty where nothing was chosen."""

    choice: str = ""
    left_out: int = 0
    people: list[Answered] = field(default_factory=list)
    conversations: list[Answered] = field(default_factory=list)
    #: Addresses of ordinary mail that are blocked.
    addresses: list[str] = field(default_factory=list)


def answers_json(account: Account) -> Iterator[State]:
    """The account's answers as settings of its export."""
    choice = ConsentChoice.objects.filter(account=account).exclude(who_may_write="").first()
    if choice is not None:
        yield {"kind": "consent", "whoMayWrite": choice.who_may_write}
    people = Contact.objects.filter(account=account).exclude(standing=Contact.Standing.NONE)
    for person in people.order_by("pk").iterator(chunk_size=500):
        since = person.blocked_at or person.first_seen_at
        yield {
            "kind": "person",
            "did": person.did,
            "standing": person.standing,
            "since": since.isoformat(),
        }
    for blocked in BlockedAddress.objects.filter(account=account).iterator(chunk_size=500):
        yield {"kind": "blocked-address", "address": blocked.address}
    wrote = Message.objects.filter(
        conversation=OuterRef("pk"),
        direction=Message.Direction.OUT,
        shown=True,
        trust__in=Message.VOUCHED_FOR,
    )
    begun_by_others = Conversation.objects.filter(account=account).exclude(started_by__in=["", account.did])
    rows = begun_by_others.exclude(standing=Conversation.Standing.REQUEST)
    for row in rows.exclude(Exists(wrote)).order_by("pk").iterator(chunk_size=500):
        yield {
            "kind": "answer",
            "conversation": row.conversation_id,
            "participants": row.participants,
            "startedBy": row.started_by,
            "standing": row.standing,
        }


def answers_in(found: Iterable[State]) -> Answers:
    """The answers among settings, without those that are none."""
    answers = Answers()

    def read(each: State) -> None:
        match each.get("kind"):
            case "consent":
                answers.choice = WhoMayWrite(each["whoMayWrite"]).value
            case "person":
                answers.people.append(_person(each))
            case "blocked-address":
                answers.addresses.append(_address(each))
            case "answer":
                answers.conversations.append(_conversation(each))

    answers.left_out = fitting(found, read)[1]
    return answers


def take_answers(account: Account, answers: Answers) -> None:
    """Take in the answers of an export. What was decided here already stays; may run twice."""
    choice, _created = ConsentChoice.objects.get_or_create(account=account)
    if answers.choice and not choice.who_may_write:
        ConsentChoice.objects.filter(pk=choice.pk).update(who_may_write=answers.choice)
    for each in answers.people:
        _take_person(account, each)
    for each in answers.conversations:
        _take_conversation(account, each)
    BlockedAddress.objects.bulk_create(
        (BlockedAddress(account=account, address=each) for each in answers.addresses), ignore_conflicts=True
    )
    blocked = [each.id for each in answers.people if each.standing == Contact.Standing.BLOCKED]
    if blocked:
        blocking.bring_in_line(account, blocked)


def _take_person(account: Account, answered: Answered) -> None:
    since = answered.since or timezone.now()
    contact, _created = Contact.objects.get_or_create(
        account=account, did=answered.id, defaults={"first_seen_at": since}
    )
    if contact.standing == Contact.Standing.NONE:
        contact.standing = answered.standing
        contact.blocked_at = since if answered.standing == Contact.Standing.BLOCKED else None
        contact.save(update_fields=["standing", "blocked_at"])


def _take_conversation(account: Account, answered: Answered) -> None:
    """The row without its messages, which come after it, and so find it answered."""
    if Conversation.objects.filter(account=account, conversation_id=answered.id).exists():
        return
    made = conversation_for(account, answered.id, answered.participants, timezone.now())
    Conversation.objects.filter(pk=made.pk).update(standing=answered.standing, started_by=answered.started_by)


def _person(state: State) -> Answered:
    return Answered(
        id=did_in(state["did"]),
        standing=Contact.Standing(state["standing"]).value,
        since=time_value(state["since"]),
    )


def _address(state: State) -> str:
    address = state["address"]
    if not isinstance(address, str) or not 0 < len(address) <= MAX_FIELD:
        raise ValueError("not an address")
    return address.lower()


def _conversation(state: State) -> Answered:
    return Answered(
        id=conversation_id_in(state["conversation"]),
        standing=Conversation.Standing(state["standing"]).value,
        participants=participants_in(state["participants"]),
        started_by=did_in(state["startedBy"]) if state["startedBy"] else "",
    )
