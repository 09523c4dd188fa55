"""Derived identifiers."""

import pytest

from crypto_agent.atsms.errors import BadContent
from crypto_agent.atsms.ids import conversation_id, is_did, message_id
from tests.crypto_agent.atsms.reference import CASES

ALICE, BOB = "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "did:web:bob.example"
CONVERSATION = "013bbdd653f7c1cbafad8c684209d71124dec1e01ada8744378892ca5ba6e72bfa"


@pytest.mark.parametrize("dids", [(ALICE, BOB), (BOB, ALICE), (BOB, ALICE, BOB, ALICE)])
def test_a_conversation_is_its_set_of_participants(dids: tuple[str, ...]) -> None:
    assert conversation_id(dids).hex() == CONVERSATION


def test_other_participants_make_another_conversation() -> None:
    assert conversation_id([ALICE]).hex() != CONVERSATION
    # The lengths in the hash keep one long name apart from two short ones.
    assert conversation_id(["did:a", "did:b"]) != conversation_id(["did:adid:b"])


def test_a_message_id_depends_on_everything_in_it() -> None:
    conversation, content, salt = bytes(33), b"content", bytes(16)
    identifier = message_id(ALICE, conversation, content, salt)
    assert len(identifier) == 32
    assert identifier[0] == 1
    others = [
        message_id(BOB, conversation, content, salt),
        message_id(ALICE, bytes(32) + b"\x01", content, salt),
        message_id(ALICE, conversation, b"other", salt),
        message_id(ALICE, conversation, content, b"\x01" * 16),
    ]
    assert len({identifier, *others}) == 5


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_reference_derives_the_same(case: dict) -> None:
    expected = case["expect"]
    conversation = conversation_id([expected["senderDid"], *case["recipients"]])
    assert conversation.hex() == expected["conversationIdHex"]
    content = bytes.fromhex(expected["contentHex"])
    salt = content[3:19]
    assert message_id(expected["senderDid"], conversation, content, salt).hex() == expected["messageIdHex"]


def test_a_name_too_long_for_its_length_prefix_is_refused() -> None:
    with pytest.raises(BadContent):
        conversation_id(["did:web:" + "a" * 70_000])


@pytest.mark.parametrize("did", [ALICE, BOB, "did:web:host.example%3A8080", "did:key:zQ3sh"])
def test_dids(did: str) -> None:
    assert is_did(did)


@pytest.mark.parametrize(
    "text", ["", "did:", "did:plc:", "DID:plc:abc", "did:plc:a b", "did:plc:abc:", "alice"]
)
def test_not_dids(text: str) -> None:
    assert not is_did(text)
