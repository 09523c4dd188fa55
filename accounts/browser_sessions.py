"""Where browsers' sessions are kept: Django's own store, which nearly every request asks, but its query is
prepared."""

from __future__ import annotations

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.prepared_rows import PreparedRows

_BY_KEY = PreparedRows(lambda key: Session.objects.filter(session_key=key))


class SessionStore(db.SessionStore):
    """One browser's session. What is in it is signed for a store of this name."""

    def _get_session_from_db(self) -> Session | None:
        key = self.session_key
        found = _BY_KEY.one(key) if key else None
        if found is None or found.expire_date <= timezone.now():
            self._session_key = None
            return None
        return found
