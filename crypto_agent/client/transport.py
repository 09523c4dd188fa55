"""The calls themselves: connections, tokens, and what is sent and answered."""

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from http import HTTPStatus
from itertools import chain
from socket import socket
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

import urllib3
from joserfc import jwt
from joserfc.jwk import OctKey

from crypto_agent import client_json as js
from crypto_agent.client.errors import AgentUnavailable, error_of
from crypto_agent.framed_json import HEAD_BYTES, STREAM, head
from crypto_agent.packed import PACKED, PACKED_METHODS, pack, unpack
from crypto_agent.plain_json import plain
from turns import computing

AUDIENCE = "waxwing-agent"
NAMESPACE = "dev.waxwing.agent"
TOKEN_LIFETIME_S = 30
#: Brings the token of an unlock session.
UNLOCK_HEADER = "Waxwing-Unlock"
FILE_CHUNK_BYTES = 256 * 1024
CONNECT_TIMEOUT_S = 5.0
#: Less than the agent keeps one (crypto_agent/gunicorn.conf.py).
LONGEST_UNUSED_S = 60.0
#: One that comes back when so many are kept already is closed.
MOST_KEPT_CONNECTIONS = 100


class Transport:
    """Calls of the agent at ``url`` (scheme, host, port) by ``web`` or ``worker``."""

    def __init__(
        self,
        url: str,
        token_secret: str,
        caller: str,
        *,
        timeout_s: float = 60.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = url.rstrip("/")
        self._key = OctKey.import_key(token_secret)
        self._caller = caller
        self._now = now
        self._path = urlsplit(self._url).path
        self._connections = _Connections(self._url, timeout_s)
        self._unlock_token = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r}, caller={self._caller!r})"

    def close(self) -> None:
        """Closes the kept connections; the next call opens new ones."""
        self._connections.close()

    def unlocked(self, token: str) -> Self:
        """The same client for a browser that has an unlock session: it opens what that session may."""
        view = copy(self)
        view._unlock_token = token
        return view

    def _query(self, method: str, parameters: dict[str, str]) -> js.Json:
        return self._call("GET", method, asked=f"?{urlencode(parameters)}" if parameters else "")

    def _procedure(self, method: str, arguments: js.Json) -> js.Json:
        if method in PACKED_METHODS:
            return self._call("POST", method, content_type=PACKED, body=pack(arguments))
        return self._call("POST", method, content_type="application/json", body=plain(arguments))

    def _call(
        self,
        verb: str,
        method: str,
        *,
        asked: str = "",
        content_type: str | None = None,
        body: bytes | None = None,
    ) -> js.Json:
        nsid = f"{NAMESPACE}.{method}"
        headers = self._headers(nsid)
        if content_type is not None:
            headers["Content-Type"] = content_type
        try:
            with computing.waiting():
                response = self._connections.get().urlopen(
                    verb, f"{self._path}/xrpc/{nsid}{asked}", body, headers, retries=False, redirect=False
                )
        except urllib3.exceptions.HTTPError as error:
            # The error's own text may quote the request, so only its kind is passed on.
            raise AgentUnavailable("Unreachable", type(error).__name__) from None
        if response.status != HTTPStatus.OK:
            raise error_of(response)
        if response.headers.get("Content-Type") == PACKED:
            packed: js.Json = unpack(response.data)
            return packed
        answer: js.Json = json.loads(response.data)
        return answer

    @computing.waiting()
    def _carry(
        self,
        method: str,
        arguments: js.Json,
        size: int,
        chunks: Iterable[bytes],
        sink: Callable[[bytes], object],
    ) -> js.Json:
        """A call with a file after its JSON, whose answer has one too."""
        nsid = f"{NAMESPACE}.{method}"
        first = head(arguments)
        headers = {
            **self._headers(nsid),
            "Content-Type": STREAM,
            "Content-Length": str(len(first) + size),
        }
        try:
            response = self._connections.get().urlopen(
                "POST",
                f"{self._path}/xrpc/{nsid}",
                chain((first,), _of_size(chunks, size)),
                headers,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                if response.status != HTTPStatus.OK:
                    raise error_of(response)
                return _json_then_file(response.stream(FILE_CHUNK_BYTES, decode_content=False), sink)
            finally:
                response.close()
        except urllib3.exceptions.HTTPError as error:
            raise AgentUnavailable("Unreachable", type(error).__name__) from None

    def _headers(self, nsid: str) -> dict[str, str]:
        authorization = {"Authorization": f"Bearer {self._token(nsid)}"}
        return {**authorization, UNLOCK_HEADER: self._unlock_token} if self._unlock_token else authorization

    def _token(self, nsid: str) -> str:
        issued_at = int(self._now())
        claims = {
            "iss": self._caller,
            "aud": AUDIENCE,
            "lxm": nsid,
            "iat": issued_at,
            "exp": issued_at + TOKEN_LIFETIME_S,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode({"alg": "HS256"}, claims, self._key)


class _Patient:
    """A connection of urllib3 to an agent that may be busy: it has as long to take in a call as to answer it,
    where it would have as long as to accept the connection. And the agent is not the first to close one."""

    sock: socket | None
    timeout: float
    send_timeout_s: float
    _used_at_s = 0.0

    def request(self, *arguments: Any, **options: Any) -> None:
        now_s = time.monotonic()
        if self.sock is not None and now_s - self._used_at_s > LONGEST_UNUSED_S:
            self.close()
        if self.sock is None:
            self.connect()
        self._used_at_s = now_s
        self.timeout = self.send_timeout_s
        super().request(*arguments, **options)  # type: ignore[misc]

    if TYPE_CHECKING:

        def connect(self) -> None: ...
        def close(self) -> None: ...


class _Connections:
    """The kept connections of one client and its views, for one process at a time."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s)
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def get(self) -> urllib3.HTTPConnectionPool:
        # A worker forks after this was made: a child must not share its parent's connections.
        with self._lock:
            if self._pool is None or self._owner != os.getpid():
                self._pool = urllib3.connection_from_url(
                    self._url, timeout=self._timeout, maxsize=MOST_KEPT_CONNECTIONS
                )
                usual = self._pool.ConnectionCls
                own = {"send_timeout_s": self._timeout.read_timeout}
                self._pool.ConnectionCls = type("PatientConnection", (_Patient, usual), own)
                self._owner = os.getpid()
            return self._pool

    def close(self) -> None:
        with self._lock:
            if self._pool is not None and self._owner == os.getpid():
                self._pool.close()
            self._pool = None


def asserted(assertion: js.Json | None) -> js.Json:
    """The passkey's answer as an argument of a call that may need it."""
    return {"assertion": assertion} if assertion is not None else {}


def _of_size(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Raises ValueError in the end if the chunks have another size: the agent then answers nothing."""
    for chunk in chunks:
        size -= len(chunk)
        if size < 0:
            break
        yield chunk
    if size:
        raise ValueError("a file of another size than was said")


def _json_then_file(chunks: Iterator[bytes], sink: Callable[[bytes], object]) -> js.Json:
    buffer, end = b"", HEAD_BYTES
    for chunk in chunks:
        buffer += chunk
        if len(buffer) >= HEAD_BYTES:
            end = HEAD_BYTES + int.from_bytes(buffer[:HEAD_BYTES], "big")
        if end > HEAD_BYTES and len(buffer) >= end:
            break
    answer: js.Json = json.loads(buffer[HEAD_BYTES:end])
    sink(buffer[end:])
    for chunk in chunks:
        sink(chunk)
    return answer
