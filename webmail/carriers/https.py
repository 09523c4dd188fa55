"""Carrying envelopes by HTTPS POST to an inbox endpoint (protocol §7)."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

import httpx

from outbound import OutboundError, is_web_address, shared_client

from .outcomes import Deferred, Outcome, Refused, outcome_of_http

#: Of an answer's body only the beginning is of interest.
MAX_ANSWER = 16 * 1024


class HttpsDestination(Protocol):
    @property
    def target(self) -> str: ...


def deliver(
    route: HttpsDestination, envelopes: Sequence[bytes], *, client: httpx.Client | None = None
) -> list[Outcome]:
    """Post each envelope as `{"envelope": base64}`, without credentials; one outcome each, in order.

    Any 2xx is accepted. What the network or the server has against the moment (no connection, 429, 5xx)
    ends the round: the rest are deferred with the same words and not tried. Raises nothing for what the
    network does. `client` is a guarded client (outbound); the process's shared one by default.
    """
    if not is_web_address(route.target):
        return [Refused("bad-address", "the endpoint is not an https address") for _ in envelopes]
    client = client or shared_client()
    outcomes: list[Outcome] = []
    for envelope in envelopes:
        outcome = _post(client, route.target, envelope)
        outcomes.append(outcome)
        if isinstance(outcome, Deferred):
            break
    return outcomes + outcomes[-1:] * (len(envelopes) - len(outcomes))


def _post(client: httpx.Client, url: str, envelope: bytes) -> Outcome:
    body = {"envelope": base64.b64encode(envelope).decode("ascii")}
    try:
        answer = client.post(url, json=body, extensions={"max_bytes": MAX_ANSWER})
    except OutboundError as error:
        return _refused_here(error)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        return Deferred("server-unreachable", _reason(error))
    except httpx.TransportError as error:
        return Deferred("server-unreachable", _reason(error), perhaps=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Refused("bad-address", _reason(error))
    return outcome_of_http(
        answer.status_code,
        _words(answer),
        retry_after=answer.headers.get("retry-after"),
        now=datetime.now(UTC),
        security="TLS, certificate verified" if answer.url.scheme == "https" else "no TLS",
    )


def _refused_here(error: OutboundError) -> Outcome:
    """What the guard itself refused: an address, a scheme, or an answer too large to be one."""
    if error.code == "address-refused":
        return Refused("forbidden-address", str(error))
    if error.code == "scheme-refused":
        return Refused("bad-address", str(error))
    return Deferred("server-trouble", str(error), perhaps=True)


def _words(answer: httpx.Response) -> str:
    """The answer's own explanation, as atproto services give it, or the standard phrase of its status."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    return answer.reason_phrase


def _reason(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
