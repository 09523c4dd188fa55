"""The access token of a session, refreshed by one process at a time.

Refresh tokens rotate, and a server that sees an old one again ends the whole session. So a refresh happens
under a lock on the session's row, and its result is committed before anybody uses it.
"""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from joserfc.jwk import ECKey

from accounts import oauth, token_encryption
from accounts.models import OAuthSession

#: A token this close to its end is renewed first.
RENEW_BEFORE = timedelta(seconds=60)


class SignInAgain(Exception):
    """The person's server has ended the session (or it is unreadable here): only signing in again helps."""

    code = "sign-in-again"


def access_token(session: OAuthSession, *, refused: str | None = None) -> tuple[str, ECKey]:
    """A valid access token with its DPoP key.

    ``refused`` is a token that the PDS did not accept: a different one is returned. Raises SignInAgain (the
    session's row is gone then), or SignInError with another code when the server cannot be asked just now.
    Must not be called inside a transaction.
    """
    current = OAuthSession.objects.filter(pk=session.pk).first()
    if current is None:
        raise SignInAgain(_("The session has ended. Sign in again."))
    if not _must_refresh(current, refused):
        return _unsealed(current)
    try:
        with transaction.atomic(durable=True):
            locked = OAuthSession.objects.select_for_update().filter(pk=session.pk).first()
            if locked is None:
                raise SignInAgain(_("The session has ended. Sign in again."))
            if _must_refresh(locked, refused):
                _refresh(locked)
    except oauth.SignInError as error:
        if error.code != "expired":
            raise
        OAuthSession.objects.filter(pk=session.pk).delete()
        raise SignInAgain(_("Your server has ended the session. Sign in again.")) from error
    return _unsealed(locked)


def _must_refresh(session: OAuthSession, refused: str | None) -> bool:
    if session.access_expires_at <= timezone.now() + RENEW_BEFORE:
        return True
    return refused is not None and _unsealed(session)[0] == refused


def _refresh(session: OAuthSession) -> None:
    _, key = _unsealed(session)
    refresh_token = token_encryption.unseal(session.sealed_refresh_token)
    tokens = oauth.refresh(session.issuer, key, refresh_token, session.account.did)
    now = timezone.now()
    session.sealed_access_token = token_encryption.seal(tokens.access_token)
    session.sealed_refresh_token = token_encryption.seal(tokens.refresh_token)
    session.scope = tokens.scope
    session.access_expires_at = now + timedelta(seconds=tokens.expires_in)
    session.refreshed_at = now
    session.save()


def _unsealed(session: OAuthSession) -> tuple[str, ECKey]:
    try:
        return token_encryption.unseal(session.sealed_access_token), oauth.unsealed_key(
            session.sealed_dpop_key
        )
    except token_encryption.TokenUnreadable as error:
        raise SignInAgain(_("The session cannot be read any more. Sign in again.")) from error
