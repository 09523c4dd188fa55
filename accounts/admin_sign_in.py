"""Where administrators sign in, by a name and a password of this installation: so many tries, and no more."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts import admin_browsers, admin_factor, rate_limits
from accounts.rate_limits import TooOften, too_often_page


def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """Django's own page. A try counts against the address that it comes from and the name that it is for, or
    against the browser, where that name has signed in before."""
    if request.method != "POST":
        return admin.site.login(request)
    name = request.POST.get("username", "")
    try:
        rate_limits.take_admin_sign_in(request, name, admin_browsers.known_as(request, name))
    except TooOften as error:
        return too_often_page(request, error)
    answer = admin.site.login(request)
    user = admin_factor.with_password(request)
    if answer.status_code == 302 and user is not None:
        admin_factor.note_password(request, timezone.now())
        admin_browsers.remember(request, answer, user)
    return answer
