"""Other sites asked for a preview: once, within bounds, and never inside of a network."""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from django.core.cache import cache
from PIL import Image
from pytest_django import Settings

import outbound
from accounts.models import Account
from tests.accounts.http_server import Server, reply
from tests.services.agent import AgentProcess
from tests.services.certificates import self_signed
from tests.webmail.installation import new_account
from tests.webmail.linked_site import HTML, PAGE, linked_site
from tests.webmail.pictures import MARK, bomb, photo
from webmail.images import decoding
from webmail.images.child import PREVIEW_BYTES
from webmail.previews import fetching
from webmail.previews.card import decoded, first_link
from webmail.previews.fetching import NoPreview, make_card

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def site() -> Iterator[Server]:
    with linked_site() as server:
        yield server


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    cache.clear()
    return new_account("alice")


def test_a_page_is_asked_once_and_its_picture_once_without_a_word_of_who_asks(
    alice: Account, site: Server
) -> None:
    asked: list[tuple[str, dict[str, str]]] = []
    answer = site.answer

    def noted(handler: BaseHTTPRequestHandler) -> None:
        asked.append((handler.path, {name.lower(): value for name, value in handler.headers.items()}))
        answer(handler)

    site.answer = noted
    found = make_card(alice, f"{site.url}/walks/weir#there")
    assert (found.title, found.description) == ("The <weir>", "A walk along the river.")
    assert [path for path, _headers in asked] == ["/walks/weir", "/walks/weir.jpg"]
    for _path, headers in asked:
        assert set(headers) <= {"host", "accept", "accept-encoding", "connection", "user-agent"}
        assert headers["user-agent"] == "Waxwing"
    image = Image.open(io.BytesIO(found.picture))
    assert (image.format, max(image.size)) == ("JPEG", 320)
    assert len(found.picture) <= PREVIEW_BYTES
    assert MARK not in found.picture
    assert not dict(image.getexif())
    assert decoded(found.encoded) == found


