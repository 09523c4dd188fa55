"""What browsers, other installations and other sites bring in whole: exports, passkeys' answers, pages."""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from django.db import transaction

from accounts.models import Account
from accounts.passkey_fields import NoPasskey, credential_in, passkey_use_in
from tests.fuzzing.target import json_bytes, target
from webmail import (
    consent_export,
    draft_content,
    export_file,
    exported_settings,
    message_state,
    verification_state,
)
from webmail.account_import import _endpoints
from webmail.cached_json import CachedJson
from webmail.draft_content import DraftContent
from webmail.export_file import ExportFileError
from webmail.images import decoding
from webmail.images.decoding import NotDecoded
from webmail.previews import child, page
from webmail.previews.card import Card
from webmail.previews.card import decoded as card_in
from webmail.views import last_words

WRITER = export_file.Writer("did:plc:alice", datetime(2026, 11, 20, tzinfo=UTC))


def _exports() -> Iterator[bytes]:
    parts = [(export_file.KEYS, b"keys"), ("archive/000001.eml", b"mail"), ("state/000001.cbor", b"[]")]
    octets = b"".join(WRITER.part(name, data) for name, data in parts)
    manifest = WRITER.manifest()
    yield octets + WRITER.part(export_file.MANIFEST, manifest) + WRITER.end()
    yield manifest


@target(lambda: list(_exports()), words=(b"ustar\x0000", b"archive/", b".eml", b"0000644\x00", b'"parts":{'))
def export_file_target(data: bytes) -> None:
    """As a whole file, and as the manifest in one."""
    file = io.BytesIO(data)
    with suppress(ExportFileError):
        for part in export_file.parts(file):
            assert len(export_file.content(file, part)) == part.size
    with suppress(ExportFileError):
        export_file._checked(data, {export_file.KEYS: "00"})


def _states() -> Iterator[bytes]:
    yield json_bytes(
        [{"id": "01", "unread": True, "deliveries": [], "placedAt": "2026-11-20T12:00:00+00:00"}]
    )
    yield json_bytes({"endpoints": ["https://mail.test/inbox/x"]})
    person = {
        "kind": "person",
        "did": "did:plc:bob",
        "standing": "blocked",
        "since": "2026-11-20T12:00:00+00:00",
    }
    answer = {"kind": "answer", "conversation": "ab" * 33, "standing": "declined", "startedBy": "did:plc:bob"}
    choice = {"kind": "consent", "whoMayWrite": "nobody"}
    yield json_bytes([choice, person, {**answer, "participants": ["did:plc:bob"]}])
    compared = {
        "did": "did:plc:" + "b" * 24,
        "outcome": "matched",
        "how": "code",
        "fingerprints": ["ab" * 32],
    }
    yield json_bytes([{**compared, "ownFingerprints": [], "at": "2026-11-20T12:00:00+00:00"}])


@target(
    _states,
    words=(b'"outcome":"', b'"deliveries":[', b'"placedAt":"', b'"endpoints":[', b'"kind":"answer"'),
    is_json=True,
)
def export_state_target(data: bytes) -> None:
    with suppress(ExportFileError):
        _endpoints(data)
    with suppress(ValueError, KeyError):
        consent_export.answers_in(exported_settings._settings_in(data))
    with suppress(ValueError):
        entries = exported_settings._settings_in(data)
        for row in verification_state.read(Account(did="did:plc:alice"), entries)[0]:
            assert row.at.tzinfo is not None
            assert all(len(fingerprint) == 64 for fingerprint in row.fingerprints)
    with suppress(ValueError):
        for state in message_state.unpacked(data).values():
            message_state.time_value(state.get("placedAt"))


def _settings() -> Iterator[bytes]:
    yield json_bytes(
        [
            {
                "kind": "conversation",
                "conversation": "02" * 33,
                "participants": ["did:plc:alice", "did:plc:bob"],
                "pinned": True,
                "muted": False,
                "mentionsMuted": True,
                "archivedAt": None,
                "changedAt": "2026-11-20T12:00:00+00:00",
            }
        ]
    )


