"""What goes out with the first message of a conversation: the name of the group that it begins, and where
another one goes on by it. That makes another conversation, which is its set of people (protocol §6).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.models import Account
from crypto_agent.client import NewMessage
from webmail import disappearing
from webmail.conversations import others_in, row, with_people
from webmail.draft_content import DraftContent
from webmail.group_page import naming_message
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
    account: Account, former: Conversation | None, recipients: Sequence[str], content: DraftContent
) -> list[Following]:
    """With the first message to these people: their group, unless it has a name, gets the one of ``content``
    or else of ``former``, the conversation that goes on with them, where ``content`` may say so as well.
    Raises CannotSend."""
    found = []
    name = content.name or (row(account, former).name if former else "")
    if name and may_be_named(account, recipients):
        found.append(Following("name", list(recipients), naming_message(name)))
    if former and content.told and not former.blocked:
        others, told = others_in(account, former), content.told
        expires = disappearing.chosen(former)
        message = typed_message(others, told, in_reply_to=None, topic_id=None, expires=expires, needed=True)
        found.append(Following("told", others, message))
    return found


def may_be_named(account: Account, dids: Collection[str]) -> bool:
    """Whether these people and the account are a group that nobody gave a name yet."""
    if len({account.did, *dids}) < 3:
        return False
    there = with_people(account, list(dids))
    return there is None or there.named_by_id is None


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
