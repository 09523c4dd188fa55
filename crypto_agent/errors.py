"""Why the agent refuses a call: each error has the stable name and the HTTP status of its XRPC answer."""


class AgentProblem(Exception):
    """The base of all; the text goes to the caller and never holds content or keys."""

    name = "InternalError"
    status = 500
    #: After how many seconds the same call may do better, where that is known.
    retry_after_s: int | None = None


class InvalidRequest(AgentProblem):
    """The call does not fit its lexicon; the text begins with the path of the field."""

    name = "InvalidRequest"
    status = 400


class PayloadTooLarge(AgentProblem):
    name = "PayloadTooLarge"
    status = 413


class MethodNotImplemented(AgentProblem):
    name = "MethodNotImplemented"
    status = 501


class AuthenticationRequired(AgentProblem):
    name = "AuthenticationRequired"
    status = 401


class InvalidToken(AgentProblem):
    name = "InvalidToken"
    status = 401


class ReplayedToken(AgentProblem):
    name = "ReplayedToken"
    status = 401


class NotPermitted(AgentProblem):
    """The caller is known, and this method is not among its purposes."""

    name = "NotPermitted"
    status = 403


class Sealed(AgentProblem):
    """The operator's key is absent, so that no key of any account can be unwrapped."""

    name = "AgentSealed"
    status = 503


class WrongPassphrase(Sealed):
    """The operator's passphrase does not open the operator's key."""


class AuditUnavailable(AgentProblem):
    """The audit log could not be written: nothing is released without an entry."""

    name = "AuditUnavailable"
    status = 503


class DatabaseUnavailable(AgentProblem):
    name = "DatabaseUnavailable"
    status = 503


class OperatorKeyMismatch(AgentProblem):
    """The operator's key is not the one that wrapped this account's data key."""

    name = "OperatorKeyMismatch"
    status = 503


class NoSuchAccount(AgentProblem):
    name = "NoSuchAccount"
    status = 400


class NoSuchDevice(AgentProblem):
    name = "NoSuchDevice"
    status = 400


class NoActiveDevice(AgentProblem):
    name = "NoActiveDevice"
    status = 400


class DeviceRevoked(AgentProblem):
    name = "DeviceRevoked"
    status = 400


class CannotUnseal(AgentProblem):
    """A ciphertext at rest that is damaged, or was made for another purpose, account or message.

    Deliberately the same for every reason.
    """

    name = "CannotUnseal"
    status = 400


class NotSigned(AgentProblem):
    """A composed message that was never signed, where a signed one is needed."""

    name = "NotSigned"
    status = 400


class MessageTooLong(AgentProblem):
    name = "MessageTooLong"
    status = 400


class NoSuchFile(AgentProblem):
    """The message has no file at that place that is kept elsewhere and encrypted in a way spoken here."""

    name = "NoSuchFile"
    status = 400


class FileDamaged(AgentProblem):
    """Encrypted bytes that are not those of the message's file. Deliberately the same for every reason."""

    name = "FileDamaged"
    status = 400


class TooManyFiles(AgentProblem):
    """As many files are being encrypted and decrypted as may be at once."""

    name = "TooManyFiles"
    status = 503


class IdentityUnavailable(AgentProblem):
    """A user's DID document can't be had at the moment, so that their token can't be verified."""

    name = "IdentityUnavailable"
    status = 503


class NotGranted(AgentProblem):
    """No grant of this user has this token, or it was revoked. Deliberately the same for every reason."""

    name = "NotGranted"
    status = 403


class PurposeNotGranted(AgentProblem):
    """The user granted the app other purposes than this one."""

    name = "PurposeNotGranted"
    status = 403


class GrantExpired(AgentProblem):
    name = "GrantExpired"
    status = 403


class GrantLimitReached(AgentProblem):
    """The app used up what the user allowed it for an hour."""

    name = "GrantLimitReached"
    status = 429


class LimitReached(AgentProblem):
    """The account's keys were used for this purpose as often as one hour allows."""

    name = "LimitReached"
    status = 429

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NoSuchGrant(AgentProblem):
    name = "NoSuchGrant"
    status = 400


class NotAttested(AgentProblem):
    """A record without a single attestation that holds and that the caller trusts."""

    name = "NotAttested"
    status = 400


class BadExport(AgentProblem):
    """A file of an account's export that is damaged, was changed, or is something else."""

    name = "BadExport"
    status = 400


class NoExportBegun(AgentProblem):
    """The permit of an export is none, of another account, or too old."""

    name = "NoExportBegun"
    status = 403


class UnsupportedExport(AgentProblem):
    """An export in a version of the format that is not read here."""

    name = "UnsupportedExport"
    status = 400


class ExportOfAnother(AgentProblem):
    """An export of another account than the one that it was to be taken into."""

    name = "ExportOfAnother"
    status = 400


class WrongExportPassphrase(AgentProblem):
    name = "WrongExportPassphrase"
    status = 403


class WeakPassphrase(AgentProblem):
    """A passphrase under 12 characters, or above 1024 bytes."""

    name = "WeakPassphrase"
    status = 400


class AccountLocked(AgentProblem):
    """The user locked their account, and no unlock session of theirs lives, or the call brings none."""

    name = "AccountLocked"
    status = 423


class AccountNotLocked(AgentProblem):
    name = "AccountNotLocked"
    status = 400


class AlreadyLocked(AgentProblem):
    name = "AlreadyLocked"
    status = 400


class WrongSecret(AgentProblem):
    """A passphrase, recovery code or passkey that does not open the account's lock."""

    name = "WrongSecret"
    status = 403


class MistypedRecoveryCode(AgentProblem):
    """Not a recovery code at all: its check does not fit, or its length."""

    name = "MistypedRecoveryCode"
    status = 400


class TooManyGuesses(AgentProblem):
    """Passphrases of this account are refused unseen for another ``retry_after_s`` seconds."""

    name = "TooManyGuesses"
    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many wrong passphrases: wait {retry_after_s} seconds")
        self.retry_after_s = retry_after_s


class AgentBusy(AgentProblem):
    """Several passphrases are being derived already, or many apps call at once: try again in seconds."""

    name = "AgentBusy"
    status = 503


class StepUpRequired(AgentProblem):
    """The account asks for its passkey before this step."""

    name = "StepUpRequired"
    status = 403


class WrongPasskey(AgentProblem):
    """What the passkey answered does not hold for this account and purpose. The same for every reason."""

    name = "WrongPasskey"
    status = 403


class PasskeysUnavailable(AgentProblem):
    """The agent was not told the origin of the web pages, which passkeys are bound to."""

    name = "PasskeysUnavailable"
    status = 501


class PasskeyCannotLock(AgentProblem):
    """The passkey gives no secret: its authenticator lacks the PRF extension."""

    name = "PasskeyCannotLock"
    status = 400


class PasskeyInUse(AgentProblem):
    """The passkey opens the account's lock: that has to be taken from it first."""

    name = "PasskeyInUse"
    status = 400


class NoSuchPasskey(AgentProblem):
    name = "NoSuchPasskey"
    status = 400


class NoSuchSecret(AgentProblem):
    name = "NoSuchSecret"
    status = 400


class LastWayIn(AgentProblem):
    """Without it nothing but the recovery code would be left to get in with."""

    name = "LastWayIn"
    status = 400
