"""Whether signing in and dangerous steps ask for a passkey. The recovery code can end it, the PDS can not."""

from datetime import datetime

from crypto_agent import lock_secrets, passkeys
from crypto_agent.custody import Random
from crypto_agent.custody_values import PasskeyUse, RecoveryCode
from crypto_agent.errors import AccountNotLocked, NoSuchAccount, WrongSecret
from crypto_agent.models import Account, LockSecret
from crypto_agent.passkey_challenges import PasskeyPurpose


def require_passkey(did: str, proof: PasskeyUse, now: datetime, random: Random) -> str | None:
    """From now on a passkey is needed, in the caller's transaction; a new recovery code if there was none.

    Raises WrongPasskey, NoSuchAccount.
    """
    account = _held(did)
    passkeys.verify(did, PasskeyPurpose.REQUIRE_PASSKEY, proof.credential, now)
    custody = passkeys.custody_of(account, random)
    custody.passkey_required = True
    custody.save(update_fields=["passkey_required"])
    if account.lock_secrets.filter(kind=LockSecret.Kind.RECOVERY).exists():
        return None
    return lock_secrets.recovery_code_without_lock(account, now, random)


def new_recovery_code(did: str, proof: PasskeyUse, now: datetime, random: Random) -> str:
    """Another code for a managed account that requires its passkey, in the caller's transaction.

    The one before ends the requirement no more. Raises AccountNotLocked where none is required, WrongSecret
    where the account is locked by now, WrongPasskey, NoSuchAccount.
    """
    account = _held(did)
    custody = passkeys.custody_of(account, random)
    if custody.lock_id:
        raise WrongSecret("the account was locked meanwhile")
    if not custody.passkey_required:
        raise AccountNotLocked("the account is not locked")
    passkeys.verify(did, PasskeyPurpose.CHANGE_CUSTODY, proof.credential, now)
    return lock_secrets.recovery_code_without_lock(account, now, random)


def end_requirement(did: str, proof: PasskeyUse | RecoveryCode, now: datetime, random: Random) -> None:
    """No passkey is needed any more, in the caller's transaction.

    Raises WrongPasskey, WrongSecret, MistypedRecoveryCode, NoSuchAccount.
    """
    account = _held(did)
    match proof:
        case RecoveryCode(text):
            lock_secrets.opened_by_recovery_code(did, text)
        case PasskeyUse(credential):
            passkeys.verify(did, PasskeyPurpose.REQUIRE_PASSKEY, credential, now)
    custody = passkeys.custody_of(account, random)
    custody.passkey_required = False
    custody.save(update_fields=["passkey_required"])
    if not custody.lock_id:
        account.lock_secrets.filter(kind=LockSecret.Kind.RECOVERY).delete()


def _held(did: str) -> Account:
    account = Account.objects.select_for_update().filter(did=did).first()
    if account is None:
        raise NoSuchAccount("this account has no keys here")
    return account
