"""Addresses that outgoing HTTP refuses, however they are written, resolved or redirected to."""

import ipaddress
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
from pytest_django import Settings

import outbound
from outbound import OutboundError, allowed_addresses, http_client, is_public, is_web_address
from tests.accounts.http_server import Server, reply

INNER = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "2a00::1"]


@pytest.fixture
def live(settings: Settings) -> None:
    settings.NETWORK = "live"


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "0177.0.0.1", "127.1", "::1", "0"]
)
@pytest.mark.usefixtures("live")
def test_however_an_inner_address_is_written_it_is_refused(host: str) -> None:
    with pytest.raises(OutboundError) as raised:
        allowed_addresses(host, 443)
    assert raised.value.code == "address-refused"


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:{port}/", "https://localhost:{port}/", "https://[::1]:{port}/"]
)
def test_a_request_to_an_inner_address_opens_no_connection(server: Server, url: str) -> None:
    with http_client() as client, pytest.raises(OutboundError) as raised:
        client.get(url.format(port=server.port))
    assert raised.value.code == "address-refused"
    assert server.requests == 0


@pytest.mark.usefixtures("live")
def test_plain_http_is_refused_on_the_live_network(server: Server) -> None:
    with http_client() as client, pytest.raises(OutboundError) as raised:
        client.get(server.url)
    assert raised.value.code == "scheme-refused"
    assert server.requests == 0


@pytest.mark.parametrize("host", ["1.2.3.999", "\u2603.example", "a\ud800b.example", "[v1.x]", "[::1"])
def test_an_address_that_cannot_be_read_fails_as_any_other(host: str) -> None:
    """httpx has an error of its own for these, which is no httpx.HTTPError."""
    url = f"https://{host}/"
    assert not is_web_address(url)
    with http_client() as client, pytest.raises(OutboundError) as raised:
        client.get(url)
    assert raised.value.code == "scheme-refused"


@pytest.mark.usefixtures("live")
def test_a_name_that_changes_its_answer_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked is what is connected to: the name is resolved once for both."""
    answers = iter(["93.184.216.34", "127.0.0.1"])
    connected: list[object] = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    with http_client() as client, pytest.raises(httpx.ConnectError):
        client.get("https://rebinding.example/")
    assert connected == [("93.184.216.34", 443)]


@pytest.mark.usefixtures("live")
def test_a_name_whose_server_does_not_answer_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        answers.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    begun = time.monotonic()
    try:
        with http_client(seconds=0.5) as client, pytest.raises(httpx.ConnectTimeout):
            client.get("https://slow.example/")
        assert time.monotonic() - begun < 3
    finally:
        answers.set()


@pytest.mark.usefixtures("live")
def test_of_several_addresses_only_public_ones_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 25)) for ip in ("10.0.0.1", "8.8.8.8", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert allowed_addresses("mixed.example", 25) == ["8.8.8.8"]


def test_a_redirect_is_checked_like_a_first_request(server: Server, settings: Settings) -> None:
    server.answer = lambda handler: reply(handler, 302, b"", location="http://10.0.0.1/secret")
    with http_client() as client, pytest.raises(OutboundError) as raised:
        client.get(server.url, follow_redirects=True)
    assert raised.value.code == "scheme-refused"
    server.answer = lambda handler: reply(handler, 302, b"", location="https://10.0.0.1/secret")
    with http_client() as client, pytest.raises(OutboundError) as raised:
        client.get(server.url, follow_redirects=True)
    assert raised.value.code == "address-refused"


def test_redirects_are_followed_only_when_asked_for_and_not_for_ever(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 302, b"", location=f"{server.url}/again")
    with http_client() as client:
        assert client.get(server.url).status_code == 302
        with pytest.raises(httpx.TooManyRedirects):
            client.get(server.url, follow_redirects=True)
    assert server.requests < 8


def test_private_addresses_stay_out_of_reach_on_a_loopback_network() -> None:
    with pytest.raises(OutboundError):
        allowed_addresses("10.0.0.1", 80)
    assert allowed_addresses("127.0.0.1", 80) == ["127.0.0.1"]


def test_a_body_beyond_the_limit_is_an_error_announced_or_not(server: Server) -> None:
    def unannounced(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("connection", "close")
        handler.end_headers()
        for _ in range(64):
            handler.wfile.write(b"x" * 1024)

    for answer in (lambda handler: reply(handler, 200, b"x" * 2000), unannounced):
        server.answer = answer
        with http_client(max_bytes=1000) as client, pytest.raises(OutboundError) as raised:
            client.get(server.url)
        assert raised.value.code == "too-large"
    server.answer = lambda handler: reply(handler, 200, b"x" * 1000)
    with http_client(max_bytes=1000) as client:
        assert len(client.get(server.url).content) == 1000
        with pytest.raises(OutboundError):
            client.get(server.url, extensions={"max_bytes": 999})


def test_a_compressed_answer_is_refused_as_it_may_be_of_any_size(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b"\x1f\x8b", content_encoding="gzip")
    with http_client() as client, pytest.raises(OutboundError):
        client.get(server.url)


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_trickling_answer_ends_at_the_deadline(server: Server, part: str) -> None:
    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        if part == "body":
            handler.wfile.write(b"content-length: 1000\r\n\r\n")
        for _ in range(100):
            handler.wfile.write(b"a" if part == "body" else b"x-a: b\r\n")
            handler.wfile.flush()
            time.sleep(0.05)

    server.answer = trickle
    started = time.monotonic()
    with http_client(seconds=0.5) as client, pytest.raises(httpx.ReadTimeout):
        client.get(server.url)
    assert time.monotonic() - started < 2


def test_cookies_are_not_kept(server: Server) -> None:
    seen: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("cookie"))
        reply(handler, 200, b"", set_cookie="who=alice")

    server.answer = answer
    with http_client() as client:
        client.get(server.url)
        client.get(server.url)
    assert seen == [None, None]


@pytest.mark.parametrize(
    ("url", "live", "loopback"),
    [
        ("https://pds.example.org", True, True),
        ("https://pds.example.org:8443/path?query", True, True),
        ("http://pds.example.org", False, False),
        ("http://localhost:2583", False, True),
        ("http://127.0.0.1:2583/inbox/x", False, True),
        ("http://127.0.0.1.nip.io/", False, False),
        ("https://user@pds.example.org", False, False),
        ("https://user:pass@pds.example.org", False, False),
        ("https://pds.example.org/#fragment", False, False),
        ("https://", False, False),
        ("https://pds.example.org:port/", False, False),
        ("https://pds.example.org/ x", False, False),
        ("https://pds.example.org\\@127.0.0.1/", False, False),
        ("ftp://pds.example.org", False, False),
        ("file:///etc/passwd", False, False),
        ("", False, False),
    ],
)
def test_which_addresses_are_called_at_all(settings: Settings, url: str, live: bool, loopback: bool) -> None:
    settings.NETWORK = "live"
    assert is_web_address(url) is live
    settings.NETWORK = "loopback"
    assert is_web_address(url) is loopback


def test_a_forked_worker_opens_connections_of_its_own() -> None:
    import os

    before = outbound.shared_client()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if outbound.shared_client() is not before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
