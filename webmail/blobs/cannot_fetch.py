"""Why what a message brings along can't be had, in a code and a sentence."""

from __future__ import annotations

from django.utils.translation import gettext as _


class CannotFetch(Exception):
    """A file can't be had. `code` is stable, `sentence` is for the person who asked for it."""

    def __init__(self, code: str, status: int = 502) -> None:
        super().__init__(code)
        self.code = code
        self.status = status

    @property
    def sentence(self) -> str:
        return sentences()[self.code]


def sentences() -> dict[str, str]:
    """What each code says to the person who asked for a file."""
    return {
        "no-such-file": _("There is no such file."),
        "not-accepted": _("Accept the conversation first. Until then no file of it is fetched."),
        "unsupported": _("This file was encrypted in a way that Waxwing does not know."),
        "expired": _("The file has expired. Ask for it again."),
        "gone": _("The sender's server does not have the file any more. Ask for it again."),
        "changed": _("What the sender's server gave is not the file that was sent. Nothing of it was kept."),
        "too-large": _("The file is larger than this server takes."),
        "bad-address": _("The file is said to be at an address that this server does not call."),
        "server-refuses": _("The sender's server does not give out the file. Try again later."),
        "no-image": _("This is not an image that can be shown. You can still save the file."),
        "server-silent": _("The sender's server does not answer. Try again later."),
        "agent-unavailable": _("Your agent, which opens your files, does not answer. Try again later."),
        "agent-sealed": _(
            "The key agent is locked: its operator has to give it its key. The file opens after that."
        ),
        "locked": _("Your keys are locked. Unlock them to open the file."),
        "limit-reached": _("You opened as many files as one hour allows. Try again later."),
        "busy": _("Too many files are being fetched. Try again in a moment."),
    }
