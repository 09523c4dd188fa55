"""The browsers in which an account is signed in: a list of them, and signing one or all of them out.

A browser is signed in for as long as its OAuthSession lives, which knows the key of its own session.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth import SESSION_KEY as STAFF_SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils import timezone

from accounts import oauth, unlocking
from accounts.agent import agent
from accounts.browser_sessions import SessionStore
from accounts.models import Account, OAuthSession
from accounts.user_agents import browser_and_system
from crypto_agent.client import AgentError

logger = logging.getLogger(__name__)

#: How exactly it is noted when a browser was last there.
TO_THE_DAY = timedelta(days=1)

#: Sent with ``session`` (OAuthSession) before it ends because somebody signs its browser out, and with
#: ``account`` when all of its browsers are signed out.
signed_out = Signal()
signed_out_everywhere = Signal()
#: Sent with ``former`` and ``session`` where a browser that was signed in signs in again.
signed_in_again = Signal()


@dataclass(frozen=True)
class Browser:
    """One of the list; ``here`` says that it is the one that asks. ``name`` and ``system`` may be empty."""

    id: int
    name: str
    system: str
    signed_in_at: datetime
    seen_at: datetime | None
    here: bool


def note(request: HttpRequest, session: OAuthSession, now: datetime) -> None:
    """Note the browser that is signed in by this session, and when it was there; mostly that is known."""
    key = request.session.session_key or ""
    if session.session_key == key and session.seen_at is not None and now - session.seen_at < TO_THE_DAY:
        return
    name, system = browser_and_system(request.headers.get("User-Agent", ""))
    OAuthSession.objects.filter(pk=session.pk).update(
        session_key=key, seen_at=now, browser=name, system=system
    )


def signed_in_browsers(account: Account, here: OAuthSession | None) -> list[Browser]:
    """The one that asks first, then those that signed in last."""
    found = [
        Browser(
            id=session.pk,
            name=session.browser,
            system=session.system,
            signed_in_at=session.created_at,
            seen_at=session.seen_at,
            here=here is not None and session.pk == here.pk,
        )
        for session in alive(account.oauth_sessions.all())
    ]
    return sorted(found, key=lambda browser: (not browser.here, -browser.signed_in_at.timestamp()))


def alive(sessions: QuerySet[OAuthSession]) -> QuerySet[OAuthSession]:
    """Those of them whose browsers are signed in; the others wait for nobody any more."""
    return sessions.filter(session_key__in=_living_keys())


def sign_out(account: Account, session_pk: int) -> bool:
    """Sign one of the account's browsers out; False if it is none of them."""
    session = account.oauth_sessions.filter(pk=session_pk).first()
    if session is None:
        return False
    signed_out.send(sender=OAuthSession, session=session)
    _end_here(session)
    _tell_server([session])
    return True


def sign_out_everywhere(account: Account) -> None:
    """Sign all browsers of the account out, and lock its keys if they can be."""
    sessions = list(account.oauth_sessions.all())
    signed_out_everywhere.send(sender=Account, account=account)
    account.oauth_sessions.all().delete()
    if account.may_lock:
        try:
            agent().lock_now(account.did, everywhere=True)
        except AgentError as error:
            logger.warning("unlock sessions of account %s end by themselves: %s", account.pk, error.code)
    for session in sessions:
        _end_here(session)
    _tell_server(sessions)


def forget_ended() -> None:
    """Forget the keys of browsers' sessions that have ended."""
    rows = OAuthSession.objects.exclude(session_key="")
    rows.exclude(session_key__in=_living_keys()).update(session_key="")


def _end_here(session: OAuthSession) -> None:
    """What it opens ends before anybody else is asked."""
    account, key = session.account, session.session_key
    # Without its key in the database the row still has what the server is told with.
    OAuthSession.objects.filter(pk=session.pk).delete()
    if not key:
        return
    browser = SessionStore(key)
    unlocking.end_quietly(browser, account)
    if STAFF_SESSION_KEY not in browser:
        browser.delete()
        return
    # An administrator stays signed in to the admin pages.
    for name in list(browser.keys()):
        if not name.startswith("_auth_user"):
            del browser[name]
    # It may have ended meanwhile.
    with suppress(UpdateError):
        browser.save(must_create=False)


def _tell_server(sessions: list[OAuthSession]) -> None:
    """The person's own servers, each until it does not answer."""
    away: set[str] = set()
    for session in sessions:
        if session.issuer not in away and not oauth.tell_ended(session):
            logger.warning("%s could not be told of a sign-out", session.issuer)
            away.add(session.issuer)


def _living_keys() -> QuerySet[Session, str]:
    return Session.objects.filter(expire_date__gt=timezone.now()).values_list("session_key", flat=True)
