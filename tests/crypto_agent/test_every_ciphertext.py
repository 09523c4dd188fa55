"""Every ciphertext that the agent gives out or keeps, put into every method that opens one: each opens in its
own place and in no other, also under the head that the other place expects."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import pytest

from crypto_agent.client import (
    AgentClient,
    AgentRefused,
    ArchiveItem,
    Attachment,
    Device,
    IndexItem,
    Passphrase,
    RestingItem,
    SealedContent,
)
from tests.crypto_agent.leaving import PASSPHRASE, new_did
from tests.crypto_agent.people import ALICE, WRITTEN_AT, receive, target, write
from tests.crypto_agent.running_agent import Agent

#: Where the agent keeps ciphertexts: the table, the column, and which rows are of an account.
OWN, OF_DEVICE = "account_id = {account}", "device_id IN (SELECT id FROM crypto_agent_devicekey WHERE {own})"
KEPT = {
    "data key": ("datakey", "wrapped", OWN),
    "device key": ("devicekey", "wrapped", OWN),
    "prekey": ("prekeysecret", "wrapped_secret", OF_DEVICE),
    "key of the prekey": ("prekeysecret", "wrapped_signing_key", OF_DEVICE),
    "archive key": ("archivekey", "wrapped", OWN),
    "attestation key": ("attestationkey", "wrapped", OWN),
    "lock secret": ("locksecret", "wrapped", OWN),
    "search segment": ("searchsegment", "sealed", OWN),
    "times of a segment": ("searchsegment", "times", OWN),
}
#: What it gives out: how many bytes stand before each ciphertext.
HEADS = {"received": 6, "composed": 6, "draft": 5, "file": 5, "export key": 4, "import key": 4, "permit": 4}
WHOLE = ("archived", "envelope", "state part", "unsent part", "keys file")
DRAFT_ID, FILE_ID = "ab" * 16, "1"
VERSIONS = (1, 2)


class Blob(NamedTuple):
    """A ciphertext by its name, as it is or under another head."""

    name: str
    data: bytes


class Owner(NamedTuple):
    """Whose ciphertexts these are: a locked account that its owner unlocked, and the calls for it."""

    did: str
    web: AgentClient
    worker: AgentClient
    received: SealedContent
    composed: SealedContent
    made: dict[str, bytes]


@pytest.fixture(scope="module")
def owner(agent: Agent) -> Owner:
    did, web, worker = new_did(), agent.client("web"), agent.client("worker")
    device = web.create_device(did, "owner.test", "mail.test")
    web.create_device(ALICE, "alice.test", "mail.test")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    web.create_grant(did, "An app", ["attest"], expires_at=tomorrow, hourly_limit=1)
    session = web.make_locked(did, Passphrase("correct horse battery staple"), lifetime_s=600).session
    web, worker = web.unlocked(session.token), worker.unlocked(session.token)
    device = next(each for each in web.list_devices(did) if each.revoked_at is None)
    _, sealed = write(web, worker, ALICE, [device])
    received = receive(worker, did, sealed.copies[0].envelope)
    composed = web.compose(did, [ALICE], "Mine", created_at=WRITTEN_AT).content
    worker.index_messages(did, [IndexItem(received.content, ALICE, WRITTEN_AT)])
    export = web.export_account(did, PASSPHRASE)
    made = {
        "received": received.sealed,
        "composed": composed.sealed,
        "draft": web.seal_draft(did, DRAFT_ID, b"half"),
        "file": web.encrypt_file(did, FILE_ID, "a.txt", "text/plain", 3, [b"abc"], lambda _: None).sealed,
        "export key": export.export_key,
        "keys file": export.keys,
        "import key": web.import_account(did, PASSPHRASE, export.keys).import_key,
        "permit": web.begin_readable_export(did),
        "state part": web.seal_export_part(did, export.export_key, "account", b"state"),
        "unsent part": web.seal_unsent(did, export.export_key, [composed])[0],
        "archived": worker.archive(did, [_item(received.content)])[0],
        "envelope": sealed.copies[0].envelope,
    }
    return Owner(did, web, worker, received.content, composed, made)


@pytest.fixture(scope="module")
def ciphertexts(agent: Agent, owner: Owner) -> list[Blob]:
    """Nonce and ciphertext of each; some are whole, since they have a form of their own."""
    own = OWN.format(account=f"(SELECT id FROM crypto_agent_account WHERE did = '{owner.did}')")  # noqa: S608
    found = [Blob(name, owner.made[name][length:]) for name, length in HEADS.items()]
    found += [Blob(name, owner.made[name]) for name in WHOLE]
    for name, (table, column, whose) in KEPT.items():
        condition = own if whose == OWN else whose.format(own=own)
        rows = agent.execute(
            f"SELECT {column} FROM crypto_agent_{table} WHERE {condition} AND {column} IS NOT NULL"  # noqa: S608
        )
        assert rows, name
        found += [Blob(name, bytes(row[0])) for row in rows]
    return found


def _item(content: SealedContent) -> ArchiveItem:
    return ArchiveItem(content.conversation_id, content.message_id, content.sealed, WRITTEN_AT, None, "in")


def _under(blobs: list[Blob], *heads: bytes) -> list[Blob]:
    """Each of them as it is, and under each of the heads with each version of the data key."""
    return [
        *blobs,
        *(
            Blob(name, head + version.to_bytes(4, "big") + data)
            for name, data in blobs
            for head in heads
            for version in VERSIONS
        ),
    ]


def _names(blobs: list[Blob], opened: list[bool]) -> set[str]:
    return {blob.name for blob, did_open in zip(blobs, opened, strict=True) if did_open}


def _taken(blobs: list[Blob], call: Callable[[bytes], object], *codes: str) -> set[str]:
    """The names of those with which a call is done; it refuses all others with one of the codes."""
    taken = set()
    for name, data in blobs:
        with suppress(AgentRefused):
            _refused_with(codes, call, data)
            taken.add(name)
    return taken


def _refused_with(codes: tuple[str, ...], call: Callable[[bytes], object], data: bytes) -> None:
    try:
        call(data)
    except AgentRefused as error:
        if error.code not in codes:
            raise RuntimeError(f"refused with {error.code}") from error
        raise


def _contents(blobs: list[Blob], like: SealedContent) -> tuple[list[Blob], list[SealedContent]]:
    dressed = _under(blobs, b"\x01\x01", b"\x01\x02")
    return dressed, [SealedContent(like.conversation_id, like.message_id, blob.data) for blob in dressed]


def test_contents_are_read_archived_indexed_and_exported(owner: Owner, ciphertexts: list[Blob]) -> None:
    dressed, contents = _contents(ciphertexts, owner.received)
    did, web, worker = owner.did, owner.web, owner.worker
    assert _names(dressed, [not one.error for one in web.read(did, contents)]) == {"received"}
    exported = web.read_for_export(did, owner.made["permit"], contents)
    assert _names(dressed, [not one.error for one in exported]) == {"received"}
    indexed = set()
    for blob, content in zip(dressed, contents, strict=True):
        if not worker.index_messages(did, [IndexItem(content, ALICE, WRITTEN_AT)]):
            indexed.add(blob.name)
    assert indexed == {"received"}

    def archive(data: bytes) -> object:
        content = SealedContent(owner.received.conversation_id, owner.received.message_id, data)
        return worker.archive(did, [_item(content)])

    assert _taken(dressed, archive, "CannotUnseal") == {"received"}


def test_only_what_was_composed_here_is_signed(
    owner: Owner, ciphertexts: list[Blob], devices: dict[str, Device]
) -> None:
    for like in (owner.composed, owner.received):
        dressed, _ = _contents(ciphertexts, like)

        def seal(data: bytes, like: SealedContent = like) -> object:
            content = SealedContent(like.conversation_id, like.message_id, data)
            return owner.worker.seal(owner.did, content, [target(devices[ALICE])])

        expected = {"composed"} if like is owner.composed else set()
        assert _taken(dressed, seal, "CannotUnseal") == expected


def test_envelopes_and_archives_open_as_what_they_are(owner: Owner, ciphertexts: list[Blob]) -> None:
    dressed, _ = _contents(ciphertexts, owner.received)
    data = [blob.data for blob in dressed]
    opened = owner.worker.open(owner.did, data)
    assert _names(dressed, [not one.error for one in opened]) == {"envelope"}
    unarchived = owner.worker.read_archive(owner.did, data)
    assert _names(dressed, [not one.error for one in unarchived]) == {"archived"}


def test_drafts_and_files_are_opened_and_sealed_again(owner: Owner, ciphertexts: list[Blob]) -> None:
    dressed = _under(ciphertexts, b"\x01", b"\x02", b"\x01\x01", b"\x01\x02")
    drafts = owner.web.open_drafts(owner.did, [(DRAFT_ID, blob.data) for blob in dressed])
    assert _names(dressed, [draft is not None for draft in drafts]) == {"draft"}
    ids = {"conversation_id": owner.received.conversation_id, "message_id": owner.received.message_id}
    for kind, named, own in (
        ("draft", {"draft_id": DRAFT_ID}, "draft"),
        ("file", {"file_id": FILE_ID}, "file"),
        ("message", ids, "received"),
    ):
        items = [RestingItem(kind, blob.data, **named) for blob in dressed]  # type: ignore[arg-type]
        again = owner.worker.seal_again(owner.did, items)
        assert _names(dressed, [one is not None for one in again]) == {own}


def test_files_go_into_messages_and_come_out_as_what_they_are(owner: Owner, ciphertexts: list[Blob]) -> None:
    did, web = owner.did, owner.web

    def attach(data: bytes) -> object:
        attachment = Attachment(FILE_ID, data, "https://files.test/x", WRITTEN_AT)
        return web.compose(did, [ALICE], "", created_at=WRITTEN_AT, attachments=[attachment])

    dressed = _under(ciphertexts, b"\x01", b"\x02", b"\x01\x01", b"\x01\x02")
    assert _taken(dressed, attach, "CannotUnseal") == {"file"}
    for own, like in (("received", owner.received), ("composed", owner.composed)):
        dressed, contents = _contents(ciphertexts, like)
        unsealed = set()
        for blob, content in zip(dressed, contents, strict=True):
            with pytest.raises(AgentRefused) as refused:
                web.decrypt_file(did, content, 0, 0, [], lambda _: None)
            # Neither message has a file.
            if refused.value.code == "NoSuchFile":
                unsealed.add(blob.name)
            else:
                assert refused.value.code == "CannotUnseal"
        assert unsealed == {own}


def _ways_out(owner: Owner) -> Iterator[tuple[str, Callable[[bytes], object], set[str]]]:
    did, web, worker, made = owner.did, owner.web, owner.worker, owner.made
    yield "permit", lambda data: web.read_for_export(did, data, [owner.received]), {"NoExportBegun"}
    yield "export key", lambda data: web.seal_export_part(did, data, "account", b"s"), {"CannotUnseal"}
    yield "export key", lambda data: web.seal_unsent(did, data, [owner.composed]), {"CannotUnseal"}
    yield (
        "import key",
        lambda data: worker.open_export_part(did, data, "account", made["state part"]),
        {"CannotUnseal"},
    )
    yield "import key", lambda data: worker.open_unsent(did, data, [made["unsent part"]]), {"CannotUnseal"}
    yield (
        "state part",
        lambda data: worker.open_export_part(did, made["import key"], "account", data),
        {"BadExport"},
    )
    yield "unsent part", lambda data: worker.open_unsent(did, made["import key"], [data]), {"BadExport"}


def test_the_keys_and_parts_of_exports_are_taken_for_what_they_are(
    owner: Owner, ciphertexts: list[Blob]
) -> None:
    dressed = _under(ciphertexts, b"")
    for own, call, codes in _ways_out(owner):
        assert _taken(dressed, call, *codes, "InvalidRequest") == {own}


def test_nothing_but_a_file_of_keys_is_imported(owner: Owner, ciphertexts: list[Blob]) -> None:
    def bring(data: bytes) -> object:
        return owner.web.import_account(owner.did, PASSPHRASE, data)

    codes = ("BadExport", "UnsupportedExport", "ExportOfAnother", "WrongExportPassphrase")
    assert _taken(ciphertexts, bring, *codes) == {"keys file"}


def test_another_account_opens_none_of_it(agent: Agent, owner: Owner, ciphertexts: list[Blob]) -> None:
    web, worker = agent.client("web"), agent.client("worker")
    other = f"did:plc:{uuid4().hex[:24].translate(str.maketrans('0189', 'ghij'))}"
    web.create_device(other, "other.test", "mail.test")
    dressed, contents = _contents(ciphertexts, owner.received)
    assert all(one.error for one in web.read(other, contents))
    assert all(one.error for one in worker.open(other, [blob.data for blob in dressed]))
    assert all(one.error for one in worker.read_archive(other, [blob.data for blob in dressed]))
    drafts = [(DRAFT_ID, blob.data) for blob in _under(ciphertexts, b"\x01")]
    assert not any(one is not None for one in web.open_drafts(other, drafts))
