"""Where a message for a DID can be handed over, in the order of protocol §8, and why."""

import logging
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

import dns.exception
import dns.resolver
from django.utils.translation import gettext as _

import outbound
from accounts import handles, peers
from accounts.models import Peer
from crypto_agent.atsms import certificates
from crypto_agent.atsms.errors import AtsmsError

logger = logging.getLogger(__name__)

DNS_SECONDS = 4.0
MAX_ROUTES = 10


@dataclass(frozen=True)
class Route:
    """One way to a person.

    ``target`` is an https URL, or ``smtp://host[:port]`` of a named server, or a mail domain whose MX are to
    be asked. ``address`` is the mail address for SMTP. ``reason`` is a sentence for the sender.
    """

    kind: Literal["https", "smtp"]
    target: str
    source: Literal["did-document", "inbox-record", "mx"]
    reason: str
    address: str | None


def routes_for(did: str) -> list[Route]:
    """The ways to a DID, best first; empty when there is none that is spoken here. Raises peers.PeerError.

    The mail domain of the handle is asked only when the person names no way of their own.
    """
    peer = peers.known_peer(did)
    found = [*_from_document(peer), *_from_inbox(peer)]
    return (found or _from_mail_domain(peer))[:MAX_ROUTES]


def reason_of(source: str, name: str, target: str = "") -> str:
    """Why a way to the person called ``name`` was chosen, in the language that is active; empty for a
    source that is not known."""
    match source:
        case "did-document":
            return _("The DID document of %(name)s names this mail server.") % {"name": name}
        case "inbox-record":
            return _("The inbox record of %(name)s lists it.") % {"name": name}
        case "mx":
            return _("%(name)s names no address, and the domain %(domain)s takes mail.") % {
                "name": name,
                "domain": target,
            }
    return ""


def _from_document(peer: Peer) -> list[Route]:
    """The SMTP server in the DID document; the address there is the DID in its mailbox form."""
    try:
        parts = urlsplit(peer.smtp_endpoint)
        host, port = parts.hostname, parts.port
        local_part = certificates.mailbox_local_part(peer.did)
    except (ValueError, AtsmsError):
        return []
    if parts.scheme != "smtp" or not host or parts.username or parts.path.strip("/") or parts.query:
        return []
    bracketed = f"[{host}]" if ":" in host else host
    target = f"smtp://{bracketed}:{port}" if port else f"smtp://{bracketed}"
    reason = reason_of("did-document", _name(peer))
    return [Route("smtp", target, "did-document", reason, f"{local_part}@{host}")]


def _from_inbox(peer: Peer) -> list[Route]:
    """The endpoints of the inbox record in their order; other schemes are skipped."""
    reason = reason_of("inbox-record", _name(peer))
    routes = []
    for uri in peer.inbox_endpoints:
        address = _mail_address(uri)
        if uri.startswith(("https://", "http://")) and outbound.is_web_address(uri):
            routes.append(Route("https", uri, "inbox-record", reason, None))
        elif address is not None:
            routes.append(Route("smtp", address.rpartition("@")[2], "inbox-record", reason, address))
    return routes


def _from_mail_domain(peer: Peer) -> list[Route]:
    """The mail servers of the handle's own domain, if it has any."""
    if peer.handle in ("", handles.INVALID_HANDLE) or not _takes_mail(peer.handle):
        return []
    try:
        local_part = certificates.mail_local_part(peer.did)
    except AtsmsError:
        return []
    reason = reason_of("mx", _name(peer), peer.handle)
    return [Route("smtp", peer.handle, "mx", reason, f"{local_part}@{peer.handle}")]


def _mail_address(uri: str) -> str | None:
    """The address in a ``mailto:`` URI, with "#" read raw or as "%23"; None for anything else.

    Read by hand: the local part is opaque, and a raw "#" would end the URI for a parser.
    """
    if not uri.lower().startswith("mailto:"):
        return None
    address = unquote(uri[7:].partition("?")[0])
    local_part, _separator, domain = address.rpartition("@")
    printable = address.isascii() and address.isprintable() and " " not in address
    return address if local_part and domain and printable and "," not in address else None


def _takes_mail(domain: str) -> bool:
    try:
        answer = dns.resolver.resolve(domain, "MX", lifetime=DNS_SECONDS)
    except dns.exception.DNSException as error:
        logger.info("no mail servers of %s: %s", domain, type(error).__name__)
        return False
    # A single "." says that the domain takes no mail (RFC 7505).
    return any(record.exchange.to_text() != "." for record in answer)


def _name(peer: Peer) -> str:
    return peer.handle if peer.handle not in ("", handles.INVALID_HANDLE) else peer.did
