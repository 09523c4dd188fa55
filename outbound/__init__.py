"""HTTP to places that other people name: DID documents, PDSes, inbox endpoints, pictures.

Every address is resolved here, checked, and then connected to as it was checked, so a name that changes
its answer (DNS rebinding) or a redirect gains nothing. Size and time are bounded. With
``settings.NETWORK == "loopback"`` this machine's own addresses are allowed too, over plain http.
"""

import functools
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
from django.conf import settings

from turns import computing

DEFAULT_MAX_BYTES = 1_000_000
DEFAULT_SECONDS = 20.0
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
MAX_REDIRECTS = 3
#: Names that a process has looked up at the same time.
LOOKUPS_AT_ONCE = 64

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_IPV6_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")


class OutboundError(httpx.TransportError):
    """A request that was refused here. ``code``: "address-refused", "scheme-refused" or "too-large"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def is_public(address: IPAddress) -> bool:
    """Whether an address is an ordinary public unicast one.

    Refused: loopback, private, shared (100.64/10), link-local, multicast, reserved and documentation
    ranges, and IPv6 forms that carry an IPv4 address (mapped, 6to4, Teredo, NAT64).
    """
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    if address in _NAT64 or address in _NAT64_LOCAL or address not in _IPV6_UNICAST:
        return False
    if address.ipv4_mapped or address.sixtofour or address.teredo:
        return False
    return address.is_global


def is_allowed(address: IPAddress) -> bool:
    """Whether this installation may connect to an address (see the module's docstring)."""
    return is_public(address) or (settings.NETWORK == "loopback" and address.is_loopback)


_looking_up = threading.BoundedSemaphore(LOOKUPS_AT_ONCE)


def addresses_of(host: str, port: int, *, seconds: float | None = None) -> list[str]:
    """All addresses of a host, for servers that the operator names.

    The system's resolver knows no deadline, and whoever keeps a name may let it wait for a minute: with
    ``seconds`` it has a thread of its own, which ends unheard where nobody waits any more. Raises
    httpx.ConnectError for a host without address, and httpx.ConnectTimeout where it takes longer.
    """
    if seconds is None:
        return _resolved(host, port)
    if not _looking_up.acquire(timeout=max(0.0, seconds)):
        raise httpx.ConnectTimeout("too many names are being looked up")
    begun = time.monotonic()
    found: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            found.set_result(_resolved(host, port))
        except Exception as error:
            found.set_exception(error)
        finally:
            _looking_up.release()

    try:
        threading.Thread(target=look_up, daemon=True).start()
    except RuntimeError as error:
        _looking_up.release()
        raise httpx.ConnectError(f"{host} cannot be looked up now") from error
    try:
        return found.result(max(0.0, begun + seconds - time.monotonic()))
    except FutureTimeout as error:
        raise httpx.ConnectTimeout(f"{host} was not found in time") from error


def _resolved(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"{host} has no address") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def allowed_addresses(host: str, port: int, *, seconds: float | None = None) -> list[str]:
    """The addresses of a host that may be connected to: connect to these, not to the name.

    Raises OutboundError "address-refused" when the host has only others, and what `addresses_of` raises.
    """
    addresses = addresses_of(host, port, seconds=seconds)
    allowed = [address for address in addresses if is_allowed(ipaddress.ip_address(address.split("%")[0]))]
    if not allowed:
        raise OutboundError("address-refused", f"{host} is not a public address")
    return allowed


def is_loopback_name(host: str) -> bool:
    """Whether a host is written as this very machine: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_web_address(url: str) -> bool:
    """Whether this installation would call a URL: https, or in a loopback network http to itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return False
    if any(character <= " " or character == "\\" for character in url) or not _is_readable(url):
        return False
    if parts.scheme == "https":
        return True
    return parts.scheme == "http" and settings.NETWORK == "loopback" and is_loopback_name(host)


def web_origin(url: str) -> str | None:
    """``scheme://host[:port]`` of an acceptable URL in lower case, or None."""
    if not is_web_address(url):
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _is_readable(url: str) -> bool:
    """Whether httpx can make anything of a URL: it raises for hosts such as 1.2.3.999, and for surrogates."""
    try:
        httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        return False
    return True


class _Deadline(threading.local):
    """The moment (monotonic seconds) at which the request of the present thread must be over."""

    at: float | None = None

    def shorten(self, timeout: float | None) -> float | None:
        if self.at is None:
            return timeout
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer took too long")
        return left if timeout is None else min(timeout, left)


_deadline = _Deadline()


class _BoundedStream(httpcore.NetworkStream):
    """A connection whose reads and writes end at the deadline, however slowly bytes trickle in."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _deadline.shorten(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _deadline.shorten(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _BoundedStream(
            self._stream.start_tls(ssl_context, server_hostname, _deadline.shorten(timeout))
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _CheckedBackend(httpcore.NetworkBackend):
    """Opens connections to checked addresses only."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in allowed_addresses(host, port, seconds=_deadline.shorten(None)):
            try:
                stream = self._backend.connect_tcp(
                    address, port, _deadline.shorten(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return _BoundedStream(stream)
        raise failure or httpcore.ConnectError(f"{host} does not answer")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise OutboundError("address-refused", "a socket file is not a public address")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _BoundedBody(httpx.SyncByteStream):
    """A response body that ends in an error beyond ``max_bytes``."""

    def __init__(self, body: httpx.SyncByteStream, max_bytes: int) -> None:
        self._body = body
        self._max_bytes = max_bytes

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._body:
            size += len(chunk)
            if size > self._max_bytes:
                raise OutboundError("too-large", f"the answer is larger than {self._max_bytes} bytes")
            yield chunk

    def close(self) -> None:
        self._body.close()
        _deadline.at = None


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class _GuardedTransport(httpx.HTTPTransport):
    """httpx's transport over _CheckedBackend; it sees every hop of a redirect."""

    def __init__(self, max_bytes: int, seconds: float) -> None:
        super().__init__(verify=_ssl_context(), trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=50,
            max_keepalive_connections=20,
            keepalive_expiry=3.0,
            network_backend=_CheckedBackend(),
        )
        self._max_bytes = max_bytes
        self._seconds = seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not is_web_address(str(request.url.copy_with(fragment=None))):
            raise OutboundError("scheme-refused", "only https addresses are called")
        max_bytes = int(request.extensions.get("max_bytes", self._max_bytes))
        seconds = min(self._seconds, float(request.extensions.get("seconds", self._seconds)))
        _deadline.at = time.monotonic() + seconds
        try:
            with computing.waiting():
                response = super().handle_request(request)
        except BaseException:
            _deadline.at = None
            raise
        encoding = response.headers.get("content-encoding", "identity")
        size = response.headers.get("content-length", "0")
        if encoding != "identity" or not size.isdecimal() or int(size) > max_bytes:
            response.close()
            _deadline.at = None
            raise OutboundError("too-large", f"the answer is compressed or larger than {max_bytes} bytes")
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _BoundedBody(response.stream, max_bytes)
        return response


class _Client(httpx.Client):
    """httpx's client, for which an address that it cannot read fails as any other does."""

    def request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Response:
        try:
            return super().request(method, url, **options)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise OutboundError("scheme-refused", "that is not the address of a server") from error


def http_client(*, max_bytes: int = DEFAULT_MAX_BYTES, seconds: float = DEFAULT_SECONDS) -> httpx.Client:
    """A guarded client of one's own; close it (or use it as a context manager).

    ``max_bytes`` bounds each answer's body (one request may set its own by the extension "max_bytes"),
    ``seconds`` each request from looking up its host to the last byte (the extension "seconds" may shorten
    it). Redirects are not followed unless asked for with ``follow_redirects=True``. Raises httpx.HTTPError,
    of which OutboundError is one, for everything that fails. Keeps no cookies and uses no proxy of the
    environment.
    """
    return _Client(
        transport=_GuardedTransport(max_bytes, seconds),
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        headers={"user-agent": "Waxwing", "accept-encoding": "identity"},
        follow_redirects=False,
        max_redirects=MAX_REDIRECTS,
        trust_env=False,
    )


@functools.cache
def shared_client() -> httpx.Client:
    """The process's guarded client, with its kept connections, for all threads; never close it."""
    return http_client()


# A forked worker must not speak on its parent's connections.
os.register_at_fork(after_in_child=shared_client.cache_clear)
