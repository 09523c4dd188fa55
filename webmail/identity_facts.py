"""Who somebody is, as far as it is known here; nobody is asked, so nobody learns that a page was opened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from urllib.parse import urlsplit

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from accounts import identity_age
from accounts.handles import INVALID_HANDLE
from accounts.models import Account, Peer
from webmail.conversations import in_list, title_of
from webmail.groups import is_group, name_in
from webmail.handle_letters import Letters, letters_of
from webmail.models import Contact, Conversation, ConversationMember, GraphEntry
from webmail.opened import read_placed
from webmail.people import Person, people_of, person

#: How many conversations in common are named.
MOST_SHARED = 3

_NEWEST = (F("conversation__last_activity").desc(), F("conversation").desc())


@dataclass(frozen=True)
class IdentityFacts:
    """`person` has no picture: one would be fetched from their own server. `made_at` is None where it is not
    known, `ageless` where nobody can know it. `host` is the host name of their server."""

    person: Person
    handle_holds: bool
    made_at: datetime | None
    ageless: bool
    host: str
    followed: bool
    #: Names of accepted conversations that both are in, and how many more there are.
    shared: list[str]
    more_shared: int
    standing: str
    #: What the handle stands for, if that is not what it looks like.
    letters: Letters | None = None


def facts_of(
    account: Account, dids: Iterable[str], *, beside: Conversation | None = None
) -> dict[str, IdentityFacts]:
    """The facts about these people, every one of them, in a constant number of queries and at most one call
    to the agent. A conversation ``beside`` which they are shown is none that is shared.

    Raises crypto_agent.client.AgentLocked if it was not known before that the keys are locked.
    """
    wanted = set(dids)
    peers = {peer.did: peer for peer in Peer.objects.filter(did__in=wanted)}
    people = people_of(wanted)
    contacts = {row.did: row for row in Contact.objects.filter(account=account, did__in=wanted)}
    followed = set(
        GraphEntry.objects.filter(account=account, kind=GraphEntry.Kind.FOLLOW, did__in=wanted).values_list(
            "did", flat=True
        )
    )
    shared = _shared(account, wanted, beside)
    ages = identity_age.known(wanted)
    return {
        did: _facts(
            did, peers.get(did), people[did], contacts.get(did), ages.get(did), did in followed, shared[did]
        )
        for did in wanted
    }


def _facts(
    did: str,
    peer: Peer | None,
    known: Person,
    contact: Contact | None,
    made_at: datetime | None,
    followed: bool,
    shared: _Shared,
) -> IdentityFacts:
    handle = peer.handle if peer else known.handle
    return IdentityFacts(
        person=person(did, handle, peer.display_name if peer else "", False),
        handle_holds=bool(handle) and handle not in (INVALID_HANDLE, did),
        made_at=made_at or (contact.made_at if contact else None),
        ageless=not did.startswith("did:plc:"),
        host=host_of(peer.pds_url) if peer else "",
        followed=followed,
        shared=shared.names,
        more_shared=shared.count - len(shared.names),
        standing=contact.standing if contact else Contact.Standing.NONE,
        letters=letters_of(handle) if handle else None,
    )


def host_of(url: str) -> str:
    """The host name of a server's address; empty for what is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@dataclass(frozen=True)
class _Shared:
    names: list[str]
    count: int


def _shared(account: Account, wanted: set[str], beside: Conversation | None) -> dict[str, _Shared]:
    """The newest conversations with each by name, and how many there are. A group that nobody named goes by
    its people, and so does every one while the agent does not answer."""
    listed = in_list(account)
    members = ConversationMember.objects.filter(
        did__in=wanted - {account.did},
        conversation__in=listed.exclude(pk=beside.pk) if beside else listed,
    )
    rows = members.annotate(
        place=Window(RowNumber(), partition_by=F("did"), order_by=[*_NEWEST]),
        count=Window(Count("pk"), partition_by=F("did")),
    )
    newest = rows.filter(place__lte=MOST_SHARED).select_related("conversation__named_by")
    named = list(newest.order_by("did", "place"))
    naming = {
        row.conversation.named_by.pk: (row.conversation.conversation_id, row.conversation.named_by)
        for row in named
        if row.conversation.named_by and is_group(row.conversation)
    }
    read = read_placed(account, naming.values())
    everybody = {did for row in named for did in row.conversation.participants} | {account.did}
    people = people_of(everybody) if named else {}
    found = {did: _Shared([], 0) for did in wanted}
    for did, theirs in groupby(named, key=lambda row: row.did):
        theirs_named = list(theirs)
        names = [
            name_in(read.get(row.conversation.named_by_id or 0))
            or title_of(account, row.conversation, people)
            for row in theirs_named
        ]
        found[did] = _Shared(names, vars(theirs_named[0])["count"])
    return found
