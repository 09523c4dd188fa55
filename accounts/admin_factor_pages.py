"""The pages of an administrator's second factor: showing it, making it, and what is left of it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import admin_factor, admin_log, admin_passkeys, admin_recovery_codes, rate_limits
from accounts.admin_factor_models import LONGEST_NAME
from accounts.models import AdminPasskey
from accounts.one_line import one_line
from accounts.passkey_fields import NoPasskey, credential_in
from accounts.rate_limits import TooOften, too_often_page

NO_NAME = "Give the passkey a name."
NO_SCRIPT = "The browser brought no passkey. That needs a browser with script."
REFUSED = "That passkey does not hold here, or you took longer than five minutes. Try again."
TOO_OLD = "This page is too old. Load it again."
SIGN_IN_ANEW = "Log out and in again first: a passkey is set up within fifteen minutes of your password."
WRONG_CODE = "That is none of your recovery codes, or it was used already."
MISTYPED = "That is no whole recovery code: a character is missing or wrong."
FAULTS: dict[type[Exception], str] = {
    NoPasskey: NO_SCRIPT,
    admin_passkeys.PasskeyRefused: REFUSED,
    admin_passkeys.TooManyPasskeys: f"There are {admin_passkeys.MOST_PASSKEYS} passkeys: remove one first.",
}

View = Callable[..., HttpResponse]


class NameForm(forms.Form):
    """What an administrator calls a new passkey."""

    name = forms.CharField(max_length=LONGEST_NAME, error_messages={"required": NO_NAME})

    def clean_name(self) -> str:
        """On one line, which the log has beside others."""
        name = one_line(self.cleaned_data["name"], LONGEST_NAME)
        if not name:
            raise forms.ValidationError(NO_NAME)
        return name


def with_password(view: Callable[..., HttpResponse]) -> View:
    """Decorates a page for whoever signed in with an administrator's password; gives it the user."""

    @functools.wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = admin_factor.with_password(request)
        if user is None:
            asked = urlencode({"next": admin_factor.next_path(request)})
            return redirect(f"{reverse('admin:login')}?{asked}")
        return view(request, user, *args, **kwargs)

    return never_cache(checked)


