"""Notifications of browsers: the page that turns them on, and what a woken browser asks for."""

from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail.conversations import unread_messages
from webmail.push import subscriptions, vapid
from webmail.push.notices import notice_for
from webmail.views.page_request import PageRequest
from webmail.views.signed_out import told_to_script


@require_safe
@signed_in
def notifications(request: PageRequest) -> HttpResponse:
    """What notifications are, and how many browsers are woken."""
    key = vapid.key()
    context = {
        "public_key": vapid.public_key(key) if key else "",
        "count": subscriptions.signed_in(request.account.pk).count(),
        "endpoints": list(subscriptions.known(request.account).values_list("endpoint", flat=True)),
        "is_chosen": subscriptions.is_chosen(request.account, request.oauth_session),
    }
    return render(request, "webmail/notifications.html", context)


@require_POST
@signed_in(when_signed_out=told_to_script)
def turn_on(request: PageRequest) -> HttpResponse:
    """Remember this browser by its push service's address, ``endpoint``."""
    try:
        subscriptions.add(request.account, request.POST.get("endpoint", ""), request.oauth_session)
    except subscriptions.BadEndpoint:
        return HttpResponse(_("This browser's push service has an address that is not called."), status=422)
    return HttpResponse(status=204)


@require_POST
@signed_in
def confirm(request: PageRequest) -> HttpResponse:
    """The browser with ``endpoint``, empty where it has none any more, is there by this sign-in.

    204 if it was not chosen to be woken. Else JSON: the ``key`` that it is woken by, whether its address is
    ``lost``, and where it says another, ``on``.
    """
    endpoint = request.POST.get("endpoint", "")
    subscriptions.confirm(request.account, endpoint, request.oauth_session)
    key = vapid.key()
    if key is None or not subscriptions.is_chosen(request.account, request.oauth_session):
        return HttpResponse(status=204)
    lost = not subscriptions.known(request.account).filter(endpoint=endpoint).exists()
    return JsonResponse({"key": vapid.public_key(key), "lost": lost, "on": reverse("notifications-on")})


@require_safe
def renewal(request: PageRequest) -> HttpResponse:
    """What a browser needs that gets another address while no page is open.

    204 if it was not chosen to be woken, or nobody is signed in there. Else JSON: the ``key`` that it is
    woken by, where it says its address, ``on``, and the ``token`` against requests of other sites, none of
    which can read it here, as it can't in a page.
    """
    account, key = getattr(request, "account", None), vapid.key()
    if account is None or key is None or not subscriptions.is_chosen(account, request.oauth_session):
        return HttpResponse(status=204)
    given = {"key": vapid.public_key(key), "on": reverse("notifications-on"), "token": get_token(request)}
    answer = JsonResponse(given)
    answer["Cache-Control"] = "no-store"
    return answer


@require_POST
@signed_in(when_signed_out=told_to_script)
def turn_off(request: PageRequest) -> HttpResponse:
    """Forget the browser with ``endpoint``, empty where it has none any more; without that, all of them."""
    endpoint = request.POST.get("endpoint")
    if endpoint is not None:
        subscriptions.remove(request.account, endpoint, request.oauth_session)
        return HttpResponse(status=204)
    subscriptions.remove_all(request.account)
    return redirect("notifications")


@require_safe
def notice(request: PageRequest) -> HttpResponse:
    """What a browser that was woken shows, and how much is unread, for the app's icon; 204 if nothing is new,
    or nobody is signed in there."""
    account = getattr(request, "account", None)
    found = notice_for(account) if account else None
    if account is None or found is None:
        return HttpResponse(status=204)
    shown = {"title": found.title, "body": found.body, "path": found.path}
    answer = JsonResponse(shown | {"unread": unread_messages(account)})
    answer["Cache-Control"] = "no-store"
    return answer
