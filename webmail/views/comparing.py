"""Comparing keys with somebody: the number, the code to scan, and what was found."""

import io
from typing import Any
from urllib.parse import urlencode

import segno
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import handles, own_entries, rate_limits, sessions
from accounts.peers import MAX_AGE, PeerError
from accounts.rate_limits import TooOften
from accounts.sessions import signed_in
from webmail import comparisons, consent, person_page
from webmail.comparisons import ChangedMeanwhile, How, Outcome
from webmail.people import people_of
from webmail.safety_numbers import CodeError
from webmail.security import PERMISSIONS_WITH_CAMERA
from webmail.views.page_request import PageRequest

#: Pixels of one square of the code.
CODE_SCALE = 5


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def compare(request: PageRequest, did: str) -> HttpResponse:
    """The number of both (GET); what was found by comparing it, or by a code (POST)."""
    code = request.POST.get("code", "").strip()
    try:
        _known(request, did)
    except TooOften as error:
        return _page(request, did, typed=code, too_often=error)
    if request.method != "POST":
        return _page(request, did)
    if not consent.may_compare(request.account, did):
        return _page(request, did, error=_("Nothing was noted."), typed=code, status=403)
    found = {"match": Outcome.MATCHED, "differ": Outcome.DIFFERED}.get(request.POST.get("found", ""))
    try:
        if code:
            differing = comparisons.check_code(request.account, did, code)
            if differing == {request.account.did}:
                words = _(
                    "Their keys match. About your own keys their code says something else, so nothing was "
                    "noted: look at your devices, then compare again."
                )
                return _page(request, did, error=words, typed=code, status=409)
        elif found is not None:
            comparisons.conclude(request.account, did, found, How.NUMBER, request.POST.get("shown", ""))
        else:
            return _page(request, did, error=_("Paste or scan their code first."), status=422)
    except CodeError:
        words = _("This is not the code of the two of you. Nothing was noted.")
        return _page(request, did, error=words, typed=code, status=422)
    except ChangedMeanwhile:
        words = _("The keys changed while you compared. This is the number now: compare it again.")
        return _page(request, did, error=words, status=409)
    except PeerError as error:
        return _page(request, did, error=str(error), typed=code, status=503)
    here = reverse("compare", args=[did])
    # Whoever compared by number knows the outcome; what a code said stands on this page.
    return redirect(f"{here}?{urlencode({'next': _next(request)})}" if code else _next(request) or here)


@never_cache
@require_safe
@signed_in
def code(request: PageRequest, did: str) -> HttpResponse:
    """The code of both, as a picture to be scanned; of the keys that were last read."""
    try:
        _known(request, did)
    except TooOften as error:
        return rate_limits.too_often_page(request, error)
    if not consent.may_compare(request.account, did):
        raise Http404
    try:
        text = comparisons.comparison(request.account, did, max_age=MAX_AGE).code
    except PeerError as error:
        raise Http404 from error
    picture = io.BytesIO()
    # Dark on light in both themes, or some readers do not see it.
    segno.make(text, error="m", micro=False).save(
        picture, kind="svg", scale=CODE_SCALE, dark="#000", light="#fff", svgclass=None, lineclass=None
    )
    headers = {"Content-Security-Policy": "default-src 'none'; sandbox"}
    return HttpResponse(picture.getvalue(), content_type="image/svg+xml", headers=headers)


@require_POST
@signed_in
def accept(request: PageRequest, did: str) -> HttpResponse:
    """Uses somebody's new keys without comparing; what waited for them is sent."""
    try:
        _known(request, did)
    except TooOften as error:
        return _page(request, did, too_often=error)
    fingerprints = request.POST.get("fingerprints", "").split()
    try:
        comparisons.accept(request.account, did, fingerprints)
    except ChangedMeanwhile:
        words = _("Their keys changed once more. Nothing was sent: look again.")
        return _page(request, did, error=words, status=409)
    return redirect(_next(request) or reverse("compare", args=[did]))


def _known(request: PageRequest, did: str) -> None:
    """Raises Http404 for the account itself and for what is no DID. Of anybody else there is a page, since
    whether others here have heard of them is none of its business; those are counted as looked up who are
    not its contacts: TooOften after very many."""
    if did == request.account.did or not handles.is_did(did):
        raise Http404
    if not person_page.is_known(request.account, did):
        rate_limits.take_searches(request.account.pk, 1)


def _page(
    request: PageRequest,
    did: str,
    *,
    error: str = "",
    typed: str = "",
    too_often: TooOften | None = None,
    status: int = 200,
) -> HttpResponse:
    """The page; without the number, and without asking for it, where too many people were looked up, or
    where their server would hear of a look that it is not to hear of."""
    context: dict[str, Any] = {"error": error, "typed": typed, "next": _next(request)}
    if too_often:
        context["unread"] = rate_limits.too_many_people(too_often)
        context["error"] = _("Nothing was noted.") if request.method == "POST" else ""
    elif not consent.may_compare(request.account, did):
        context["withheld"] = True
    else:
        try:
            context["comparison"] = comparisons.comparison(request.account, did)
        except PeerError as failure:
            context["unread"] = str(failure)
    people = people_of([did, request.account.did])
    context |= {
        "person": people[did],
        "own": people[request.account.did],
        "state": comparisons.state_of(request.account, did),
        "unknown_devices": own_entries.unknown_devices(request.account),
    }
    page = render(request, "webmail/compare.html", context, status=status)
    page["Permissions-Policy"] = PERMISSIONS_WITH_CAMERA
    return rate_limits.refused(page, too_often) if too_often else page


def _next(request: PageRequest) -> str:
    """Where the person came from, if that is a page of this installation."""
    return sessions.safe_path(request.POST.get("next") or request.GET.get("next", ""))
