"""One copy of each of several mails in a folder, whoever else stores them as well."""

from collections.abc import Collection, Mapping

from .mailbox import Mailbox


def keep_one_of_each(
    mailbox: Mailbox, folder: str, mails: Mapping[str, bytes], *, anew: Collection[str] = ()
) -> dict[str, int]:
    """Have one copy of each of these mails, by Message-ID, in a folder; durable on return. Gives their UIDs.

    What is there already stays, but for what is wanted `anew`, which takes the place of older copies.
    Raises MailboxError; some may be stored by then, so that it can be called again.
    """
    there = keep_newest(mailbox, folder, [name for name in mails if name not in anew])
    missing = [name for name in mails if name not in there]
    if missing:
        copies = mailbox.append_all(folder, [mails[name] for name in missing])
        there |= {name: copy.uid for name, copy in zip(missing, copies, strict=True)}
        there |= keep_newest(mailbox, folder, missing)
    return there


def keep_newest(mailbox: Mailbox, folder: str, names: Collection[str]) -> dict[str, int]:
    """Of several copies of a mail, as several workers stored them, have the newest alone.

    Gives the UIDs of those that are there, by Message-ID. Whoever does this leaves the same one, so it may
    be done at the same time. Raises MailboxError.
    """
    found = mailbox.find_all(folder, names)
    older = [uid for uids in found.values() for uid in uids[:-1]]
    if older:
        mailbox.expunge(folder, older)
    return {name: uids[-1] for name, uids in found.items()}
