"""Drafts through the real agent: they come back to their account and id, and nothing else takes them."""

import secrets

import pytest

from crypto_agent.client import AgentClient, AgentError, AgentLocked, Attachment, Device, SealedContent
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT
from tests.crypto_agent.persons import locked_person
from tests.crypto_agent.running_agent import Agent

DRAFT = "I looked at the numbers again and 🌊".encode()


@pytest.mark.usefixtures("devices")
def test_drafts_come_back_in_their_order_and_only_where_they_belong(web: AgentClient) -> None:
    one, two = secrets.token_hex(16), secrets.token_hex(16)
    first, second = web.seal_draft(ALICE, one, DRAFT), web.seal_draft(ALICE, two, b"x" * 262_144)
    assert DRAFT not in first
    assert web.open_drafts(ALICE, [(two, second), (one, first)]) == [b"x" * 262_144, DRAFT]
    changed = first[:-1] + bytes((first[-1] ^ 1,))
    nowhere = [(two, first), (one, changed), (one, b"\x01"), (one, b"\x02" + first[1:])]
    assert web.open_drafts(ALICE, [*nowhere, (one, first)]) == [None, None, None, None, DRAFT]
    assert web.open_drafts(BOB, [(one, first)]) == [None]


@pytest.mark.usefixtures("devices")
def test_a_draft_composed_beside_a_message_opens_as_any_other_and_is_in_no_message(
    agent: Agent, web: AgentClient
) -> None:
    draft_id = secrets.token_hex(16)
    recorded = "SELECT purpose FROM crypto_agent_auditentry ORDER BY sequence"
    before = len(agent.execute(recorded))
    composed = web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT, draft=(draft_id, DRAFT))
    assert agent.execute(recorded)[before:] == [("compose",)]
    assert web.open_drafts(ALICE, [(draft_id, composed.draft), ("00" * 16, composed.draft)]) == [DRAFT, None]
    (read,) = web.read(ALICE, [composed.content])
    assert read.text == "Hello"
    assert web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT).draft == b""
    item = SealedContent(composed.conversation_id, composed.message_id, composed.draft)
    assert web.read(ALICE, [item])[0].error == "cannot-unseal"


def test_a_draft_is_no_message_and_a_message_no_draft(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    draft_id = secrets.token_hex(16)
    draft = web.seal_draft(ALICE, draft_id, DRAFT)
    composed = web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT)
    as_content = b"\x01\x01" + draft[1:]
    for sealed in (draft, as_content):
        item = SealedContent(composed.conversation_id, composed.message_id, sealed)
        assert web.read(ALICE, [item])[0].error == "cannot-unseal"
        with pytest.raises(AgentError) as refused:
            worker.seal(ALICE, item, [])
        assert refused.value.code == "CannotUnseal"
    attached = Attachment("1", draft, "https://files.test/x", WRITTEN_AT)
    with pytest.raises(AgentError) as refused:
        web.compose(ALICE, [BOB], "", created_at=WRITTEN_AT, attachments=[attached])
    assert refused.value.code == "CannotUnseal"
    as_draft = b"\x01" + composed.sealed[2:]
    file = web.encrypt_file(ALICE, "1", "a", "a/b", 1, [b"x"], lambda _: None).sealed
    blobs = [composed.sealed, as_draft, file]
    assert web.open_drafts(ALICE, [(draft_id, blob) for blob in blobs]) == [None, None, None]


def test_drafts_of_a_locked_account_wait(agent: Agent) -> None:
    did, locked = locked_person(agent)
    unlocked, elsewhere = agent.client().unlocked(locked.session.token), agent.client()
    sealed = unlocked.seal_draft(did, "00" * 16, DRAFT)
    with pytest.raises(AgentLocked):
        elsewhere.seal_draft(did, "00" * 16, DRAFT)
    with pytest.raises(AgentLocked):
        elsewhere.open_drafts(did, [("00" * 16, sealed)])
    assert unlocked.open_drafts(did, [("00" * 16, sealed)]) == [DRAFT]


@pytest.mark.usefixtures("devices")
def test_an_image_says_how_large_it_is(web: AgentClient) -> None:
    """Inside the message where it is small, beside it where it is not; others say nothing."""
    made = [
        web.encrypt_file(ALICE, "1", "a", "image/png", size, [bytes(size)], lambda _: None, pixels=pixels)
        for size, pixels in ((10, (640, 480)), (40_000, (4000, 3000)), (10, None))
    ]
    attachments = [Attachment("1", file.sealed, "https://files.test/x", WRITTEN_AT) for file in made]
    composed = web.compose(ALICE, [BOB], "", created_at=WRITTEN_AT, attachments=attachments)
    (read,) = web.read(ALICE, [composed.content])
    assert [(part.get("width"), part.get("height")) for part in read.parts] == [
        (640, 480),
        (4000, 3000),
        (None, None),
    ]
