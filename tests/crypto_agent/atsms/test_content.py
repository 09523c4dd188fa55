"""Message content: fields, kinds, facets, and what a reader shows of it."""

import pytest

from crypto_agent.atsms import cbor
from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.content import (
    Content,
    Expiry,
    ExternalPart,
    InlinePart,
    composed_names,
    decode_content,
    decode_own_content,
    encode_content,
    new_content,
    text_part,
)
from crypto_agent.atsms.errors import AtsmsError, BadContent, Unsupported
from crypto_agent.atsms.facets import Facet, check_facets
from crypto_agent.part_values import topic_of
from tests.crypto_agent.atsms.reference import CASES

ALICE, BOB = "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "did:web:bob.example"
SALT = bytes(range(16))


def message(*parts: InlinePart | ExternalPart, fallback: str = "") -> Content:
    return new_content(ALICE, [BOB], parts, salt=SALT, created_at=1_780_000_000_000, fallback=fallback)


def photo(meta: dict[str, CborValue]) -> ExternalPart:
    return ExternalPart(
        3, "image/jpeg", "https://blob.example/1", 7, 1, bytes(16), bytes(12), 1, bytes(32), meta
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_reference_content_is_read_and_written_back(case: dict) -> None:
    encoded, expected = bytes.fromhex(case["expect"]["contentHex"]), case["expect"]
    content = decode_content(encoded)
    assert encode_content(content) == encoded
    assert content.recipients == tuple(case["recipients"])
    assert {
        "text": content.text,
        "renderKinds": list(content.render_kinds),
        "applyKinds": list(content.apply_kinds),
        "degraded": content.degraded,
        "tombstone": content.tombstone,
    } == {key: expected[key] for key in ("text", "renderKinds", "applyKinds", "degraded", "tombstone")}


def test_the_references_topics_have_ids_of_messages() -> None:
    """By its convention that of the message that a topic began with."""
    contents = [decode_content(bytes.fromhex(case["expect"]["contentHex"])) for case in CASES]
    within = [content for content in contents if content.topic_id is not None]
    assert len(within) == 3
    for content in within:
        assert content.topic_id == content.in_reply_to
        assert (len(content.topic_id or b""), (content.topic_id or b"")[:1]) == (32, b"\x01")
        assert topic_of(content) == (content.topic_id or b"").hex()


def test_every_field_survives() -> None:
    content = Content(
        salt=SALT,
        conversation_id=b"\x01" + bytes(32),
        created_at=1,
        body=(text_part("hé", [Facet(0, 3, "tag", "he")]), photo({"filename": "a.jpg"})),
        extensions={1: [BOB], "smsTo": "+15550100"},
        replaces=b"\x01" * 32,
        topic_id=b"topic",
        in_reply_to=b"\x02" * 32,
        expires=Expiry(relative=True, time=3600),
        ephemeral=True,
        fallback="hé",
    )
    read = decode_content(encode_content(content))
    assert encode_content(read) == encode_content(content)
    assert (read.expires, read.topic_id, read.ephemeral) == (content.expires, b"topic", True)
    assert read.in_reply_to == b"\x02" * 32


@pytest.mark.parametrize(
    ("parts", "fallback", "shown"),
    [
        pytest.param([text_part("a"), text_part("b")], "", ("a", (1, 1), (), None), id="first of two texts"),
        pytest.param([photo({}), text_part("b")], "", ("b", (3, 1), (), None), id="text after a file"),
        pytest.param([photo({"filename": "p.jpg"})], "x", ("p.jpg", (3,), (), None), id="file by name"),
        pytest.param([photo({})], "x", ("image/jpeg", (3,), (), None), id="file by type"),
        pytest.param([InlinePart(10, {"text": "sms"})], "", ("sms", (10,), (), None), id="text of an SMS"),
        pytest.param([InlinePart(2048, {})], "poll", ("poll", (), (), "fallback"), id="fallback"),
        pytest.param([InlinePart(2048, {})], "", (None, (), (), "hidden"), id="hidden"),
        pytest.param(
            [InlinePart(2048, {}), text_part("a")], "poll", ("a", (1,), (), None), id="unknown part left out"
        ),
        pytest.param(
            [InlinePart(2048, {}), InlinePart(2, {"emoji": "x"})],
            "",
            (None, (), (2,), "hidden"),
            id="unknown beside a reaction",
        ),
        pytest.param([InlinePart(2, {"emoji": "x"})], "", (None, (), (2,), None), id="reaction"),
        pytest.param([InlinePart(7, {"state": "start"})], "", (None, (), (), None), id="typing"),
        pytest.param([], "x", (None, (), (), None), id="no parts"),
    ],
)
def test_what_a_reader_shows(parts: list, fallback: str, shown: tuple) -> None:
    content = decode_content(encode_content(message(*parts, fallback=fallback)))
    assert (content.text, content.render_kinds, content.apply_kinds, content.degraded) == shown


def test_signals_are_neither_shown_nor_applied() -> None:
    content = message(InlinePart(4, {"callId": "1", "type": "offer"}), InlinePart(7, {"state": "stop"}))
    assert content.signal_kinds == (4, 7)
    assert content.render_kinds == content.apply_kinds == ()


def test_a_null_body_is_a_tombstone_only_with_what_it_replaces() -> None:
    gone = new_content(ALICE, [BOB], None, salt=SALT, created_at=1, replaces=b"\x01" * 32)
    assert gone.tombstone
    assert gone.text is None
    assert not new_content(ALICE, [BOB], None, salt=SALT, created_at=1).tombstone


def test_facets_lie_on_the_bytes_of_the_text() -> None:
    text = "h\u00e9llo @bob https://a.example"
    facets = (Facet(7, 11, "mention", BOB), Facet(12, 29, "link", "https://a.example"))
    part = text_part(text, facets)
    assert [(f.start, f.end, f.type, f.value) for f in check_facets(text, part.fields["facets"])] == [
        (7, 11, "mention", BOB),
        (12, 29, "link", "https://a.example"),
    ]


def test_facets_of_a_later_version_are_left_out() -> None:
    bold: list[CborValue] = [{"byteStart": 0, "byteEnd": 1, "type": "bold"}]
    assert check_facets("a", bold) == ()


def test_a_facet_of_an_unknown_type_is_not_written() -> None:
    with pytest.raises(BadContent):
        text_part("a", [Facet(0, 1, "bold", "")])


def test_nothing_written_shows_in_a_repr() -> None:
    content = message(text_part("secret", [Facet(0, 6, "tag", "secret")]))
    assert content.body is not None
    assert "secret" not in repr((content, content.body[0]))
    assert "secret" not in repr(check_facets("secret", content.body[0].fields["facets"]))  # type: ignore[union-attr]


def altered(position: int, value: CborValue) -> bytes:
    fields = cbor.decode(encode_content(message(text_part("hello"))))
    assert isinstance(fields, list)
    fields[position] = value
    return cbor.encode(fields)


def with_body(*parts: CborValue) -> bytes:
    return altered(11, list(parts))


def with_facet(**facet: CborValue) -> bytes:
    known: dict[str, CborValue] = {"byteStart": 0, "byteEnd": 2, "type": "tag", "tag": "x", **facet}
    fields = {name: value for name, value in known.items() if value is not None}
    return with_body([1, [0, {"text": "hé!", "facets": [fields]}]])


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(b"\x01", id="not an array"),
        pytest.param(b"\x80", id="empty array"),
        pytest.param(cbor.encode([2, SALT]), id="too few fields"),
        pytest.param(altered(1, bytes(15)), id="short salt"),
        pytest.param(altered(1, None), id="no salt"),
        pytest.param(altered(2, bytes(33)), id="conversation of an unknown kind"),
        pytest.param(altered(2, b"\x01" * 32), id="short conversation id"),
        pytest.param(altered(3, "now"), id="createdAt is text"),
        pytest.param(altered(3, True), id="createdAt is true"),
        pytest.param(altered(3, 2**53 - 1), id="createdAt past the year 9999"),
        pytest.param(altered(4, bytes(31)), id="short replaces"),
        pytest.param(altered(5, b""), id="empty topicId"),
        pytest.param(altered(5, 7), id="topicId is a number"),
        pytest.param(altered(6, "reply"), id="inReplyTo is text"),
        pytest.param(altered(7, []), id="expires without fields"),
        pytest.param(altered(7, [1, True]), id="expires the wrong way round"),
        pytest.param(altered(7, [True, 2**53 - 1]), id="expires past the year 9999"),
        pytest.param(altered(7, 60), id="expires is a number"),
        pytest.param(altered(8, None), id="ephemeral is null"),
        pytest.param(altered(9, b"x"), id="fallback is bytes"),
        pytest.param(altered(10, None), id="extensions are null"),
        pytest.param(altered(10, {1: "did:web:bob.example"}), id="recipients are one text"),
        pytest.param(altered(10, {1: [b"did:web:bob.example"]}), id="recipient is bytes"),
        pytest.param(altered(10, {1: ["bob"]}), id="recipient is no DID"),
        pytest.param(altered(11, "hello"), id="body is text"),
        pytest.param(with_body([1]), id="part without content"),
        pytest.param(with_body(["1", [0, {}]]), id="kind is text"),
        pytest.param(with_body([2048, [2, {}]]), id="part of an unknown form"),
        pytest.param(with_body([2048, [0, {1: 2}]]), id="inline part with a number as key"),
        pytest.param(with_body([2048, [0, []]]), id="inline part that is an array"),
        pytest.param(with_body([3, [1, "image/png", "https://a.example"]]), id="external part cut short"),
        pytest.param(
            with_body([3, [1, "a/b", "https://a.example", 1, 1, "key", b"", 1, b"", {}]]), id="key is text"
        ),
        pytest.param(
            with_body([3, [1, "a/b", "https://a.example", 1, 1, b"", b"", 1, b"", {1: 1}]]),
            id="meta with a number as key",
        ),
        pytest.param(with_body([1, [0, {}]]), id="text part without text"),
        pytest.param(with_body([1, [0, {"text": "a", "facets": 1}]]), id="facets are a number"),
        pytest.param(with_body([1, [0, {"text": "a", "facets": [1]}]]), id="facet is a number"),
        pytest.param(with_facet(byteEnd=5), id="facet past the end"),
        pytest.param(with_facet(byteStart=2), id="facet cuts a character"),
        pytest.param(with_facet(byteEnd=0), id="facet is empty"),
        pytest.param(with_facet(byteStart=True), id="facet starts at true"),
        pytest.param(with_facet(byteEnd=None), id="facet without an end"),
        pytest.param(with_facet(type=None), id="facet without a type"),
        pytest.param(with_facet(type="mention"), id="mention without a DID"),
        pytest.param(with_body([2, [0, {"emoji": 1}]]), id="reaction without an emoji"),
        pytest.param(with_body([3, [0, {"data": "x", "contentType": "a/b"}]]), id="inline file of text"),
        pytest.param(with_body([6, [0, {"status": "read", "ids": [b"short"]}]]), id="receipt for no message"),
        pytest.param(with_body([7, [0, {}]]), id="typing without a state"),
        pytest.param(with_body([8, [0, {"title": "T"}]]), id="preview without a url"),
        pytest.param(with_body([10, [0, {}]]), id="SMS without text"),
    ],
)
def test_content_that_breaks_a_rule(encoded: bytes) -> None:
    with pytest.raises(BadContent):
        decode_content(encoded)


