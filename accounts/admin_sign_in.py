"""Where administrators sign in, by a name and a password of this installation: so many tries, and no more."""

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from accounts import admin_browsers, rate_limits
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
    user = request.user
    if answer.status_code == 302 and admin.site.has_permission(request) and isinstance(user, User):
        admin_browsers.remember(request, answer, user)
    return answer
