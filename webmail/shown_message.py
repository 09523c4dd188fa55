"""The message whose files and pictures may be shown to its reader: whose it is, who vouches for it, and what
it says now."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import Account
from crypto_agent.client import SealedContent
from webmail import consent
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.edits import newest_edits
from webmail.models import Message


@dataclass(frozen=True, repr=False)
class ShownMessage:
    """A message as it came, and the row that holds what it says now, which may be the same."""

    message: Message
    newest: Message

    @property
    def sealed(self) -> SealedContent:
        """What the agent opens."""
        return SealedContent(
            self.message.conversation.conversation_id, self.newest.message_id, bytes(self.newest.sealed)
        )


def may_be_kept(account: Account, *versions: Message) -> bool:
    """Whether a browser may keep what these versions of a message show: not what a lock keeps shut, nor what
    is to disappear."""
    stays = all(each.expires_at is None and not each.expires_after for each in versions)
    return stays and not account.may_lock


def shown_message(account: Account, message_id: str) -> ShownMessage:
    """The message of an account with this id, if what it brings along may be given out.

    Raises CannotFetch: "no-such-file" where it is not there or its signer is not vouched for, "not-accepted"
    where it was kept aside or nobody agreed to its conversation yet.
    """
    message = (
        Message.objects.filter(
            account=account, message_id=message_id, forgotten_at=None, trust__in=Message.VOUCHED_FOR
        )
        .select_related("conversation")
        .first()
    )
    if message is None:
        raise CannotFetch("no-such-file", 404)
    if message.aside or not consent.may_be_told(message.conversation):
        raise CannotFetch("not-accepted", 403)
    return ShownMessage(message, newest_edits([message]).get(message.pk, message))
