"""Blocking somebody, and what follows from it for conversations and messages.

What somebody wrote before they were blocked stays, out of sight, and is back when they are not blocked any
more. What they write meanwhile is not dropped either: it is opened and archived as ever, since its keys are
destroyed within two weeks, and set aside for 30 days, in which the account can look at it if it asks for it.
Of each person's messages the newest 100 are kept so; the pages say both.

The sender can tell none of this: the envelope was acknowledged before anybody knew whose it was.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import Account
from webmail import contacts, disappearing, events, put_off, signers_left_alone, topics
from webmail.blocked import blocked_since
from webmail.mailbox import ARCHIVE, open_mailbox
from webmail.mailbox.envelope_mail import archive_message_id
from webmail.models import Contact, Conversation, GraphEntry, Message
from webmail.people import Person, people_of
from webmail.recounting import recount

#: How long what somebody blocked writes is kept, and how many messages of each.
KEPT = timedelta(days=30)
MOST_KEPT = 100


def block(account: Account, did: str, now: datetime) -> None:
    """Block somebody; what they wrote leaves the sight of the account. Nobody is told."""
    contacts.know(account, {did: now})
    Contact.objects.filter(account=account, did=did).exclude(standing=Contact.Standing.BLOCKED).update(
        standing=Contact.Standing.BLOCKED, blocked_at=now
    )
    bring_in_line(account, [did])


def unblock(account: Account, did: str) -> None:
    """Block somebody here no longer: what they wrote is where it was.

    They are as good as new, unless the account had written to them before. A public record of the account's
    own repository that blocks them holds on.
    """
    # What goes out by itself is not writing.
    wrote = any(
        did in participants
        for participants in Conversation.objects.filter(
            account=account,
            messages__direction=Message.Direction.OUT,
            messages__shown=True,
            messages__trust__in=Message.VOUCHED_FOR,
        )
        .distinct()
        .values_list("participants", flat=True)
    )
    standing = Contact.Standing.ACCEPTED if wrote else Contact.Standing.NONE
    Contact.objects.filter(account=account, did=did, standing=Contact.Standing.BLOCKED).update(
        standing=standing, blocked_at=None
    )
    bring_in_line(account, [did])


@dataclass(frozen=True)
class BlockedPerson:
    """`here`: the account blocked them here; `by_record`: a public record of its own repository does."""

    person: Person
    since: datetime
    here: bool
    by_record: bool
    set_aside: int


def blocked_people(account: Account) -> list[BlockedPerson]:
    """Everybody whom the account blocks, last blocked first."""
    since = blocked_since(account)
    here = set(
        Contact.objects.filter(account=account, standing=Contact.Standing.BLOCKED).values_list(
            "did", flat=True
        )
    )
    entries = GraphEntry.objects.filter(account=account, kind=GraphEntry.Kind.BLOCK)
    by_record = set(entries.values_list("did", flat=True))
    kept = Message.objects.filter(account=account, aside=Message.Aside.BLOCKED)
    counts = dict(kept.values_list("sender_did").order_by().annotate(Count("pk")))
    people = people_of(since)
    found = [
        # Without their picture, which would be fetched from their own server.
        BlockedPerson(
            replace(people[did], has_avatar=False), moment, did in here, did in by_record, counts.get(did, 0)
        )
        for did, moment in since.items()
    ]
    return sorted(found, key=lambda each: each.since, reverse=True)


def blocks_by_record(account: Account, did: str) -> bool:
    """Whether a public record of the account's own repository blocks this DID."""
    return GraphEntry.objects.filter(account=account, did=did, kind=GraphEntry.Kind.BLOCK).exists()


def bring_in_line(account: Account, dids: Collection[str]) -> None:
    """Let messages and conversations say what the account's blocks of these people ask for."""
    since = blocked_since(account)
    touched: set[int] = set()
    for did in dids:
        of_them = Message.objects.filter(account=account, sender_did=did)
        with transaction.atomic():
            if did in since:
                moving = of_them.filter(aside=Message.Aside.NO, forgotten_at=None)
                later = Q(placed_at__gte=since[did])
                touched |= set(moving.values_list("conversation_id", flat=True))
                moving.filter(shown=False).update(aside=Message.Aside.QUIET)
                moving.filter(later).update(shown=False, unread=False, aside=Message.Aside.BLOCKED)
                moving.exclude(later).update(shown=False, unread=False, aside=Message.Aside.BEFORE)
            else:
                moving = of_them.exclude(aside__in=[Message.Aside.NO, Message.Aside.LEFT])
                touched |= set(moving.values_list("conversation_id", flat=True))
                after_leaving = moving.filter(placed_at__gte=F("conversation__left_at"))
                after_leaving.exclude(aside=Message.Aside.QUIET).update(aside=Message.Aside.LEFT)
                would_be_shown = moving.filter(aside__in=Message.WOULD_BE_SHOWN, forgotten_at=None)
                # It comes back as read.
                disappearing.begin(would_be_shown, timezone.now())
                would_be_shown.update(shown=True, aside=Message.Aside.NO)
                moving.update(aside=Message.Aside.NO)
                # Nobody asked their server meanwhile.
                of_them.filter(trust_code=signers_left_alone.BLOCKED).update(next_check_at=timezone.now())
            topics.bring_in_line(of_them)
        touched |= _with(account, did)
    recount(account, touched)
    events.publish(account.pk, "conversations")
    freed = [pk for did in dids if did not in since for pk in _with(account, did)]
    put_off.let_go(account, freed, now=timezone.now())


