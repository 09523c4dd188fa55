"""Which browser has unlocked its account's keys, and what is told to others when one does or no longer has.

The agent's token is kept in the browser's session alone, encrypted as OAuth tokens are. The agent decides
whether it still unlocks anything; what is known here only spares asking.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.sessions.backends.base import SessionBase
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts import token_encryption
from accounts.agent import agent, unlocked_by
from accounts.models import Account
from crypto_agent.client import AgentError, Custody, Secret, UnlockSession

log = logging.getLogger(__name__)

#: In the browser's session.
SESSION_KEY = "unlock"
#: For how long a browser may open the keys, in seconds.
USUAL_LIFETIME_S = 28_800

#: Sent with ``account`` when one of its browsers has unlocked it, and when one has locked it.
account_unlocked = Signal()
account_locked = Signal()


@dataclass(frozen=True)
class BrowserUnlock:
    """What a browser has to show to the agent, and until when at most that helps."""

    token: str
    until: datetime

    def __repr__(self) -> str:
        return f"BrowserUnlock(until={self.until.isoformat()})"


def unlock(request: HttpRequest, account: Account, secret: Secret, *, lifetime_s: int) -> None:
    """Unlocks the account for this browser. Raises AgentError as AgentClient.unlock does."""
    keep(request, account, agent().unlock(account.did, secret, lifetime_s=lifetime_s))


def keep(request: HttpRequest, account: Account, session: UnlockSession) -> None:
    """Binds the browser to an unlock session that the agent made for it, in place of the one before."""
    request.session[SESSION_KEY] = {
        "did": account.did,
        "token": token_encryption.seal(session.token).decode(),
        "until": session.expires_at.isoformat(),
    }
    note_unlocked(account)


def note_unlocked(account: Account) -> None:
    """What waited for the account's keys can go on."""
    Account.objects.filter(pk=account.pk).update(unlocked_at=timezone.now())
    account_unlocked.send(sender=Account, account=account)


def lock(request: HttpRequest, account: Account, *, everywhere: bool) -> None:
    """Ends this browser's unlock session, or all of the account. Raises AgentError if nothing ended."""
    if account.may_lock:
        agent().lock_now(account.did, everywhere=everywhere)
    forget(request)
    account_locked.send(sender=Account, account=account)


def forget(request: HttpRequest) -> None:
    """Drops what the browser would show to the agent."""
    request.session.pop(SESSION_KEY, None)


def end_quietly(session: SessionBase, account: Account) -> None:
    """As ``lock`` for the browser with that session, for a sign-out: that the agent is away keeps nobody
    signed in. The session is left to be saved."""
    if SESSION_KEY not in session:
        return
    kept = _in_session(session, account, timezone.now())
    session.pop(SESSION_KEY)
    try:
        with unlocked_by(kept.token if kept else None):
            if account.may_lock:
                agent().lock_now(account.did, everywhere=False)
    except AgentError as error:
        log.warning("an unlock session of account %s ends by itself: %s", account.pk, error.code)
        return
    account_locked.send(sender=Account, account=account)


def of(request: HttpRequest, account: Account, now: datetime) -> BrowserUnlock | None:
    """What this browser has kept for the account and can still use."""
    return _in_session(request.session, account, now)


def _in_session(session: SessionBase, account: Account, now: datetime) -> BrowserUnlock | None:
    kept = session.get(SESSION_KEY)
    if not isinstance(kept, Mapping) or kept.get("did") != account.did:
        return None
    until = parse_datetime(str(kept.get("until")))
    if until is None or until <= now:
        return None
    try:
        return BrowserUnlock(token_encryption.unseal(str(kept.get("token")).encode()), until)
    except token_encryption.TokenUnreadable:
        return None


def token_of(request: HttpRequest, account: Account, now: datetime) -> str | None:
    """The token for the calls of this browser."""
    kept = of(request, account, now)
    return kept.token if kept else None


def note_custody(account: Account) -> Custody:
    """What the agent says of the account's keys now, also kept in its row. Raises AgentError."""
    found = agent().custody(account.did)
    noted = {
        "custody": Account.Custody(found.mode),
        "passkey_required": found.passkey_required,
        "custody_checked_at": timezone.now(),
    }
    Account.objects.filter(pk=account.pk).update(**noted)
    for name, value in noted.items():
        setattr(account, name, value)
    return found
