"""From what a person types to a verified identity: handle, DID, DID document and PDS.

Sources: the atproto "Handle" and "DID" specifications; did:plc through ``settings.PLC_URL``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import dns.exception
import dns.resolver
import httpx
from django.conf import settings
from django.core.cache import cache
from django.utils.translation import gettext as _

import outbound
from accounts import did_documents, handles, lookups

#: How long an answer is used again, in seconds.
CACHE_SECONDS = 600
DNS_SECONDS = 4.0
WELL_KNOWN_MAX_BYTES = 4096
DOCUMENT_MAX_BYTES = 256 * 1024
LOG_MAX_BYTES = 2_000_000


class IdentityError(Exception):
    """An identity that could not be established; the text is for the person who asked.

    ``code``: "not-a-handle", "handle-not-found", "did-not-found", "handle-mismatch", "no-pds" or "network"
    (worth another try).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Identity:
    """Who somebody is. ``handle`` is "handle.invalid" when it was not asked for and is not known to hold.

    ``unasked_handle`` is the one that the document claims where nobody could be asked for it just now.
    """

    did: str
    handle: str
    pds_url: str
    document: Mapping[str, Any]
    unasked_handle: str = ""

    def handle_after(self, known: str) -> str:
        """The handle to keep in the place of ``known``: that one itself, as long as the document claims it
        and nobody could be asked."""
        return known if known and known == self.unasked_handle else self.handle


def resolve(identifier: str, *, fresh: bool = False) -> Identity:
    """The identity of a handle or DID, verified both ways; answers may be CACHE_SECONDS old unless ``fresh``.

    A handle must lead to a DID whose document claims that handle. For a DID the handle that its document
    claims is followed back in the same way, and is "handle.invalid" when that fails. Raises IdentityError.
    """
    name = handles.cleaned(identifier)
    if handles.is_did(name):
        return _resolve_did(name, fresh=fresh)
    if not handles.is_handle(name, development=_development()):
        raise IdentityError(
            "not-a-handle",
            _("“%(name)s” is not a handle. A handle looks like a web address.") % {"name": name},
        )
    did = did_of_handle(name, fresh=fresh)
    document = document_of(did, fresh=fresh)
    if name not in _claimed_handles(document):
        raise IdentityError(
            "handle-mismatch",
            _("%(name)s names an account that does not name %(name)s in return, so it cannot be trusted.")
            % {"name": name},
        )
    return Identity(did, name, _pds_url(document), document)


def did_of_handle(handle: str, *, fresh: bool = False) -> str:
    """The DID that a valid handle points to, not yet verified in return. Raises IdentityError."""
    key = _cache_key("handle", handle)
    known = None if fresh else cache.get(key)
    if isinstance(known, str):
        return known
    did = _did_by_xrpc(handle) if settings.HANDLE_RESOLVER_URL else _did_by_name(handle)
    if not handles.is_did(did):
        raise IdentityError(
            "handle-not-found",
            _("%(handle)s points to something that is not an account.") % {"handle": handle},
        )
    cache.set(key, did, CACHE_SECONDS)
    return did


def document_of(did: str, *, fresh: bool = False) -> Mapping[str, Any]:
    """The DID document of a DID, as JSON that did_documents.parse accepts. Raises IdentityError."""
    key = _cache_key("document", did)
    known = None if fresh else cache.get(key)
    if isinstance(known, dict):
        return known
    try:
        response = lookups.get(_document_url(did), max_bytes=DOCUMENT_MAX_BYTES)
    except httpx.HTTPError as error:
        raise IdentityError(
            "network", _("The directory that knows %(did)s cannot be reached.") % {"did": did}
        ) from error
    if response.status_code in (404, 410):
        raise IdentityError("did-not-found", _("No account answers to %(did)s.") % {"did": did})
    if response.status_code != 200:
        raise IdentityError(
            "network", _("The directory that knows %(did)s does not answer properly.") % {"did": did}
        )
    try:
        raw = response.json()
        did_documents.parse(raw, did)
    except (ValueError, RecursionError) as error:
        raise IdentityError(
            "did-not-found", _("What is published about %(did)s is broken.") % {"did": did}
        ) from error
    document: dict[str, Any] = raw
    cache.set(key, document, CACHE_SECONDS)
    return document


def plc_log_of(did: str) -> Any:
    """The PLC directory's log about a did:plc, as JSON that plc_log.read checks. Raises IdentityError."""
    try:
        response = lookups.get(f"{_document_url(did)}/log/audit", max_bytes=LOG_MAX_BYTES)
        if response.status_code == 200:
            return response.json()
    except (httpx.HTTPError, ValueError, RecursionError) as error:
        raise IdentityError("network", "The directory cannot be asked for its log.") from error
    raise IdentityError("network", "The directory does not show its log.")


