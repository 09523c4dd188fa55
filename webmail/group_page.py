"""What the page of a conversation's people shows, and naming a group."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from accounts.known_devices import device_counts
from accounts.models import Account
from accounts.profiles import clean_name
from crypto_agent.client import NewGroupUpdate, NewMessage
from webmail.conversations import others_in
from webmail.groups import LONGEST_NAME
from webmail.models import Conversation, Message
from webmail.outgoing import CannotSend, send_message
from webmail.people import Person, people_of


@dataclass(frozen=True)
class Member:
    """Somebody in a conversation, with the devices that were last seen of them."""

    person: Person
    devices: int
    own: bool


@dataclass(frozen=True)
class GroupPage:
    """The people of a conversation. ``devices`` are all that a message is sealed for."""

    members: list[Member]
    devices: int


def group_page(account: Account, conversation: Conversation, now: datetime) -> GroupPage:
    """The people of a conversation, the account first, as they were last seen; asks nobody."""
    dids = [account.did, *(did for did in others_in(account, conversation) if did != account.did)]
    people, counts = people_of(dids), device_counts(dids, now)
    own = account.devices.filter(revoked_at=None).count()
    counts[account.did] = max(counts.get(account.did, 0), own)
    members = [Member(people[did], counts.get(did, 0), did == account.did) for did in dids]
    return GroupPage(members, sum(member.devices for member in members))


def name_group(account: Account, conversation: Conversation, name: str, token: str) -> Message:
    """Tells everybody in a group what it is called from now on; a blank name takes it away.

    Raises CannotSend.
    """
    return send_message(account, others_in(account, conversation), naming_message(name), token)


def naming_message(name: str) -> NewMessage:
    """What tells a group its name; a blank one takes it away. Raises CannotSend."""
    cleaned = clean_name(name)
    if len(cleaned) > LONGEST_NAME:
        raise CannotSend(
            "name-too-long", _("A name can have up to %(count)d characters.") % {"count": LONGEST_NAME}
        )
    return NewMessage(group_update=NewGroupUpdate(title=cleaned))
