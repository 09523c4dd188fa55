"""Why something was not delivered, and what one can do about it, in words for people."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Sentence:
    """`cause` continues "Not delivered to Carol: "; `advice` is a sentence of its own."""

    cause: Promise
    advice: Promise


#: By the codes of outcomes.py.
SENTENCES = {
    "address-unknown": Sentence(
        _("their server does not know this person."), _("Ask them whether they have moved.")
    ),
    "gone": Sentence(_("this mailbox is gone for good."), _("Ask them for their new one.")),
    "owner-changed": Sentence(
        _("their address belongs to somebody else by now."), _("Ask them for their new one.")
    ),
    "mailbox-full": Sentence(_("the mailbox is full."), _("Retry when they have made room.")),
    "server-full": Sentence(_("their server has no room left."), _("Its operator has to make some.")),
    "rate-limited": Sentence(_("their server takes no more for the moment."), _("Retry later.")),
    "asked-to-wait": Sentence(_("their server asks for patience."), _("Retry later.")),
    "too-large": Sentence(_("their server finds the message too large."), _("Send it in smaller pieces.")),
    "not-accepted": Sentence(
        _("their server refused the message."),
        _("Its own words are under Raw details; its operator can say why."),
    ),
    "sender-refused": Sentence(
        _("their server takes no mail from this server."), _("Your operator can ask theirs why.")
    ),
    "list-refused": Sentence(
        _("their address leads to a list that does not take it."), _("Whoever keeps the list can say why.")
    ),
    "authentication-required": Sentence(
        _("their server wants a login that this one does not have."), _("Tell your operator.")
    ),
    "not-protected": Sentence(
        _("their server wants a better protected connection than there was."), _("Tell your operator.")
    ),
    "not-understood": Sentence(
        _("their server did not understand the message."), _("Its operator may have to update it.")
    ),
    "altered": Sentence(
        _("the message was changed on the way."), _("Retry. If it happens again, tell your operator.")
    ),
    "loop": Sentence(
        _("the servers on the way pass it around in a circle."), _("Their operator has to mend that.")
    ),
    "server-closed": Sentence(_("their server takes no mail at present."), _("Retry later.")),
    "server-unreachable": Sentence(_("their server could not be reached."), _("Retry later.")),
    "server-trouble": Sentence(_("their server has trouble of its own."), _("Retry later.")),
    "perhaps-arrived": Sentence(
        _("their server got all of it, and then gave no answer."),
        _("Ask them whether they have it before you send it again."),
    ),
    "server-unknown": Sentence(
        _("no server can be found for their address."), _("Ask them whether it is right.")
    ),
    "forbidden-address": Sentence(
        _("their server's address lies in a private network, where this server does not send."),
        _("Ask them to publish another one."),
    ),
    "bad-address": Sentence(
        _("the address that they published can't be used."), _("Ask them to publish a new one.")
    ),
    "no-utf8": Sentence(
        _("the address has letters beyond those of English, which the next mail server does not take."),
        _("Ask them for another address."),
    ),
    "unsupported-route": Sentence(
        _("they can be reached only in a way that this server does not speak."),
        _("Ask them to publish another one."),
    ),
}


def sentence(code: str) -> Sentence:
    """What a person is told for a code; a general sentence for one that is not known."""
    return SENTENCES.get(code, SENTENCES["not-accepted"])
