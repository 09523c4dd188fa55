"""deploy/Caddyfile: what it lets through, held to what the web process takes; and a real Caddy with it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from accounts import urls
from demo.ports import free_port
from demo.processes import ProcessSpec, inherited_environment, start
from tests.accounts.http_server import Server, reply
from tests.services.compose import ROOT
from tests.services.programs import find_program, need
from webmail import addresses, ingress_http
from webmail.asgi import MAX_BODY
from webmail.uploads import longest_at

CADDYFILE = ROOT / "deploy" / "Caddyfile"
UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
SAMPLES = {"hex": "0a" * 16, "key": "0b" * 32, "int": "7", "str": "did:plc:alice"}
PATHS = sorted(
    {
        "/" + re.sub(r"<(\w+):\w+>", lambda match: SAMPLES[match[1]], str(each.pattern))
        for each in [*addresses.urlpatterns, *urls.urlpatterns]
    }
    | {"/inbox/did:plc:alice", "/admin/login/", "/healthz"}
)


def limit_at(path: str) -> int:
    """The smallest of the limits that the Caddyfile has for a path, in octets."""
    text = CADDYFILE.read_text()
    limits = []
    for name, size, unit in re.findall(r"request_body @(\w+) \{\s+max_size (\d+)(\w+)\s+\}", text):
        matcher = re.search(rf"@{name} (not )?path (.+)", text)
        assert matcher, name
        matches = any(fnmatchcase(path, pattern) for pattern in matcher[2].split())
        if matches != bool(matcher[1]):
            limits.append(int(size) * UNITS[unit])
    return min(limits)


@pytest.mark.parametrize("path", PATHS)
def test_it_takes_what_the_web_process_takes_and_no_more(path: str) -> None:
    if path.startswith("/inbox/"):
        assert ingress_http.MAX_BODY <= limit_at(path) < MAX_BODY
    else:
        assert limit_at(path) == max(longest_at(path), MAX_BODY)


@dataclass
class Proxied:
    """A running Caddy, and the server behind it."""

    address: str
    #: The other name, that of frames.
    frames: str
    behind: Server


def told(handler: BaseHTTPRequestHandler) -> None:
    """Answers with the octets that came, and the headers that a page is known by."""
    left = int(handler.headers.get("content-length", 0))
    count = 0
    while left > 0 and (part := handler.rfile.read(min(left, 65536))):
        count, left = count + len(part), left - len(part)
    words = [str(count), handler.headers["host"], handler.headers["x-forwarded-proto"]]
    reply(handler, 200, "\n".join(words).encode() + b"\n" * 2000, content_type="text/html; charset=utf-8")


@contextmanager
def caddy(config: Path, folder: Path, values: dict[str, str], address: str) -> Iterator[None]:
    """Runs Caddy with the file and values until it answers at the address."""
    need("Caddy")
    wrapped = folder / "Caddyfile"
    # Its own door would be taken where another one runs.
    wrapped.write_text(f"{{\n\tadmin off\n}}\nimport {config}\n")
    spec = ProcessSpec(
        name="caddy",
        command=(str(find_program("caddy")), "run", "--adapter", "caddyfile", "--config", str(wrapped)),
        environment={**inherited_environment(), "HOME": str(folder), **values},
        directory=folder,
        is_ready=lambda: _answers(address),
    )
    running = start(spec, folder / "log")
    try:
        running.wait_until_ready()
        yield
    finally:
        running.stop()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    address, frames = f"http://127.0.0.1:{free_port()}", f"http://localhost:{free_port()}"
    with Server(told) as behind:
        values = {
            "PUBLIC_URL": address,
            "FRAME_URL": frames,
            "WEB_ADDRESS": f"127.0.0.1:{behind.port}",
        }
        with caddy(CADDYFILE, tmp_path_factory.mktemp("caddy"), values, address):
            yield Proxied(address, frames, behind)


def _answers(address: str) -> bool:
    try:
        httpx.get(address)
    except httpx.HTTPError:
        return False
    return True


def sent(proxied: Proxied, path: str, octets: int) -> httpx.Response:
    return httpx.post(proxied.address + path, content=bytes(octets), timeout=60)


@pytest.mark.parametrize(
    ("path", "octets"),
    [
        ("/files/", 101 * 1024**2),
        ("/new/", 2 * 1024**2),
        (f"/c/{'0a' * 16}/send/", 2 * 1024**2),
        (f"/c/{'0a' * 16}/people/picture/", 31 * 1024**2),
        ("/devices/import/", 102 * 1024**2),
        ("/inbox/did:plc:alice", 256 * 1024),
        ("/sign-in/", 1024**2),
    ],
)
def test_a_body_passes_whole(proxied: Proxied, path: str, octets: int) -> None:
    answer = sent(proxied, path, octets)
    assert answer.status_code == httpx.codes.OK
    assert answer.text.split()[0] == str(octets)


@pytest.mark.parametrize(
    ("path", "octets"),
    [
        ("/files/", 101 * 1024**2 + 1),
        (f"/c/{'0a' * 16}/send/more", 2 * 1024**2),
        (f"/c/{'0a' * 16}/people/picture/", 31 * 1024**2 + 1),
        (f"/c/{'0a' * 16}/people/name/", 1024**2 + 1),
        ("/inbox/did:plc:alice", 256 * 1024 + 1),
        ("/sign-in/", 1024**2 + 1),
    ],
)
def test_a_longer_one_does_not(proxied: Proxied, path: str, octets: int) -> None:
    try:
        assert sent(proxied, path, octets).status_code >= httpx.codes.BAD_REQUEST
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        # It may hang up before all was sent.
        return


def test_pages_know_how_they_were_asked_for_and_are_not_compressed(proxied: Proxied) -> None:
    answer = httpx.get(proxied.address, headers={"Accept-Encoding": "gzip, br, zstd"})
    assert answer.text.split()[1:] == [proxied.address.removeprefix("http://"), "http"]
    assert "content-encoding" not in answer.headers


def test_frames_are_passed_on_under_their_own_name(proxied: Proxied) -> None:
    answer = httpx.get(f"{proxied.frames}/frame/abc/")
    assert answer.text.split()[1] == proxied.frames.removeprefix("http://")


def test_apps_get_their_methods_and_nothing_else_of_the_agent(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with (
        Server(told) as behind,
        caddy(
            ROOT / "deploy" / "Caddyfile.apps",
            tmp_path,
            {"WAXWING_AGENT_PUBLIC_URL": address, "AGENT_ADDRESS": f"127.0.0.1:{behind.port}"},
            address,
        ),
    ):
        for path in ("/.well-known/did.json", "/xrpc/dev.waxwing.agent.app.sign"):
            assert httpx.get(address + path).status_code == httpx.codes.OK
        before = behind.requests
        for path in ("/healthz", "/xrpc/dev.waxwing.agent.read", "/xrpc/dev.waxwing.agent.app", "/"):
            assert httpx.get(address + path).status_code == httpx.codes.NOT_FOUND
        assert behind.requests == before
