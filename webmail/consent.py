"""Who may begin a conversation with an account, and what it answered to those who did.

A conversation stands as accepted, as a request, or as declined. How that is restored: an account has accepted
every conversation in which it wrote, which the archive shows. For the others a restored index asks anew, by
the account's choice; the choice itself, and the answers that were given, are settings of the account, which
its export carries (see consent_export.py).

Nothing that is decided here is ever told to a sender. It is decided at the intake, when the envelope has long
been acknowledged; and before a conversation is accepted nothing in it may be answered, fetched or opened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from accounts.models import Account
from webmail import contacts, events
from webmail.blocked import blocked_among
from webmail.models import (
    ConsentChoice,
    Contact,
    Conversation,
    ConversationMember,
    GraphEntry,
    Message,
    WhoMayWrite,
)


def who_may_write(account: Account) -> WhoMayWrite:
    """What the account chose, or what this installation begins with."""
    chosen = ConsentChoice.objects.filter(account=account).values_list("who_may_write", flat=True).first()
    return WhoMayWrite(chosen or settings.WHO_MAY_WRITE)


def choose(account: Account, choice: WhoMayWrite) -> None:
    """Set who may begin a conversation; requests of those who may now are accepted, nothing else changes."""
    ConsentChoice.objects.update_or_create(account=account, defaults={"who_may_write": choice})
    reconsider(account)


def follows(account: Account, did: str) -> bool:
    """Whether the account's repository, as it was last read, says that it follows this DID."""
    return GraphEntry.objects.filter(account=account, kind=GraphEntry.Kind.FOLLOW, did=did).exists()


def may_begin(account: Account, did: str, *, checked: bool = True) -> bool:
    """Whether a conversation that this DID begins needs no answer of the account first.

    `checked` says whether it is known to be them: a name that anybody can claim opens nothing.
    """
    return door_of(account, [did]).is_open_to(did, checked=checked)


@dataclass
class Door:
    """Who of some people may begin a conversation with an account: its choice, and how it stands to them."""

    choice: WhoMayWrite
    own_did: str
    accepted: set[str]
    blocked: set[str]
    followed: set[str]

    def is_open_to(self, did: str, *, checked: bool) -> bool:
        """As ``may_begin``."""
        if self.choice == WhoMayWrite.EVERYONE or (did == self.own_did and checked):
            return True
        if self.choice == WhoMayWrite.NOBODY or not checked:
            return False
        return did in self.accepted or (self.choice == WhoMayWrite.FOLLOWED and did in self.followed)

    def accept(self, dids: Iterable[str]) -> None:
        """What it is once the account has written to these people, as ``contacts.accept`` notes it."""
        self.accepted |= set(dids) - self.blocked


def door_of(account: Account, dids: Collection[str]) -> Door:
    """How the account stands to these people, in three queries."""
    contacts_of = Contact.objects.filter(account=account, did__in=dids).values_list("did", "standing")
    standings = dict(contacts_of)
    follows = GraphEntry.objects.filter(account=account, kind=GraphEntry.Kind.FOLLOW, did__in=dids)
    return Door(
        choice=who_may_write(account),
        own_did=account.did,
        accepted={did for did, standing in standings.items() if standing == Contact.Standing.ACCEPTED},
        blocked={did for did, standing in standings.items() if standing == Contact.Standing.BLOCKED},
        followed=set(follows.values_list("did", flat=True)),
    )


def may_be_told(conversation: Conversation) -> bool:
    """Whether anything in this conversation may be answered by itself, fetched or opened: receipts, files,
    pictures, previews. Not before the account agreed, and not while it blocks who began it."""
    return conversation.standing == Conversation.Standing.ACCEPTED and not conversation.blocked


def may_hear_of_a_look(account: Account, did: str) -> bool:
    """Whether somebody's own server may be asked for their picture where a page shows them.

    Not while they only wrote to the account, or others brought them into a group: they could tell from it
    that the account looks, and when. Nor while they are blocked, here or by a record.
    """
    if blocked_among(account.pk, [did]):
        return False
    contacts_of = Contact.objects.filter(account=account, did=did)
    standing = contacts_of.values_list("standing", flat=True).first()
    if standing == Contact.Standing.ACCEPTED or did == account.did or follows(account, did):
        return True
    came_up = ConversationMember.objects.filter(did=did, conversation__account=account)
    return standing is None and not came_up.exists()


def may_compare(account: Account, did: str) -> bool:
    """Whether somebody's own server may be asked for their keys, to compare them: where it may hear of a look
    anyway, and where they are in a conversation that the account agreed to."""
    agreed = Conversation.objects.filter(
        account=account, members__did=did, standing=Conversation.Standing.ACCEPTED, blocked=False
    )
    return may_hear_of_a_look(account, did) or agreed.exists()


