"""What the page of one person shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from accounts.models import Account, Peer
from webmail import blocking, requests
from webmail.conversations import in_list, with_people
from webmail.identity_facts import IdentityFacts, facts_of
from webmail.known_people import likenesses
from webmail.likeness import Likeness
from webmail.models import Contact


@dataclass(frozen=True)
class PersonPage:
    """`reached_at` are the addresses that they publish, in their order. `aside` is None unless it was asked
    for; `aside_count` is how many messages there are."""

    facts: IdentityFacts
    like: Likeness | None
    is_self: bool
    conversation_id: str | None
    first_seen_at: datetime | None
    reached_at: list[str]
    read_at: datetime | None
    blocked_here: bool
    blocked_by_record: bool
    aside_count: int
    aside: list[requests.Waiting] | None

    @property
    def blocked(self) -> bool:
        return self.blocked_here or self.blocked_by_record


def is_known(account: Account, did: str) -> bool:
    """Whether the account has a contact of this DID."""
    return Contact.objects.filter(account=account, did=did).exists()


def person_page(account: Account, did: str, *, show_aside: bool = False) -> PersonPage:
    """The page of the person with this DID; nobody is asked."""
    contact = Contact.objects.filter(account=account, did=did).first()
    peer = Peer.objects.filter(did=did).first()
    conversation = with_people(account, [did])
    listed = conversation is not None and in_list(account).filter(pk=conversation.pk).exists()
    messages, count = blocking.set_aside(account, did)
    return PersonPage(
        facts=facts_of(account, [did])[did],
        like=likenesses(account, [did]).get(did),
        is_self=did == account.did,
        conversation_id=conversation.conversation_id if conversation and listed else None,
        first_seen_at=contact.first_seen_at if contact else None,
        reached_at=_addresses(peer),
        read_at=peer.checked_at if peer else None,
        blocked_here=contact is not None and contact.standing == Contact.Standing.BLOCKED,
        blocked_by_record=blocking.blocks_by_record(account, did),
        aside_count=count,
        aside=requests.as_text(account, messages) if show_aside else None,
    )


def _addresses(peer: Peer | None) -> list[str]:
    if peer is None:
        return []
    return [each for each in (peer.smtp_endpoint, *peer.inbox_endpoints) if each]
