"""The user's passkeys (WebAuthn): made, listed, removed, and asked to confirm one thing at a time.

They are verified here and not in the web process, against the origin of its pages, with the user verified by
PIN, finger or face. The output of a passkey's PRF is no part of what is signed: it comes beside it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from webauthn.helpers import bytes_to_base64url

from crypto_agent import ceremonies
from crypto_agent.ceremonies import REFUSAL, Json, Known, RelyingParty
from crypto_agent.custody import Random
from crypto_agent.errors import (
    InvalidRequest,
    LastWayIn,
    NoSuchAccount,
    NoSuchPasskey,
    PasskeyInUse,
    PasskeysUnavailable,
    WrongPasskey,
)
from crypto_agent.models import Account, AccountCustody, LockSecret, Passkey
from crypto_agent.passkey_challenges import PasskeyPurpose, challenges

MOST_PASSKEYS = 20
PRF_SALT_BYTES = 32
USER_HANDLE_BYTES = 32
ID_BYTES = 8
#: Only these can need the PRF's output.
_WITH_PRF = (PasskeyPurpose.UNLOCK, PasskeyPurpose.CHANGE_CUSTODY)


def are_available() -> bool:
    return bool(settings.WEB_ORIGIN)


def custody_of(account: Account, random: Random) -> AccountCustody:
    """The account's custody, held until the transaction ends."""
    AccountCustody.objects.get_or_create(account=account, defaults={"user_handle": random(USER_HANDLE_BYTES)})
    return AccountCustody.objects.select_for_update().get(account=account)


def begin_passkey(did: str, user_name: str, random: Random) -> Json:
    """What the browser makes a new passkey from (PublicKeyCredentialCreationOptionsJSON of WebAuthn).

    Runs in the caller's transaction. Raises NoSuchAccount, PasskeysUnavailable, InvalidRequest.
    """
    _check_available()
    account = _account(did)
    known = list(account.passkeys.all())
    if len(known) >= MOST_PASSKEYS:
        raise InvalidRequest(f"there are {MOST_PASSKEYS} passkeys: remove one first")
    prf_salt = random(PRF_SALT_BYTES)
    options = ceremonies.creation_options(
        _party(),
        user_name,
        bytes(custody_of(account, random).user_handle),
        challenges.issue(did, PasskeyPurpose.REGISTER, random, prf_salt),
        map(_known, known),
    )
    return {**options, "extensions": {"prf": {"eval": {"first": bytes_to_base64url(prf_salt)}}}}


def add_passkey(did: str, name: str, credential: Mapping[str, Any], now: datetime, random: Random) -> Passkey:
    """Keeps the passkey that the browser made; runs in the caller's transaction.

    ``credential`` is the RegistrationResponseJSON. Raises WrongPasskey, InvalidRequest, NoSuchAccount.
    """
    _check_available()
    account = Account.objects.select_for_update().get(pk=_account(did).pk)
    if not name.strip():
        raise InvalidRequest("name: blank")
    challenge = ceremonies.challenge_in(credential)
    prf_salt = challenges.take(challenge, did, PasskeyPurpose.REGISTER)
    made = ceremonies.made(_party(), credential, challenge)
    credential_hash = ceremonies.credential_hash(made.credential_id)
    if account.passkeys.filter(credential_hash=credential_hash).exists():
        raise WrongPasskey(REFUSAL)
    if account.passkeys.count() >= MOST_PASSKEYS:
        raise InvalidRequest(f"there are {MOST_PASSKEYS} passkeys: remove one first")
    return Passkey.objects.create(
        account=account,
        passkey_id=random(ID_BYTES).hex(),
        name=name.strip(),
        credential_id=made.credential_id,
        credential_hash=credential_hash,
        public_key=made.public_key,
        sign_count=made.sign_count,
        transports=made.transports,
        prf=_has_prf(credential),
        prf_salt=prf_salt,
        created_at=now,
    )


def remove_passkey(did: str, passkey_id: str) -> None:
    """Runs in the caller's transaction; raises NoSuchPasskey, PasskeyInUse, LastWayIn."""
    account = Account.objects.select_for_update().filter(did=did).first()
    passkey = Passkey.objects.filter(account=account, passkey_id=passkey_id).first() if account else None
    if account is None or passkey is None:
        raise NoSuchPasskey("this account has no such passkey")
    if LockSecret.objects.filter(passkey=passkey).exists():
        raise PasskeyInUse("the passkey opens the account's lock")
    required = AccountCustody.objects.filter(account=account, passkey_required=True).exists()
    if required and account.passkeys.count() == 1:
        raise LastWayIn("the account requires a passkey, and this is the last one")
    passkey.delete()


def new_challenge(did: str, purpose: PasskeyPurpose, random: Random) -> Json:
    """What the browser asks a passkey of the account with (PublicKeyCredentialRequestOptionsJSON)."""
    _check_available()
    known = list(_account(did).passkeys.order_by("created_at", "pk"))
    challenge = challenges.issue(did, purpose, random)
    asked = ceremonies.request_options(_party(), challenge, map(_known, known))
    salts = {
        _text(passkey.credential_id): {"first": _text(passkey.prf_salt)} for passkey in known if passkey.prf
    }
    if salts and purpose in _WITH_PRF:
        asked["extensions"] = {"prf": {"evalByCredential": salts}}
    return asked


def verify(did: str, purpose: PasskeyPurpose, credential: Mapping[str, Any], now: datetime) -> Passkey:
    """The passkey of the account that confirmed exactly this purpose.

    ``credential`` is the AuthenticationResponseJSON; its challenge is used up. Raises WrongPasskey,
    PasskeysUnavailable.
    """
    _check_available()
    challenge = ceremonies.challenge_in(credential)
    challenges.take(challenge, did, purpose)
    credential_hash = ceremonies.credential_hash_in(credential)
    with transaction.atomic():
        passkey = (
            Passkey.objects.select_for_update()
            .filter(account__did=did, credential_hash=credential_hash)
            .first()
        )
        if passkey is None:
            raise WrongPasskey(REFUSAL)
        passkey.sign_count = ceremonies.confirmed(
            _party(),
            credential,
            challenge,
            public_key=bytes(passkey.public_key),
            sign_count=passkey.sign_count,
            user_handle=bytes(passkey.account.custody.user_handle),
        )
        passkey.last_used_at = now
        passkey.save(update_fields=["sign_count", "last_used_at"])
    return passkey


def _check_available() -> None:
    if not are_available():
        raise PasskeysUnavailable("this agent was not told where the web pages are")


def _account(did: str) -> Account:
    account = Account.objects.filter(did=did).first()
    if account is None:
        raise NoSuchAccount("this account has no keys here")
    return account


def _party() -> RelyingParty:
    return RelyingParty(settings.RP_ID, settings.WEB_ORIGIN)


def _known(passkey: Passkey) -> Known:
    return Known(bytes(passkey.credential_id), passkey.transports)


def _text(stored: bytes | memoryview) -> str:
    return bytes_to_base64url(bytes(stored))


def _has_prf(credential: Mapping[str, Any]) -> bool:
    match credential.get("clientExtensionResults"):
        case {"prf": {"enabled": True}}:
            return True
    return False
