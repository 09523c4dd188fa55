"""The access token of a session, refreshed by one process at a time.

Refresh tokens rotate, and a server that sees an old one again ends the whole session. So whoever refreshes
one claims its row first, and the result is committed before anybody uses it. The server is asked outside of
any transaction: in SQLite all others that write would wait for it.
"""

import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from joserfc.jwk import ECKey

from accounts import oauth, token_encryption
from accounts.models import OAuthSession

#: A token this close to its end is renewed first.
RENEW_BEFORE = timedelta(seconds=60)
#: Longer than a refresh takes; after this one that a killed process had begun counts no more.
CLAIMED_FOR = timedelta(seconds=120)
#: How often whoever waits for another's refresh looks whether it is done.
LOOK_SECONDS = 0.1


class SignInAgain(Exception):
    """The person's server has ended the session (or it is unreadable here): only signing in again helps."""

    code = "sign-in-again"


def access_token(session: OAuthSession, *, refused: str | None = None) -> tuple[str, ECKey]:
    """A valid access token with its DPoP key.

    ``refused`` is a token that the PDS did not accept: a different one is returned. Raises SignInAgain (the
    session's row is gone then), or SignInError with another code when the server cannot be asked just now.
    Must not be called inside a transaction.
    """
    current = _read(session)
    while _must_refresh(current, refused):
        if until := _claim(current):
            _refresh(current, until)
            break
        time.sleep(LOOK_SECONDS)
        current = _read(session)
    return _unsealed(current)


def _read(session: OAuthSession) -> OAuthSession:
    current = OAuthSession.objects.filter(pk=session.pk).first()
    if current is None:
        raise SignInAgain(_("The session has ended. Sign in again."))
    return current


def _must_refresh(session: OAuthSession, refused: str | None) -> bool:
    if session.access_expires_at <= timezone.now() + RENEW_BEFORE:
        return True
    return refused is not None and _unsealed(session)[0] == refused


def _claim(session: OAuthSession) -> datetime | None:
    """Until when the caller alone may refresh it, with the refresh token that was read; None if not now."""
    now = timezone.now()
    until = now + CLAIMED_FOR
    unclaimed = Q(refreshing_until__isnull=True) | Q(refreshing_until__lte=now)
    as_read = OAuthSession.objects.filter(
        unclaimed, pk=session.pk, sealed_refresh_token=bytes(session.sealed_refresh_token)
    )
    with transaction.atomic(durable=True):
        return until if as_read.update(refreshing_until=until) == 1 else None


def _refresh(session: OAuthSession, until: datetime) -> None:
    """Refreshes a session that was claimed ``until`` then, and lets go of it, whatever comes of it."""
    row = OAuthSession.objects.filter(pk=session.pk)
    try:
        _ask_for_tokens(session)
    except oauth.SignInError as error:
        if error.code != "expired":
            raise
        row.delete()
        raise SignInAgain(_("Your server has ended the session. Sign in again.")) from error
    finally:
        # After a long pause the claim may be another's.
        row.filter(refreshing_until=until).update(refreshing_until=None)


def _ask_for_tokens(session: OAuthSession) -> None:
    _token, key = _unsealed(session)
    refresh_token = token_encryption.unseal(session.sealed_refresh_token)
    tokens = oauth.refresh(session.issuer, key, refresh_token, session.account.did)
    now = timezone.now()
    session.sealed_access_token = token_encryption.seal(tokens.access_token)
    session.sealed_refresh_token = token_encryption.seal(tokens.refresh_token)
    session.scope = tokens.scope
    session.access_expires_at = now + timedelta(seconds=tokens.expires_in)
    session.refreshed_at = now
    names = ("sealed_access_token", "sealed_refresh_token", "scope", "access_expires_at", "refreshed_at")
    with transaction.atomic(durable=True):
        kept = OAuthSession.objects.filter(pk=session.pk).update(**{n: getattr(session, n) for n in names})
    if not kept:
        # Signed out meanwhile; the server is told of the tokens that came after.
        oauth.tell_ended(session)
        raise SignInAgain(_("The session has ended. Sign in again."))


def _unsealed(session: OAuthSession) -> tuple[str, ECKey]:
    try:
        return token_encryption.unseal(session.sealed_access_token), oauth.unsealed_key(
            session.sealed_dpop_key
        )
    except token_encryption.TokenUnreadable as error:
        raise SignInAgain(_("The session cannot be read any more. Sign in again.")) from error
