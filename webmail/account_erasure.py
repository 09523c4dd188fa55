"""Erasing an account from this installation: what is published, its keys, its mailbox, its rows."""

from __future__ import annotations

import logging
from typing import Any

from accounts import enrolment, oauth
from accounts.models import Account
from crypto_agent.client import AgentClient
from webmail import account_import
from webmail.blobs import attaching
from webmail.mailbox import FOLDERS, open_mailbox

log = logging.getLogger(__name__)


def erase(
    account: Account,
    client: AgentClient,
    *,
    assertion: dict[str, Any] | None = None,
    tell_server: bool = True,
) -> None:
    """Leaves nothing of the account here but the agent's audit log.

    The keys go first, so that whatever is left opens no more; ``assertion`` is the passkey's answer, where
    the account requires it. Then the person's own server is told, unless ``tell_server`` is False. Raises one
    of failures.PUBLISHING or MailboxError; run it again then.
    """
    client.erase_account(account.did, assertion=assertion)
    if tell_server:
        enrolment.withdraw_everything(account)
    # From here on nothing more is pulled or renewed for it.
    account.enrolled_at = None
    account.save(update_fields=["enrolled_at"])
    _empty_mailbox(account.did)
    account_import.forget(account)
    attaching.forget_all(account)
    for session in account.oauth_sessions.all():
        if not oauth.revoke(session):
            log.warning("%s could not be told that a session has ended", session.issuer)
    did = account.did
    account.delete()
    # What came in the meantime; for an account that is gone nothing more does.
    _empty_mailbox(did)


def _empty_mailbox(did: str) -> None:
    with open_mailbox(did) as mailbox:
        for folder in FOLDERS:
            mailbox.expunge(folder, mailbox.uids_after(folder, 0))
