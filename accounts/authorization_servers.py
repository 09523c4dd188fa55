"""Finding the authorization server of a PDS and checking that it can be used (RFC 9728, RFC 8414)."""

from dataclasses import dataclass
from typing import Any

import httpx
from django.utils.translation import gettext as _

import outbound

METADATA_MAX_BYTES = 64 * 1024


class ServerError(Exception):
    """A PDS or authorization server that cannot be used; the text is for the person who signs in.

    ``code``: "server-unreachable" (worth another try) or "server-unsuitable".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class AuthorizationServer:
    issuer: str
    pushed_authorization_request_endpoint: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str | None


def server_of(pds_url: str) -> AuthorizationServer:
    """The authorization server that a PDS (its origin) names as its own. Raises ServerError."""
    resource = _metadata(pds_url, "oauth-protected-resource")
    if resource is None:
        raise _unsuitable(pds_url, "does not offer this way to sign in")
    servers = resource.get("authorization_servers")
    if resource.get("resource") != pds_url or not isinstance(servers, list) or len(servers) != 1:
        raise _unsuitable(pds_url, "does not say properly where to sign in")
    return server_at(str(servers[0]))


def server_named(url: str) -> AuthorizationServer:
    """The authorization server at or behind a server that a person named. Raises ServerError."""
    origin = outbound.web_origin(url)
    if origin is None:
        raise ServerError(
            "server-unsuitable", _("%(server)s is not the address of a server.") % {"server": url}
        )
    if _metadata(origin, "oauth-protected-resource") is not None:
        return server_of(origin)
    return server_at(origin)


def server_at(issuer: str) -> AuthorizationServer:
    """The authorization server with this issuer, its metadata checked. Raises ServerError."""
    if outbound.web_origin(issuer) != issuer:
        raise _unsuitable(issuer, "has no proper address")
    found = _metadata(issuer, "oauth-authorization-server")
    if found is None:
        raise _unsuitable(issuer, "does not offer this way to sign in")
    wanted = (
        found.get("issuer") == issuer
        and "atproto" in _strings(found, "scopes_supported")
        and "code" in _strings(found, "response_types_supported")
        and "S256" in _strings(found, "code_challenge_methods_supported")
        and "ES256" in _strings(found, "dpop_signing_alg_values_supported")
        and found.get("authorization_response_iss_parameter_supported") is True
        and found.get("client_id_metadata_document_supported") is True
    )
    revocation = found.get("revocation_endpoint")
    if not wanted or (revocation is not None and not _is_endpoint(revocation)):
        raise _unsuitable(issuer, "lacks something that signing in needs")
    names = ("pushed_authorization_request_endpoint", "authorization_endpoint", "token_endpoint")
    endpoints = [found.get(name) for name in names]
    if not all(_is_endpoint(endpoint) for endpoint in endpoints):
        raise _unsuitable(issuer, "lacks something that signing in needs")
    pushed, authorization, token = map(str, endpoints)
    return AuthorizationServer(issuer, pushed, authorization, token, revocation)


def _metadata(origin: str, name: str) -> dict[str, Any] | None:
    """One well-known document; None when the server has none. The RFCs allow no redirects."""
    try:
        response = outbound.shared_client().get(
            f"{origin}/.well-known/{name}", extensions={"max_bytes": METADATA_MAX_BYTES}
        )
    except httpx.HTTPError as error:
        raise ServerError(
            "server-unreachable", _("%(server)s cannot be reached. Try again later.") % {"server": origin}
        ) from error
    if response.status_code in (404, 405, 410, 501):
        return None
    if response.status_code != 200:
        raise ServerError(
            "server-unreachable",
            _("%(server)s does not answer properly. Try again later.") % {"server": origin},
        )
    try:
        found = response.json()
    except (ValueError, RecursionError) as error:
        raise _unsuitable(origin, "answers something that is not understood") from error
    if not isinstance(found, dict):
        raise _unsuitable(origin, "answers something that is not understood")
    return found


def _strings(found: dict[str, Any], name: str) -> list[str]:
    values = found.get(name)
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def _is_endpoint(value: object) -> bool:
    return isinstance(value, str) and outbound.is_web_address(value)


def _unsuitable(server: str, why: str) -> ServerError:
    return ServerError("server-unsuitable", f"{server} {why}.")
