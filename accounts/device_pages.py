"""The pages of one's own devices: what they are, whether they are published, and revoking one."""

import logging

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import certificate_fields, enrolment, failures, own_entries, rate_limits
from accounts.models import Account, Device
from accounts.notices import notice_of
from accounts.peers import PeerError
from accounts.rate_limits import TooOften
from accounts.repositories import RepositoryError
from accounts.sessions import account_of, signed_in
from crypto_agent.client import AgentError

logger = logging.getLogger(__name__)


@never_cache
@require_GET
@signed_in
def devices(request: HttpRequest) -> HttpResponse:
    """Lists the account's devices, each checked against its PDS.

    Template context: ``devices`` newest first, ``needs_device`` whether none can receive, ``host``,
    ``troubles`` (PublishedEntry) and ``others``, devices of other apps, ``notice`` and ``error`` sentences
    or "".
    """
    account = _account(request)
    found = list(account.devices.all())
    error = ""
    try:
        enrolment.check_published(account, found)
    except RepositoryError as failure:
        error = f"{failure} What is shown here is what was known before."
    context = {
        "devices": found,
        "needs_device": not any(device.state is Device.State.ACTIVE for device in found),
        "host": settings.PUBLIC_HOST,
        "troubles": own_entries.troubles(account),
        "others": own_entries.other_devices(account),
        "notice": notice_of(request),
        "error": error,
    }
    return render(request, "accounts/devices.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def device_revoke(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """Asks whether to revoke (GET), and revokes (POST).

    Template context: ``device``, ``certificate`` (certificate_fields.CertificateFields), ``only`` whether it
    is the last device that can receive, ``host``, ``error`` a sentence or "".
    """
    account = _account(request)
    device = get_object_or_404(Device, account=account, fingerprint=fingerprint)
    if device.revoked_at is not None and not device.withdrawal_pending:
        return redirect("devices")
    if request.method == "GET":
        return _revoke_page(request, device)
    try:
        enrolment.revoke(account, device.fingerprint)
    except AgentError as error:
        logger.warning("revoking %s stopped: %s", device, error.code)
        return _revoke_page(request, device, error=failures.sentence(error))
    except failures.PUBLISHING as error:
        logger.warning("withdrawing %s waits: %s", device, error.code)
        messages.warning(
            request,
            _("The keys are destroyed. Your server does not say so yet: it is told as soon as possible."),
        )
        return redirect("devices")
    messages.success(request, _("The device is revoked, and your server says so."))
    return redirect("devices")


@require_POST
@signed_in
def entry(request: HttpRequest, entry_pk: int) -> HttpResponse:
    """What the owner says of something that turned up: known, or to be taken out of the repository."""
    account = _account(request)
    try:
        if request.POST.get("do") == "take-out":
            found = own_entries.take_out(account, entry_pk)
            words = _("The device is not in your repository any more.")
        else:
            found = own_entries.accept(account, entry_pk)
            words = _("Noted.")
    except failures.PUBLISHING as error:
        logger.warning("taking out an entry of account %s stopped: %s", account.pk, error.code)
        messages.warning(request, _("Your server could not be told. Try again later."))
        return redirect("devices")
    if not found:
        raise Http404
    messages.success(request, words)
    return redirect("devices")


@require_POST
@signed_in
def audit(request: HttpRequest) -> HttpResponse:
    """Looks at once at what is published."""
    account = _account(request)
    try:
        rate_limits.take_look(account.pk)
    except TooOften as error:
        return rate_limits.too_often_page(request, error)
    try:
        own_entries.audit(account)
        messages.success(request, _("Looked just now."))
    except PeerError as error:
        messages.warning(request, str(error))
    return redirect("devices")


def _revoke_page(request: HttpRequest, device: Device, *, error: str = "") -> HttpResponse:
    others = device.account.devices.filter(revoked_at__isnull=True).exclude(pk=device.pk)
    context = {
        "device": device,
        "certificate": certificate_fields.read(device.certificate_pem),
        "only": not others.exists(),
        "host": settings.PUBLIC_HOST,
        "error": error,
    }
    return render(request, "accounts/device_revoke.html", context, status=503 if error else 200)


def _account(request: HttpRequest) -> Account:
    account = account_of(request)
    assert account is not None
    return account
