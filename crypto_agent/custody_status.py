"""How an account's keys are guarded, as its owner sees it."""

from datetime import datetime, timedelta

from crypto_agent import passkeys
from crypto_agent.custody_values import Custody, LockSecret, Passkey
from crypto_agent.models import AccountCustody
from crypto_agent.models import LockSecret as LockSecretRow
from crypto_agent.models import Passkey as PasskeyRow
from crypto_agent.unlock_sessions import sessions


def custody(did: str, now: datetime) -> Custody:
    """The custody of ``did``; that of an account without keys is managed."""
    row = AccountCustody.objects.filter(account__did=did).first() or AccountCustody()
    secrets = list(
        LockSecretRow.objects.filter(account__did=did).select_related("passkey").order_by("created_at", "pk")
    )
    left_s = sessions.seconds_left(did, row.lock_id) if row.lock_id else 0.0
    recovery = LockSecretRow.Kind.RECOVERY
    return Custody(
        mode="locked" if row.lock_id else "managed",
        unlocked=not row.lock_id or left_s > 0,
        unlocked_until=now + timedelta(seconds=left_s) if left_s > 0 else None,
        secrets=[described_secret(secret) for secret in secrets if secret.kind != recovery],
        passkeys=[
            described_passkey(passkey)
            for passkey in PasskeyRow.objects.filter(account__did=did).order_by("created_at", "pk")
        ],
        passkey_required=row.passkey_required,
        recovery_code_at=next((secret.created_at for secret in secrets if secret.kind == recovery), None),
        wait_until=row.wait_until if row.wait_until is not None and row.wait_until > now else None,
        passkeys_available=passkeys.are_available(),
    )


def is_locked(did: str) -> bool:
    """Whether nothing of this account can be opened now."""
    lock_id = AccountCustody.objects.filter(account__did=did).values_list("lock_id", flat=True).first()
    return bool(lock_id) and not sessions.seconds_left(did, lock_id or "")


def described_secret(secret: LockSecretRow) -> LockSecret:
    return LockSecret(
        secret_id=secret.secret_id,
        kind="passkey" if secret.passkey is not None else "passphrase",
        passkey_id=secret.passkey.passkey_id if secret.passkey is not None else None,
        created_at=secret.created_at,
    )


def described_passkey(passkey: PasskeyRow) -> Passkey:
    return Passkey(
        passkey_id=passkey.passkey_id,
        name=passkey.name,
        prf=passkey.prf,
        created_at=passkey.created_at,
        last_used_at=passkey.last_used_at,
    )
