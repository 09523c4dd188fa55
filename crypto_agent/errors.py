"""Why the agent refuses a call: each error has the stable name and the HTTP status of its XRPC answer."""


class AgentProblem(Exception):
    """The base of all; the text goes to the caller and never holds content or keys."""

    name = "InternalError"
    status = 500


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


class NoSuchGrant(AgentProblem):
    name = "NoSuchGrant"
    status = 400


class NotAttested(AgentProblem):
    """A record without a single attestation that holds and that the caller trusts."""

    name = "NotAttested"
    status = 400