def prune(now: datetime) -> int:
    """Remove what was kept of blocked people for long enough, here and in the archive; how many messages.

    Raises MailboxError; what was removed so far stays so.
    """
    kept = Message.objects.filter(aside=Message.Aside.BLOCKED)
    over = set(kept.filter(placed_at__lt=now - KEPT).values_list("pk", flat=True))
    too_many = kept.values("account_id", "sender_did").order_by().annotate(number=Count("pk"))
    for each in too_many.filter(number__gt=MOST_KEPT):
        of_one = kept.filter(account_id=each["account_id"], sender_did=each["sender_did"])
        over |= set(of_one.order_by("-placed_at", "-pk").values_list("pk", flat=True)[MOST_KEPT:])
    over |= _quiet_with(over) | _quiet_for_long(now)
    rows = Message.objects.filter(pk__in=over, archived_at__isnull=False).select_related("account")
    removed = 0
    for message in rows.order_by("account_id"):
        with open_mailbox(message.account.did) as mailbox:
            mailbox.expunge(ARCHIVE, mailbox.find(ARCHIVE, archive_message_id(message.message_id)))
        message.delete()
        removed += 1
    return removed


def _quiet_with(over: set[int]) -> set[int]:
    """Edits of these messages, and what else answers them quietly, by the same people."""
    going = Message.objects.filter(
        pk__in=over, account=OuterRef("account"), sender_did=OuterRef("sender_did")
    )
    edit_them = Exists(going.filter(message_id=OuterRef("replaces")))
    answer_them = Exists(going.filter(message_id=OuterRef("in_reply_to")))
    # The edit of an answer names what that answers too, and goes with the answer alone.
    quiet = Message.objects.filter(edit_them | Q(answer_them, replaces=""), aside=Message.Aside.QUIET)
    return set(quiet.values_list("pk", flat=True)) if over else set()


def _quiet_for_long(now: datetime) -> set[int]:
    """Edits, reactions and such that blocked people made since they were blocked, kept for long enough.

    Of each message that is here its newest version stays, so that what was taken back does not come back.
    """
    quiet = Message.objects.filter(aside=Message.Aside.QUIET, placed_at__lt=now - KEPT).order_by()
    senders: dict[int, set[str]] = {}
    for account_id, did in quiet.values_list("account_id", "sender_did").distinct():
        senders.setdefault(account_id, set()).add(did)
    over: set[int] = set()
    for account in Account.objects.filter(pk__in=senders):
        for did, since in blocked_since(account).items():
            if did in senders[account.pk]:
                of_one = quiet.filter(account=account, sender_did=did, placed_at__gte=since)
                over |= set(of_one.values_list("pk", flat=True)) - _newest_versions(of_one)
    return over


def _newest_versions(quiet: QuerySet[Message]) -> set[int]:
    """Those of these that are the newest of the versions among them of messages that are here."""
    originals = Message.objects.filter(
        conversation=OuterRef("conversation"),
        message_id=OuterRef("replaces"),
        sender_did=OuterRef("sender_did"),
        replaces="",
        forgotten_at=None,
    )
    versions = quiet.exclude(replaces="").filter(Exists(originals), trust__in=Message.VOUCHED_FOR)
    of_each = versions.order_by("created_at", "pk").values_list("conversation", "replaces", "pk")
    return set({(conversation, replaces): pk for conversation, replaces, pk in of_each}.values())


def _with(account: Account, did: str) -> set[int]:
    """The conversations that somebody is in."""
    return set(Conversation.objects.filter(account=account, members__did=did).values_list("pk", flat=True))


def set_aside(account: Account, did: str) -> tuple[list[Message], int]:
    """What somebody wrote while they were blocked, newest first, and how many messages that is."""
    rows = _set_aside(account, did)
    return list(rows.select_related("conversation").order_by("-placed_at", "-pk")[:MOST_KEPT]), rows.count()


def looked_at(account: Account, did: str, message_ids: Collection[str], *, now: datetime) -> None:
    """The account has read these of what is set aside of somebody: what disappears after that begins to."""
    disappearing.begin(_set_aside(account, did).filter(message_id__in=message_ids), now)


def _set_aside(account: Account, did: str) -> QuerySet[Message]:
    return Message.objects.filter(
        account=account, sender_did=did, aside=Message.Aside.BLOCKED, forgotten_at=None
    )
