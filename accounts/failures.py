"""What can go wrong between the agent, the PDS and us, and how it is said to a person."""

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.enrolment import PublicationError
from accounts.pds import PdsError, SignInAgain
from accounts.records import RecordError
from accounts.repositories import RepositoryError
from crypto_agent.client import (
    AgentError,
    AgentLimited,
    AgentLocked,
    AgentSealed,
    AgentUnavailable,
    TooManyGuesses,
)

#: Everything that publishing and revoking may raise; each has a ``code``.
PUBLISHING = (AgentError, SignInAgain, PdsError, RepositoryError, PublicationError, RecordError)

#: What the agent says about locks, passphrases and passkeys.
_CUSTODY: dict[str, str | Promise] = {
    "WrongSecret": gettext_lazy("That does not open your keys. Look at it once more, and try again."),
    "MistypedRecoveryCode": gettext_lazy(
        "A character of the recovery code is wrong or missing. This was not counted as a guess."
    ),
    "AgentBusy": gettext_lazy("Too much is being unlocked at this moment. Try again in a few seconds."),
    "WeakPassphrase": gettext_lazy("Use a passphrase of at least 12 characters. Four words are a good one."),
    "StepUpRequired": gettext_lazy("Your account asks for its passkey here. Confirm with it and go on."),
    "WrongPasskey": gettext_lazy(
        "That passkey was not accepted, or the question had run out. Try again, or use another one."
    ),
    "PasskeysUnavailable": gettext_lazy(
        "Passkeys cannot be used here: the operator has not told the key agent the address of these pages."
    ),
    "PasskeyCannotLock": gettext_lazy(
        "This passkey can confirm that it is you, but it can lock nothing away: your device or browser lacks "
        "what is needed for that (PRF). Use a passphrase, or another passkey."
    ),
    "PasskeyInUse": gettext_lazy("This passkey opens your lock. Take it out of the lock first."),
    "NoSuchPasskey": gettext_lazy("This passkey is no longer there."),
    "NoSuchSecret": gettext_lazy("That was already taken out of the lock."),
    "LastWayIn": gettext_lazy(
        "This is the last one besides the recovery code. Add another before you remove it."
    ),
    "AccountNotLocked": gettext_lazy("Your keys are not locked."),
    "AlreadyLocked": gettext_lazy("Your keys can be locked already."),
}


def _wait(seconds: int) -> str:
    minutes = max(1, -(-seconds // 60))
    return ngettext(
        "There were too many wrong passphrases. The next one is looked at in a minute. "
        "Passkeys and the recovery code do not have to wait.",
        "There were too many wrong passphrases. The next one is looked at in %(minutes)d minutes. "
        "Passkeys and the recovery code do not have to wait.",
        minutes,
    ) % {"minutes": minutes}


def sentence(error: Exception) -> str:
    """A sentence that says what did not work and what helps."""
    if isinstance(error, AgentSealed):
        return _("The key agent is locked: its operator has to give it its key. Try again after that.")
    if isinstance(error, AgentLimited):
        return _(
            "Your keys were used for this as often as one hour allows. Nothing is lost; try again later."
        )
    if isinstance(error, AgentLocked):
        return _("Your keys are locked. Unlock them, then do this again.")
    if isinstance(error, TooManyGuesses):
        return _wait(error.retry_after_s)
    if isinstance(error, AgentError) and error.code in _CUSTODY:
        return str(_CUSTODY[error.code])
    if isinstance(error, AgentUnavailable):
        return _("The key agent does not answer just now. Nothing is lost; try again in a moment.")
    if isinstance(error, AgentError):
        return _("The key agent refuses this. Its operator can see why in its log.")
    if isinstance(error, RecordError):
        return _(
            "What was to be published is not valid, so it was not published. The operator has to look at it."
        )
    return str(error)
