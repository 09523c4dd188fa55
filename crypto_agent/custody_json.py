"""Values of the custody of keys as the JSON of the lexicons, and back."""

from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.client_json import Json, optional_time, time_json, time_value, without_none
from crypto_agent.custody_values import (
    Custody,
    LockSecret,
    Passkey,
    PasskeyUse,
    Passphrase,
    RecoveryCode,
    Secret,
    UnlockSession,
)


def secret_json(secret: Secret) -> Json:
    match secret:
        case Passphrase(text):
            return {"passphrase": text}
        case RecoveryCode(text):
            return {"recoveryCode": text}
        case PasskeyUse(credential, prf):
            return without_none(
                {"credential": dict(credential), "prf": bytes_json(prf) if prf is not None else None}
            )


def unlock_session_json(session: UnlockSession) -> Json:
    return {"unlockToken": session.token, "expiresAt": time_json(session.expires_at)}


def unlock_session_value(json: Json) -> UnlockSession:
    return UnlockSession(json["unlockToken"], time_value(json["expiresAt"]))


def lock_secret_json(secret: LockSecret) -> Json:
    return without_none(
        {
            "secretId": secret.secret_id,
            "kind": secret.kind,
            "passkeyId": secret.passkey_id,
            "createdAt": time_json(secret.created_at),
        }
    )


def lock_secret_value(json: Json) -> LockSecret:
    return LockSecret(
        secret_id=json["secretId"],
        kind=json["kind"],
        passkey_id=json.get("passkeyId"),
        created_at=time_value(json["createdAt"]),
    )


def passkey_json(passkey: Passkey) -> Json:
    return without_none(
        {
            "passkeyId": passkey.passkey_id,
            "name": passkey.name,
            "prf": passkey.prf,
            "createdAt": time_json(passkey.created_at),
            "lastUsedAt": time_json(passkey.last_used_at) if passkey.last_used_at else None,
        }
    )


def passkey_value(json: Json) -> Passkey:
    return Passkey(
        passkey_id=json["passkeyId"],
        name=json["name"],
        prf=json["prf"],
        created_at=time_value(json["createdAt"]),
        last_used_at=optional_time(json, "lastUsedAt"),
    )


def custody_json(custody: Custody) -> Json:
    times = {
        "unlockedUntil": custody.unlocked_until,
        "recoveryCodeAt": custody.recovery_code_at,
        "waitUntil": custody.wait_until,
    }
    return {
        "mode": custody.mode,
        "unlocked": custody.unlocked,
        "secrets": [lock_secret_json(secret) for secret in custody.secrets],
        "passkeys": [passkey_json(passkey) for passkey in custody.passkeys],
        "passkeyRequired": custody.passkey_required,
        "passkeysAvailable": custody.passkeys_available,
        **{name: time_json(time) for name, time in times.items() if time is not None},
    }


def custody_value(json: Json) -> Custody:
    return Custody(
        mode=json["mode"],
        unlocked=json["unlocked"],
        unlocked_until=optional_time(json, "unlockedUntil"),
        secrets=[lock_secret_value(secret) for secret in json["secrets"]],
        passkeys=[passkey_value(passkey) for passkey in json["passkeys"]],
        passkey_required=json["passkeyRequired"],
        recovery_code_at=optional_time(json, "recoveryCodeAt"),
        wait_until=optional_time(json, "waitUntil"),
        passkeys_available=json["passkeysAvailable"],
    )
