"""The user's passkeys (WebAuthn): made, listed, removed, and asked to confirm one thing at a time.

They are verified here and not in the web process, against the origin of its pages, with the user verified by
PIN, finger or face. The output of a passkey's PRF is no part of what is signed: it comes beside it.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import webauthn
from django.conf import settings
from django.db import transaction
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_client_data_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

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

Json = dict[str, Any]

MOST_PASSKEYS = 20
PRF_SALT_BYTES = 32
USER_HANDLE_BYTES = 32
ID_BYTES = 8
LONGEST_CREDENTIAL_JSON = 64 * 1024
#: Only these can need the PRF's output.
_WITH_PRF = (PasskeyPurpose.UNLOCK, PasskeyPurpose.CHANGE_CUSTODY)
_RP_NAME = "Waxwing"
_REFUSAL = "the passkey's answer does not hold here"


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
    options = webauthn.generate_registration_options(
        rp_id=settings.RP_ID,
        rp_name=_RP_NAME,
        user_name=user_name,
        user_id=bytes(custody_of(account, random).user_handle),
        challenge=challenges.issue(did, PasskeyPurpose.REGISTER, random, prf_salt),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[_descriptor(passkey) for passkey in known],
    )
    return {
        **json.loads(webauthn.options_to_json(options)),
        "extensions": {"prf": {"eval": {"first": bytes_to_base64url(prf_salt)}}},
    }


def add_passkey(did: str, name: str, credential: Mapping[str, Any], now: datetime, random: Random) -> Passkey:
    """Keeps the passkey that the browser made; runs in the caller's transaction.

    ``credential`` is the RegistrationResponseJSON. Raises WrongPasskey, InvalidRequest, NoSuchAccount.
    """
    _check_available()
    account = Account.objects.select_for_update().get(pk=_account(did).pk)
    if not name.strip():
        raise InvalidRequest("name: blank")
    challenge = _challenge_in(credential)
    prf_salt = challenges.take(challenge, did, PasskeyPurpose.REGISTER)
    try:
        verified = webauthn.verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=settings.RP_ID,
            expected_origin=settings.WEB_ORIGIN,
            require_user_verification=True,
        )
    except Exception as error:
        # Its decoders raise errors of many kinds for what is malformed; nothing else runs inside.
        raise WrongPasskey(_REFUSAL) from error
    credential_hash = _hash(verified.credential_id)
    if account.passkeys.filter(credential_hash=credential_hash).exists():
        raise WrongPasskey(_REFUSAL)
    if account.passkeys.count() >= MOST_PASSKEYS:
        raise InvalidRequest(f"there are {MOST_PASSKEYS} passkeys: remove one first")
    return Passkey.objects.create(
        account=account,
        passkey_id=random(ID_BYTES).hex(),
        name=name.strip(),
        credential_id=verified.credential_id,
        credential_hash=credential_hash,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        transports=_transports(credential),
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
    options = webauthn.generate_authentication_options(
        rp_id=settings.RP_ID,
        challenge=challenges.issue(did, purpose, random),
        allow_credentials=[_descriptor(passkey) for passkey in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    asked: Json = json.loads(webauthn.options_to_json(options))
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
    challenge = _challenge_in(credential)
    challenges.take(challenge, did, purpose)
    credential_id = _credential_id(credential)
    with transaction.atomic():
        passkey = (
            Passkey.objects.select_for_update()
            .filter(account__did=did, credential_hash=_hash(credential_id))
            .first()
        )
        if passkey is None or not _is_of(credential, passkey):
            raise WrongPasskey(_REFUSAL)
        try:
            verified = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=settings.RP_ID,
                expected_origin=settings.WEB_ORIGIN,
                credential_public_key=bytes(passkey.public_key),
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except Exception as error:
            # As above.
            raise WrongPasskey(_REFUSAL) from error
        passkey.sign_count = verified.new_sign_count
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


def _descriptor(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(
        id=bytes(passkey.credential_id),
        transports=[AuthenticatorTransport(name) for name in passkey.transports],
    )


def _challenge_in(credential: Mapping[str, Any]) -> bytes:
    if len(json.dumps(credential)) > LONGEST_CREDENTIAL_JSON:
        raise InvalidRequest("credential: too long")
    try:
        client_data = base64url_to_bytes(credential["response"]["clientDataJSON"])
        challenge: bytes = parse_client_data_json(client_data).challenge
    except Exception as error:
        # As above: whatever is malformed.
        raise WrongPasskey(_REFUSAL) from error
    return challenge


def _credential_id(credential: Mapping[str, Any]) -> bytes:
    try:
        return base64url_to_bytes(credential["rawId"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise WrongPasskey(_REFUSAL) from None


def _is_of(credential: Mapping[str, Any], passkey: Passkey) -> bool:
    """Whether the user handle, where the authenticator gives one, is the account's."""
    given = credential["response"].get("userHandle")
    return not given or given == _text(passkey.account.custody.user_handle)


def _text(stored: bytes | memoryview) -> str:
    return bytes_to_base64url(bytes(stored))


def _transports(credential: Mapping[str, Any]) -> list[str]:
    given = credential["response"].get("transports")
    known = {transport.value for transport in AuthenticatorTransport}
    return sorted({name for name in given if name in known}) if isinstance(given, list) else []


def _has_prf(credential: Mapping[str, Any]) -> bool:
    match credential.get("clientExtensionResults"):
        case {"prf": {"enabled": True}}:
            return True
    return False


def _hash(credential_id: bytes) -> str:
    return hashlib.sha256(credential_id).hexdigest()
