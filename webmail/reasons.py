"""Why something did not arrive or could not be shown: a sentence for each stable code."""

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webmail.carriers import sentence

#: What keeps a message from leaving before any carrier is asked.
_DELIVERY: dict[str, str | Promise] = {
    "no-device": gettext_lazy("they have no device yet that can receive sealed messages."),
    "no-own-device": gettext_lazy(
        "you have no device that can sign it. Publish one under Devices and keys, then retry."
    ),
    "no-usable-device": gettext_lazy("none of their devices has a valid key at the moment."),
    "no-route": gettext_lazy("they do not say where they can be reached."),
}

_KEPT_ASIDE: dict[str, str | Promise] = {
    "cannot-open": gettext_lazy(
        "None of your keys opens it. It may have been sealed to a key that was destroyed a week after it was "
        "replaced."
    ),
    "for-another-device": gettext_lazy(
        "Most likely it is the copy for another of your devices: yours are all reached at the same address."
    ),
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
    "signer-not-published": gettext_lazy(
        "The key that signed it is not among the devices of the person it names."
    ),
    "signer-revoked": gettext_lazy("The device that signed it was revoked before."),
    "signer-key-differs": gettext_lazy("The key that signed it is not the one that this person publishes."),
    "signer-expired": gettext_lazy("The certificate that signed it has expired."),
    "agent-unavailable": gettext_lazy("Your agent, which opens your messages, does not answer just now."),
    "signer-unreachable": gettext_lazy(
        "The sender's server cannot be reached, so the signature is not checked yet. "
        "It is tried again by itself."
    ),
}


def of_delivery(code: str) -> str:
    """Why a delivery failed; continues "Not delivered to Carol: "."""
    known = _DELIVERY.get(code)
    return str(known) if known else sentence(code)


def of_kept_aside(code: str) -> str:
    """Why a message could not be opened or checked."""
    return str(_KEPT_ASIDE.get(code) or _("It could not be opened (%(code)s).") % {"code": code})
