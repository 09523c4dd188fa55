"""Django's admin site, closed to every session that has not passed the second factor."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar, cast

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse

from accounts import admin_factor

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class SecondFactorSite(admin.AdminSite):
    """A password alone leads to the pages of the second factor, and to signing out."""

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and admin_factor.is_open(request)

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Django's own guard, before which whoever gave a password is led on."""
        guarded = super().admin_view(view, cacheable)

        def led_on(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            user = admin_factor.with_password(request)
            if user is None or self.has_permission(request):
                return guarded(request, *args, **kwargs)
            if request.path == reverse("admin:logout"):
                return self.logout(request)
            return redirect(admin_factor.way_on(request, user, request.get_full_path()))

        return cast(View, update_wrapper(led_on, view))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Whoever gave their password already goes on from here, and is asked for it again only where the
        first passkey needs a fresh one."""
        user = admin_factor.with_password(request)
        if request.method != "GET" or user is None or self.has_permission(request):
            return super().login(request, extra_context)
        onward = admin_factor.way_on(request, user, admin_factor.next_path(request))
        if not onward.startswith(reverse("admin:login")):
            return redirect(onward)
        once_more = {
            "user": AnonymousUser(),
            "subtitle": "Give your password once more. Right after it you set up your passkey.",
        }
        return super().login(request, {**once_more, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from accounts import admin_factor_pages as pages

        own = [
            path("second-factor/", pages.overview, name="second-factor"),
            path("second-factor/ask/", pages.ask, name="second-factor-ask"),
            path("second-factor/challenge/", pages.challenge, name="second-factor-challenge"),
            path("second-factor/code/", pages.code, name="second-factor-code"),
            path("second-factor/begin/", pages.begin, name="second-factor-begin"),
            path("second-factor/new/", pages.new, name="second-factor-new"),
            path("second-factor/codes/", pages.codes, name="second-factor-codes"),
            path("second-factor/<int:passkey_pk>/remove/", pages.remove, name="second-factor-remove"),
        ]
        return [*own, *super().get_urls()]
