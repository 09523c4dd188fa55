"""Where administrators sign in, by a name and a password of this installation: so many tries, and no more."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from accounts import rate_limits
from accounts.rate_limits import TooOften, too_often_page


def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """Django's own page. A try counts against the address that it comes from and the name that it is for."""
    if request.method == "POST":
        try:
            rate_limits.take_admin_sign_in(request, request.POST.get("username", ""))
        except TooOften as error:
            return too_often_page(request, error)
    return admin.site.login(request)
