"""The mail addresses of the people here."""

from urllib.parse import urlsplit

from django.conf import settings

from webmail.mailbox.names import did_of_local_part, mailbox_name


def own_domains() -> set[str]:
    """The domains whose mail is taken, in lower case: that of the addresses given here, and the host that is
    published."""
    published = urlsplit(settings.SMTP_PUBLIC_URL).hostname
    return {domain.lower() for domain in (settings.MAIL_DOMAIN, published) if domain}


def address_of(did: str) -> str:
    """The address that somebody writes ordinary mail from. Raises MailboxError for what is no DID."""
    return f"{mailbox_name(did)}@{settings.MAIL_DOMAIN}"


def is_address_of(did: str, address: str) -> bool:
    """Whether mail to an address, in whichever of its forms, comes to this DID here."""
    local, _at, domain = address.rpartition("@")
    return domain.lower() in own_domains() and did_of_local_part(local) == did
