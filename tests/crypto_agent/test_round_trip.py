"""Messages through a running agent: composed, signed, sealed, opened, read, archived and read again."""

import hashlib
from datetime import UTC, datetime

import pytest

from crypto_agent.client import (
    AgentClient,
    AgentRefused,
    ArchiveItem,
    Device,
    Facet,
    NewMessage,
    SealedContent,
    Target,
)
from tests.crypto_agent.people import ALICE, BOB, CAROL, WRITTEN_AT, receive, target, write
from tests.crypto_agent.running_agent import Agent

TEXT = "Grüße 👋\nsee https://example.com/a_(b)?c=d, and http://example.org."


def test_a_message_goes_from_one_to_another_to_a_third(either_agent: Agent) -> None:
    web, worker = either_agent.client("web"), either_agent.client("worker")
    people = {did: web.create_device(did, handle, "mail.test") for did, handle in _HANDLES.items()}
    for sender, recipient in ((ALICE, BOB), (BOB, CAROL), (CAROL, ALICE)):
        composed, sealed = write(web, worker, sender, [people[recipient]], TEXT)
        (copy,) = sealed.copies
        assert (copy.did, copy.fingerprint) == (recipient, people[recipient].fingerprint)
        assert copy.form == "sealed"
        assert copy.envelope_id == hashlib.sha256(copy.envelope).hexdigest()

        message = receive(worker, recipient, copy.envelope)
        assert (message.conversation_id, message.message_id) == (
            composed.conversation_id,
            composed.message_id,
        )
        assert (message.sender_did, message.sender_fingerprint) == (sender, people[sender].fingerprint)
        assert message.sender_certificate_pem == people[sender].certificate_pem
        assert message.created_at == composed.created_at == WRITTEN_AT
        assert message.recipients == [recipient]
        assert (message.render_kinds, message.tombstone, message.degraded) == ([1], False, None)

        for reader, content in ((recipient, message.content), (sender, composed.content)):
            (read,) = web.read(reader, [content])
            assert read.text == TEXT
            assert [facet.value for facet in read.facets] == [
                "https://example.com/a_(b)?c=d",
                "http://example.org",
            ]
            octets = TEXT.encode()
            assert [octets[facet.start : facet.end].decode() for facet in read.facets] == [
                facet.value for facet in read.facets
            ]


_HANDLES = {ALICE: "alice.test", BOB: "bob.test", CAROL: "carol.test"}