def for_changes(view: Callable[..., HttpResponse]) -> View:
    """Also decorates a page that changes the second factor: it asks for what was shown a moment ago."""

    @with_password
    @functools.wraps(view)
    def checked(request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> HttpResponse:
        if admin_factor.may_change_it(request, user):
            return view(request, user, *args, **kwargs)
        if admin_factor.is_open(request) and not admin_passkeys.has_one(user):
            messages.warning(request, SIGN_IN_ANEW)
            return redirect("admin:second-factor")
        return redirect(admin_factor.way_on(request, user, request.get_full_path()))

    return checked


@require_http_methods(["GET", "POST"])
@with_password
def ask(request: HttpRequest, user: User) -> HttpResponse:
    """Asks for a passkey (GET), and opens admin to the session that shows it (POST).

    Template context: ``error`` a sentence or "", ``next`` a query with the page to go on to.
    """
    if not admin_passkeys.has_one(user):
        return _onward(request)
    if request.method == "GET":
        return _ask_page(request)
    now = timezone.now()
    try:
        rate_limits.take_second_factor(request, user.pk)
        credential = credential_in(request.POST.get("passkey", ""))
        passkey = admin_passkeys.show(user, _session_key(request), credential, now)
    except TooOften as error:
        return too_often_page(request, error)
    except NoPasskey:
        return _ask_page(request, NO_SCRIPT)
    except admin_passkeys.PasskeyRefused:
        admin_log.note(user, "A passkey was refused at the second factor.")
        return _ask_page(request, REFUSED)
    admin_factor.note_passed(request, passkey, now)
    return _onward(request)


@require_http_methods(["GET", "POST"])
@with_password
def code(request: HttpRequest, user: User) -> HttpResponse:
    """Asks for a recovery code (GET), and opens admin to the session that has one (POST).

    Template context: as of ``ask``.
    """
    if not admin_passkeys.has_one(user):
        return _onward(request)
    if request.method == "GET":
        return _code_page(request)
    now = timezone.now()
    try:
        rate_limits.take_second_factor(request, user.pk)
        used = admin_recovery_codes.use(user, request.POST.get("code", ""), now)
    except TooOften as error:
        return too_often_page(request, error)
    except admin_recovery_codes.WrongCode as error:
        admin_log.note(user, "A recovery code was refused at the second factor.")
        return _code_page(request, MISTYPED if error.mistyped else WRONG_CODE)
    left = admin_recovery_codes.left(user)
    admin_log.note(user, f"A recovery code was used at the second factor; {left} are left.")
    admin_factor.note_passed(request, used, now)
    messages.warning(request, "If your passkey is lost, remove it here and add another one.")
    return redirect("admin:second-factor")


@require_POST
@with_password
def challenge(request: HttpRequest, user: User) -> HttpResponse:
    """What a passkey is to sign, as PublicKeyCredentialRequestOptionsJSON; else ``error``, a sentence."""
    if not admin_passkeys.has_one(user):
        return _too_old()
    return JsonResponse(admin_passkeys.ask(user, _session_key(request), timezone.now(), os.urandom))


@require_POST
@with_password
def begin(request: HttpRequest, user: User) -> HttpResponse:
    """What a passkey is to be made from, as PublicKeyCredentialCreationOptionsJSON; else ``error``."""
    if not admin_factor.may_change_it(request, user):
        return _too_old()
    return JsonResponse(admin_passkeys.begin(user, _session_key(request), timezone.now(), os.urandom))


@require_http_methods(["GET", "POST"])
@for_changes
def new(request: HttpRequest, user: User) -> HttpResponse:
    """Asks for the name of a new passkey (GET) and keeps it (POST). With the first one come recovery codes.

    Template context: ``form``, ``first`` whether there is none yet, ``error`` a sentence or "".
    """
    first = not admin_passkeys.has_one(user)
    form = NameForm(request.POST or None)
    if request.method == "GET" or not form.is_valid():
        return _new_page(request, form, first)
    now = timezone.now()
    try:
        passkey = admin_passkeys.add(
            user,
            _session_key(request),
            form.cleaned_data["name"],
            credential_in(request.POST.get("passkey", "")),
            now,
            first=first,
        )
    except admin_passkeys.NotTheFirst:
        return redirect(admin_factor.way_on(request, user, admin_factor.next_path(request)))
    except (NoPasskey, admin_passkeys.PasskeyRefused, admin_passkeys.TooManyPasskeys) as error:
        admin_log.note(user, "A new passkey was not kept.")
        return _new_page(request, form, first, FAULTS[type(error)])
    admin_log.note(user, f"Added the passkey “{passkey.name}”.")
    if not first:
        messages.success(request, "The passkey is kept.")
        return redirect("admin:second-factor")
    admin_factor.note_passed(request, passkey, now)
    return _codes_page(request, user)


@require_GET
@with_password
def overview(request: HttpRequest, user: User) -> HttpResponse:
    """An administrator's own passkeys, and how many recovery codes are left.

    Template context: ``passkeys``, ``codes_left``, ``required``.
    """
    if not admin_factor.is_open(request):
        return redirect(admin_factor.way_on(request, user, request.get_full_path()))
    context = {
        "passkeys": list(AdminPasskey.objects.filter(user=user)),
        "codes_left": admin_recovery_codes.left(user),
        "required": _is_required(),
    }
    return _page(request, "overview", "Second factor", context)


@require_http_methods(["GET", "POST"])
@for_changes
def remove(request: HttpRequest, user: User, passkey_pk: int) -> HttpResponse:
    """Asks whether to remove a passkey (GET), and removes it (POST).

    Template context: ``passkey``, ``last`` whether there is no other, ``required``, ``error``.
    """
    passkey = AdminPasskey.objects.filter(user=user, pk=passkey_pk).first()
    if passkey is None:
        raise Http404
    last = not AdminPasskey.objects.filter(user=user).exclude(pk=passkey.pk).exists()
    error = ""
    if request.method == "POST":
        name = passkey.name
        try:
            admin_passkeys.remove(user, passkey, required=_is_required())
        except admin_passkeys.LastPasskey:
            error = "This is your only passkey. Add another one first."
        else:
            admin_log.note(user, f"Removed the passkey “{name}”.")
            messages.success(request, "The passkey is removed here. You may delete it on your device too.")
            return redirect("admin:second-factor")
    context = {"passkey": passkey, "last": last, "required": _is_required(), "error": error}
    return _page(request, "remove", "Remove this passkey?", context, error)


@require_http_methods(["GET", "POST"])
@for_changes
def codes(request: HttpRequest, user: User) -> HttpResponse:
    """Asks whether to make new recovery codes (GET), and shows them this once (POST).

    Template context: ``codes_left``.
    """
    if not admin_passkeys.has_one(user):
        raise Http404
    if request.method == "POST":
        return _codes_page(request, user)
    context = {"codes_left": admin_recovery_codes.left(user)}
    return _page(request, "codes", "Make new recovery codes?", context)


def _codes_page(request: HttpRequest, user: User) -> HttpResponse:
    present = admin_factor.code_of(request, user)
    made = admin_recovery_codes.new_codes(user, timezone.now(), os.urandom, present=present)
    admin_log.note(user, "Made new recovery codes; former ones hold no more.")
    context = {"codes": made, "next_path": admin_factor.next_path(request)}
    return _page(request, "codes_made", "Your recovery codes", context)


def _ask_page(request: HttpRequest, error: str = "") -> HttpResponse:
    context = {"error": error, "next": _next_query(request)}
    return _page(request, "ask", "Show your passkey", context, error)


def _code_page(request: HttpRequest, error: str = "") -> HttpResponse:
    context = {"error": error, "next": _next_query(request)}
    return _page(request, "code", "Use a recovery code", context, error)


def _new_page(request: HttpRequest, form: NameForm, first: bool, error: str = "") -> HttpResponse:
    title = "Set up your passkey" if first else "Add a passkey"
    fault = error or " ".join(map(str, form.errors.get("name", ())))
    context = {"form": form, "first": first, "error": fault, "required": _is_required()}
    return _page(request, "new", title, context, fault)


def _page(
    request: HttpRequest, name: str, title: str, context: dict[str, Any], error: str = ""
) -> TemplateResponse:
    """A page in admin's frame, without the list at its side of what else admin has.

    That is named to nobody before the second factor.
    """
    frame = {**admin.site.each_context(request), "title": title}
    frame |= {"available_apps": [], "is_nav_sidebar_enabled": False}
    template = f"admin/second_factor/{name}.html"
    return TemplateResponse(request, template, {**frame, **context}, status=422 if error else 200)


def _onward(request: HttpRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect(admin_factor.next_path(request))


def _next_query(request: HttpRequest) -> str:
    return urlencode({"next": admin_factor.next_path(request)})


def _too_old() -> JsonResponse:
    return JsonResponse({"error": TOO_OLD}, status=403)


def _session_key(request: HttpRequest) -> str:
    return request.session.session_key or ""


def _is_required() -> bool:
    return bool(settings.ADMIN_SECOND_FACTOR == "required")
