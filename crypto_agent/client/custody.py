"""Who can open an account's keys: its lock, and the secrets that open it."""

from collections.abc import Sequence

from crypto_agent import client_json as js
from crypto_agent import custody_json
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.client.batching import batches
from crypto_agent.client.transport import Transport, asserted
from crypto_agent.client_values import FormerDataKeys, FormerDataKeysPage, RestingItem
from crypto_agent.custody_values import (
    Custody,
    Locked,
    LockSecret,
    PasskeyUse,
    Passphrase,
    Secret,
    UnlockSession,
)


class CustodyCalls(Transport):
    """Who can open an account's keys: its lock, and the secrets that open it."""

    def custody(self, did: str) -> Custody:
        """How the account's keys are guarded, and whether this browser, or for a worker any, is unlocked."""
        return custody_json.custody_value(self._query("getCustody", {"did": did}))

    def make_locked(
        self,
        did: str,
        secret: Passphrase | PasskeyUse,
        *,
        lifetime_s: int,
        assertion: js.Json | None = None,
    ) -> Locked:
        """Locks a managed account, and unlocks it for the caller; the recovery code is given this once.

        A passkey has to have confirmed ``change-custody``. Raises AgentRefused ``AlreadyLocked``,
        ``WeakPassphrase``, ``PasskeyCannotLock``, ``WrongPasskey``, ``StepUpRequired``.
        """
        arguments = {
            "did": did,
            "secret": custody_json.secret_json(secret),
            "lifetimeSeconds": lifetime_s,
            **asserted(assertion),
        }
        answer = self._procedure("makeLocked", arguments)
        return Locked(answer["recoveryCode"], custody_json.unlock_session_value(answer))

    def unlock(self, did: str, secret: Secret, *, lifetime_s: int) -> UnlockSession:
        """Unlocks a locked account for one browser; a passkey has to have confirmed ``unlock``.

        Raises TooManyGuesses, AgentRefused ``WrongSecret``, ``MistypedRecoveryCode``, ``WrongPasskey``,
        ``AccountNotLocked``, and AgentUnavailable ``AgentBusy``.
        """
        arguments = {"did": did, "secret": custody_json.secret_json(secret), "lifetimeSeconds": lifetime_s}
        return custody_json.unlock_session_value(self._procedure("unlock", arguments))

    def lock_now(self, did: str, *, everywhere: bool = False) -> None:
        """Ends this browser's unlock session, or all of the account. Repeating it changes nothing more."""
        self._procedure("lock", {"did": did, "everywhere": everywhere})

    def make_managed(self, did: str, proof: Secret, *, assertion: js.Json | None = None) -> None:
        """The lock goes. ``proof`` opens it, a passkey confirms ``change-custody``; errors as ``unlock``."""
        self._procedure("makeManaged", _proven(did, proof, assertion))

    def add_lock_secret(
        self,
        did: str,
        proof: Secret,
        secret: Passphrase | PasskeyUse,
        *,
        assertion: js.Json | None = None,
    ) -> LockSecret:
        """One more secret that opens the lock; there is one passphrase at most."""
        arguments = {**_proven(did, proof, assertion), "secret": custody_json.secret_json(secret)}
        return custody_json.lock_secret_value(self._procedure("addLockSecret", arguments)["secret"])

    def remove_lock_secret(
        self, did: str, proof: Secret, secret_id: str, *, assertion: js.Json | None = None
    ) -> None:
        """The secret opens the lock no more; raises AgentRefused ``LastWayIn``, ``NoSuchSecret``."""
        self._procedure("removeLockSecret", {**_proven(did, proof, assertion), "secretId": secret_id})

    def change_passphrase(
        self, did: str, proof: Secret, new: Passphrase, *, assertion: js.Json | None = None
    ) -> None:
        """Another passphrase in place of the old one, or a first one, as after the recovery code.

        All unlock sessions but the caller's own end.
        """
        self._procedure("changePassphrase", {**_proven(did, proof, assertion), "passphrase": new.text})

    def new_recovery_code(self, did: str, proof: Secret, *, assertion: js.Json | None = None) -> str:
        """A new recovery code, given this once; the one before opens nothing more.

        Of a managed account that requires its passkey, ``proof`` is that passkey for ``change-custody``.
        """
        code: str = self._procedure("newRecoveryCode", _proven(did, proof, assertion))["recoveryCode"]
        return code

    def rotate_data_key(self, did: str) -> int:
        """A new version of the account's data key, its number; what is there stays readable."""
        version: int = self._procedure("rotateDataKey", {"did": did})["version"]
        return version

    def seal_again(self, did: str, items: Sequence[RestingItem]) -> list[bytes | None]:
        """Each item under the newest version of the data key; None for what can't be unsealed."""
        sealed: list[bytes | None] = []
        for batch in batches(items, lambda item: len(item.sealed)):
            arguments = {"did": did, "items": [_resting_json(item) for item in batch]}
            answer = self._procedure("sealAgain", arguments)["items"]
            sealed += [js.bytes_value(item["sealed"]) if "sealed" in item else None for item in answer]
        return sealed

    def former_data_keys(self, cursor: str | None = None) -> FormerDataKeysPage:
        """Accounts with former versions of their data key under which nothing new was written for a week."""
        answer = self._query("listFormerDataKeys", {} if cursor is None else {"cursor": cursor})
        found = [FormerDataKeys(account["did"], account["newest"]) for account in answer["accounts"]]
        return FormerDataKeysPage(found, answer.get("cursor"))

    def destroy_data_keys(self, did: str, oldest: int) -> int:
        """Destroys versions before ``oldest``, under which nothing is left here; how many."""
        destroyed: int = self._procedure("destroyDataKeys", {"did": did, "oldest": oldest})["destroyed"]
        return destroyed


def _proven(did: str, proof: Secret, assertion: js.Json | None) -> js.Json:
    return {"did": did, "proof": custody_json.secret_json(proof), **asserted(assertion)}


def _resting_json(item: RestingItem) -> js.Json:
    ids = {
        "conversationId": item.conversation_id,
        "messageId": item.message_id,
        "draftId": item.draft_id,
        "fileId": item.file_id,
    }
    return {
        "kind": item.kind,
        "sealed": bytes_json(item.sealed),
        **{name: value for name, value in ids.items() if value},
    }
