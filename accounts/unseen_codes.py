"""A recovery code that was made and that nobody has said yet to have written down.

It is shown once, in the answer that makes it, and that answer may get lost: behind a second press of the
button, or on the way. The browser's session keeps that there was one, and not the code.
"""

from collections.abc import Mapping

from django.http import HttpRequest

from accounts.models import Account

_SESSION_KEY = "unseen_code"


def note_shown(request: HttpRequest, account: Account, written: str) -> None:
    """A code is in the answer to this request, with `written`, a name to be said by whoever has it."""
    request.session[_SESSION_KEY] = {"did": account.did, "written": written}


def note_written(request: HttpRequest) -> None:
    """Whoever comes from the page of a code may say that it is written down."""
    kept = request.session.get(_SESSION_KEY)
    if isinstance(kept, Mapping) and request.GET.get("written", "") == kept.get("written"):
        del request.session[_SESSION_KEY]


def is_unseen(request: HttpRequest, account: Account) -> bool:
    """Whether the newest code that was made in this browser may have been seen by nobody."""
    kept = request.session.get(_SESSION_KEY)
    return isinstance(kept, Mapping) and kept.get("did") == account.did
