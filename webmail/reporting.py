"""Reporting somebody: the account chooses which of their messages it discloses, and to whom.

A report holds text and files that were sealed for the account alone, given away by the account itself. It is
kept under the installation's token keys, so that the database alone shows none of it, for 90 days at most,
and is shown to the operator's administrators and nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import token_encryption
from accounts.models import Account
from webmail import disclosed_files, reportable
from webmail.blobs.spool import Spool
from webmail.models import Report
from webmail.people import people_of
from webmail.refusals import Refusal
from webmail.reportable import FileName, Reportable, ReportableFile, Said, Version

LONGEST_WORDS = 2000
#: Messages that one report discloses.
MOST_MESSAGES = 50
#: Reports of one account in a day.
MOST_A_DAY = 20
KEPT = timedelta(days=90)


class CannotReport(Refusal):
    """A report was not taken. `code`: "no-reason", "too-many", "too-many-messages", "not-readable",
    "changed", "file-alone", "too-many-files", "files-too-large" or "no-room"."""


@dataclass(frozen=True)
class Disclosed:
    """What a report says. `messages` are those chosen, oldest first."""

    words: str
    messages: list[Said]

    @property
    def files(self) -> list[FileName]:
        """The files that are disclosed themselves, in the order of the messages."""
        return [file for said in self.messages for file in said.files if file.sha256]

    @property
    def size_of_files(self) -> int:
        return sum(file.size for file in self.files)

    def with_digests(self, digests: Mapping[str, str]) -> Disclosed:
        """The same with those files that were had, by their keys."""
        return replace(
            self,
            messages=[
                replace(said, files=[replace(file, sha256=digests.get(file.key, "")) for file in said.files])
                for said in self.messages
            ],
        )


@dataclass(frozen=True)
class Chosen:
    """What a report would disclose, of the files their names alone; and the files that are to come with
    it, in the order of the messages."""

    disclosed: Disclosed
    files: list[ReportableFile] = field(default_factory=list)


def choose(
    account: Account, did: str, words: str, chosen: Sequence[str], files: Sequence[str] = ()
) -> Chosen:
    """What a report of these messages says, and which of their files come with it. Each is named by its key
    (`Reportable.key`, `FileName.key`).

    Raises CannotReport where one of them is not there to be read, or not as it was when it was chosen: what
    is disclosed is what was seen, and all of it.
    """
    if len(set(chosen)) > MOST_MESSAGES:
        raise CannotReport(
            "too-many-messages",
            ngettext(
                "A report discloses %(n)s message at most.",
                "A report discloses %(n)s messages at most.",
                MOST_MESSAGES,
            )
            % {"n": MOST_MESSAGES},
        )
    found = reportable.named(account, did, ids_of(chosen))
    if len(found) < len(ids_of(chosen)):
        raise CannotReport(
            "not-readable", _("A message that you ticked can't be read any more. Look at what is ticked.")
        )
    if {each.key for each in found} != set(chosen):
        raise CannotReport(
            "changed", _("A message that you ticked was edited or taken back. Look at it again.")
        )
    found.reverse()
    disclosed = Disclosed(words.strip()[:LONGEST_WORDS], [each.said for each in found])
    return Chosen(disclosed, _files(account, found, set(files)))


def _files(account: Account, messages: Sequence[Reportable], keys: set[str]) -> list[ReportableFile]:
    """Those of the messages' files that these keys name. Raises CannotReport."""
    found = [each for message in messages for each in message.files if each.named.key in keys]
    if len(found) < len(keys):
        raise CannotReport("file-alone", _("Tick the message too of each file that you tick."))
    if len(found) > disclosed_files.MOST:
        raise CannotReport(
            "too-many-files",
            ngettext(
                "A report discloses %(n)s file at most.",
                "A report discloses %(n)s files at most.",
                disclosed_files.MOST,
            )
            % {"n": disclosed_files.MOST},
        )
    size = sum(each.named.size for each in found)
    if size > disclosed_files.MOST_BYTES or any(each.is_too_large for each in found):
        raise CannotReport(
            "files-too-large",
            _("The files of a report have %(size)s together at most. Untick some of them.")
            % {"size": filesizeformat(disclosed_files.MOST_BYTES)},
        )
    if found and not disclosed_files.has_room(account, size):
        raise CannotReport(
            "no-room",
            _("The operator has no room for these files now. Untick them; they are named all the same."),
        )
    return found


def ids_of(keys: Sequence[str]) -> set[str]:
    """The ids of the messages that keys name."""
    return {key.partition(":")[0] for key in keys}


