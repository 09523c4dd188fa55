"""What users allow apps to have done with their keys: made, listed, revoked, and asked for at every call.

A call through a PDS proves no more than that the PDS speaks for the user. What permits it is the grant,
which the user made on a page of this installation, and whose token only the app was given.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction

from crypto_agent.attesting import attestation_did_keys, make_attestation_keys
from crypto_agent.client_values import Grant as GrantValue
from crypto_agent.client_values import NewGrant
from crypto_agent.custody import Random
from crypto_agent.errors import (
    GrantExpired,
    GrantLimitReached,
    InvalidRequest,
    NoSuchGrant,
    NotGranted,
    PurposeNotGranted,
)
from crypto_agent.key_store import held_account_keys
from crypto_agent.models import Grant

TOKEN_BYTES = 32
GRANT_ID_BYTES = 8
LONGEST_LIFETIME = timedelta(days=366)
#: Grants of one account that may be in use at once.
MOST_GRANTS = 50
HOUR = timedelta(hours=1)


class GrantedPurpose(StrEnum):
    """What an app may be allowed; none of them includes another."""

    STATUS = "status"
    SIGN = "sign"
    ATTEST = "attest"
    SEAL = "seal"
    OPEN = "open"


def create_grant(
    did: str,
    name: str,
    purposes: Sequence[str],
    expires_at: datetime,
    hourly_limit: int,
    now: datetime,
    random: Random,
) -> NewGrant:
    """A grant of ``purposes`` for the app that the user calls ``name``, in the caller's transaction.

    With the first grant to attest the account gets keys to do it. Raises NoSuchAccount, InvalidRequest.
    """
    account, keys = held_account_keys(did)
    if not name.strip():
        raise InvalidRequest("name: blank")
    if not now < expires_at <= now + LONGEST_LIFETIME:
        raise InvalidRequest(f"expiresAt: not within {LONGEST_LIFETIME.days} days")
    if account.grants.filter(revoked_at=None, expires_at__gt=now).count() >= MOST_GRANTS:
        raise InvalidRequest(f"there are {MOST_GRANTS} grants: revoke one first")
    if GrantedPurpose.ATTEST in purposes:
        make_attestation_keys(account, keys, now, random)
    token = base64.urlsafe_b64encode(random(TOKEN_BYTES)).rstrip(b"=").decode()
    grant = Grant.objects.create(
        account=account,
        grant_id=random(GRANT_ID_BYTES).hex(),
        name=name.strip(),
        purposes=[purpose.value for purpose in GrantedPurpose if purpose in purposes],
        token_hash=_hash(token),
        hourly_limit=hourly_limit,
        created_at=now,
        expires_at=expires_at,
    )
    return NewGrant(_described(grant, attestation_did_keys(did)), token)


def list_grants(did: str) -> list[GrantValue]:
    """All grants of the account, revoked and expired ones too, newest first."""
    attestation_keys = attestation_did_keys(did)
    found = Grant.objects.filter(account__did=did).order_by("-created_at", "-pk")
    return [_described(grant, attestation_keys) for grant in found]


def revoke_grant(did: str, grant_id: str, now: datetime) -> GrantValue:
    """Ends the grant for good, in the caller's transaction; raises NoSuchGrant."""
    grant = Grant.objects.select_for_update().filter(account__did=did, grant_id=grant_id).first()
    if grant is None:
        raise NoSuchGrant("this account has no such grant")
    if grant.revoked_at is None:
        grant.revoked_at = now
        grant.save(update_fields=["revoked_at"])
    return _described(grant, attestation_did_keys(did))


def find_grant(did: str, token: str) -> Grant:
    """The grant of ``did`` with this token, whatever its state; raises NotGranted."""
    grant = Grant.objects.filter(account__did=did, token_hash=_hash(token)).first()
    if grant is None:
        raise NotGranted("there is no such grant")
    return grant


def admit(grant: Grant, purpose: GrantedPurpose, count: int, now: datetime) -> None:
    """Counts a use for ``count`` things before anything is done, also if it then fails.

    Raises NotGranted, PurposeNotGranted, GrantExpired, GrantLimitReached.
    """
    with transaction.atomic():
        grant = Grant.objects.select_for_update().get(pk=grant.pk)
        if grant.revoked_at is not None:
            raise NotGranted("there is no such grant")
        if grant.expires_at <= now:
            raise GrantExpired("the grant has expired")
        if purpose not in grant.purposes:
            raise PurposeNotGranted(f"the grant is not for {purpose}")
        if grant.hour_began_at is None or now - grant.hour_began_at >= HOUR:
            grant.hour_began_at, grant.used_in_hour = now, 0
        if grant.used_in_hour + count > grant.hourly_limit:
            raise GrantLimitReached(f"the grant is for {grant.hourly_limit} things an hour")
        grant.used_in_hour += count
        grant.uses += 1
        grant.last_used_at = now
        grant.save()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _described(grant: Grant, attestation_keys: tuple[str, ...]) -> GrantValue:
    return GrantValue(
        grant_id=grant.grant_id,
        name=grant.name,
        purposes=tuple(grant.purposes),
        hourly_limit=grant.hourly_limit,
        uses=grant.uses,
        created_at=grant.created_at,
        expires_at=grant.expires_at,
        last_used_at=grant.last_used_at,
        revoked_at=grant.revoked_at,
        attestation_keys=attestation_keys if GrantedPurpose.ATTEST in grant.purposes else (),
    )
