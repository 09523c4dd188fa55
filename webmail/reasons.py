"""Why something did not arrive or could not be shown: a sentence for each stable code."""

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webmail.carriers.sentences import Sentence, sentence

#: What keeps a message from leaving before any carrier is asked.
_DELIVERY = {
    "no-device": Sentence(
        gettext_lazy("they have no device yet that can receive sealed messages."),
        gettext_lazy("Retry when they have one."),
    ),
    "no-own-device": Sentence(
        gettext_lazy("you have no device that can sign it."),
        gettext_lazy("Publish one under Devices and keys, then retry."),
    ),
    "no-usable-device": Sentence(
        gettext_lazy("none of their devices has a valid key at the moment."),
        gettext_lazy("Retry when one of them was in use again."),
    ),
    "no-route": Sentence(
        gettext_lazy("they do not say where they can be reached."),
        gettext_lazy("Ask them to publish an address."),
    ),
    "peer-unreachable": Sentence(
        gettext_lazy("the server that has their keys could not be reached."), gettext_lazy("Retry later.")
    ),
    "peer-unknown": Sentence(
        gettext_lazy("nobody goes by this identity any more."), gettext_lazy("Ask them for their new one.")
    ),
    "keys-changed": Sentence(
        gettext_lazy("their devices are others than those that you compared."),
        gettext_lazy("Compare keys with them again."),
    ),
    "waits-with-others": Sentence(
        gettext_lazy(
            "it waits with the copy for somebody else, whose devices are others than those that you compared."
        ),
        gettext_lazy("Compare keys with them again."),
    ),
    "keys-not-looked-at": Sentence(
        gettext_lazy(
            "it waited 30 days for you to look at their keys, which are others than those that you compared."
        ),
        gettext_lazy("Compare keys with them again, then retry."),
    ),
    "waited-with-others": Sentence(
        gettext_lazy("it waited 30 days with the copy for somebody else, whose keys you did not look at."),
        gettext_lazy("Compare keys with them again, then retry."),
    ),
}

_FOR_ANOTHER_DEVICE = gettext_lazy(
    "Most likely it is the copy for another of your devices: yours are all reached at the same address."
)

_KEPT_ASIDE: dict[str, str | Promise] = {
    "cannot-open": gettext_lazy(
        "None of your keys opens it. It may have been sealed to a key that is destroyed by now: each is, a "
        "week after it was replaced, or at once when you revoke its device."
    ),
    "for-another-device": _FOR_ANOTHER_DEVICE,
    "for-another-device-key": _FOR_ANOTHER_DEVICE,
    "ordinary-mail": gettext_lazy("This is ordinary mail, not sealed. It stays in your mailbox."),
    "gone": gettext_lazy("It is no longer in the mailbox: another program has moved or removed it."),
    "not-canonical": gettext_lazy("It is not written as sealed messages must be."),
    "bad-envelope": gettext_lazy("It is damaged, or not a sealed message."),
    "bad-padding": gettext_lazy("It is damaged: the padding is not empty."),
    "bad-cms": gettext_lazy("What was inside is damaged."),
    "bad-certificate": gettext_lazy("The sender's certificate is not valid."),
    "bad-signature": gettext_lazy("The signature does not fit what was written."),
    "bad-content": gettext_lazy("The text inside is damaged."),
    "wrong-conversation": gettext_lazy("It claims to belong to a conversation that it does not fit."),
    "not-for-you": gettext_lazy("It was written to other people, not to you."),
    "unsupported": gettext_lazy("It is of a kind that Waxwing does not know yet."),
    "too-large": gettext_lazy("It is too large to be opened."),
    "too-many-people": gettext_lazy("It names more people than Waxwing takes into one conversation."),
    "reader-failed": gettext_lazy(
        "Waxwing itself failed at it. Your operator finds more in the log; try again after an update."
    ),
    "signer-not-published": gettext_lazy(
        "The key that signed it is not among the devices of the person it names."
    ),
    "signer-revoked": gettext_lazy("The device that signed it was revoked before."),
    "signer-key-differs": gettext_lazy("The key that signed it is not the one that this person publishes."),
    "signer-expired": gettext_lazy("The certificate that signed it has expired."),
    "locked": gettext_lazy("Your keys are locked. It opens when you unlock them."),
    "agent-unavailable": gettext_lazy("Your agent, which opens your messages, does not answer just now."),
    "AgentSealed": gettext_lazy(
        "The key agent of this server is locked: its operator has to give it its key. Nothing is lost."
    ),
    "LimitReached": gettext_lazy(
        "More messages were opened in this hour than your agent allows. It shows them again later."
    ),
    "signer-blocked": gettext_lazy(
        "The signature is not checked: the sender's server is not asked while you block them."
    ),
    "signer-asked-later": gettext_lazy(
        "The signature is checked within half an hour: if it were at once, the sender's server could see "
        "when you unlock your keys."
    ),
    "signer-unreachable": gettext_lazy(
        "The sender's server cannot be reached, so the signature is not checked yet. "
        "It is tried again by itself."
    ),
}


def of_delivery(code: str) -> str:
    """Why a delivery failed; continues "Not delivered to Carol: "."""
    return str(_of_delivery(code).cause)


def advice_for_delivery(code: str) -> str:
    """What the sender can do about a delivery that failed."""
    return str(_of_delivery(code).advice)


def _of_delivery(code: str) -> Sentence:
    return _DELIVERY.get(code) or sentence(code)


def of_kept_aside(code: str) -> str:
    """Why a message could not be opened or checked."""
    return str(_KEPT_ASIDE.get(code) or _("It could not be opened (%(code)s).") % {"code": code})
