"""Signing in with the person's own server: PAR, PKCE and DPoP out, the callback's checks back in.

Follows the atproto "OAuth" specification (RFC 9126, RFC 7636, RFC 9449, RFC 9207). What is learned here is
kept encrypted; no error text carries a token, a code or a state.
"""

import base64
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
from django.utils import timezone
from django.utils.translation import gettext as _
from joserfc.jwk import ECKey

import outbound
from accounts import (
    authorization_servers,
    dpop,
    handles,
    identities,
    oauth_client,
    token_encryption,
)
from accounts.authorization_servers import AuthorizationServer, ServerError
from accounts.identities import Identity, IdentityError
from accounts.models import OAUTH_REQUEST_LIFETIME, Account, OAuthRequest, OAuthSession

logger = logging.getLogger(__name__)

MAX_TOKEN_LENGTH = 16_384
ANSWER_MAX_BYTES = 64 * 1024
#: A server may say more, up to times that no calendar holds.
LONGEST_ACCESS_SECONDS = 86_400


class SignInError(Exception):
    """A sign-in that did not succeed; the text is for the person.

    ``code``: one of IdentityError's and ServerError's, or "request-refused", "denied", "expired",
    "not-this-browser", "wrong-issuer", "wrong-account", "scope-missing", "server-error".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Begun:
    """A sign-in that goes on at ``url``; the browser must bring back ``state``."""

    url: str
    state: str
    server: str


@dataclass(frozen=True)
class Tokens:
    """A token response that was checked for its form."""

    access_token: str
    refresh_token: str
    scope: str
    sub: str
    expires_in: int

    def __repr__(self) -> str:
        return f"Tokens(sub={self.sub!r}, scope={self.scope!r})"


def begin(identifier: str, *, next_path: str = "") -> Begun:
    """Starts signing in with a handle, a DID, or the https address of a server. Raises SignInError."""
    try:
        identity, server = _who_and_where(identifier)
    except (IdentityError, ServerError) as error:
        raise SignInError(error.code, str(error)) from error
    key, verifier, state = dpop.new_key(), secrets.token_urlsafe(48), secrets.token_urlsafe(32)
    fields = {
        "response_type": "code",
        "redirect_uri": oauth_client.redirect_uri(),
        "scope": oauth_client.SCOPE,
        "state": state,
        "code_challenge": _s256(verifier),
        "code_challenge_method": "S256",
    }
    if identity is not None:
        known_handle = identity.handle != handles.INVALID_HANDLE
        fields["login_hint"] = identity.handle if known_handle else identity.did
    response = _ask(server, server.pushed_authorization_request_endpoint, key, fields)
    request_uri = _json(response).get("request_uri")
    if response.status_code not in (200, 201) or not isinstance(request_uri, str):
        logger.warning("%s refused a request to sign in: %s", server.issuer, _error_code(response))
        raise SignInError(
            "request-refused",
            _("%(server)s did not accept the request to sign in.")
            % {"server": oauth_client.server_name(server.issuer)},
        )
    OAuthRequest.objects.create(
        state_hash=_state_hash(state),
        issuer=server.issuer,
        did=identity.did if identity else "",
        scope=oauth_client.SCOPE,
        sealed_verifier=token_encryption.seal(verifier),
        sealed_dpop_key=_sealed_key(key),
        next_path=next_path,
    )
    query = urlencode({"client_id": oauth_client.client_id(), "request_uri": request_uri})
    separator = "&" if "?" in server.authorization_endpoint else "?"
    return Begun(
        url=f"{server.authorization_endpoint}{separator}{query}",
        state=state,
        server=oauth_client.server_name(server.issuer),
    )


def finish(parameters: Mapping[str, str], browser_states: Collection[str]) -> tuple[OAuthSession, str]:
    """Turns the callback's parameters into a session; also returns the path to go on to (or "").

    ``browser_states`` are the states of the sign-ins begun in this very browser. A request is used up by its
    first answer, whatever that is. Raises SignInError.
    """
    request = _take_request(parameters.get("state", ""), browser_states)
    if parameters.get("iss") != request.issuer:
        raise SignInError("wrong-issuer", _("The answer did not come from the server that was asked."))
    name = oauth_client.server_name(request.issuer)
    if parameters.get("error") == "access_denied":
        raise SignInError(
            "denied", _("%(server)s says that you did not allow it. Nothing was changed.") % {"server": name}
        )
    if "error" in parameters or not parameters.get("code"):
        raise _could_not_sign_in(name)
    try:
        server = authorization_servers.server_at(request.issuer)
    except ServerError as error:
        raise SignInError(error.code, str(error)) from error
    try:
        key = unsealed_key(request.sealed_dpop_key)
        verifier = token_encryption.unseal(request.sealed_verifier)
    except token_encryption.TokenUnreadable as error:
        raise SignInError("expired", _("This sign-in cannot be continued any more. Start again.")) from error
    fields = {
        "grant_type": "authorization_code",
        "code": parameters["code"],
        "redirect_uri": oauth_client.redirect_uri(),
        "code_verifier": verifier,
    }
    tokens = _read_tokens(server, _ask(server, server.token_endpoint, key, fields))
    try:
        _check_scope(tokens)
        identity = _check_subject(tokens.sub, request)
    except SignInError:
        revoke_token(server, key, tokens.refresh_token)
        raise
    return _keep(identity, server, key, tokens), request.next_path


def forget_expired_requests() -> None:
    """Deletes what was begun and can no longer be finished."""
    OAuthRequest.objects.filter(created_at__lt=timezone.now() - OAUTH_REQUEST_LIFETIME).delete()


def refresh(issuer: str, key: ECKey, refresh_token: str, sub: str) -> Tokens:
    """New tokens for old; the old refresh token is spent, so the new one must be kept before anything else.

    Raises SignInError "expired" when the server does not know the session any more, otherwise
    "server-unreachable" or "server-error" (worth another try).
    """
    try:
        server = authorization_servers.server_at(issuer)
    except ServerError as error:
        raise SignInError(error.code, str(error)) from error
    fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    response = _ask(server, server.token_endpoint, key, fields)
    # Other refusals, of this installation's own key for one, may pass; this one never does.
    if _error_code(response) == "invalid_grant":
        raise SignInError(
            "expired", _("%(server)s has ended this session.") % {"server": oauth_client.server_name(issuer)}
        )
    tokens = _read_tokens(server, response)
    if tokens.sub != sub:
        raise SignInError("wrong-account", _("The server answered for another account."))
    return tokens


def revoke_token(server: AuthorizationServer, key: ECKey, token: str) -> bool:
    """Tells the server to forget a session; False when it could not be told."""
    if server.revocation_endpoint is None:
        return False
    try:
        response = _ask(server, server.revocation_endpoint, key, {"token": token})
    except SignInError:
        return False
    return response.status_code == 200


def revoke(session: OAuthSession) -> bool:
    """Ends a session, here in any case and first; False when the server could not be told."""
    session.delete()
    return tell_ended(session)


def tell_ended(session: OAuthSession) -> bool:
    """Tells the server that a session has ended, which need not be in the database any more; False when it
    could not be told."""
    try:
        server = authorization_servers.server_at(session.issuer)
        key = unsealed_key(session.sealed_dpop_key)
        return revoke_token(server, key, token_encryption.unseal(session.sealed_refresh_token))
    except (ServerError, token_encryption.TokenUnreadable):
        return False


def unsealed_key(sealed: bytes | memoryview) -> ECKey:
    """A DPoP key from the database. Raises TokenUnreadable."""
    return ECKey.import_key(json.loads(token_encryption.unseal(sealed)))


def _sealed_key(key: ECKey) -> bytes:
    return token_encryption.seal(json.dumps(key.as_dict(private=True)))


def _who_and_where(identifier: str) -> tuple[Identity | None, AuthorizationServer]:
    if "://" in identifier and not identifier.strip().startswith("at://"):
        return None, authorization_servers.server_named(identifier.strip().rstrip("/"))
    identity = identities.resolve(identifier, fresh=True)
    return identity, authorization_servers.server_of(identity.pds_url)


def _take_request(state: str, browser_states: Collection[str]) -> OAuthRequest:
    """The request that a state belongs to, which can then never be taken again."""
    if not state or state not in browser_states:
        raise SignInError(
            "not-this-browser", _("This sign-in was not begun in this browser. Start again here.")
        )
    request = OAuthRequest.objects.filter(state_hash=_state_hash(state)).first()
    if request is None or OAuthRequest.objects.filter(pk=request.pk).delete()[0] != 1:
        raise SignInError("expired", _("This sign-in was already used or has expired. Start again."))
    if request.expired(timezone.now()):
        raise SignInError("expired", _("This sign-in took longer than ten minutes. Start again."))
    return request


def _ask(server: AuthorizationServer, url: str, key: ECKey, fields: dict[str, str]) -> httpx.Response:
    form = fields | oauth_client.authentication(server.issuer, int(time.time()))
    try:
        return dpop.send(
            outbound.shared_client(), key, "POST", url, data=form, extensions={"max_bytes": ANSWER_MAX_BYTES}
        )
    except httpx.HTTPError as error:
        name = oauth_client.server_name(server.issuer)
        raise SignInError(
            "server-unreachable", _("%(server)s cannot be reached. Try again later.") % {"server": name}
        ) from error


def _read_tokens(server: AuthorizationServer, response: httpx.Response) -> Tokens:
    name = oauth_client.server_name(server.issuer)
    if response.status_code != 200:
        logger.warning("%s refused a token: %s", server.issuer, _error_code(response))
        raise _could_not_sign_in(name)
    found = _json(response)
    texts = [found.get(field) for field in ("access_token", "refresh_token", "scope", "sub")]
    expires_in = found.get("expires_in")
    well_formed = (
        all(_is_token(text) for text in texts)
        and isinstance(expires_in, int)
        and expires_in >= 0
        and str(found.get("token_type")).lower() == "dpop"
        and handles.is_did(str(found.get("sub")))
    )
    if not well_formed:
        raise SignInError(
            "server-error", _("%(server)s answered something that is not understood.") % {"server": name}
        )
    access, refresh_token, scope, sub = map(str, texts)
    return Tokens(access, refresh_token, scope, sub, min(int(expires_in or 0), LONGEST_ACCESS_SECONDS))


def _could_not_sign_in(server: str) -> SignInError:
    return SignInError("server-error", _("%(server)s could not sign you in. Try again.") % {"server": server})


def _is_token(text: object) -> bool:
    """Whether it may be a token or a scope: printable ASCII (RFC 6749 appendix A), and not too long."""
    return (
        isinstance(text, str) and 0 < len(text) <= MAX_TOKEN_LENGTH and text.isascii() and text.isprintable()
    )


def _check_scope(tokens: Tokens) -> None:
    missing = set(oauth_client.SCOPES) - set(tokens.scope.split())
    if missing:
        names = ", ".join(sorted(name.removeprefix("repo:") for name in missing))
        raise SignInError(
            "scope-missing",
            _(
                "Waxwing was not allowed to write %(names)s. "
                "Without all three records nobody can seal a message to you."
            )
            % {"names": names},
        )


def _check_subject(sub: str, request: OAuthRequest) -> Identity:
    """The account that was signed in, after checking that its own PDS trusts this very issuer."""
    if request.did and request.did != sub:
        raise SignInError("wrong-account", _("The server signed in another account than the one you named."))
    try:
        identity = identities.resolve(sub, fresh=True)
        issuer = authorization_servers.server_of(identity.pds_url).issuer
    except (IdentityError, ServerError) as error:
        raise SignInError(error.code, str(error)) from error
    if issuer != request.issuer:
        raise SignInError("wrong-issuer", _("The server that answered does not speak for this account."))
    return identity


def _keep(identity: Identity, server: AuthorizationServer, key: ECKey, tokens: Tokens) -> OAuthSession:
    now = timezone.now()
    known = Account.objects.filter(did=identity.did).values_list("handle", flat=True).first()
    account, _ = Account.objects.update_or_create(
        did=identity.did,
        defaults={
            "handle": identity.handle_after(known or ""),
            "pds_url": identity.pds_url,
            "signed_in_at": now,
        },
    )
    return OAuthSession.objects.create(
        account=account,
        issuer=server.issuer,
        scope=tokens.scope,
        sealed_access_token=token_encryption.seal(tokens.access_token),
        sealed_refresh_token=token_encryption.seal(tokens.refresh_token),
        sealed_dpop_key=_sealed_key(key),
        access_expires_at=now + timedelta(seconds=tokens.expires_in),
        created_at=now,
    )


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _error_code(response: httpx.Response) -> str:
    """The OAuth error code of an answer, or its HTTP status; never its text: that may quote what was sent."""
    if response.status_code < 400:
        return ""
    code = _json(response).get("error")
    return code if isinstance(code, str) and code.isidentifier() else f"HTTP {response.status_code}"


def _state_hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
