"""Going on with other people, which makes another conversation: it is its set of people (protocol §6)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import NAMESPACE_URL, uuid5

from django.utils.translation import gettext as _

from accounts.models import Account
from webmail.conversations import others_in, row
from webmail.group_page import name_group
from webmail.groups import is_group
from webmail.models import Conversation, Message
from webmail.outgoing import CannotSend, send
from webmail.people import people_of


def go_on_from(account: Account, former: Conversation, first: Message, *, tell: bool, token: str) -> None:
    """After the first message to other people than those of ``former``: its name is given to their
    conversation, and with ``tell`` a message in ``former`` says where it goes on.

    May run twice with one token. What of it can't be sent is left out, since the first message is on its way.
    """
    there = first.conversation
    if there.pk == former.pk:
        return
    name = row(account, former).name
    if name and is_group(there) and there.named_by_id is None:
        with suppress(CannotSend):
            name_group(account, there, name, _token(token, "name"))
    if tell:
        words = goes_on_words(former.participants, there.participants)
        with suppress(CannotSend):
            send(account, others_in(account, former), words, _token(token, "told"))


def goes_on_words(former: Sequence[str], there: Sequence[str]) -> str:
    """The sentence for those of the former conversation, given everybody's DIDs before and after."""
    people = people_of([*former, *there])
    added = ", ".join(people[did].name for did in there if did not in former)
    left = ", ".join(people[did].name for did in former if did not in there)
    if added and left:
        return _("I go on in another conversation, with %(added)s and without %(left)s.") % {
            "added": added,
            "left": left,
        }
    if added:
        return _("I go on in a wider conversation, with %(added)s as well.") % {"added": added}
    return _("I go on in a narrower conversation, without %(left)s.") % {"left": left}


def _token(token: str, what: str) -> str:
    """The same one again for the same page, so that what is sent twice is sent once."""
    return str(uuid5(NAMESPACE_URL, f"{token}/{what}"))