@pytest.mark.parametrize("version", [1, 3, None, True, "2"])
def test_content_of_another_version(version: CborValue) -> None:
    with pytest.raises(Unsupported):
        decode_content(altered(0, version))


def test_content_that_could_not_be_read_is_not_written() -> None:
    with pytest.raises(BadContent):
        encode_content(message(InlinePart(1, {})))


def test_content_that_was_read_before_gives_the_same_again() -> None:
    for part in (
        text_part("Hi \U0001f30a"),
        InlinePart(2, {"emoji": "x"}),
        InlinePart(99, {"a": [b"", {"b": 1}]}),
    ):
        encoded = encode_content(message(part))
        assert decode_own_content(encoded) == decode_content(encoded)


@pytest.mark.parametrize("encoded", ["", "80", "00", "8c02" + "f6" * 11, "8c03" + "f6" * 11, "8c02"])
def test_what_was_never_read_is_not_taken_for_content(encoded: str) -> None:
    with pytest.raises(AtsmsError):
        decode_own_content(bytes.fromhex(encoded))


def test_names_of_composed_content_are_those_that_reading_all_of_it_gives() -> None:
    encoded = encode_content(message(text_part("Hi")))
    read = decode_content(encoded)
    assert composed_names(encoded) == (read.salt, read.conversation_id, read.recipients)


@pytest.mark.parametrize("encoded", ["80", "00", "8c02" + "f6" * 11, "8c03" + "f6" * 11])
def test_what_was_never_composed_has_no_names(encoded: str) -> None:
    with pytest.raises(BadContent):
        composed_names(bytes.fromhex(encoded))
