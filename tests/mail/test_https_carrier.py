"""The HTTPS carrier, against this installation's own inbox and against servers that misbehave."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch

import pytest
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import Account
from webmail.carriers import Accepted, Deferred, Refused, carry
from webmail.mailbox import INBOX, open_mailbox
from webmail.mailbox.envelope_mail import mail_with_envelope


@dataclass(frozen=True)
class Way:
    target: str
    address: str | None = None
    kind: str = "https"


def test_what_is_posted_is_what_is_stored(
    live_server: LiveServer, in_maildir: None, account: Account, new_did: Callable[[], str]
) -> None:
    envelopes = [b"\x85%d" % number for number in range(3)] + [b"\x85" + bytes(65_592)]
    with patch("webmail.queues.give"):
        outcomes = carry(Way(f"{live_server.url}/inbox/{account.did}"), envelopes, bounce_token="1")
        unknown = carry(Way(f"{live_server.url}/inbox/{new_did()}"), envelopes[:1], bounce_token="1")
    assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
    with open_mailbox(account.did) as mailbox:
        stored = mailbox.fetch(INBOX, mailbox.uids_after(INBOX, 0))
    assert [item.raw for item in stored.values()] == [mail_with_envelope(envelope) for envelope in envelopes]
    assert isinstance(unknown[0], Refused)
    assert unknown[0].code == "address-unknown"
    assert "no such mailbox" in unknown[0].reply


@dataclass
class Script:
    """What the misbehaving server answers, one after the other, and what it was sent."""

    answers: list[tuple[int, dict[str, str], bytes]]
    bodies: list[bytes]
    url: str = ""


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script([], [])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            script.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            assert "authorization" not in self.headers
            assert "cookie" not in self.headers
            status, headers, body = script.answers.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}/inbox/x"
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_body_is_as_the_protocol_has_it(script: Script) -> None:
    script.answers = [(204, {}, b"")]
    (outcome,) = carry(Way(script.url), [b"\x85abc"], bounce_token="1")
    assert isinstance(outcome, Accepted)
    assert json.loads(script.bodies[0]) == {"envelope": base64.b64encode(b"\x85abc").decode()}


def test_each_envelope_has_its_own_outcome(script: Script) -> None:
    script.answers = [(202, {}, b""), (413, {}, b""), (200, {}, b"")]
    outcomes = carry(Way(script.url), [b"\x851", b"\x852", b"\x853"], bounce_token="1")
    assert [type(outcome) for outcome in outcomes] == [Accepted, Refused, Accepted]


def test_a_server_that_asks_for_patience_is_left_alone(script: Script) -> None:
    script.answers = [(200, {}, b""), (429, {"Retry-After": "90"}, b"")]
    outcomes = carry(Way(script.url), [b"\x851", b"\x852", b"\x853"], bounce_token="1")
    assert isinstance(outcomes[0], Accepted)
    for outcome in outcomes[1:]:
        assert isinstance(outcome, Deferred)
        assert (outcome.code, outcome.retry_after) == ("rate-limited", timedelta(seconds=90))
    assert len(script.bodies) == 2


def test_a_redirect_is_not_followed(script: Script) -> None:
    script.answers = [(307, {"Location": script.url}, b"")]
    (outcome,) = carry(Way(script.url), [b"\x851"], bounce_token="1")
    assert isinstance(outcome, Refused)
    assert len(script.bodies) == 1


def test_the_servers_words_are_kept_short_and_plain(script: Script) -> None:
    words = json.dumps({"error": "x", "message": "no\r\n\x1b[31m" + "y" * 5000}).encode()
    script.answers = [(403, {}, words), (403, {}, b"[1]"), (403, {}, b"\xff" * 100)]
    for begin in ("403 no [31my", "403 Forbidden", "403 Forbidden"):
        (outcome,) = carry(Way(script.url), [b"\x851"], bounce_token="1")
        assert isinstance(outcome, Refused)
        assert outcome.reply.startswith(begin)
        assert len(outcome.reply) < 600


def test_an_endless_answer_is_cut(script: Script) -> None:
    script.answers = [(500, {}, b"x" * 1_000_000)]
    (outcome,) = carry(Way(script.url), [b"\x851"], bounce_token="1")
    assert isinstance(outcome, Deferred)


def test_a_server_whose_answer_is_lost_may_have_it(script: Script) -> None:
    broken_off = {"Content-Length": "9", "Connection": "close"}
    script.answers = [(200, broken_off, b"x"), (502, {}, b""), (503, {}, b""), (429, {}, b"")]
    for perhaps in (True, True, False, False):
        (outcome,) = carry(Way(script.url), [b"\x851"], bounce_token="1")
        assert isinstance(outcome, Deferred)
        assert outcome.perhaps == perhaps


def test_a_server_that_does_not_answer_defers_all() -> None:
    outcomes = carry(Way("http://127.0.0.1:1/inbox"), [b"\x851", b"\x852"], bounce_token="1")
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert isinstance(outcome, Deferred)
        assert (outcome.code, outcome.perhaps) == ("server-unreachable", False)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://127.0.0.1/inbox", "forbidden-address"),
        ("https://localhost/inbox", "forbidden-address"),
        ("https://10.0.0.1/inbox", "forbidden-address"),
        ("https://[::1]/inbox", "forbidden-address"),
        ("http://127.0.0.1:8000/inbox", "bad-address"),
        ("http://mail.example/inbox", "bad-address"),
        ("ftp://mail.example/", "bad-address"),
        ("https://", "bad-address"),
        ("https://a b/", "bad-address"),
    ],
)
def test_addresses_that_are_not_called_in_the_live_network(settings: Settings, url: str, code: str) -> None:
    settings.NETWORK = "live"
    (outcome,) = carry(Way(url), [b"\x851"], bounce_token="1")
    assert isinstance(outcome, Refused)
    assert outcome.code == code