def may_answer(account: Account, conversation_id: str) -> bool:
    """Whether what tells somebody that a message was seen (reactions, receipts, …) may be sent in the
    conversation with this id (hex); a conversation that is not there yet is the account's own to begin."""
    found = Conversation.objects.filter(account=account, conversation_id=conversation_id).first()
    return found is None or may_be_told(found)


def accepted_among(account: Account, dids: Collection[str]) -> set[str]:
    """Those of these people whom the account accepted, and blocks neither here nor by a record."""
    rows = Contact.objects.filter(account=account, did__in=dids, standing=Contact.Standing.ACCEPTED)
    accepted = set(rows.values_list("did", flat=True))
    return accepted - blocked_among(account.pk, accepted) if accepted else accepted


def let_in(account: Account, conversation: Conversation) -> str:
    """The DID of who began a conversation that is in the list by the account's choice alone: somebody whom it
    never wrote to, nor accepted. Empty if that is nobody."""
    starter = conversation.started_by
    if starter in ("", account.did):
        return ""
    accepted = Contact.objects.filter(account=account, did=starter, standing=Contact.Standing.ACCEPTED)
    return "" if accepted.exists() else starter


def ages_to_learn(account: Account, dids: Collection[str]) -> bool:
    """Whether any of these people is a stranger of whom nobody was asked yet how old their identity is."""
    plc = [did for did in dids if did.startswith("did:plc:")]
    unasked = Contact.objects.filter(
        account=account, did__in=plc, standing=Contact.Standing.NONE, made_asked_at=None
    )
    return bool(plc) and unasked.exists()


def strangers_in(account: Account, conversation: Conversation) -> list[str]:
    """Whom somebody else brought into a group of theirs, of people whom the account never agreed to; nobody
    once the account has written in it."""
    others = [did for did in conversation.participants if did != account.did]
    # What goes out by itself is not writing.
    wrote = Message.objects.filter(
        conversation=conversation,
        direction=Message.Direction.OUT,
        shown=True,
        trust__in=Message.VOUCHED_FOR,
    )
    if len(others) < 2 or conversation.started_by in ("", account.did) or wrote.exists():
        return []
    accepted = Contact.objects.filter(
        account=account, did__in=others, standing=Contact.Standing.ACCEPTED
    ).values_list("did", flat=True)
    known = {*accepted, conversation.started_by}
    return [did for did in others if did not in known]


def accept(account: Account, conversation: Conversation, now: datetime) -> None:
    """Take a request, or one that was declined before, into the list, and its people among those accepted."""
    with transaction.atomic():
        _stand(conversation, Conversation.Standing.ACCEPTED)
        contacts.accept(account, {conversation.started_by: now})
    events.conversation_changed(account.pk, conversation.conversation_id)


def decline(account: Account, conversation: Conversation) -> None:
    """Let a request go away quietly. What comes in it later stays with it."""
    _stand(conversation, Conversation.Standing.DECLINED)
    events.publish(account.pk, "conversations")


def reconsider(account: Account, dids: Iterable[str] | None = None) -> bool:
    """Accept the requests of those who may begin a conversation by now. True if there were any.

    Not those that only claim to be theirs.
    """
    theirs = Message.objects.filter(
        conversation=OuterRef("pk"), sender_did=OuterRef("started_by"), trust__in=Message.VOUCHED_FOR
    )
    waiting = Conversation.objects.filter(account=account, standing=Conversation.Standing.REQUEST)
    if who_may_write(account) != WhoMayWrite.EVERYONE:
        waiting = waiting.filter(Exists(theirs))
    if dids is not None:
        waiting = waiting.filter(started_by__in=list(dids))
    starters = set(waiting.values_list("started_by", flat=True))
    allowed = [did for did in starters if may_begin(account, did)]
    changed = waiting.filter(started_by__in=allowed).update(standing=Conversation.Standing.ACCEPTED)
    if changed:
        events.publish(account.pk, "conversations")
    return bool(changed)


def writer_checked(message: Message, now: datetime) -> None:
    """What follows once the signature of a message holds that could not be checked when it came.

    Call within a transaction; may run twice.
    """
    account, conversation = message.account, message.conversation
    if message.sender_did != account.did:
        reconsider(account, [message.sender_did])
        conversation.refresh_from_db(fields=["standing"])
    elif message.shown:
        _stand(conversation, Conversation.Standing.ACCEPTED)
        contacts.accept(account, dict.fromkeys(conversation.participants, now))


def _stand(conversation: Conversation, standing: Conversation.Standing) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(standing=standing)
    conversation.standing = standing
