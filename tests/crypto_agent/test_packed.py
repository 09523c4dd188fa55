"""MessagePack in place of JSON: the same values, and nothing else is taken for it."""

import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_agent.client import NAMESPACE, AgentClient
from crypto_agent.errors import InvalidRequest
from crypto_agent.packed import PACKED, PACKED_METHODS, pack, unpack
from crypto_agent.plain_json import MOST_VALUES, MOST_WIDE_BYTES, plain, read_plain
from tests.crypto_agent.people import ALICE
from tests.crypto_agent.running_agent import LEXICONS, Agent

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=20)
    | st.binary(max_size=80)
)
NAMES = st.text(max_size=10)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_what_was_packed_is_unpacked(value: Any) -> None:
    assert unpack(pack(value)) == value


@given(st.binary(max_size=200), st.lists(st.binary(max_size=20), max_size=3), st.integers(0, 60))
def test_no_other_bytes_trip_it(data: bytes, strings: list[bytes], cut: int) -> None:
    for body in (data, pack(strings)[:cut] + data):
        try:
            value = unpack(body)
        except ValueError:
            continue
        # Not the values themselves: what is no number does not equal itself.
        assert pack(unpack(pack(value))) == pack(value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        pack([b"ab"])[:-1],
        pack([b"ab"]) + b"c",
        bytes.fromhex("82a16100a16101"),  # a name twice
        bytes.fromhex("d90161"),  # a longer head than it needs
        bytes.fromhex("c7010561"),  # an extension
        b"\x91" * 100_000 + b"\x00",
        b"\xdd" + b"\xff" * 4,
        b"\xc6" + b"\xff" * 4,
    ],
)
def test_what_would_not_be_packed_so_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (whatever it says, it is one)
        unpack(body)


@pytest.mark.parametrize("value", [{}, [], None, {"": {}}])
def test_values_without_end_take_little_memory(value: Any) -> None:
    most = (MOST_VALUES - 1) // len(pack(value))
    bodies = [pack([value] * count) for count in (most, 5_000_000)]
    assert len(unpack(bodies[0])) == most
    assert _peak(lambda: unpack(bodies[0])) < 20_000_000
    assert _peak(lambda: unpack(bodies[1])) < 100_000


@pytest.mark.parametrize("value", [b"[]", b"{}", b"0", b'{"a":[]}'])
def test_nor_do_they_as_json(value: bytes) -> None:
    most = MOST_VALUES // 4
    bodies = [b"[" + b",".join([value] * count) + b"]" for count in (most, 2_000_000)]
    assert len(read_plain(bodies[0])) == most
    assert _peak(lambda: read_plain(bodies[0])) < 20_000_000
    assert _peak(lambda: read_plain(bodies[1])) < 100_000


@pytest.mark.parametrize("wide", ["\u20ac", "\U0001f600"])
def test_nor_does_text_with_one_wide_character(wide: str) -> None:
    """Each of its characters would take up to four bytes."""
    text = "a" * (15 << 20) + wide
    for body in (plain({"text": text}), json.dumps([text]).encode(), json.dumps({text: 1}).encode()):
        assert _peak(lambda body=body: read_plain(body)) < 1_000_000  # type: ignore[misc]
    for value in ({"text": text}, [text[:100_000] + wide] * 150):
        packed = pack(value)
        assert _peak(lambda packed=packed: unpack(packed, MOST_WIDE_BYTES)) < 1_000_000  # type: ignore[misc]
        assert unpack(packed) == value
    ascii_alone = plain({"text": "a" * (15 << 20)})
    assert len(read_plain(ascii_alone)["text"]) == 15 << 20


def _peak(read: Callable[[], object]) -> int:
    """Bytes that reading takes at most, beside what it reads."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with suppress(ValueError):
            read()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_no_lexicon_takes_what_json_has_not() -> None:
    method = LEXICONS.methods[f"{NAMESPACE}.open"]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for arguments in (
        {"did": moment, "envelopes": []},
        {"did": ALICE, "envelopes": [moment]},
        {"did": ALICE, "envelopes": [], 1: b"one"},
        {"did": ALICE, "envelopes": [], (1, 2): b"one"},
        {"did": ALICE, "envelopes": [], b"did": b"one"},
    ):
        with pytest.raises(InvalidRequest):
            LEXICONS.input(method, unpack(pack(arguments)))


def test_plain_and_packed_are_the_same_to_a_lexicon() -> None:
    method = LEXICONS.methods[f"{NAMESPACE}.open"]
    arguments = {"did": ALICE, "envelopes": [b"one", b"", b"\xff" * 300]}
    assert LEXICONS.input(method, unpack(pack(arguments))) == arguments
    assert LEXICONS.input(method, json.loads(plain(arguments))) == arguments


def test_no_packed_method_takes_or_gives_what_has_no_schema() -> None:
    def unknown(schema: Any) -> bool:
        if isinstance(schema, dict):
            return schema.get("type") == "unknown" or any(unknown(member) for member in schema.values())
        return isinstance(schema, list) and any(unknown(member) for member in schema)

    documents = {name: LEXICONS.methods[f"{NAMESPACE}.{name}"] for name in PACKED_METHODS}
    assert not any(unknown(method.input) or unknown(method.output) for method in documents.values())


@pytest.mark.usefixtures("devices")
def test_a_packed_call_is_answered_packed_and_others_are_refused(agent: Agent, worker: AgentClient) -> None:
    def post(method: str, body: bytes) -> httpx.Response:
        nsid = f"{NAMESPACE}.{method}"
        headers = {**worker._headers(nsid), "Content-Type": PACKED}
        return httpx.post(f"{agent.url}/xrpc/{nsid}", content=body, headers=headers)

    answer = post("open", pack({"did": ALICE, "envelopes": [b"no envelope"]}))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, PACKED)
    assert unpack(answer.content)["opened"][0]["error"] == "not-canonical"
    for refused in (
        post("open", b"\x00\x00"),
        post("open", b"\x82" + 2 * (pack("did") + pack("x"))),
        post("read", pack({"did": ALICE, "items": []})),
    ):
        assert (refused.status_code, refused.json()["error"]) == (400, "InvalidRequest")