def check_reason(reason: str) -> None:
    """Raises CannotReport where it is none."""
    if reason not in Report.Reason.values:
        raise CannotReport("no-reason", _("Choose what it is about."))


def report(
    account: Account,
    did: str,
    reason: str,
    disclosed: Disclosed,
    plaintexts: Sequence[Spool] = (),
    *,
    now: datetime,
    token: str | None = None,
) -> Report:
    """Give a report to the operator, with the files that are disclosed themselves.

    Once for each `token`, which names the page that it was made on. Raises CannotReport.
    """
    check_reason(reason)
    assert len(plaintexts) == len(disclosed.files)
    if token and (made := Report.objects.filter(account=account, token=token).first()):
        return made
    lately = Report.objects.filter(account=account, created_at__gt=now - timedelta(days=1))
    if lately.count() >= MOST_A_DAY:
        raise CannotReport("too-many", _("You made many reports today. Try again tomorrow."))
    with transaction.atomic():
        row, is_new = Report.objects.get_or_create(
            account=account,
            token=token or str(uuid4()),
            defaults={
                "did": did,
                "handle": people_of([did])[did].handle[:253],
                "reason": reason,
                "sealed": token_encryption.seal(json.dumps(asdict(disclosed), default=datetime.isoformat)),
                "messages": len(disclosed.messages),
                "created_at": now,
            },
        )
        if is_new:
            disclosed_files.keep(row, plaintexts)
    return row


def disclosed_in(row: Report) -> Disclosed:
    """What a stored report says. Raises accounts.token_encryption.TokenUnreadable."""
    fields = json.loads(token_encryption.unseal(row.sealed))
    return Disclosed(str(fields["words"]), [_said(each) for each in fields["messages"]])


def _said(fields: Mapping[str, Any] | Sequence[str]) -> Said:
    if not isinstance(fields, Mapping):
        # A report of a former version has a time and a text.
        at, text = fields
        return Said([Version(datetime.fromisoformat(at), str(text))])
    return Said(
        [
            Version(datetime.fromisoformat(each["at"]), each["text"], each["more"])
            for each in fields["versions"]
        ],
        fields["left_out"],
        fields["taken_back"],
        [FileName(**each) for each in fields["files"]],
    )


def as_plain_text(account: Account, did: str, reason: str, disclosed: Disclosed) -> str:
    """The report as text, to be given to another service by hand."""
    person = people_of([did])[did]
    about = dict(Report.Reason.choices).get(reason, "")
    lines = [
        _("Report about %(handle)s (%(did)s)") % {"handle": person.handle, "did": did},
        _("By %(handle)s (%(did)s)") % {"handle": account.handle, "did": account.did},
        *([str(about)] if about else []),
        *([disclosed.words] if disclosed.words else []),
        *(_message_as_text(said) for said in disclosed.messages),
    ]
    return "\n\n".join(lines)


def _message_as_text(said: Said) -> str:
    """One message; what its sender wrote is behind marks, lest it passes for the report's own lines."""
    lines = []
    for place, version in enumerate(said.versions):
        at = version.at.isoformat(timespec="seconds")
        if said.taken_back:
            lines.append(_("%(time)s, taken back") % {"time": at})
            continue
        lines.append(_("%(time)s, edited") % {"time": at} if place else at)
        lines += [f"> {line}" for line in version.text.splitlines()]
        if version.more:
            lines.append(more_characters(version.more))
        if not place and said.left_out:
            lines.append(versions_left_out(said.left_out))
    for file in said.files:
        about = {"name": file.name or "?", "type": file.media_type, "size": filesizeformat(file.size)}
        lines.append(_("File: %(name)s (%(type)s, %(size)s)") % about)
        if file.sha256:
            lines.append(f"SHA-256: {file.sha256}")
    return "\n".join(lines)


def more_characters(count: int) -> str:
    """That the end of a text is not disclosed."""
    words = ngettext(
        "%(n)s more character is not disclosed.", "%(n)s more characters are not disclosed.", count
    )
    return words % {"n": count}


def versions_left_out(count: int) -> str:
    """That some of the versions are not disclosed."""
    words = ngettext(
        "%(n)s version after this one is not disclosed.",
        "%(n)s versions after this one are not disclosed.",
        count,
    )
    return words % {"n": count}


def prune(now: datetime) -> int:
    """Remove reports whose time is over; how many."""
    removed, _by_model = Report.objects.filter(created_at__lt=now - KEPT).delete()
    return removed
