"""Which account a page belongs to that posts, and that it acts for no other one.

One browser may show pages of two accounts: those of the one that was signed in before stay open. Whatever a
page posts, with script or without, has the CSRF token of that page. So the token says whose the page is: half
of it is the browser's secret, which stays the same, and half a code of that secret and the account. No cookie
has to change for that, so no answer that comes late can bring back what held before, and the pages of whoever
signs in again go on working.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from django.middleware.csrf import (  # type: ignore[attr-defined]
    CSRF_ALLOWED_CHARS,
    CSRF_SECRET_LENGTH,
    CSRF_TOKEN_LENGTH,
    CsrfViewMiddleware,
    InvalidTokenFormat,
    _check_token_format,
    _unmask_cipher_token,
)
from django.utils.crypto import constant_time_compare, get_random_string, salted_hmac

from accounts.models import Account
from accounts.sessions import account_of, sign_out_page

#: Letters of a secret that are the browser's alone: 95 bits. The other half, in hexadecimal, has 64.
_HALF = CSRF_SECRET_LENGTH // 2


class WhosePage(CsrfViewMiddleware):
    """Django's own, but that a page of another account, or of nobody, posts as one that is signed out.

    It stands behind the middleware that knows who is signed in.
    """

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        secret = request.META.get("CSRF_COOKIE") or get_random_string(CSRF_SECRET_LENGTH, CSRF_ALLOWED_CHARS)
        request.META["CSRF_COOKIE"] = secret_of(secret, account_of(request))

    def _check_token(self, request: HttpRequest) -> None:
        """Raises RejectRequest unless the token is one of this browser's; see what Django says of it."""
        posted, own = _posted(request), request.META["CSRF_COOKIE"]
        if posted is None or not constant_time_compare(posted[:_HALF], own[:_HALF]):
            super()._check_token(request)  # type: ignore[misc]
            return
        if account_of(request) is not None and not constant_time_compare(posted, own):
            sign_out_page(request)
        # A page that is shown again, with what was written on it, stays whose it was.
        request.META["CSRF_COOKIE"] = posted


def secret_of(secret: str, account: Account | None) -> str:
    """What the tokens of the account's pages hold in the browser with this secret; for None, nobody's pages.

    Of a secret of another account in the same browser it makes this one's.
    """
    whose = salted_hmac("accounts.whose_page", f"{secret[:_HALF]} {account.pk if account else ''}")
    return secret[:_HALF] + whose.hexdigest()[:_HALF]


def _posted(request: HttpRequest) -> str | None:
    """The secret in the token of the page; None without one, or where it is none."""
    token = ""
    if request.method == "POST":
        try:
            token = request.POST.get("csrfmiddlewaretoken", "")
        except UnreadablePostError:
            return None
    token = token or request.META.get(settings.CSRF_HEADER_NAME, "")
    try:
        _check_token_format(token)
    except InvalidTokenFormat:
        return None
    return _unmask_cipher_token(token) if len(token) == CSRF_TOKEN_LENGTH else token
