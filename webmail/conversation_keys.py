"""What an open conversation shows of its people's keys: whether they were compared, and what to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Count

from accounts.models import Account, PeerEvent
from webmail import comparisons
from webmail.comparisons import KeyState, Standing
from webmail.delivery_codes import KEYS_CHANGED
from webmail.key_notes import KeyNote, events_in, notes_at_end
from webmail.models import Conversation, Delivery, Message
from webmail.people import Person, people_of


@dataclass(frozen=True)
class ToLookAt:
    """Somebody for whom nothing is sealed before the account's owner has looked; ``waiting`` messages wait.

    ``to_several``: for others in the conversation they wait too.
    """

    person: Person
    state: KeyState
    waiting: int
    to_several: bool

    @property
    def shown(self) -> str:
        """Names the keys that a form accepts."""
        return " ".join(sorted(self.state.used))


@dataclass(frozen=True)
class ConversationKeys:
    """``standing`` is that of all the others together: the least sure of them. ``events``: the devices and
    handles that turned up meanwhile; ``at_end`` those since the newest message."""

    states: Mapping[str, KeyState]
    standing: Standing
    to_look_at: list[ToLookAt]
    events: list[PeerEvent]
    at_end: tuple[KeyNote, ...] = ()

    def not_compared(self, message: Message) -> bool:
        """Whether somebody compared signed it with a device that was no part of it."""
        state = self.states.get(message.sender_did)
        return comparisons.is_of_new_device(state.newest if state else None, message)


#: Of a conversation whose keys nobody asked for.
NO_KEYS = ConversationKeys({}, Standing.NOT_COMPARED, [], [])


def keys_in(account: Account, conversation: Conversation) -> ConversationKeys:
    """The keys of everybody in a conversation, by what is known here. Asks nobody."""
    states = comparisons.states_of(account, conversation.participants)
    events = events_in(account, conversation)
    return ConversationKeys(
        states,
        together(states.values()),
        _to_look_at(account, conversation, states),
        events,
        notes_at_end(conversation, events),
    )


def together(states: Iterable[KeyState]) -> Standing:
    """The least sure standing of several people."""
    standings = {state.standing for state in states}
    order = (Standing.DIFFERED, Standing.CHANGED, Standing.NOT_COMPARED, Standing.COMPARED)
    return next((standing for standing in order if standing in standings), Standing.NOT_COMPARED)


def _to_look_at(
    account: Account, conversation: Conversation, states: Mapping[str, KeyState]
) -> list[ToLookAt]:
    held = {did: state for did, state in states.items() if state.standing.holds}
    if not held:
        return []
    people = people_of(held)
    waiting = Delivery.objects.filter(
        message__account=account,
        message__conversation=conversation,
        state=Delivery.State.HELD,
        failure_code=KEYS_CHANGED,
    )
    counts = dict(
        waiting.filter(recipient_did__in=held).values_list("recipient_did").order_by().annotate(Count("pk"))
    )
    several = len(conversation.participants) > 2
    return [ToLookAt(people[did], held[did], counts.get(did, 0), several) for did in sorted(held)]
