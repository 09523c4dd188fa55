"""The ``#atproto`` signing keys of this agent's users, from the DID documents that publish them.

Documents come from the PLC directory, or for did:web from the host that the DID names, through the guarded
client. What is kept, how often one DID is asked for, and how many requests run at once are all bounded.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

import outbound
from crypto_agent.atsms.did_keys import method_key
from crypto_agent.atsms.errors import BadAttestation
from crypto_agent.errors import IdentityUnavailable, InvalidToken

DOCUMENT_MAX_BYTES = 256 * 1024
DOCUMENT_SECONDS = 8.0
#: How long a key is used again, and how soon after one request a fresh one may follow, also after a failure.
KEPT_S = 600.0
FRESH_AFTER_S = 10.0
MOST_KEPT = 2048
#: Fewer than the agent's threads, so that documents that are slow to come can't hold up everything else.
MOST_AT_ONCE = 4
MOST_METHODS = 50

_PLC = re.compile(r"did:plc:[a-z2-7]{24}")


@dataclass(frozen=True)
class _Answer:
    """The key that a document gave at a time, or None where there was none; and the last try since."""

    at_s: float
    key: ec.EllipticCurvePublicKey | None
    tried_s: float


class UserKeys:
    """Finds signing keys, for all threads; ``plc_url`` is the directory's origin."""

    def __init__(self, plc_url: str, *, loopback: bool) -> None:
        self._plc_url = plc_url
        self._loopback = loopback
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._lock = threading.Lock()
        self._running = threading.BoundedSemaphore(MOST_AT_ONCE)

    def key(self, did: str, now_s: float) -> ec.EllipticCurvePublicKey:
        """The user's signing key, from a document up to ``KEPT_S`` old.

        Raises IdentityUnavailable if the document can't be had, InvalidToken if it names no usable key.
        """
        with self._lock:
            known = self._answers.get(did)
        if known is not None and known.key is not None and now_s - known.at_s < KEPT_S:
            return known.key
        return self.fresh_key(did, now_s)

    def fresh_key(self, did: str, now_s: float) -> ec.EllipticCurvePublicKey:
        """The same from a document at most ``FRESH_AFTER_S`` old."""
        with self._lock:
            known = self._answers.get(did)
        if known is None or now_s - known.tried_s >= FRESH_AFTER_S:
            known = self._asked(did, now_s, known)
        if known.key is None or now_s - known.at_s >= FRESH_AFTER_S:
            raise IdentityUnavailable("your DID document can't be had")
        return known.key

    def _asked(self, did: str, now_s: float, known: _Answer | None) -> _Answer:
        """What is known stays if there is no document to be had: anybody can have this asked for."""
        if not self._running.acquire(blocking=False):
            raise IdentityUnavailable("too many DID documents are being asked for")
        try:
            answer = _Answer(now_s, None, now_s)
            try:
                answer = _Answer(now_s, signing_key(self._document(did), did), now_s)
            except IdentityUnavailable:
                answer = replace(known, tried_s=now_s) if known else answer
                raise
            finally:
                self._keep(did, answer)
        finally:
            self._running.release()
        return answer

    def _keep(self, did: str, answer: _Answer) -> None:
        with self._lock:
            self._answers[did] = answer
            self._answers.move_to_end(did)
            while len(self._answers) > MOST_KEPT:
                self._answers.popitem(last=False)

    def _document(self, did: str) -> Any:
        url = document_url(did, self._plc_url, loopback=self._loopback)
        try:
            with outbound.http_client(max_bytes=DOCUMENT_MAX_BYTES, seconds=DOCUMENT_SECONDS) as client:
                return client.get(url).raise_for_status().json()
        except (httpx.HTTPError, ValueError, RecursionError):
            raise IdentityUnavailable("your DID document can't be had") from None


def signing_key(document: Any, did: str) -> ec.EllipticCurvePublicKey:
    """The ``#atproto`` key in the DID document of ``did``, in either of PLC's formats; else InvalidToken."""
    methods = document.get("verificationMethod") if isinstance(document, Mapping) else None
    if not isinstance(methods, list) or len(methods) > MOST_METHODS or document.get("id") != did:
        raise InvalidToken("the issuer's DID document names no signing key")
    for method in methods:
        match method:
            case {"id": str(name), "type": str(kind), "publicKeyMultibase": str(multibase)}:
                if name in ("#atproto", f"{did}#atproto"):
                    try:
                        return method_key(kind, multibase)
                    except BadAttestation as error:
                        raise InvalidToken("the issuer's signing key can't be read") from error
    raise InvalidToken("the issuer's DID document names no signing key")


def document_url(did: str, plc_url: str, *, loopback: bool) -> str:
    """Where the document of a did:plc or did:web is; InvalidToken for other DIDs.

    A did:web with a port is for networks on ``loopback`` only, as the atproto DID specification has it.
    """
    if _PLC.fullmatch(did):
        return f"{plc_url}/{quote(did, safe=':')}"
    host = unquote(did.removeprefix("did:web:"))
    name, _, port = host.partition(":")
    if not did.startswith("did:web:") or re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", host) is None:
        raise InvalidToken("the issuer is not a DID that can be looked up")
    if loopback and outbound.is_loopback_name(name):
        return f"http://{host}/.well-known/did.json"
    if port:
        raise InvalidToken("the issuer is not a DID that can be looked up")
    return f"https://{host}/.well-known/did.json"
