"""The audit log in words of a person: who used one's keys, for what, how much, and why it was refused."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crypto_agent.client import UseGroup

#: What was done, by the agent's name for it.
PURPOSES: dict[str, Promise] = {
    "createDevice": gettext_lazy("Made your device, or saw that it is there"),
    "listDevices": gettext_lazy("Looked up your devices"),
    "revokeDevice": gettext_lazy("Revoked a device"),
    "rotatePrekey": gettext_lazy("Saw whether your sealing key is due, and replaced it if so"),
    "renewCertificate": gettext_lazy("Saw whether your certificate is due, and renewed it if so"),
    "compose": gettext_lazy("Took down a message that you wrote"),
    "seal": gettext_lazy("Signed and sealed a message of yours"),
    "open": gettext_lazy("Opened messages that arrived"),
    "read": gettext_lazy("Showed messages on a page"),
    "archive": gettext_lazy("Sealed messages for your archive"),
    "readArchive": gettext_lazy("Read messages back from your archive"),
    "search": gettext_lazy("Searched your messages"),
    "indexMessages": gettext_lazy("Took messages into your search"),
    "forgetMessages": gettext_lazy("Took messages out of your search"),
    "emptyIndex": gettext_lazy("Began your search anew"),
    "composeReceipt": gettext_lazy("Told somebody that a message was opened or read"),
    "encryptFile": gettext_lazy("Encrypted a file"),
    "decryptFile": gettext_lazy("Decrypted a file"),
    "sealDraft": gettext_lazy("Kept what you were writing"),
    "openDrafts": gettext_lazy("Showed what you were writing"),
    "createGrant": gettext_lazy("Allowed an app"),
    "listGrants": gettext_lazy("Looked up your apps"),
    "revokeGrant": gettext_lazy("Revoked an app"),
    "checkAttestations": gettext_lazy("Checked who vouches for a record"),
    "listUses": gettext_lazy("Showed this log"),
    "listUseEntries": gettext_lazy("Showed single entries of this log"),
    "exportAccount": gettext_lazy("Exported your keys, sealed to a passphrase"),
    "beginReadableExport": gettext_lazy("Began an export of your messages as plain text"),
    "readForExport": gettext_lazy("Gave out messages as plain text, for an export"),
    "decryptFileForExport": gettext_lazy("Gave out a file as it is, for an export"),
    "sealExportPart": gettext_lazy("Sealed a part of an export"),
    "openExportPart": gettext_lazy("Opened a part of an export"),
    "sealUnsent": gettext_lazy("Sealed messages for an export"),
    "openUnsent": gettext_lazy("Took in messages of an export"),
    "importAccount": gettext_lazy("Took in keys from another installation"),
    "eraseAccount": gettext_lazy("Erased your keys"),
    "getCustody": gettext_lazy("Looked up how your keys are guarded"),
    "makeLocked": gettext_lazy("Changed your keys to locked"),
    "makeManaged": gettext_lazy("Changed your keys to managed"),
    "unlock": gettext_lazy("Unlocked your keys"),
    "lock": gettext_lazy("Locked your keys again"),
    "addLockSecret": gettext_lazy("Added a way to unlock"),
    "removeLockSecret": gettext_lazy("Removed a way to unlock"),
    "changePassphrase": gettext_lazy("Changed the passphrase"),
    "newRecoveryCode": gettext_lazy("Made a new recovery code"),
    "beginPasskey": gettext_lazy("Began to add a passkey"),
    "addPasskey": gettext_lazy("Added a passkey"),
    "removePasskey": gettext_lazy("Removed a passkey"),
    "passkeyChallenge": gettext_lazy("Asked for a passkey"),
    "confirmPasskey": gettext_lazy("Signed in with a passkey"),
    "requirePasskey": gettext_lazy("Changed whether a passkey is needed"),
    "rotateDataKey": gettext_lazy("Encrypted your keys anew"),
    "moveIndex": gettext_lazy("Encrypted your search index under your newest key"),
    "sealAgain": gettext_lazy("Encrypted what is kept here under your newest key"),
    "destroyDataKeys": gettext_lazy("Destroyed former keys that nothing needs"),
    "app.status": gettext_lazy("Looked at your devices"),
    "app.attest": gettext_lazy("Vouched for a record"),
    "app.sign": gettext_lazy("Signed a message as you"),
    "app.seal": gettext_lazy("Wrote a sealed message as you"),
    "app.open": gettext_lazy("Opened messages sent to you"),
}

#: Why it was not done, by the name of the error; others are shown by their name.
REFUSALS: dict[str, Promise] = {
    "LimitReached": gettext_lazy("that was as much as one hour allows"),
    "GrantLimitReached": gettext_lazy("it had used up what you allow it in an hour"),
    "PurposeNotGranted": gettext_lazy("you did not allow it that"),
    "NotGranted": gettext_lazy("you allowed it nothing, or revoked it"),
    "GrantExpired": gettext_lazy("what you allowed it had run out"),
    "NotPermitted": gettext_lazy("this part of the site may not do that"),
    "CannotUnseal": gettext_lazy("what it asked for is damaged or not yours"),
    "NoActiveDevice": gettext_lazy("you had no device to sign with"),
    "NoSuchAccount": gettext_lazy("there were no keys of yours yet"),
    "NoSuchDevice": gettext_lazy("there is no such device"),
    "DeviceRevoked": gettext_lazy("the device was revoked"),
    "InvalidRequest": gettext_lazy("the request was malformed"),
    "MessageTooLong": gettext_lazy("the message was too long"),
    "NotAttested": gettext_lazy("nobody you trust vouches for it"),
    "AgentSealed": gettext_lazy("the key agent was waiting for its operator"),
    "AccountLocked": gettext_lazy("your keys were locked"),
    "StepUpRequired": gettext_lazy("your passkey was not shown"),
    "TooManyGuesses": gettext_lazy("there were too many wrong guesses"),
    "WrongSecret": gettext_lazy("the passphrase or code was wrong"),
    "MistypedRecoveryCode": gettext_lazy("the recovery code was mistyped"),
    "WrongPasskey": gettext_lazy("the passkey did not fit"),
    "LastWayIn": gettext_lazy("it was the last way in"),
    "WeakPassphrase": gettext_lazy("the passphrase was too short"),
    "NoExportBegun": gettext_lazy("no export was begun, or it took too long"),
    "WrongExportPassphrase": gettext_lazy("the export's passphrase was wrong"),
}

#: Purposes whose things are messages, and those whose things are copies for devices.
_MESSAGES = (
    "open",
    "read",
    "archive",
    "readArchive",
    "readForExport",
    "sealUnsent",
    "openUnsent",
    "app.open",
)
_COPIES = ("seal", "app.seal")


@dataclass(frozen=True)
class UseLine:
    """A group of uses as the page says it."""

    group: UseGroup
    who: str
    what: str
    how_much: str
    #: Why it was refused, or "".
    refusal: str

    @property
    def query(self) -> str:
        """The query string that names the group to the page of its entries."""
        group = self.group
        names = {"caller": group.caller, "purpose": group.purpose, "outcome": group.outcome}
        return urlencode({**names, "oldest": group.oldest, "newest": group.newest})


def line(group: UseGroup) -> UseLine:
    """The words for a group."""
    return UseLine(group, who(group), what(group.purpose), _how_much(group), _refusal(group.outcome))


def who(group: UseGroup) -> str:
    """Who asked; the name of an app is what the user called it."""
    if group.caller == "web":
        return _("This site's pages")
    if group.caller == "worker":
        return _("This site's mail worker")
    if group.app_name:
        return group.app_name
    if group.caller == "unknown app":
        return _("An app that you did not allow")
    if group.caller == "schedule":
        return _("The key agent by itself")
    if group.caller == "command":
        return _("The key agent's operator")
    return group.caller


def what(purpose: str) -> str:
    """What was done; a purpose without words of its own is shown by its name."""
    return str(PURPOSES.get(purpose, purpose))


def _how_much(group: UseGroup) -> str:
    times = ngettext("once", "%(count)d times", group.calls) % {"count": group.calls}
    if group.purpose in _MESSAGES:
        things = ngettext("%(count)d message", "%(count)d messages", group.things) % {"count": group.things}
    elif group.purpose in _COPIES:
        things = ngettext("for %(count)d device", "for %(count)d devices", group.things) % {
            "count": group.things
        }
    else:
        return times
    return _("%(things)s, %(times)s") % {"things": things, "times": times}


def _refusal(outcome: str) -> str:
    if outcome == "ok" or " " in outcome:
        return ""
    return str(REFUSALS.get(outcome, outcome))
