"""Numbers and codes by which people compare keys: what they depend on, and what they don't."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from webmail.safety_numbers import CodeError, PersonKeys, code_of, differing, digest_of, digests_in, number_of

ALICE, BOB = "did:plc:alice", "did:web:bob.example"


def fingerprint(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def keys(did: str, *names: str) -> PersonKeys:
    return PersonKeys(did, frozenset(map(fingerprint, names)))


PEOPLE = st.builds(
    lambda name, devices: keys(f"did:plc:{name}", *devices),
    st.text("abcdefghijklmnop234567", min_size=1, max_size=24),
    st.sets(st.text(max_size=3), max_size=4),
)
#: Each digest is thousands of rounds.
FEW = settings(max_examples=25)


def test_a_fixed_example() -> None:
    """Written out, so that no later version gives people other numbers (docs/comparing.md)."""
    alice, bob = keys(ALICE, "laptop"), keys(BOB, "phone", "agent")
    material = (
        len(BOB).to_bytes(2, "big")
        + BOB.encode()
        + (2).to_bytes(2, "big")
        + b"".join(sorted(bytes.fromhex(fingerprint(name)) for name in ("phone", "agent")))
    )
    # The same by another implementation of PBKDF2.
    expected = hashlib.pbkdf2_hmac("sha512", material, b"waxwing/compared-keys/v1", 5200, 32)
    assert digest_of(bob) == expected
    assert " ".join(number_of(alice, bob)) == NUMBER
    assert code_of(alice, bob) == CODE


NUMBER = "20653 26951 35235 42833 36092 18733 57010 87095 60877 67054 79785 59158"
CODE = (
    "waxwing-keys/1 did:plc:alice mXmSwLILEfe2twOVKgUNfKE2ya7Oh49SCehkkVaWr-I "
    "did:web:bob.example 06s3Me1c3qMshxz0avfDk2oKJ1GrpZJMfNbl8BiNdP0"
)


@FEW
@given(PEOPLE, PEOPLE)
def test_both_see_the_same(one: PersonKeys, other: PersonKeys) -> None:
    assume(one.did != other.did)
    assert number_of(one, other) == number_of(other, one)
    assert code_of(one, other) == code_of(other, one)
    groups = number_of(one, other)
    assert len(groups) == 12
    assert all(len(group) == 5 and group.isdecimal() for group in groups)


@FEW
@given(st.lists(st.text(max_size=3), min_size=2, max_size=4, unique=True), st.randoms())
def test_the_order_of_devices_says_nothing(devices: list[str], random: object) -> None:
    shuffled = list(devices)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert digest_of(keys(ALICE, *devices)) == digest_of(keys(ALICE, *shuffled))


@FEW
@given(PEOPLE, PEOPLE, st.text(max_size=3))
def test_one_device_more_changes_the_number(one: PersonKeys, other: PersonKeys, device: str) -> None:
    assume(one.did != other.did)
    if fingerprint(device) in other.fingerprints:
        changed = PersonKeys(other.did, other.fingerprints - {fingerprint(device)})
    else:
        changed = PersonKeys(other.did, other.fingerprints | {fingerprint(device)})
    assert number_of(one, other) != number_of(one, changed)
    assert differing(code_of(one, other), one, changed) == {other.did}
    assert differing(code_of(one, other), one, other) == frozenset()


def test_the_same_devices_under_another_name_differ() -> None:
    assert digest_of(keys(ALICE, "laptop")) != digest_of(keys(BOB, "laptop"))


def test_a_fingerprint_that_is_none_is_refused() -> None:
    for wrong in ("ab", "zz" * 32):
        with pytest.raises(ValueError, match=r"fingerprint|hex"):
            digest_of(PersonKeys(ALICE, frozenset({wrong})))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "https://example.org/",
        f"waxwing-keys/2 {ALICE} {'A' * 43} {BOB} {'A' * 43}",
        f"waxwing-keys/1 {ALICE} {'A' * 43} {ALICE} {'A' * 43}",
        f"waxwing-keys/1 {ALICE} {'A' * 42} {BOB} {'A' * 43}",
        f"waxwing-keys/1 {ALICE} {'é' * 43} {BOB} {'A' * 43}",
        f"waxwing-keys/1 {ALICE} {'A' * 43} bob {'A' * 43}",
        f"waxwing-keys/1 {ALICE} {'A' * 43} {BOB} {'A' * 43} more",
        "waxwing-keys/1 " + "a" * 5000,
    ],
)
def test_what_is_no_code_is_refused(wrong: str) -> None:
    with pytest.raises(CodeError):
        digests_in(wrong)


def test_a_code_about_other_people_says_nothing() -> None:
    code = code_of(keys(ALICE, "laptop"), keys("did:plc:carol", "phone"))
    with pytest.raises(CodeError):
        differing(code, keys(ALICE, "laptop"), keys(BOB, "phone"))


def test_a_code_survives_lines_and_blanks() -> None:
    alice, bob = keys(ALICE, "laptop"), keys(BOB, "phone")
    assert differing("\n  " + code_of(alice, bob).replace(" ", "\n") + "\n", alice, bob) == frozenset()
