"""Files that others keep, with the real agent: fetched from their servers, checked, refused."""

from __future__ import annotations

import gzip
import socket
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pytest_django import Settings

from accounts.models import Account
from crypto_agent.atsms.content import InlinePart, text_part
from tests.accounts.http_server import Answer, Server
from tests.webmail.other_client import OtherClient
from tests.webmail.sent_files import (
    DATA,
    ENCRYPTED,
    LARGE,
    from_phone,
    giving,
    pages_ask_as_web,
    part_at,
    refused,
    saved,
)
from webmail import threads
from webmail.blobs import fetching

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages_ask_as_web(settings, tmp_path, monkeypatch)


def test_a_file_of_another_client_is_fetched_from_its_server(alice: Account, phone: OtherClient) -> None:
    with Server(giving(ENCRYPTED)) as server:
        message = from_phone(alice, phone, part_at(server.url + "/file"), text_part("look"))
        assert saved(alice, message) == DATA
        assert refused(alice, message, 1) == "no-such-file"
        assert refused(alice, message, 2) == "no-such-file"
    assert refused(alice, message) == "server-silent"


def test_an_inline_file_of_another_client_is_there_at_once(alice: Account, phone: OtherClient) -> None:
    inline = InlinePart(3, {"data": b"1234", "contentType": "image/png", "filename": "a.png"})
    assert saved(alice, from_phone(alice, phone, inline)) == b"1234"


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(bytes(65536))
    except OSError:
        pass


HOSTILE: dict[str, tuple[Answer, str]] = {
    "gone": (giving(b"", 404), "gone"),
    "refusing": (giving(b"", 403), "server-refuses"),
    "failing": (giving(b"", 500), "server-refuses"),
    "another file": (giving(bytes(len(ENCRYPTED))), "changed"),
    "one bit": (giving(ENCRYPTED[:-1] + bytes((ENCRYPTED[-1] ^ 1,))), "changed"),
    "shorter": (giving(ENCRYPTED[:-1]), "changed"),
    "empty": (giving(b""), "changed"),
    "longer": (giving(ENCRYPTED + b"x"), "changed"),
    "endless": (endless, "changed"),
    "a gzip bomb": (giving(gzip.compress(bytes(10_000_000)), Content_Encoding="gzip"), "changed"),
    "elsewhere, by file": (giving(b"", 302, Location="file:///etc/passwd"), "bad-address"),
    "round and round": (giving(b"", 302, Location="/again"), "server-silent"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_not_the_file_is_not_given_out(alice: Account, phone: OtherClient, kind: str) -> None:
    handler, code = HOSTILE[kind]
    with Server(handler) as server:
        assert refused(alice, from_phone(alice, phone, part_at(server.url + "/file"))) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"content_hash": bytes(32)}, "changed"),
        ({"key": bytes(16)}, "changed"),
        ({"nonce": bytes(12)}, "changed"),
        ({"size": LARGE - 1}, "changed"),
        ({"size": LARGE + 1}, "changed"),
        ({"size": 2**50}, "too-large"),
        ({"key": bytes(32)}, "unsupported"),
        ({"url_expires": 1}, "gone"),
    ],
)
def test_a_message_that_describes_another_file_gives_out_nothing(
    alice: Account, phone: OtherClient, change: dict[str, object], code: str
) -> None:
    handler = giving(b"", 404) if "url_expires" in change else giving(ENCRYPTED)
    with Server(handler) as server:
        message = from_phone(alice, phone, part_at(server.url + "/file", **change))
        assert refused(alice, message) == ("expired" if "url_expires" in change else code)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://files.test/x",
        "http://files.test/x",
        "https://user:secret@files.test/x",
        "https:///x",
        "//files.test/x",
        "https://1.2.3.999/x",
        "javascript:alert(1)",
        "",
    ],
)
def test_addresses_that_are_no_web_servers_are_not_called(
    alice: Account, phone: OtherClient, url: str
) -> None:
    assert refused(alice, from_phone(alice, phone, part_at(url))) == "bad-address"


def test_nobody_makes_this_server_call_its_own_network(
    alice: Account, phone: OtherClient, settings: Settings
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as trap:
        trap.settimeout(0.2)
        port = trap.getsockname()[1]
        messages = [
            from_phone(alice, phone, part_at(f"https://{host}:{port}/x"))
            for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1")
        ]
        loopback, settings.NETWORK = settings.NETWORK, "live"
        codes = {refused(alice, message) for message in messages}
        settings.NETWORK = loopback
        assert codes == {"bad-address"}
        with pytest.raises(TimeoutError):
            trap.accept()


def test_a_server_that_trickles_is_given_up(
    alice: Account, phone: OtherClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def trickling(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(ENCRYPTED)))
        request.end_headers()
        while not over.wait(0.1):
            try:
                request.wfile.write(b"x")
            except OSError:
                return

    monkeypatch.setattr(fetching, "SECONDS", 1.0)
    with Server(trickling) as server:
        try:
            assert refused(alice, from_phone(alice, phone, part_at(server.url + "/file"))) == "server-silent"
        finally:
            over.set()


def test_hostile_names_and_types_from_others_are_harmless(alice: Account, phone: OtherClient) -> None:
    part = part_at("https://files.test/x", name="../\u202e" + "y" * 4000, media_type="text/html;\r\nX: y")
    (file,) = threads.entry(alice, from_phone(alice, phone, part).message_id).files
    assert file.name.startswith("yyy")
    assert len(file.name.encode()) <= 255
    assert file.media_type == "text/html"
