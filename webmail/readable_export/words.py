"""The sentences of an export, in the language of whoever asked for it."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webmail import reasons
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.people import Person
from webmail.readable_export.mbox import notes
from webmail.readable_export.ordinary_mail import Left
from webmail.readable_export.values import WrittenMessage


def readme(person: Person, host: str, made_at: datetime, form: str) -> str:
    """What lies beside the conversations."""
    lines = [
        _("The conversations of %(handle)s at %(host)s, exported on %(date)s.")
        % {"handle": person.handle, "host": host, "date": f"{made_at.astimezone(UTC):%Y-%m-%d}"},
        "",
        _("This is plain text: whoever has this file can read all of it. It holds no keys."),
        _("Nobody can prove with it who wrote what, since the signatures are not in it."),
        "",
    ]
    if form == "mbox":
        lines.append(
            _("Each conversation is one mbox file (RFC 4155), which mail programs such as Thunderbird open.")
        )
        lines.append(_("The addresses in it end in “.invalid”: they name people, and no mail goes there."))
    else:
        lines.append(
            _("export.json lists the conversations. Each has a folder with messages.json and its files.")
        )
        lines.append(_("The format is described in docs/readable-export.md of Waxwing."))
    lines += [
        _("ordinary-mail.mbox has the mail that nobody sealed, as it came, and the answers to it."),
        "",
        _(
            "Not in it: messages that disappear, what you were still writing, and conversations that you "
            "declined or that a block leaves out."
        ),
    ]
    return "\n".join(lines) + "\n"


def ordinary_left(left: Left) -> str:
    """What of the ordinary mail did not come along, and why."""
    lines = []
    if left.away:
        lines.append(
            _("The mailbox could not be reached, so not all ordinary mail is here. Export again later.")
        )
    if left.gone:
        lines.append(
            ngettext(
                "%(count)d mail is no longer in the mailbox: another program has moved or removed it.",
                "%(count)d mails are no longer in the mailbox: another program has moved or removed them.",
                left.gone,
            )
            % {"count": left.gone}
        )
    if left.busy:
        lines.append(
            ngettext(
                "%(count)d mail is missing because this server had no room for it. Export again later.",
                "%(count)d mails are missing because this server had no room for them. Export again later.",
                left.busy,
            )
            % {"count": left.busy}
        )
    return "\n".join(lines) + "\n"


def mail_text(message: WrittenMessage) -> str:
    """The text of a mail, with what is to be noted below it."""
    return _body(message) + notes(_notes(message))


def missing(name: str, code: str) -> str:
    """What stands in the place of a file that is not there."""
    match code:
        case "left-out":
            why = _("You left the files out.")
        case "too-slow":
            why = _(
                "Fetching files took too long, so this one was not asked for. Save it in its conversation."
            )
        case _:
            why = CannotFetch(code).sentence
    return _("The file “%(name)s” is missing. %(why)s") % {"name": name or _("A file"), "why": why}


def _body(message: WrittenMessage) -> str:
    if message.event:
        return f"[{message.event}]\n"
    match message.state:
        case "taken-back":
            return "[" + _("A message that was taken back") + "]\n"
        case "disappears":
            return "[" + _("A message that disappears, so it is not kept here") + "]\n"
        case "not-open":
            return f"[{reasons.of_kept_aside(message.reason)}]\n"
    return message.typed if message.typed.endswith("\n") else message.typed + "\n"


def _notes(message: WrittenMessage) -> list[str]:
    lines = []
    if message.edited_at is not None:
        lines.append(_("Edited %(time)s") % {"time": _time(message.edited_at)})
    lines += [f"{each.emoji} {each.by.name}, {_time(each.at)}" for each in message.reactions]
    return lines


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
