"""Whose servers are not asked, or not at once, who signed what they wrote, so that they learn nothing by it.

For an account whose keys may be locked, opening a message says when they were unlocked; and somebody who is
blocked is to see nothing that depends on the account at all.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from accounts.models import Account
from webmail import consent
from webmail.blocked import blocked_among
from webmail.models import Conversation

#: While they are blocked.
BLOCKED = "signer-blocked"
#: At some time until WITHIN has passed.
LATER = "signer-asked-later"
WITHIN = timedelta(minutes=30)


def left_alone(account: Account, signed: Collection[tuple[str, str]]) -> dict[str, str]:
    """The DIDs among those that signed something, each with the conversation (its hex id) that it is in,
    whose servers are to be left alone, and as which of the codes."""
    dids = {did for did, _conversation in signed} - {account.did}
    found = dict.fromkeys(blocked_among(account.pk, dids) if dids else (), BLOCKED)
    others = dids - found.keys()
    if not account.may_lock or not others:
        return found
    agreed = set(
        Conversation.objects.filter(
            account=account,
            conversation_id__in={conversation for _did, conversation in signed},
            standing=Conversation.Standing.ACCEPTED,
        ).values_list("conversation_id", flat=True)
    )
    known = consent.accepted_among(account, others)
    known |= {did for did, conversation in signed if conversation in agreed}
    return {**found, **dict.fromkeys(others - known, LATER)}
