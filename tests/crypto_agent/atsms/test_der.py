"""Our reader of ASN.1 elements agrees with a general library wherever it accepts."""

from asn1crypto import parser
from hypothesis import given
from hypothesis import strategies as st

from crypto_agent.atsms import der
from crypto_agent.atsms.errors import BadCms
from tests.crypto_agent.atsms.reference import CASES, envelope_of

REFERENCE_CMS = [envelope_of({"envelopeB64": case["bareCmsB64"]}) for case in CASES if "bareCmsB64" in case]

elements = st.recursive(
    st.binary(max_size=200).map(lambda contents: der.write(der.OCTET_STRING, contents)),
    lambda inner: st.lists(inner, max_size=4).flatmap(
        lambda children: st.sampled_from(
            [
                der.write(der.SEQUENCE, *children),
                der.context(3, *children),
                b"\x30\x80" + b"".join(children) + b"\x00\x00",
            ]
        )
    ),
    max_leaves=10,
)


def assert_agreement(data: bytes) -> None:
    try:
        element = der.read(data)
    except BadCms:
        return
    try:
        _, _, _, header, contents, trailer = parser.parse(data, strict=True)
    except ValueError as error:
        # The library stops at ten levels of indefinite length.
        if "recursion" in str(error):
            return
        raise
    assert (element.tag, element.contents) == (header[0], contents)
    assert element.encoded == header + contents + trailer == data
    if element.tag & 0x20:
        try:
            children = der.children(element)
        except BadCms:
            return
        for child in children:
            assert_agreement(child.encoded)


@given(elements)
def test_well_formed_elements_are_read_as_the_library_reads_them(data: bytes) -> None:
    assert der.read(data).encoded == data
    assert_agreement(data)


@given(st.sampled_from(REFERENCE_CMS), st.data())
def test_what_is_accepted_of_mutated_cms_is_read_as_the_library_reads_it(
    original: bytes, data: st.DataObject
) -> None:
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(0, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    assert_agreement(bytes(changed))


def test_the_reference_cms_is_read_to_its_leaves() -> None:
    for data in REFERENCE_CMS:
        assert_agreement(data)
        assert der.read(data).encoded == data
