"""Accounts in the webmail's database, as they are after a first visit. Imported when Django is set up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.utils import timezone

from accounts.models import Account, Device


def new_account(did: str, handle: str, device: Mapping[str, str] | None = None) -> Account:
    """An account whose PDS is not there. Of its device `device` has the `fingerprint` and `certificate`."""
    now = timezone.now()
    account = Account.objects.create(did=did, handle=handle, pds_url="http://localhost:1", enrolled_at=now)
    if device is not None:
        Device.objects.create(
            account=account,
            fingerprint=device["fingerprint"],
            certificate_pem=device["certificate"],
            serial="01",
            not_before=now - timedelta(days=1),
            not_after=now + timedelta(days=365),
            published_at=now,
        )
    return account
