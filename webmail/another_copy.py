"""Asking for another copy of what could not be opened, and giving one (docs/another-copy.md).

An envelope says nothing of its sender, so whoever could not open it chooses whom to ask. Whoever is asked
recognises an envelope of their own by its id, and seals its message anew for the devices that the asker has
by now, without anybody's doing: the asker was its recipient.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import NAMESPACE_OID, uuid5

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import peers
from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import NewMessage, SealedContent
from webmail import outgoing, queues
from webmail.blocked import blocked_since
from webmail.conversations import NotFound
from webmail.edits import newest_edits
from webmail.models import Arrival, Conversation, Delivery, DeliveryCopy, Message
from webmail.people import Person, people_of
from webmail.refusals import Refusal

#: Reasons that another copy may help against: the key is gone, or is another device's.
ASKABLE = frozenset({"cannot-open", "for-another-device", "for-another-device-key"})
#: Reasons that it cannot help against. What was damaged on the way has another id than what was sent, so
#: nobody recognises it; and what lies within a seal that opened is as it was written, and would be again.
_HELPLESS = frozenset({"not-canonical", "bad-envelope", "bad-padding", "bad-cms", "bad-content"})
DAY = timedelta(days=1)
#: How many an account may ask for, and how many somebody is given, in a day.
MOST_ASKED, MOST_GIVEN = 20, 20
#: How many people a page offers.
MOST_PEOPLE = 50


class CannotAsk(Refusal):
    """Nobody was asked."""


def asked_today(arrival: Arrival, now: datetime) -> bool:
    """Whether somebody was asked for another copy of it so lately that nobody can be asked again."""
    return arrival.asked_at is not None and arrival.asked_at > now - DAY


def why_none(reason: str) -> str:
    """Why another copy of what was kept aside for this reason does not help; "" where it may, or where that
    goes without saying."""
    if reason not in _HELPLESS:
        return ""
    return _(
        "Another copy does not help: what was damaged on the way is not known to whoever sent it, and what "
        "was written wrong would come as it is. If you know whom it is from, ask them to write it once more."
    )


def who_can_be_asked(account: Account) -> list[Person]:
    """Those whom the account has written to and does not block, those of the newest conversations first."""
    written = Conversation.objects.filter(
        account=account,
        blocked=False,
        messages__direction=Message.Direction.OUT,
        messages__shown=True,
        messages__trust__in=Message.VOUCHED_FOR,
    )
    newest = written.distinct().order_by("-last_activity")[:MOST_PEOPLE]
    left_out = {account.did, *blocked_since(account)}
    dids = dict.fromkeys(did for row in newest for did in row.participants if did not in left_out)
    people = people_of(dids)
    return [people[did] for did in list(dids)[:MOST_PEOPLE]]


def ask(account: Account, arrival_id: int, did: str, *, now: datetime) -> Arrival:
    """Ask this person for another copy of what arrived; only at the account's own click, once a day.

    Raises NotFound, CannotAsk, or CannotSend where the request could not be written.
    """
    arrival = Arrival.objects.filter(account=account, pk=arrival_id).first()
    if arrival is None or arrival.state != Arrival.State.KEPT_ASIDE or arrival.reason not in ASKABLE:
        raise NotFound(str(arrival_id))
    if did not in {person.did for person in who_can_be_asked(account)}:
        raise CannotAsk("not-known", _("Choose somebody to whom you have written."))
    if asked_today(arrival, now):
        raise CannotAsk("asked-already", _("You asked for this today. Ask again tomorrow."))
    if Arrival.objects.filter(account=account, asked_at__gt=now - DAY).count() >= MOST_ASKED:
        raise CannotAsk("asked-enough", _("You asked for as many today as one day allows."))
    token = str(uuid5(NAMESPACE_OID, f"{arrival.pk} {did} {now.date()}"))
    outgoing.send_message(account, [did], NewMessage(copies_wanted=[arrival.envelope_id]), token, now=now)
    arrival.asked_did, arrival.asked_at = did, now
    arrival.save(update_fields=["asked_did", "asked_at"])
    return arrival


def give(request: Message, envelope_ids: Sequence[str], *, now: datetime) -> int:
    """Seal anew what a checked request asks for, and return how many messages that were.

    Only for envelopes of the account's own messages to whoever asks, each at most once a day, not to somebody
    who is blocked, and not of what its sender has taken back. Nothing answers for the others, so that nobody
    learns what is known here. Call within a transaction. Raises crypto_agent.client.AgentError.
    """
    if request.direction != Message.Direction.IN or request.trust != Message.Trust.SIGNED:
        return 0
    if request.sender_did in blocked_since(request.account):
        return 0
    own = Delivery.objects.filter(
        message__account=request.account, recipient_did=request.sender_did, message__trust=Message.Trust.OWN
    )
    given = own.filter(asked_again_at__gt=now - DAY).count()
    wanted = own.filter(copies__envelope_id__in=envelope_ids).exclude(asked_again_at__gt=now - DAY)
    # What is still on its way needs no other, and what waits for its sender goes on waiting.
    # What its sender let go of, or whose time is over, is not sent again.
    wanted = (
        wanted.filter(message__forgotten_at=None)
        .exclude(state__in=[Delivery.State.QUEUED, Delivery.State.HELD, Delivery.State.SEALED])
        .distinct()
    )
    found = list(wanted.select_related("message__conversation")[: max(MOST_GIVEN - given, 0)])
    taken_back = _taken_back(request.account, [delivery.message for delivery in found])
    found = [delivery for delivery in found if delivery.message_id not in taken_back]
    if not found:
        return 0
    # They may have moved, or have another device by now.
    peers.forget(request.sender_did)
    DeliveryCopy.objects.filter(delivery__in=found).delete()
    rows = Delivery.objects.filter(pk__in=[delivery.pk for delivery in found])
    rows.begin_again(now, asked_again_at=now)
    for message_pk in {delivery.message_id for delivery in found}:
        transaction.on_commit(partial(queues.give, queues.SEAL, message_pk))
    return len(found)


def _taken_back(account: Account, messages: Sequence[Message]) -> set[int]:
    """The keys of those of the account's own messages whose newest version says nothing any more."""
    newest = newest_edits(messages)
    if not newest:
        return set()
    places = {message.pk: message.conversation.conversation_id for message in messages}
    items = [SealedContent(places[pk], edit.message_id, bytes(edit.sealed)) for pk, edit in newest.items()]
    answers = agent().read(account.did, items)
    return {pk for pk, answer in zip(newest, answers, strict=True) if answer.tombstone}