@target(_settings, words=(b'"kind":"conversation"', b'"participants":['), is_json=True)
def export_settings_target(data: bytes) -> None:
    with transaction.atomic():
        with suppress(ValueError, KeyError):
            exported_settings.take_settings(Account(pk=1, did="did:plc:alice"), data)
        transaction.set_rollback(True)


@target(
    lambda: (json_bytes({"credential": {"id": "x"}, "prf": "A" * 43}),), words=(b'"prf":"',), is_json=True
)
def passkey_field_target(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for read in (credential_in, passkey_use_in):
        with suppress(NoPasskey):
            read(text)


@target(lambda: (b'{"a":[1,2.5,"x"]}',), words=(b"NaN", b"1e999", b"\\ud800"), is_json=True)
def cached_value_target(data: bytes) -> None:
    value = CachedJson().loads(data)
    with suppress(RecursionError):
        again = CachedJson().loads(CachedJson().dumps(value))
        assert json.dumps(again) == json.dumps(value)


@target(
    lambda: (DraftContent("Hello", ((7, "a.pdf"),), "", ("did:plc:a",)).encoded(),),
    words=(b'"files":[', b'"people":['),
    is_json=True,
)
def draft_target(data: bytes) -> None:
    content = draft_content.content_of(data)
    if content is not None:
        draft_content.words(content)
        draft_content.decoded(content.encoded())


@target(lambda: (b'[["text", "Hello"], ["token", "t"]]',), words=(b'["', b'"], ', b"\\ud800"))
def last_words_target(data: bytes) -> None:
    with suppress(ValueError, TypeError, RecursionError):
        last_words._form(data.decode())


@target(
    lambda: (b'{"type": "image/png", "width": 3, "height": 4}\n\x89PNG', b'{"error": "too-large"}\n'),
    words=(b'"error"', b"\n"),
)
def image_answer_target(data: bytes) -> None:
    """What a child says that an image has taken over."""
    with suppress(NotDecoded):
        told = decoding._told(data)
        assert told.media_type in decoding.SHOWN_TYPES


_PAGE = b"""<!doctype html><html><head><meta charset="utf-8"><title>A page &amp; more</title>
<meta name="description" content="About it"><meta property="og:image" content="/a.jpg"></head><body>"""


@target(
    lambda: (_PAGE, "<title>日本</title>".encode("utf-16"), b"<meta charset=shift_jis><title>\x93\xfa"),
    words=(b"<!--", b"<![CDATA[", b"<title>", b'<meta property="og:title" content="', b"&#x", b"</head>"),
)
def preview_page_target(data: bytes) -> None:
    """The parser alone, without the process that bounds its time. It may refuse a page by an AssertionError
    of its own; the process says nothing then."""
    for charset in ("", "shift_jis", data[:20].decode("latin-1")):
        try:
            words = child.words_of(data, charset)
        except AssertionError:
            continue
        assert len(words["title"]) <= child.MOST_TITLE
        assert len(words["description"]) <= child.MOST_DESCRIPTION
        assert not set(words["title"]) & child._TURNING
        assert page.told(json.dumps(words).encode()) == page.PageWords(**words)


@target(
    lambda: (json_bytes({"title": "t", "description": "d", "picture": "/a.jpg"}),),
    words=(b'"title":"', b"\\ud800"),
    is_json=True,
)
def preview_answer_target(data: bytes) -> None:
    """What a child says that a page has taken over."""
    words = page.told(data)
    assert len(words.title) <= child.MOST_TITLE


@target(
    lambda: (
        Card("https://a.test/", "A page", "About it", b"\xff\xd8\xff").encoded.encode(),
        Card("https://a.test/", removed=True).encoded.encode(),
    ),
    words=(b'"removed":true', b'"picture":"', b"https://", b"\\ud800"),
    is_json=True,
)
def preview_card_target(data: bytes) -> None:
    card = card_in(data.decode("utf-8", "surrogateescape"))
    if card is not None:
        assert card.host
        again = card_in(card.encoded)
        assert again == card
        assert card.encoded.encode()