def test_one_message_to_several_is_one_conversation(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    composed, sealed = write(web, worker, ALICE, [devices[BOB], devices[CAROL]])
    opened = {copy.did: receive(worker, copy.did, copy.envelope) for copy in sealed.copies}
    assert opened.keys() == {BOB, CAROL}
    assert {message.message_id for message in opened.values()} == {composed.message_id}
    assert all(message.recipients == [BOB, CAROL] for message in opened.values())

    answer = web.compose(BOB, [CAROL, ALICE, BOB, ALICE], "Hello both", created_at=WRITTEN_AT)
    assert answer.conversation_id == composed.conversation_id


def test_a_reply_names_the_message_that_it_answers(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    first, _ = write(web, worker, ALICE, [devices[BOB]])
    reply = web.compose(BOB, [ALICE], "Yes", created_at=WRITTEN_AT, in_reply_to=first.message_id)
    sealed = worker.seal(BOB, reply.content, [target(devices[ALICE])])
    assert receive(worker, ALICE, sealed.copies[0].envelope).in_reply_to == first.message_id


def test_a_note_to_oneself_has_oneself_as_recipient(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    note = web.compose(ALICE, [ALICE], "Milk", created_at=WRITTEN_AT)
    sealed = worker.seal(ALICE, note.content, [target(devices[ALICE])])
    assert sealed.copies == []
    assert web.read(ALICE, [SealedContent(note.conversation_id, note.message_id, sealed.sealed)])[0].text


def test_sealing_again_signs_the_same_message(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    composed, first = write(web, worker, ALICE, [devices[BOB]])
    again = SealedContent(composed.conversation_id, composed.message_id, first.sealed)
    for content in (composed.content, again):
        second = worker.seal(ALICE, content, [target(devices[BOB])])
        assert second.copies[0].envelope_id != first.copies[0].envelope_id
        message = receive(worker, BOB, second.copies[0].envelope)
        assert message.message_id == composed.message_id


def test_a_device_without_a_prekey_gets_a_bare_cms(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    composed, sealed = write(web, worker, ALICE, [devices[BOB]], hiding=False)
    (copy,) = sealed.copies
    assert copy.form == "cms"
    assert copy.prekey_error is None
    assert receive(worker, BOB, copy.envelope).message_id == composed.message_id


def test_a_forged_prekey_is_not_sealed_to_and_that_is_said(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    bob, carol = devices[BOB], devices[CAROL]
    composed = web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT)
    forged = Target(BOB, bob.fingerprint, bob.certificate_pem, carol.prekey)
    (copy,) = worker.seal(ALICE, composed.content, [forged]).copies
    assert (copy.form, copy.prekey_error) == ("cms", "bad-prekey")


def test_a_target_that_may_not_have_a_copy_stops_no_other(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    alice, bob, carol = devices[ALICE], devices[BOB], devices[CAROL]
    composed = web.compose(ALICE, [BOB], "For bob alone", created_at=WRITTEN_AT)
    targets = [
        target(carol),
        Target(BOB, carol.fingerprint, carol.certificate_pem, carol.prekey),
        Target(BOB, "00" * 32, bob.certificate_pem, bob.prekey),
        Target(BOB, bob.fingerprint, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        target(alice),
        target(bob),
    ]
    sealed = worker.seal(ALICE, composed.content, targets)
    assert [copy.fingerprint for copy in sealed.copies] == [bob.fingerprint]
    assert [(refused.did, refused.code) for refused in sealed.refused] == [
        (CAROL, "not-a-participant"),
        (BOB, "bad-certificate"),
        (BOB, "bad-certificate"),
        (BOB, "bad-certificate"),
    ]


def test_each_envelope_fails_alone_and_in_its_place(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    _, for_bob = write(web, worker, ALICE, [devices[BOB]])
    _, for_carol = write(web, worker, ALICE, [devices[CAROL]])
    good = for_bob.copies[0].envelope
    damaged = good[:-1] + bytes((good[-1] ^ 1,))
    batch = [b"", good, for_carol.copies[0].envelope, damaged, bytes(131_072), good]
    opened = worker.open(BOB, batch)
    assert [item.error for item in opened] == [
        "not-canonical",
        None,
        "cannot-open",
        "cannot-open",
        "too-large",
        None,
    ]
    assert [item.envelope_id for item in opened] == [hashlib.sha256(item).hexdigest() for item in batch]


def test_more_than_one_call_can_carry_comes_back_in_order(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    composed = web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT)
    copies = worker.seal(ALICE, composed.content, [target(devices[BOB])] * 130).copies
    assert len(copies) == 130
    opened = worker.open(BOB, [copy.envelope for copy in copies])
    assert [item.envelope_id for item in opened] == [copy.envelope_id for copy in copies]
    assert {item.message.message_id for item in opened if item.message} == {composed.message_id}
    read = web.read(BOB, [item.message.content for item in opened if item.message])
    assert [message.text for message in read] == ["Hello"] * 130


def test_an_archived_message_comes_back_whole_and_verified(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    composed, sealed = write(web, worker, ALICE, [devices[BOB]], TEXT)
    received = receive(worker, BOB, sealed.copies[0].envelope)
    at = datetime(2026, 11, 20, 12, 0, 5, 678000, tzinfo=UTC)
    item = ArchiveItem(
        composed.conversation_id,
        composed.message_id,
        received.sealed,
        received_at=at,
        verified_at=at,
        direction="in",
        envelope_id=sealed.copies[0].envelope_id,
    )
    archived = worker.archive(BOB, [item])
    broken = archived[0][:-1] + bytes((archived[0][-1] ^ 1,))
    whole, failed, nothing = worker.read_archive(BOB, [*archived, broken, b""])
    assert whole.message is not None
    assert whole.message.message_id == composed.message_id
    assert (whole.received_at, whole.verified_at, whole.direction) == (at, at, "in")
    assert (whole.envelope_id, whole.delivered_to) == (item.envelope_id, ())
    assert web.read(BOB, [whole.message.content])[0].text == TEXT
    assert (failed.message, failed.error) == (None, "cannot-open")
    assert nothing.error == "cannot-open"


def test_a_sent_message_is_archived_too_and_can_be_sealed_again(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    composed, sealed = write(web, worker, ALICE, [devices[BOB]])
    item = ArchiveItem(
        composed.conversation_id,
        composed.message_id,
        sealed.sealed,
        received_at=WRITTEN_AT,
        verified_at=None,
        direction="out",
        delivered_to=[BOB],
    )
    (restored,) = worker.read_archive(ALICE, worker.archive(ALICE, [item]))
    assert (restored.direction, restored.delivered_to, restored.verified_at) == ("out", (BOB,), None)
    assert restored.message is not None
    again = worker.seal(ALICE, restored.message.content, [target(devices[BOB])])
    assert receive(worker, BOB, again.copies[0].envelope).message_id == composed.message_id


def test_what_was_never_signed_is_not_archived(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    composed = web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT)
    item = ArchiveItem(
        composed.conversation_id, composed.message_id, composed.sealed, WRITTEN_AT, None, "out"
    )
    with pytest.raises(AgentRefused, match=r"items\[0\]") as refused:
        worker.archive(ALICE, [item])
    assert refused.value.code == "NotSigned"


@pytest.mark.usefixtures("devices")
def test_the_longest_text_fits_an_envelope_and_a_longer_one_is_refused(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    _, sealed = write(web, worker, ALICE, [devices[BOB]], "x" * 60_000)
    assert receive(worker, BOB, sealed.copies[0].envelope).render_kinds == [1]
    with pytest.raises(AgentRefused) as refused:
        web.compose(ALICE, [BOB], "x" * 60_001, created_at=WRITTEN_AT)
    assert refused.value.code == "InvalidRequest"
    links = " ".join(f"https://example.com/{number:0600}" for number in range(90))
    with pytest.raises(AgentRefused) as refused:
        web.compose(ALICE, [BOB], links, created_at=WRITTEN_AT)
    assert refused.value.code == "MessageTooLong"


def test_whoever_is_mentioned_is_told_so_and_nobody_else(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    given = [Facet(0, 4, "mention", BOB), Facet(5, 9, "link", f"https://example.com/{CAROL}")]
    text = NewMessage("@bob this is for @carol", facets=given)
    composed = web.compose(ALICE, [BOB, CAROL], text, created_at=WRITTEN_AT)
    sealed = worker.seal(ALICE, composed.content, [target(devices[did]) for did in (BOB, CAROL)])
    opened = {copy.did: receive(worker, copy.did, copy.envelope) for copy in sealed.copies}
    assert {did: message.mentions_account for did, message in opened.items()} == {BOB: True, CAROL: False}


def test_facets_are_plain_values(web: AgentClient, devices: dict[str, Device]) -> None:
    composed = web.compose(ALICE, [BOB], "→ https://example.com", created_at=WRITTEN_AT)
    (read,) = web.read(ALICE, [composed.content])
    assert list(read.facets) == [Facet(4, 23, "link", "https://example.com")]
    assert read.parts[0]["kind"] == 1
    assert read.parts[0]["text"] == "→ https://example.com"
