"""When browsers are woken, and what they then show: who wrote, never what."""

from __future__ import annotations

import logging
import unicodedata
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Q, Sum
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Account
from webmail import queues
from webmail.conversations import in_list, title_of
from webmail.ordinary import marks
from webmail.people import people_of
from webmail.push import subscriptions
from webmail.text_direction import FIRST_STRONG_ISOLATE, MARKS, POP_ISOLATE

log = logging.getLogger(__name__)

#: Letters of a title; the rest of many or long names is left out.
MOST_TITLE = 120
#: Joins letters in many languages, and what title_of sets names apart with.
_KEPT = frozenset({"\u200c", "\u200d", *MARKS})
#: What arrives within so many seconds is one notice; what is read in them on an open page is none.
GATHER_SECONDS = 3


@dataclass(frozen=True)
class Notice:
    """What a browser shows. `path` is the page that it opens."""

    title: str
    body: str
    path: str


def any_browser(account_pk: int) -> bool:
    """Whether the account has browsers that are woken."""
    return subscriptions.signed_in(account_pk).exists()


def something_came(account_pk: int) -> None:
    """Have the account's browsers woken, once for what comes close together."""
    if cache.add(f"notice:{account_pk}", True, GATHER_SECONDS):
        queues.give(queues.WAKE, account_pk, after_s=GATHER_SECONDS)


def notice_for(account: Account) -> Notice | None:
    """What is new for the account, or None if all was read, or looked at, meanwhile."""
    found = [each for each in (_written(account), _mail(account), _not_delivered(account)) if each]
    if len(found) < 2:
        return found[0] if found else None
    return Notice(found[0].title, " ".join(f"{each.body}." for each in found), reverse("inbox"))


def _written(account: Account) -> Notice | None:
    """Of muted conversations what mentions the account, where it wants to be told of that."""
    mentioned = Q(muted=True, mentions_muted=False, unread_mentions__gt=0)
    unread = in_list(account).filter(Q(muted=False, unread_count__gt=0) | mentioned, archived_at=None)
    unread = unread.order_by("-last_activity")
    newest = unread.first()
    if newest is None:
        return None
    count = unread.count()
    title = _short(title_of(account, newest, people_of([*newest.participants, account.did])))
    # None where it was read since.
    if count <= 1:
        path = reverse("conversation", args=[newest.conversation_id])
        if newest.unread_mentions:
            return Notice(title, _("You were mentioned"), path)
        body = ngettext("%(count)d new message", "%(count)d new messages", newest.unread_count)
        return Notice(title, body % {"count": newest.unread_count}, path)
    body = _("New messages in %(count)d conversations") % {"count": count}
    return Notice(title, body, reverse("inbox"))


def _short(title: str) -> str:
    """Without letters that nobody sees, no longer than systems show; what isolates a name ends with it."""
    seen = "".join(letter for letter in title if letter in _KEPT or unicodedata.category(letter) != "Cf")
    if len(seen) <= MOST_TITLE:
        return seen
    cut = seen[: MOST_TITLE - 2]
    left_open = cut.count(FIRST_STRONG_ISOLATE) - cut.count(POP_ISOLATE)
    return f"{cut}{POP_ISOLATE * left_open}\u2026"


def _not_delivered(account: Account) -> Notice | None:
    """Also of muted conversations: what was written there has to arrive all the same."""
    rows = in_list(account).filter(undelivered__gt=0)
    count = rows.aggregate(number=Sum("undelivered"))["number"] or 0
    if not count:
        return None
    body = ngettext("%(count)d message was not delivered", "%(count)d messages were not delivered", count)
    return Notice(_("Not delivered"), body % {"count": count}, reverse("undelivered"))


def _mail(account: Account) -> Notice | None:
    """Without the sender: nobody vouches for who that is."""
    count = marks.count_waiting(account)
    if not count:
        return None
    body = ngettext("%(count)d unread mail, not sealed", "%(count)d unread mails, not sealed", count)
    return Notice(_("Ordinary mail"), body % {"count": count}, reverse("ordinary-mails"))
