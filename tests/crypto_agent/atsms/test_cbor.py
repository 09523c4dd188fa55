"""Deterministic CBOR: one value, one encoding, and nothing else is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_agent.atsms import cbor
from crypto_agent.atsms.errors import AtsmsError, NotCanonical, TooLarge

integers = st.integers(0, cbor.MAX_INTEGER)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | integers | st.binary(max_size=300) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(integers | texts, inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        # RFC 8949, appendix A, where the restricted model has the value.
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65535, "19ffff"),
        (65536, "1a00010000"),
        (4294967295, "1affffffff"),
        (4294967296, "1b0000000100000000"),
        (2**53 - 1, "1b001fffffffffffff"),
        (False, "f4"),
        (True, "f5"),
        (None, "f6"),
        (b"", "40"),
        (b"\x01\x02\x03\x04", "4401020304"),
        ("", "60"),
        ("IETF", "6449455446"),
        ("ü", "62c3bc"),
        ("水", "63e6b0b4"),
        ([], "80"),
        ([1, [2, 3], [4, 5]], "8301820203820405"),
        ({}, "a0"),
        ({1: 2, 3: 4}, "a201020304"),
        ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
        # Keys by their encoded bytes: integers first, then the shorter text.
        ({"aa": 0, "b": 1, 300: 2, 4: 3}, "a4040319012c02616201626161" + "00"),
    ],
)
def test_values_have_their_one_encoding(value: cbor.CborValue, encoded: str) -> None:
    assert cbor.encode(value).hex() == encoded
    assert cbor.decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param("", id="nothing"),
        pytest.param("1817", id="integer in a longer form"),
        pytest.param("190018", id="integer in two bytes that fits one"),
        pytest.param("1a0000ffff", id="integer in four bytes that fits two"),
        pytest.param("1b00000000ffffffff", id="integer in eight bytes that fits four"),
        pytest.param("1b0020000000000000", id="integer above 2**53 - 1"),
        pytest.param("1bffffffffffffffff", id="largest integer"),
        pytest.param("5801ff", id="byte string with a longer length"),
        pytest.param("7801" + "61", id="text with a longer length"),
        pytest.param("980100", id="array with a longer length"),
        pytest.param("b80100" + "00", id="map with a longer length"),
        pytest.param("20", id="negative integer"),
        pytest.param("c000", id="tag"),
        pytest.param("d82a4100", id="link tag"),
        pytest.param("f90000", id="half float"),
        pytest.param("fa00000000", id="float"),
        pytest.param("fb0000000000000000", id="double"),
        pytest.param("f7", id="undefined"),
        pytest.param("f0", id="simple value"),
        pytest.param("f814", id="false as a two-byte simple value"),
        pytest.param("5f4100ff", id="byte string of indefinite length"),
        pytest.param("7f6161ff", id="text of indefinite length"),
        pytest.param("9f00ff", id="array of indefinite length"),
        pytest.param("bf0000ff", id="map of indefinite length"),
        pytest.param("ff", id="break alone"),
        pytest.param("1c", id="reserved length"),
        pytest.param("18", id="truncated argument"),
        pytest.param("4200", id="truncated byte string"),
        pytest.param("8200", id="truncated array"),
        pytest.param("a100", id="truncated map"),
        pytest.param("9bffffffffffffffff", id="array longer than any input"),
        pytest.param("0000", id="trailing byte"),
        pytest.param("a201000100", id="key twice"),
        pytest.param("a202000100", id="keys out of order"),
        pytest.param("a261610001" + "00", id="text key before an integer"),
        pytest.param("a2626161006162" + "00", id="longer key before a shorter one"),
        pytest.param("a1f500", id="key that is true"),
        pytest.param("a1410000", id="key of bytes"),
        pytest.param("a1800000", id="key that is an array"),
        pytest.param("61ff", id="text that is not UTF-8"),
        pytest.param("63eda080", id="text with a surrogate"),
        pytest.param("62c080", id="text with an overlong zero"),
        pytest.param("81" * 17 + "00", id="arrays nested 17 deep"),
        pytest.param("a100" * 17 + "00", id="maps nested 17 deep"),
        pytest.param("81" * 100_000, id="arrays nested without end"),
    ],
)
def test_anything_else_is_not_canonical(encoded: str) -> None:
    with pytest.raises(NotCanonical):
        cbor.decode(bytes.fromhex(encoded))


def test_sixteen_levels_are_read() -> None:
    encoded = bytes.fromhex("81" * 16 + "00")
    assert cbor.encode(cbor.decode(encoded)) == encoded


def test_input_above_the_limit_is_too_large() -> None:
    with pytest.raises(TooLarge):
        cbor.decode(cbor.encode(bytes(100)), max_bytes=100)


@pytest.mark.parametrize("value", [b"\xa0", b"\x80", b"\x00", b"\xa1\x00\x80"])
def test_values_without_end_are_too_many(value: bytes) -> None:
    count = (cbor.MAX_BYTES - 5) // len(value)
    data = cbor.head(4, count) + value * count
    with pytest.raises(TooLarge):
        cbor.decode(data)


def test_long_strings_are_not_many_values() -> None:
    values = [bytes(range(256)) * 1000, "é" * 100_000, *range(100_000)]
    assert cbor.decode(cbor.encode(values)) == values


@pytest.mark.parametrize("value", [-1, 2**53, 1.5, {1.5: 0}, {True: 0}, {b"": 0}, "\ud800", {1, 2}, object()])
def test_values_outside_the_model_are_not_written(value: object) -> None:
    with pytest.raises(NotCanonical):
        cbor.encode(value)  # type: ignore[arg-type]


def test_deeper_nesting_than_is_read_is_not_written() -> None:
    value: cbor.CborValue = 0
    for _ in range(17):
        value = [value]
    with pytest.raises(NotCanonical):
        cbor.encode(value)


@given(values)
def test_what_is_written_is_read_back(value: cbor.CborValue) -> None:
    assert cbor.decode(cbor.encode(value)) == value


@given(st.binary(max_size=64))
def test_what_is_read_is_written_back(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except NotCanonical:
        return
    assert cbor.encode(value) == data


@given(values, st.data())
def test_a_changed_encoding_is_refused_or_another_value(value: cbor.CborValue, data: st.DataObject) -> None:
    encoded = bytearray(cbor.encode(value))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    try:
        changed = cbor.decode(bytes(encoded))
    except AtsmsError:
        return
    assert cbor.encode(changed) == encoded


@given(values)
def test_no_prefix_is_read(value: cbor.CborValue) -> None:
    encoded = cbor.encode(value)
    for length in range(len(encoded)):
        with pytest.raises(NotCanonical):
            cbor.decode(encoded[:length])


@given(st.lists(st.binary(max_size=300), max_size=4), st.binary(max_size=4))
def test_byte_strings_side_by_side_are_read_as_in_an_array(found: list[bytes], before: bytes) -> None:
    encoded = cbor.encode(found)
    assert cbor.byte_strings(before + encoded[1:], len(before)) == found


@given(st.lists(st.binary(max_size=70_000) | st.none(), max_size=3), st.data())
def test_byte_strings_are_those_of_the_one_encoding_or_none(
    found: list[bytes | None], data: st.DataObject
) -> None:
    altered = bytearray(cbor.encode(found))
    if len(altered) > 1:
        altered[data.draw(st.integers(1, min(len(altered) - 1, 400)))] = data.draw(st.integers(0, 255))
    read = cbor.byte_strings(bytes(altered), 1)
    if read is not None:
        assert cbor.encode(read)[1:] == altered[1:]
    else:
        try:
            value = cbor.decode(bytes(altered))
        except AtsmsError:
            return
        assert any(not isinstance(item, bytes) for item in value or [])  # type: ignore[union-attr]


@given(values)
def test_what_was_encoded_here_is_read_without_checking_it_again(value: cbor.CborValue) -> None:
    encoded = cbor.encode(value)
    assert cbor.decode_own(encoded) == cbor.decode(encoded) == value


@pytest.mark.parametrize("encoded", ["", "42ff", "9f00ff", "81" * 20 + "00"])
def test_what_cant_have_been_encoded_here_is_not_canonical(encoded: str) -> None:
    with pytest.raises(NotCanonical):
        cbor.decode_own(bytes.fromhex(encoded))
