"""Going on with other people, which makes another conversation: it is its set of people (protocol §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.models import Account
from crypto_agent.client import NewGroupUpdate, NewMessage
from webmail import disappearing
from webmail.conversations import others_in, row, with_people
from webmail.models import Conversation
from webmail.outgoing import typed_message
from webmail.people import people_of


@dataclass(frozen=True)
class Following:
    """What goes out with the first message. `what`: "name" of the group that they are, or "told" in the
    conversation that goes on."""

    what: str
    recipients: list[str]
    message: NewMessage


def what_follows(
    account: Account, former: Conversation, recipients: Sequence[str], told: str
) -> list[Following]:
    """With the first message to other people than those of ``former``: its name is given to theirs, unless
    that has one, and ``told``, unless empty, says in ``former`` where it goes on. Raises CannotSend."""
    found = []
    there = with_people(account, recipients)
    name = row(account, former).name
    if name and len(recipients) > 1 and (there is None or there.named_by_id is None):
        update = NewMessage(group_update=NewGroupUpdate(title=name))
        found.append(Following("name", list(recipients), update))
    if told and not former.blocked:
        others = others_in(account, former)
        expires = disappearing.chosen(former)
        message = typed_message(others, told, in_reply_to=None, topic_id=None, expires=expires, needed=True)
        found.append(Following("told", others, message))
    return found


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
