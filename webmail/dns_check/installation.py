"""What the DNS should say, from the settings."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings


@dataclass(frozen=True)
class Installation:
    """Host names and domains in lower case, without a final dot."""

    page_host: str
    #: Where the HTML of ordinary mail is shown; empty: nowhere.
    frame_host: str
    mail_domain: str
    #: Which host takes the mail of the domain.
    mail_host: str
    #: Under which name in the DNS the key is that signs mail, and the value that belongs there; empty: nobody
    #: signs.
    dkim_selector: str
    dkim_value: str
    #: Whether mail leaves through another server.
    relayed: bool
    #: By which name a certificate authority is called in CAA records.
    authority: str

    @classmethod
    def of_settings(cls, *, authority: str) -> "Installation":
        return cls(
            page_host=host_of(settings.PUBLIC_URL),
            frame_host=host_of(settings.FRAME_URL),
            mail_domain=settings.MAIL_DOMAIN.lower().rstrip("."),
            mail_host=host_of(settings.SMTP_PUBLIC_URL),
            dkim_selector=settings.DKIM_SELECTOR,
            dkim_value=settings.DKIM_RECORD,
            relayed=bool(settings.RELAYHOST),
            authority=authority,
        )


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".")
