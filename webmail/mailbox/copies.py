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
    there = mailbox.find_all(folder, [name for name in mails if name not in anew])
    missing = [name for name in mails if name not in there]
    if missing:
        copies = mailbox.append_all(folder, [mails[name] for name in missing])
        found = mailbox.find_all(folder, missing)
        # Of copies that several workers stored at the same time, the newest stays.
        older = [
            uid
            for name, copy in zip(missing, copies, strict=True)
            for uid in found.get(name, [])
            if uid < copy.uid
        ]
        if older:
            mailbox.expunge(folder, older)
        there |= {name: found.get(name) or [copy.uid] for name, copy in zip(missing, copies, strict=True)}
    return {name: max(uids) for name, uids in there.items()}
