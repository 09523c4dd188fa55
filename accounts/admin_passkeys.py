"""Administrators' passkeys: made, asked for, shown, removed.

They are verified in the web process, whose admin they guard, unlike people's, which guard keys in the agent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.crypto import salted_hmac
from django.utils.functional import SimpleLazyObject

from accounts import admin_challenges
from accounts.admin_challenges import CHALLENGE_BYTES, Purpose
from accounts.models import AdminPasskey
from crypto_agent.errors import InvalidRequest, WrongPasskey

# Loaded when it is first needed: its library takes 8 MiB of a process, and administrators are few.
if TYPE_CHECKING:
    from crypto_agent import ceremonies
else:
    ceremonies = SimpleLazyObject(lambda: import_module("crypto_agent.ceremonies"))

Random = Callable[[int], bytes]

MOST_PASSKEYS = 20


class PasskeyRefused(Exception):
    """What the browser brought is no passkey that holds here."""

    code = "passkey-refused"


class NotTheFirst(Exception):
    """Somebody made a passkey of this administrator meanwhile: that one has to be shown."""

    code = "passkey-not-the-first"


class TooManyPasskeys(Exception):
    code = "too-many-passkeys"


class LastPasskey(Exception):
    """Where the second factor is required, there has to be one."""

    code = "last-passkey"


def has_one(user: User) -> bool:
    return AdminPasskey.objects.filter(user=user).exists()


def begin(user: User, session_key: str, now: datetime, random: Random) -> dict[str, Any]:
    """What the browser makes a passkey from (PublicKeyCredentialCreationOptionsJSON)."""
    challenge = random(CHALLENGE_BYTES)
    admin_challenges.issue(user, session_key, Purpose.CREATE, challenge, now)
    known = map(_known, AdminPasskey.objects.filter(user=user))
    return ceremonies.creation_options(_party(), user.get_username(), _user_handle(user), challenge, known)


def ask(user: User, session_key: str, now: datetime, random: Random) -> dict[str, Any]:
    """What the browser asks a passkey with (PublicKeyCredentialRequestOptionsJSON)."""
    challenge = random(CHALLENGE_BYTES)
    admin_challenges.issue(user, session_key, Purpose.SHOW, challenge, now)
    return ceremonies.request_options(
        _party(), challenge, map(_known, AdminPasskey.objects.filter(user=user))
    )


def add(
    user: User,
    session_key: str,
    name: str,
    credential: Mapping[str, Any],
    now: datetime,
    *,
    first: bool,
) -> AdminPasskey:
    """Keeps what the browser made (RegistrationResponseJSON); ``first`` if it may only be the first one.

    Raises PasskeyRefused, NotTheFirst, TooManyPasskeys.
    """
    challenge = _taken(user, session_key, Purpose.CREATE, credential, now)
    try:
        made = ceremonies.made(_party(), credential, challenge)
    except WrongPasskey as error:
        raise PasskeyRefused from error
    credential_hash = ceremonies.credential_hash(made.credential_id)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if first and has_one(user):
            raise NotTheFirst
        if AdminPasskey.objects.filter(user=user).count() >= MOST_PASSKEYS:
            raise TooManyPasskeys
        if AdminPasskey.objects.filter(credential_hash=credential_hash).exists():
            raise PasskeyRefused
        return AdminPasskey.objects.create(
            user=user,
            name=name,
            credential_id=made.credential_id,
            credential_hash=credential_hash,
            user_handle=_user_handle(user),
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=made.transports,
            created_at=now,
        )


def show(user: User, session_key: str, credential: Mapping[str, Any], now: datetime) -> AdminPasskey:
    """The administrator's passkey that answered (AuthenticationResponseJSON). Raises PasskeyRefused."""
    challenge = _taken(user, session_key, Purpose.SHOW, credential, now)
    try:
        credential_hash = ceremonies.credential_hash_in(credential)
        with transaction.atomic():
            passkey = AdminPasskey.objects.select_for_update().get(user=user, credential_hash=credential_hash)
            passkey.sign_count = ceremonies.confirmed(
                _party(),
                credential,
                challenge,
                public_key=bytes(passkey.public_key),
                sign_count=passkey.sign_count,
                user_handle=bytes(passkey.user_handle),
            )
            passkey.last_used_at = now
            passkey.save(update_fields=["sign_count", "last_used_at"])
    except (WrongPasskey, AdminPasskey.DoesNotExist) as error:
        raise PasskeyRefused from error
    return passkey


@transaction.atomic
def remove(user: User, passkey: AdminPasskey, *, required: bool) -> None:
    """Sessions that it opened end with it. With the last one, where that may go, the recovery codes go too.
    Raises LastPasskey."""
    User.objects.select_for_update().get(pk=user.pk)
    if not AdminPasskey.objects.filter(user=user).exclude(pk=passkey.pk).exists():
        if required:
            raise LastPasskey
        user.admin_recovery_codes.all().delete()
    passkey.delete()


@transaction.atomic
def remove_all(user: User) -> tuple[int, int]:
    """Takes the whole second factor away; how many passkeys there were, and recovery codes unused."""
    passkeys = AdminPasskey.objects.filter(user=user).count()
    codes = user.admin_recovery_codes.filter(used_at=None).count()
    for rows in (user.admin_passkeys, user.admin_recovery_codes):
        rows.all().delete()
    return passkeys, codes


def _taken(
    user: User, session_key: str, purpose: Purpose, credential: Mapping[str, Any], now: datetime
) -> bytes:
    try:
        challenge = ceremonies.challenge_in(credential)
    except (WrongPasskey, InvalidRequest) as error:
        raise PasskeyRefused from error
    if not admin_challenges.take(user, session_key, purpose, challenge, now):
        raise PasskeyRefused
    return challenge


def _party() -> ceremonies.RelyingParty:
    return ceremonies.RelyingParty(settings.PUBLIC_HOST, settings.PUBLIC_URL)


def _known(passkey: AdminPasskey) -> ceremonies.Known:
    return ceremonies.Known(bytes(passkey.credential_id), passkey.transports)


def _user_handle(user: User) -> bytes:
    """The same for all passkeys of one, so that an authenticator knows that they are."""
    return salted_hmac(__name__, str(user.pk), algorithm="sha256").digest()
