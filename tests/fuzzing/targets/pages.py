"""What people's browsers send, and the text that others wrote as pages show it."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from django.core.exceptions import DisallowedHost
from django.test import RequestFactory, override_settings

from accounts import canonical_host
from crypto_agent.client import Facet
from tests.fuzzing.target import target
from webmail import outgoing, text, time_zone, topic_list
from webmail.conversation_pages import cursor_in
from webmail.models import Conversation
from webmail.safety_numbers import CodeError, PersonKeys, code_of, digests_in
from webmail.sending_times import chosen_time
from webmail.templatetags.addresses import host
from webmail.views.conversation import _address_on

FACTORY = RequestFactory()
URL_WORDS = (
    b"https://",
    b"http://",
    b"@",
    b"[::1]",
    b")",
    b"(",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x8c\x8d",
)


def _texts() -> Iterator[bytes]:
    yield b"\x00\x04See https://alice.test/a_(b), or (https://bob.test). \xf0\x9f\x8c\x8d"
    yield b"\x02\x05\xf0\x9f\x98\x80\xe2\x9d\xa4\xef\xb8\x8f"
    yield b"\x06\x03h\xc3\xa9llo https://[::1]/ http://user@host.test/ https://x.test" + b")" * 30


@target(_texts, words=URL_WORDS)
def text_target(data: bytes) -> None:
    """A text with two facets that its first octets place."""
    written = data[2:].decode("utf-8", "replace")
    places = (*data[:2], 0, 0)[:2]
    facets = [Facet(start, start + 5, "link", written[start : start + 40]) for start in places]
    segments = text.segments_of(written, facets)
    assert "".join(segment.text for segment in segments) == written
    assert all(segment.url is None or text.web_address(segment.url) for segment in segments)
    text.is_emoji_only(written)


def _codes() -> Iterator[bytes]:
    one, other = (PersonKeys(did, frozenset({"ab" * 32})) for did in ("did:plc:alice", "did:web:bob.test"))
    yield code_of(one, other).encode()


@target(_codes, words=(b"waxwing-keys/1", b"did:", b" ", b"=", b"-_", b"\xe2\x80\xae"))
def compared_code_target(data: bytes) -> None:
    """As a code that was scanned or pasted."""
    try:
        said = digests_in(data.decode("utf-8", "surrogateescape"))
    except CodeError:
        return
    assert all(len(digest) == 32 for digest in said.values())
    assert len(said) == 2


def _typed() -> Iterator[bytes]:
    yield b"2026-11-20T12:00:00+00:00"
    yield b"2026-11-20"
    yield b"1780000000000000-" + b"01" * 32
    yield b"Europe%2FBerlin"
    yield b"6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    yield b"https://alice.test:8000/x"
    yield b"Hello,\r\nhow are you?"


@target(_typed, words=(b"+23:59", b"9999-12-31", b"%2F", b"urn:uuid:", b"https://[", b"\r", b"\x00"))
def typed_target(data: bytes) -> None:
    typed = data.decode("utf-8", "surrogateescape")
    cursor_in(typed)
    topic_list.cursor_in(typed)
    _address_on(Conversation(pk=1, conversation_id="02" * 33), typed)
    host(typed)
    request = FACTORY.get("/")
    request.COOKIES = {time_zone.COOKIE: typed}
    time_zone.zone_of(request)
    request = FACTORY.get("/", headers={"host": typed})
    with override_settings(PUBLIC_HOST="localhost"), suppress(DisallowedHost):
        canonical_host._elsewhere(request)
    with suppress(outgoing.CannotSend):
        chosen_time(typed, typed)
    for checked in (outgoing.checked_token, partial(outgoing.checked_text, needed=True)):
        with suppress(outgoing.CannotSend):
            assert checked(typed)