def test_a_site_is_asked_over_https(
    alice: Account, site: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path / "site.pem", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    url = site.url.replace("http:", "https:")
    try:
        outbound._ssl_context.cache_clear()
        with pytest.raises(NoPreview):
            make_card(alice, url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        outbound._ssl_context.cache_clear()
        assert make_card(alice, url).picture
    finally:
        outbound._ssl_context.cache_clear()


def hidden(inner: str) -> Answer:
    """Leads to an address inside of the network."""
    return lambda handler: reply(handler, 302, b"", location=inner)


def trickle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-type", "text/html")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"<p>")
        handler.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(hidden("http://169.254.169.254/latest/meta-data/"), id="to the cloud's own data"),
        pytest.param(hidden("http://10.0.0.1/"), id="to a private address"),
        pytest.param(hidden("https://[fd00::1]/"), id="to a private IPv6 address"),
        pytest.param(hidden("http://elsewhere.test/"), id="to a page that is not secret"),
        pytest.param(hidden("file:///etc/passwd"), id="to a file"),
        pytest.param(hidden("https://exa mple\x7f/"), id="to no address"),
        pytest.param(hidden("/again"), id="round and round"),
        pytest.param(lambda handler: reply(handler, 404, PAGE, **HTML), id="gone"),
        pytest.param(lambda handler: reply(handler, 200, PAGE, content_type="text/plain"), id="no page"),
        pytest.param(
            lambda handler: reply(handler, 200, PAGE, content_encoding="gzip", **HTML), id="compressed"
        ),
        pytest.param(lambda handler: reply(handler, 200, b"<p>no words", **HTML), id="nothing said"),
        pytest.param(lambda handler: handler.wfile.write(b"\x16\x03\x01 no http"), id="no http"),
        pytest.param(trickle, id="slower than anybody waits"),
    ],
)
def test_what_gives_no_preview_says_so_and_nothing_else(
    alice: Account, site: Server, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST_SECONDS", 2.0)
    site.answer = answer
    begun = time.monotonic()
    with pytest.raises(NoPreview) as raised:
        make_card(alice, f"{site.url}/page")
    assert (raised.value.code, raised.value.sentence) == ("says-nothing", "127.0.0.1 gives no preview.")
    assert time.monotonic() - begun < 4
    assert site.requests <= outbound.MAX_REDIRECTS + 1


def test_in_a_real_network_this_machine_and_its_neighbours_are_never_asked(
    alice: Account, site: Server, settings: Settings
) -> None:
    settings.NETWORK = "live"
    assert first_link(f"{site.url}/page") is None
    for url in (site.url.replace("http:", "https:"), f"https://localhost:{site.port}/", "https://10.0.0.1/"):
        with pytest.raises(NoPreview):
            make_card(alice, url)
    assert site.requests == 0


def test_a_page_that_moved_is_followed_a_few_times(alice: Account, site: Server) -> None:
    answer = site.answer

    def moved(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/old":
            return reply(handler, 301, b"", location="/new/")
        return answer(handler)

    site.answer = moved
    found = make_card(alice, f"{site.url}/old")
    assert (found.url, found.title, bool(found.picture)) == (f"{site.url}/old", "The <weir>", True)


def test_of_a_long_page_the_beginning_is_read(alice: Account, site: Server) -> None:
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("content-type", "text/html")
        handler.end_headers()
        handler.wfile.write(PAGE.replace(b"weir.jpg", b""))
        while sent < 200 * fetching.PAGE_BYTES:
            sent += handler.wfile.write(b"<p>more" * 10_000)

    site.answer = endless
    assert make_card(alice, f"{site.url}/page").title == "The <weir>"
    assert sent < 20 * fetching.PAGE_BYTES


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param('text/html; x="' + ";" * 60_000, id="quadratic for parsers of mail"),
        pytest.param("text/html; charset*=utf-8''a%00b", id="a NUL"),
    ],
)
def test_whatever_a_page_says_of_its_charset_it_is_read_at_once(
    alice: Account, site: Server, content_type: str
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, 200, PAGE.replace(b"weir.jpg", b""), content_type=content_type)

    site.answer = answer
    begun = time.thread_time()
    assert make_card(alice, f"{site.url}/page").title == "The <weir>"
    assert time.thread_time() - begun < 0.5


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param((b"<svg/>", "image/svg+xml"), id="a drawing with scripts"),
        pytest.param((b"\xff\xd8\xff none", "image/jpeg"), id="none"),
        pytest.param((bomb(20_000), "image/png"), id="a gigapixel"),
        pytest.param((photo((20, 20)), "image/jpeg"), id="one to count who looks"),
        pytest.param((bytes(fetching.PICTURE_BYTES + 1), "image/jpeg"), id="too large"),
        pytest.param((photo(), "text/html"), id="said to be a page"),
    ],
)
def test_a_preview_without_a_picture_that_can_be_shown_is_one_too(
    alice: Account, site: Server, picture: tuple[bytes, str]
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.endswith(".jpg"):
            return reply(handler, 200, picture[0], content_type=picture[1])
        return reply(handler, 200, PAGE, **HTML)

    site.answer = answer
    found = make_card(alice, f"{site.url}/page")
    assert (found.title, found.picture) == ("The <weir>", b"")


def test_a_picture_elsewhere_is_held_to_the_same_rules(alice: Account, site: Server) -> None:
    page = PAGE.replace(b"weir.jpg", b"http://169.254.169.254/weir.jpg")
    site.answer = lambda handler: reply(handler, 200, page, **HTML)
    assert make_card(alice, f"{site.url}/page").picture == b""
    assert site.requests == 1


def test_who_has_some_made_already_waits(alice: Account, site: Server) -> None:
    assert [fetching._turns.take(alice.pk) for _ in range(3)] == [True, True, False]
    try:
        with pytest.raises(NoPreview) as raised:
            make_card(alice, site.url)
        assert (raised.value.code, site.requests) == ("busy", 0)
    finally:
        for _ in range(2):
            fetching._turns.give_back(alice.pk)


def test_a_picture_that_waits_for_its_turn_keeps_nobody_longer(
    alice: Account, site: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST_SECONDS", 3.0)
    for _ in range(decoding.AT_ONCE):
        assert decoding._turns.acquire(timeout=5)
    begun = time.monotonic()
    try:
        found = make_card(alice, f"{site.url}/page")
    finally:
        for _ in range(decoding.AT_ONCE):
            decoding._turns.release()
    assert (found.title, found.picture, site.requests) == ("The <weir>", b"", 2)
    assert time.monotonic() - begun < 6
