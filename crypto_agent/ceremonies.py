"""WebAuthn's two ceremonies (Level 3, §7): a passkey is made, and a passkey confirms something.

What is asked of a browser, and whether its answer holds, with the user verified by PIN, finger or face. For
whoever keeps passkeys: the agent those of people, the web process those of administrators. Challenges are the
caller's: each is used up before what answers it is looked at.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import webauthn
from webauthn.helpers import base64url_to_bytes, parse_client_data_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from crypto_agent.errors import InvalidRequest, WrongPasskey

Json = dict[str, Any]

LONGEST_CREDENTIAL_JSON = 64 * 1024
REFUSAL = "the passkey's answer does not hold here"
_RP_NAME = "Waxwing"


@dataclass(frozen=True)
class RelyingParty:
    """Whom passkeys are made for: a host name, and the origin of the pages that ask for them."""

    rp_id: str
    origin: str


@dataclass(frozen=True)
class Known:
    """A passkey that is kept already, as browsers are told of it."""

    credential_id: bytes
    transports: list[str]


@dataclass(frozen=True)
class Made:
    """What is kept of a new passkey; ``public_key`` is a COSE_Key."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]


def creation_options(
    party: RelyingParty, user_name: str, user_handle: bytes, challenge: bytes, known: Iterable[Known]
) -> Json:
    """What a browser makes a new passkey from (PublicKeyCredentialCreationOptionsJSON)."""
    options = webauthn.generate_registration_options(
        rp_id=party.rp_id,
        rp_name=_RP_NAME,
        user_name=user_name,
        user_id=user_handle,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[_descriptor(each) for each in known],
    )
    asked: Json = json.loads(webauthn.options_to_json(options))
    return asked


def made(party: RelyingParty, credential: Mapping[str, Any], challenge: bytes) -> Made:
    """The passkey in a RegistrationResponseJSON for this challenge; raises WrongPasskey."""
    try:
        verified = webauthn.verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception as error:
        # Its decoders raise errors of many kinds for what is malformed; nothing else runs inside.
        raise WrongPasskey(REFUSAL) from error
    return Made(
        verified.credential_id,
        verified.credential_public_key,
        verified.sign_count,
        _transports(credential),
    )


def request_options(party: RelyingParty, challenge: bytes, known: Iterable[Known]) -> Json:
    """What a browser asks one of these passkeys with (PublicKeyCredentialRequestOptionsJSON)."""
    options = webauthn.generate_authentication_options(
        rp_id=party.rp_id,
        challenge=challenge,
        allow_credentials=[_descriptor(each) for each in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    asked: Json = json.loads(webauthn.options_to_json(options))
    return asked


def confirmed(
    party: RelyingParty,
    credential: Mapping[str, Any],
    challenge: bytes,
    *,
    public_key: bytes,
    sign_count: int,
    user_handle: bytes,
) -> int:
    """The new sign count, if the AuthenticationResponseJSON is this passkey's for this challenge.

    A count that has not grown, where the authenticator counts, is refused: it may be a copy's. So is the
    handle of another user, where one is given. Raises WrongPasskey.
    """
    try:
        given = credential["response"].get("userHandle")
        if given and base64url_to_bytes(given) != user_handle:
            raise WrongPasskey(REFUSAL)
        verified = webauthn.verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except Exception as error:
        # As above.
        raise WrongPasskey(REFUSAL) from error
    return verified.new_sign_count


def challenge_in(credential: Mapping[str, Any]) -> bytes:
    """What the answer says to answer; nothing is verified. Raises WrongPasskey, InvalidRequest."""
    if len(json.dumps(credential)) > LONGEST_CREDENTIAL_JSON:
        raise InvalidRequest("credential: too long")
    try:
        client_data = base64url_to_bytes(credential["response"]["clientDataJSON"])
        challenge: bytes = parse_client_data_json(client_data).challenge
    except Exception as error:
        # As above: whatever is malformed.
        raise WrongPasskey(REFUSAL) from error
    return challenge


def credential_hash_in(credential: Mapping[str, Any]) -> str:
    """By which the passkey is found that the answer says to be of. Raises WrongPasskey."""
    try:
        return credential_hash(base64url_to_bytes(credential["rawId"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise WrongPasskey(REFUSAL) from None


def credential_hash(credential_id: bytes) -> str:
    """SHA-256 of a credential's id in hexadecimal: ids may have any length up to 1023 bytes."""
    return hashlib.sha256(credential_id).hexdigest()


def _descriptor(known: Known) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(
        id=known.credential_id,
        transports=[AuthenticatorTransport(name) for name in known.transports],
    )


def _transports(credential: Mapping[str, Any]) -> list[str]:
    given = credential["response"].get("transports")
    known = {transport.value for transport in AuthenticatorTransport}
    if not isinstance(given, list):
        return []
    return sorted({name for name in given if isinstance(name, str) and name in known})
