"""What reads like somebody else's name, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.skeletons import LONGEST, skeleton
from webmail.likeness import Known, likeness

ALICE = Known("did:plc:alice", "alice.test", "Alice Example", ("alison.test",))
BOB = Known("did:plc:bob", "tomorrow.example.com", "")
CLAIRE = Known("did:plc:claire", "claire.test", "Claire Clarke")
KNOWN = [ALICE, BOB, CLAIRE]


def of(handle: str, name: str = "", did: str = "did:plc:other") -> str | None:
    found = likeness(Known(did, handle, name), KNOWN)
    return found and found.kind


@pytest.mark.parametrize(
    "handle",
    [
        "a1ice.test",
        "xn--lice-43d.test",  # a Cyrillic letter
        "xn--alce-mza.test",  # an i without its dot
        "t0m0rr0w.example.com",
        "tornorrow.example.com",
        "tomorrovv.example.com",
        "c1aire.test",
        "ciaire.test",
        "dalre.test",
    ],
)
def test_handles_that_read_alike(handle: str) -> None:
    assert of(handle) == "handle"


@pytest.mark.parametrize("handle", ["alicia.test", "alice.example", "bob.test", "tomorrow.example.org", ""])
def test_handles_that_do_not(handle: str) -> None:
    assert of(handle) is None


@pytest.mark.parametrize(
    "name",
    [
        "Alice Example",
        "alice  example",
        "\u0410LICE Example",
        "\uff21\uff4c\uff49\uff43\uff45 Example",
        "Al\u200bice Ex\u0301ample",
        "alice.test",
        "CIaire C|arke",
        "Alice Example\u3164",
        "Alice\u2800Example",
        "\u115fAlice \U000e0fffExample",
        "c1aire.test",
    ],
)
def test_names_that_are_somebody_else_s(name: str) -> None:
    assert of("stranger.test", name) == "name"


@pytest.mark.parametrize("name", ["Alice", "Malice Example", "", "\u200b"])
def test_names_that_are_not(name: str) -> None:
    assert of("stranger.test", name) is None


ANNA = Known("did:plc:anna", "anna.test", "Anna")
ANN_A = Known("did:plc:ann", "ann.test", "Ann A")
WITH_SURNAME = Known("did:plc:berg", "berg.test", "Anna B")


@pytest.mark.parametrize(
    ("name", "known"),
    [("Ann A", ANNA), ("Ann\u00a0A", ANNA), ("Anna", ANN_A)],
)
def test_an_initial_is_no_letter_of_the_word_before(name: str, known: Known) -> None:
    assert likeness(Known("did:plc:x", "x.test", name), [known]) is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Ann a", ANNA),
        ("ANN A", Known("did:plc:anna", "anna.test", "ANNA")),
        # Drawn as nearly nothing, or as nothing.
        ("Ann\u200aA", ANNA),
        ("Ann\u3164A", ANNA),
        ("Ann\u200bA", ANNA),
        ("An na", ANNA),
        ("An Na", ANNA),
        ("AnnaB", WITH_SURNAME),
        ("Anna  B", WITH_SURNAME),
        ("Anna\u2009B", WITH_SURNAME),
        ("anna b", WITH_SURNAME),
        # Its handle.
        ("Ann A.test", ANNA),
    ],
)
def test_spaces_that_hide_nothing_make_no_other_name(name: str, known: Known) -> None:
    found = likeness(Known("did:plc:x", "x.test", name), [known])
    assert found
    assert found.kind == "name"


def test_a_handle_that_was_somebody_else_s_before() -> None:
    assert of("alison.test") == "former-handle"
    assert of("alison.test", did=ALICE.did) is None


def test_nobody_imitates_themselves() -> None:
    assert of("alice.test", "Alice Example", did=ALICE.did) is None


def test_a_likeness_put_away_is_known_again_and_another_is_not() -> None:
    one, again = (likeness(Known("did:plc:x", "a1ice.test", ""), KNOWN) for _ in range(2))
    other = likeness(Known("did:plc:x", "x.test", "Alice Example"), KNOWN)
    assert one
    assert again
    assert other
    assert one.key == again.key != other.key
    assert len(one.key) == 64


@given(
    st.text(st.characters(exclude_characters="-."), max_size=100),
    st.integers(0, 100),
    st.sampled_from(["\u200b", "\u3164", "\u2065", " "]),
)
def test_what_is_invisible_makes_no_other_name(text: str, place: int, unseen: str) -> None:
    assert skeleton(text[:place] + unseen + text[place:]) == skeleton(text)


def test_what_a_long_name_is_read_as_has_its_bounds() -> None:
    assert len(skeleton("\ufdfa" * LONGEST)) == LONGEST