def _resolve_did(did: str, *, fresh: bool) -> Identity:
    document = document_of(did, fresh=fresh)
    claimed = _claimed_handles(document)
    handle, unasked = handles.INVALID_HANDLE, ""
    if claimed:
        try:
            if did_of_handle(claimed[0], fresh=fresh) == did:
                handle = claimed[0]
        except IdentityError as error:
            if error.code == "network":
                unasked = claimed[0]
    return Identity(did, handle, _pds_url(document), document, unasked)


def _did_by_xrpc(handle: str) -> str:
    url = f"{settings.HANDLE_RESOLVER_URL}/xrpc/com.atproto.identity.resolveHandle"
    try:
        response = lookups.get(url, params={"handle": handle}, max_bytes=WELL_KNOWN_MAX_BYTES)
    except httpx.HTTPError as error:
        raise IdentityError("network", _("The server that knows handles cannot be reached.")) from error
    if response.status_code in (400, 404):
        raise _handle_not_found(handle)
    try:
        response.raise_for_status()
        return str(response.json()["did"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise IdentityError(
            "network", _("The server that knows handles does not answer properly.")
        ) from error


def _did_by_name(handle: str) -> str:
    """By DNS, then by https at the handle itself, in the order that atproto recommends."""
    try:
        if did := _did_by_dns(handle):
            return did
        dns_answered = True
    except dns.exception.DNSException:
        dns_answered = False
    try:
        response = lookups.get(
            f"https://{handle}/.well-known/atproto-did",
            follow_redirects=True,
            max_bytes=WELL_KNOWN_MAX_BYTES,
        )
    except httpx.HTTPError as error:
        if dns_answered and not isinstance(error, (httpx.TimeoutException, lookups.HostResting)):
            raise _handle_not_found(handle) from error
        raise _no_verdict(handle) from error
    # Not by the header's charset: finding that in what a stranger wrote takes as long as the stranger likes.
    found = response.content.decode("utf-8", "replace").strip() if response.status_code == 200 else ""
    # Most handles are in DNS alone, and a web server of theirs knows nothing of them.
    if not dns_answered and not handles.is_did(found):
        raise _no_verdict(handle)
    if response.status_code != 200:
        raise _handle_not_found(handle)
    return found


def _did_by_dns(handle: str) -> str | None:
    """The one DID in the TXT records of ``_atproto.<handle>``; None when there is none, or more than one."""
    try:
        seconds = lookups.seconds_left(DNS_SECONDS)
        answer = dns.resolver.resolve(f"_atproto.{handle}", "TXT", lifetime=seconds)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return None
    texts = (b"".join(record.strings).decode("utf-8", "replace") for record in answer)
    dids = {text[4:].strip() for text in texts if text.startswith("did=")}
    return dids.pop() if len(dids) == 1 else None


def _document_url(did: str) -> str:
    if did.startswith("did:plc:"):
        return f"{settings.PLC_URL}/{quote(did, safe=':')}"
    host = unquote(did.removeprefix("did:web:"))
    name, _separator, port = host.partition(":")
    if outbound.is_loopback_name(name):
        if not _development():
            raise IdentityError(
                "did-not-found",
                _("%(did)s is not an account that can be reached from here.") % {"did": did},
            )
        return f"http://{host}/.well-known/did.json"
    if port:
        raise IdentityError(
            "did-not-found", _("%(did)s names a port, which accounts may not.") % {"did": did}
        )
    url = f"https://{host}/.well-known/did.json"
    if not outbound.is_web_address(url):
        raise IdentityError("did-not-found", _("%(did)s names no server.") % {"did": did})
    return url


def _pds_url(document: Mapping[str, Any]) -> str:
    endpoint = did_documents.service_endpoint(document, "#atproto_pds", "AtprotoPersonalDataServer")
    origin = outbound.web_origin(endpoint) if endpoint else None
    if origin is None:
        raise IdentityError("no-pds", _("This account names no server that keeps its data."))
    return origin


def _claimed_handles(document: Mapping[str, Any]) -> list[str]:
    return did_documents.claimed_handles(document, development=_development())


def _no_verdict(handle: str) -> IdentityError:
    return IdentityError(
        "network", _("Neither DNS nor %(handle)s itself can be reached.") % {"handle": handle}
    )


def _handle_not_found(handle: str) -> IdentityError:
    return IdentityError(
        "handle-not-found",
        _("No account answers to %(handle)s. Check the spelling; a handle looks like a web address.")
        % {"handle": handle},
    )


def _development() -> bool:
    return bool(settings.NETWORK == "loopback")


def _cache_key(kind: str, name: str) -> str:
    return f"accounts:{kind}:{hashlib.sha256(name.encode()).hexdigest()}"
