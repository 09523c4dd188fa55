"""The XRPC methods of custody: locking, unlocking, the secrets of a lock, passkeys."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

from crypto_agent import (
    account_locking,
    custody_json,
    custody_status,
    data_key_rotation,
    former_data_keys,
    lock_secrets,
    passkey_requirement,
    passkeys,
    step_up,
)
from crypto_agent.account_locking import Change
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.calls import Answering, Call, Fields, InTwoSteps, Json, number_cursor
from crypto_agent.client_values import RestingItem
from crypto_agent.custody_values import PasskeyUse, Passphrase, RecoveryCode, Secret
from crypto_agent.errors import AccountNotLocked, InvalidRequest
from crypto_agent.hex_fields import check_hex_fields
from crypto_agent.lock_secrets import NewSecret, OpenedLock
from crypto_agent.passkey_challenges import PasskeyPurpose
from crypto_agent.unlock_sessions import sessions

Finish = Callable[[], Json]


def get_custody(call: Call) -> Json:
    return custody_json.custody_json(custody_status.custody(call.fields["did"], call.now))


def make_locked(call: Call) -> Finish:
    new = _new_secret(call, "secret")

    def finish() -> Json:
        locked = account_locking.make_locked(_change(call), new, _lifetime(call.fields))
        return {
            "recoveryCode": locked.recovery_code,
            **custody_json.unlock_session_json(locked.session),
        }

    return finish


def make_managed(call: Call) -> Finish:
    opened = _opened(call)
    return partial(_nothing, account_locking.make_managed, _change(call), opened)


def unlock(call: Call) -> Finish:
    did = call.fields["did"]
    opened = lock_secrets.open_lock(did, _secret(call.fields, "secret"), PasskeyPurpose.UNLOCK, call.now)

    def finish() -> Json:
        session = account_locking.unlock(did, opened, _lifetime(call.fields), call.now, call.random)
        return custody_json.unlock_session_json(session)

    return finish


def lock(call: Call) -> Json:
    did = call.fields["did"]
    (sessions.end_all if call.fields["everywhere"] else sessions.end)(did)
    return {}


def add_lock_secret(call: Call) -> Finish:
    opened, new = _opened(call), _new_secret(call, "secret")

    def finish() -> Json:
        secret = account_locking.add_secret(_change(call), opened, new)
        return {"secret": custody_json.lock_secret_json(custody_status.described_secret(secret))}

    return finish


def remove_lock_secret(call: Call) -> Finish:
    opened = _opened(call)
    return partial(_nothing, account_locking.remove_secret, _change(call), opened, call.fields["secretId"])


def change_passphrase(call: Call) -> Finish:
    new = Passphrase(call.fields["passphrase"])
    did = call.fields["did"]
    opened = _opened(call)
    prepared = lock_secrets.prepare(did, new, PasskeyPurpose.CHANGE_CUSTODY, call.now, call.random)
    return partial(_nothing, account_locking.change_passphrase, _change(call), opened, prepared)


def new_recovery_code(call: Call) -> Finish:
    did, proof = call.fields["did"], _secret(call.fields, "proof")
    try:
        opened = _opened(call)
    except AccountNotLocked:
        if not isinstance(proof, PasskeyUse):
            raise
        without_lock = partial(passkey_requirement.new_recovery_code, did, proof, call.now, call.random)
        return lambda: {"recoveryCode": without_lock()}
    return lambda: {"recoveryCode": account_locking.new_recovery_code(_change(call), opened)}


def rotate_data_key(call: Call) -> Json:
    return {"version": data_key_rotation.rotate_data_key(call.fields["did"], call.now, call.random)}


def seal_again(call: Call) -> Json:
    items = [_resting_item(item, f"items[{index}]") for index, item in enumerate(call.fields["items"])]
    sealed = former_data_keys.seal_again(call.fields["did"], items, call.random)
    return {"items": [{} if one is None else {"sealed": bytes_json(one)} for one in sealed]}


def list_former_data_keys(call: Call) -> Json:
    page = former_data_keys.list_former(call.now, number_cursor(call.fields))
    return {
        "accounts": [{"did": account.did, "newest": account.newest} for account in page.accounts],
        **({} if page.cursor is None else {"cursor": page.cursor}),
    }


def destroy_data_keys(call: Call) -> Json:
    return {"destroyed": former_data_keys.destroy(call.fields["did"], call.fields["oldest"], call.now)}


def begin_passkey(call: Call) -> Json:
    return {"options": passkeys.begin_passkey(call.fields["did"], call.fields["userName"], call.random)}


def add_passkey(call: Call) -> Json:
    fields = call.fields
    did = fields["did"]
    step_up.check(did, PasskeyPurpose.CHANGE_CUSTODY, fields.get("assertion"), call.now)
    added = passkeys.add_passkey(did, fields["name"], fields["credential"], call.now, call.random)
    return {"passkey": custody_json.passkey_json(custody_status.described_passkey(added))}


def remove_passkey(call: Call) -> Json:
    fields = call.fields
    step_up.check(fields["did"], PasskeyPurpose.REMOVE_PASSKEY, fields.get("assertion"), call.now)
    passkeys.remove_passkey(fields["did"], fields["passkeyId"])
    return {}


def passkey_challenge(call: Call) -> Json:
    purpose = PasskeyPurpose(call.fields["purpose"])
    return {"options": passkeys.new_challenge(call.fields["did"], purpose, call.random)}


def confirm_passkey(call: Call) -> Json:
    passkeys.verify(call.fields["did"], PasskeyPurpose.SIGN_IN, call.fields["credential"], call.now)
    return {}


def require_passkey(call: Call) -> Json:
    did, proof = call.fields["did"], _secret(call.fields, "proof")
    match call.fields["required"], proof:
        case True, PasskeyUse():
            code = passkey_requirement.require_passkey(did, proof, call.now, call.random)
            return {"recoveryCode": code} if code is not None else {}
        case False, PasskeyUse() | RecoveryCode():
            passkey_requirement.end_requirement(did, proof, call.now, call.random)
            return {}
    raise InvalidRequest("proof: not of a kind that this takes")


CUSTODY_METHODS: Mapping[str, Answering | InTwoSteps] = {
    "getCustody": Answering(get_custody),
    "makeLocked": InTwoSteps(make_locked),
    "makeManaged": InTwoSteps(make_managed),
    "unlock": InTwoSteps(unlock),
    "lock": Answering(lock),
    "addLockSecret": InTwoSteps(add_lock_secret),
    "removeLockSecret": InTwoSteps(remove_lock_secret),
    "changePassphrase": InTwoSteps(change_passphrase),
    "newRecoveryCode": InTwoSteps(new_recovery_code),
    "rotateDataKey": Answering(rotate_data_key, writes=True),
    "sealAgain": Answering(seal_again, counted="items"),
    "listFormerDataKeys": Answering(list_former_data_keys),
    "destroyDataKeys": Answering(destroy_data_keys, writes=True),
    "beginPasskey": Answering(begin_passkey, writes=True),
    "addPasskey": Answering(add_passkey, writes=True),
    "removePasskey": Answering(remove_passkey, writes=True),
    "passkeyChallenge": Answering(passkey_challenge),
    "confirmPasskey": Answering(confirm_passkey, writes=True),
    "requirePasskey": Answering(require_passkey, writes=True),
}


def _change(call: Call) -> Change:
    return Change(call.fields["did"], call.now, call.random, call.fields.get("assertion"))


def _lifetime(fields: Fields) -> timedelta:
    return timedelta(seconds=fields["lifetimeSeconds"])


def _opened(call: Call) -> OpenedLock:
    proof = _secret(call.fields, "proof")
    return lock_secrets.open_lock(call.fields["did"], proof, PasskeyPurpose.CHANGE_CUSTODY, call.now)


def _new_secret(call: Call, name: str) -> NewSecret:
    secret = _secret(call.fields, name)
    if isinstance(secret, RecoveryCode):
        raise InvalidRequest(f"{name}: the agent makes recovery codes itself")
    did = call.fields["did"]
    return lock_secrets.prepare(did, secret, PasskeyPurpose.CHANGE_CUSTODY, call.now, call.random)


def _secret(fields: Fields, name: str) -> Secret:
    """Exactly one kind of secret; lexicons that are spoken here have no unions."""
    match fields[name]:
        case {"passphrase": str(text), **rest} if not rest:
            return Passphrase(text)
        case {"recoveryCode": str(text), **rest} if not rest:
            return RecoveryCode(text)
        case {"credential": dict(credential), "prf": bytes(prf), **rest} if not rest:
            return PasskeyUse(credential, prf)
        case {"credential": dict(credential), **rest} if not rest:
            return PasskeyUse(credential)
    raise InvalidRequest(f"{name}: not one secret")


def _resting_item(fields: Fields, path: str) -> RestingItem:
    check_hex_fields(fields, ("conversationId", "messageId", "draftId"), path)
    return RestingItem(
        kind=fields["kind"],
        sealed=fields["sealed"],
        conversation_id=fields.get("conversationId", ""),
        message_id=fields.get("messageId", ""),
        draft_id=fields.get("draftId", ""),
        file_id=fields.get("fileId", ""),
    )


def _nothing(act: Callable[..., None], *arguments: object) -> Json:
    act(*arguments)
    return {}
