"""One well-formed call of every method for this installation but getStatus, and who may make it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from crypto_agent.client import (
    AgentClient,
    ArchiveItem,
    IndexItem,
    PasskeyUse,
    Passphrase,
    Receipt,
    RestingItem,
    SealedContent,
)
from tests.crypto_agent.people import ALICE, BOB, CAROL, WRITTEN_AT

CONTENT = SealedContent("01" * 33, "01" * 32, b"sealed")
ITEM = ArchiveItem("01" * 33, "01" * 32, b"sealed", WRITTEN_AT, None, "in")
INDEXED = IndexItem(CONTENT, BOB, WRITTEN_AT)
#: Somebody without keys, so that locking harms nobody's tests.
NOBODY = "did:plc:nobodynobodynobodynobody"
PASSPHRASE = Passphrase("correct horse battery")
#: What methods answer about things that are not there, once the caller was let through.
DONE_FOR_NOTHING = {
    "BadExport",
    "CannotUnseal",
    "NoExportBegun",
    "NoSuchAccount",
    "NoSuchDevice",
    "NoSuchGrant",
    "NoSuchPasskey",
    "NotAttested",
    "WrongPasskey",
}
CALLS: dict[str, tuple[str, Callable[[AgentClient], Any]]] = {
    "createDevice": ("web", lambda client: client.create_device(ALICE, "alice.test", "mail.test")),
    "listDevices": ("web", lambda client: client.list_devices(ALICE)),
    "revokeDevice": ("web", lambda client: client.revoke_device(ALICE, "00" * 32)),
    "rotatePrekey": ("web", lambda client: client.rotate_prekey(ALICE, "00" * 32)),
    "renewCertificate": (
        "worker",
        lambda client: client.renew_certificate(ALICE, "00" * 32, "alice.test", "mail.test"),
    ),
    "compose": ("web", lambda client: client.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT)),
    "encryptFile": (
        "web",
        lambda client: client.encrypt_file(ALICE, "1", "a.txt", "text/plain", 3, [b"abc"], lambda _: None),
    ),
    "decryptFile": ("web", lambda client: client.decrypt_file(ALICE, CONTENT, 0, 19, [bytes(19)], bytes)),
    "sealDraft": ("web", lambda client: client.seal_draft(ALICE, "00" * 16, b"draft")),
    "openDrafts": ("web", lambda client: client.open_drafts(ALICE, [("00" * 16, b"sealed")])),
    "composeReceipt": (
        "worker",
        lambda client: client.compose_receipt(
            ALICE, [BOB], Receipt("delivered", ["01" * 32]), created_at=WRITTEN_AT
        ),
    ),
    "seal": ("worker", lambda client: client.seal(ALICE, CONTENT, [])),
    "open": ("worker", lambda client: client.open(ALICE, [b"envelope"])),
    "read": ("web", lambda client: client.read(ALICE, [CONTENT])),
    "archive": ("worker", lambda client: client.archive(ALICE, [ITEM])),
    "createGrant": (
        "web",
        lambda client: client.create_grant(
            ALICE, "An app", ["status"], expires_at=datetime.now(UTC) + timedelta(days=1), hourly_limit=10
        ),
    ),
    "listGrants": ("web", lambda client: client.list_grants(ALICE)),
    "revokeGrant": ("web", lambda client: client.revoke_grant(ALICE, "00" * 8)),
    "checkAttestations": (
        "web",
        lambda client: client.check_attestations(
            ALICE, {"$type": "dev.test.record"}, ALICE, trusted_keys={}, trusted_proofs={}
        ),
    ),
    "listUses": ("web", lambda client: client.list_uses(ALICE)),
    "listUseEntries": (
        "web",
        lambda client: client.list_use_entries(
            ALICE, caller="web", purpose="read", outcome="ok", oldest=1, newest=9
        ),
    ),
    "listAlarms": ("web", lambda client: client.list_alarms()),
    "getKeyStatus": ("web", lambda client: client.key_status()),
    "exportAccount": ("web", lambda client: client.export_account(ALICE, "correct horse battery")),
    "beginReadableExport": ("web", lambda client: client.begin_readable_export(ALICE)),
    "readForExport": ("web", lambda client: client.read_for_export(ALICE, b"permit", [CONTENT])),
    "decryptFileForExport": (
        "web",
        lambda client: client.decrypt_file_for_export(ALICE, b"permit", CONTENT, 0, 19, [bytes(19)], bytes),
    ),
    "sealExportPart": ("web", lambda client: client.seal_export_part(ALICE, b"key", "account", b"state")),
    "openExportPart": ("worker", lambda client: client.open_export_part(ALICE, b"key", "account", b"part")),
    "sealUnsent": ("web", lambda client: client.seal_unsent(ALICE, b"key", [CONTENT])),
    "indexMessages": ("worker", lambda client: client.index_messages(ALICE, [INDEXED])),
    "forgetMessages": ("worker", lambda client: client.forget_messages(ALICE, ["00" * 32])),
    "emptyIndex": ("worker", lambda client: client.empty_index(ALICE)),
    "search": ("web", lambda client: client.search(ALICE, "hello")),
    "openUnsent": ("worker", lambda client: client.open_unsent(ALICE, b"key", [b"part"])),
    "importAccount": ("web", lambda client: client.import_account(ALICE, "correct horse battery", b"keys")),
    "eraseAccount": ("web", lambda client: client.erase_account(CAROL)),
    "getCustody": ("web", lambda client: client.custody(NOBODY)),
    "makeLocked": ("web", lambda client: client.make_locked(NOBODY, PASSPHRASE, lifetime_s=60)),
    "makeManaged": ("web", lambda client: client.make_managed(NOBODY, PASSPHRASE)),
    "unlock": ("web", lambda client: client.unlock(NOBODY, PASSPHRASE, lifetime_s=60)),
    "lock": ("web", lambda client: client.lock_now(NOBODY)),
    "addLockSecret": ("web", lambda client: client.add_lock_secret(NOBODY, PASSPHRASE, PASSPHRASE)),
    "removeLockSecret": ("web", lambda client: client.remove_lock_secret(NOBODY, PASSPHRASE, "00" * 8)),
    "changePassphrase": ("web", lambda client: client.change_passphrase(NOBODY, PASSPHRASE, PASSPHRASE)),
    "newRecoveryCode": ("web", lambda client: client.new_recovery_code(NOBODY, PASSPHRASE)),
    "rotateDataKey": ("web", lambda client: client.rotate_data_key(NOBODY)),
    "sealAgain": (
        "worker",
        lambda client: client.seal_again(ALICE, [RestingItem("file", b"sealed", file_id="1")]),
    ),
    "listFormerDataKeys": ("worker", lambda client: client.former_data_keys()),
    "destroyDataKeys": ("worker", lambda client: client.destroy_data_keys(ALICE, 1)),
    "beginPasskey": ("web", lambda client: client.begin_passkey(NOBODY, "alice.test")),
    "addPasskey": ("web", lambda client: client.add_passkey(NOBODY, "A passkey", {})),
    "removePasskey": ("web", lambda client: client.remove_passkey(NOBODY, "00" * 8)),
    "passkeyChallenge": ("web", lambda client: client.passkey_challenge(NOBODY, "sign-in")),
    "confirmPasskey": ("web", lambda client: client.confirm_passkey(NOBODY, {})),
    "requirePasskey": ("web", lambda client: client.require_passkey(NOBODY, True, PasskeyUse({}))),
    "readArchive": ("worker", lambda client: client.read_archive(ALICE, [b"archived"])),
}
