"""Browsers that are signed in, without a server that says who they are."""

from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from accounts.models import Account, OAuthSession
from accounts.sessions import OAUTH_SESSION_KEY


def cookies_of_new_browser(account: Account) -> dict[str, str]:
    """What a browser holds that has just signed in to the account, for a day."""
    browser = SessionStore()
    browser.create()
    assert browser.session_key is not None
    session = OAuthSession.objects.create(
        account=account,
        issuer="http://localhost:1",
        scope="atproto",
        sealed_access_token=b"",
        sealed_refresh_token=b"",
        sealed_dpop_key=b"",
        access_expires_at=timezone.now() + timedelta(days=1),
        session_key=browser.session_key,
        seen_at=timezone.now(),
    )
    browser[OAUTH_SESSION_KEY] = session.pk
    browser.save()
    return {settings.SESSION_COOKIE_NAME: browser.session_key}
