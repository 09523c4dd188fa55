"""Files through the real agent: encrypted once, put into messages, decrypted only after they were checked."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto_agent.atsms import content
from crypto_agent.atsms.content import ExternalPart
from crypto_agent.client import (
    AgentClient,
    AgentLocked,
    AgentRefused,
    AgentUnavailable,
    Attachment,
    Device,
    EncryptedFile,
    SealedContent,
)
from tests.crypto_agent.people import ALICE, BOB, CAROL, WRITTEN_AT, receive, target
from tests.crypto_agent.persons import locked_person
from tests.crypto_agent.running_agent import Agent
from tests.services.installations import wait_until

URL = "https://files.test/blobs/abc"
EXPIRES = datetime(2026, 12, 20, 12, 0, tzinfo=UTC)
LARGE = 40_000
FILE_ID = "1"
MEBIBYTE = 1024 * 1024


@dataclass
class Made:
    plaintext: bytes
    encrypted: bytes
    file: EncryptedFile

    @property
    def attachment(self) -> Attachment:
        return Attachment(FILE_ID, self.file.sealed, URL, EXPIRES)


def _encrypt(web: AgentClient, plaintext: bytes, name: str = "a file.bin", did: str = ALICE) -> Made:
    out = bytearray()
    file = web.encrypt_file(did, FILE_ID, name, "application/pdf", len(plaintext), [plaintext], out.extend)
    return Made(plaintext, bytes(out), file)


def _decrypt(web: AgentClient, message: SealedContent, data: bytes, part: int = 0, did: str = ALICE) -> bytes:
    out = bytearray()
    size = web.decrypt_file(did, message, part, len(data), [data], out.extend)
    assert size == len(out)
    return bytes(out)


@pytest.fixture
def message(web: AgentClient, devices: dict[str, Device]) -> tuple[SealedContent, Made]:
    """A message of alice to bob with one file and no text."""
    made = _encrypt(web, os.urandom(LARGE))
    composed = web.compose(ALICE, [BOB], "", created_at=WRITTEN_AT, attachments=[made.attachment])
    return composed.content, made


@pytest.mark.usefixtures("devices")
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 32 * 1024, 256 * 1024, 256 * 1024 + 1, 3 * MEBIBYTE + 5])
def test_a_file_comes_back_as_it_was(web: AgentClient, size: int) -> None:
    made = _encrypt(web, os.urandom(size))
    assert made.file.size == len(made.encrypted) == size + 16
    assert made.file.content_hash == hashlib.sha256(made.encrypted).hexdigest()
    # Four small ones before it leave no room, so that even a small one is kept elsewhere.
    fill = [_encrypt(web, bytes(15_000)).attachment] * 4
    composed = web.compose(ALICE, [BOB], "", created_at=WRITTEN_AT, attachments=[*fill, made.attachment])
    if composed.inline[-1]:
        assert size < 2000
        assert web.read(ALICE, [composed.content])[0].parts[-1]["data"] == made.plaintext
    else:
        assert _decrypt(web, composed.content, made.encrypted, part=4) == made.plaintext


def test_the_recipient_gets_key_hash_and_address_with_the_message(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    made = _encrypt(web, os.urandom(LARGE), "päper \u202egpj.exe")
    composed = web.compose(ALICE, [BOB], "Read this", created_at=WRITTEN_AT, attachments=[made.attachment])
    sealed = worker.seal(ALICE, composed.content, [target(devices[BOB])])
    received = receive(worker, BOB, sealed.copies[0].envelope)
    (read,) = web.read(BOB, [received.content])
    file, text = read.parts
    assert text["text"] == read.text == "Read this"
    assert file == {
        "kind": 3,
        "mediaType": "application/pdf",
        "url": URL,
        "size": LARGE,
        "contentHash": bytes.fromhex(made.file.content_hash),
        "filename": "päper \u202egpj.exe",
        "urlExpires": int(EXPIRES.timestamp()),
    }
    assert _decrypt(web, received.content, made.encrypted, did=BOB) == made.plaintext
    # The sender's own device sees it too, before and after it was signed.
    assert _decrypt(web, composed.content, made.encrypted) == made.plaintext
    signed = SealedContent(composed.conversation_id, composed.message_id, sealed.sealed)
    assert _decrypt(web, signed, made.encrypted) == made.plaintext


@pytest.mark.usefixtures("devices")
def test_small_files_ride_in_the_message_as_far_as_there_is_room(web: AgentClient) -> None:
    small = [_encrypt(web, bytes([number]) * 30_000, f"{number}.txt") for number in range(3)]
    large = _encrypt(web, bytes(33_000), "large.txt")
    attachments = [made.attachment for made in (*small, large)]
    composed = web.compose(ALICE, [BOB], "", created_at=WRITTEN_AT, attachments=attachments)
    assert list(composed.inline) == [True, True, False, False]
    (read,) = web.read(ALICE, [composed.content])
    assert [part.get("data") for part in read.parts] == [b"\0" * 30_000, b"\1" * 30_000, None, None]
    assert read.text == "0.txt"
    assert read.fallback == "0.txt, 1.txt, 2.txt, large.txt"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[:-16],
        lambda data: b"",
        lambda data: data + b"\0",
        lambda data: data + data,
        lambda data: bytes((data[0] ^ 1,)) + data[1:],
        lambda data: data[:-1] + bytes((data[-1] ^ 1,)),
        lambda data: bytes(len(data)),
    ],
    ids=["shorter", "no tag", "nothing", "longer", "twice", "first byte", "tag", "zeros"],
)
def test_nothing_of_a_damaged_file_is_given_out(
    web: AgentClient, message: tuple[SealedContent, Made], spoil: object
) -> None:
    content, made = message
    wrong = spoil(made.encrypted)  # type: ignore[operator]
    out = bytearray()
    with pytest.raises(AgentRefused) as refused:
        web.decrypt_file(ALICE, content, 0, len(wrong), [wrong], out.extend)
    assert refused.value.code == "FileDamaged"
    assert not out


def test_a_sender_who_hashes_something_else_than_their_key_encrypts_is_found_out(
    agent: Agent, web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    """The hash is right and the tag is wrong: a message that only another program would make."""
    from crypto_agent.atsms.certificates import parse_certificate
    from crypto_agent.atsms.oneshot import Recipient, seal_for_device
    from tests.crypto_agent.atsms.reference import ALICE as OTHER
    from tests.crypto_agent.atsms.reference import signed_by

    encrypted = AESGCM(bytes(16)).encrypt(bytes(12), bytes(LARGE), None)[:-1] + b"\0"
    part = ExternalPart(
        3, "a/b", URL, LARGE, 1, bytes(16), bytes(12), 1, hashlib.sha256(encrypted).digest(), {}
    )
    sender = OTHER.certificate.did
    made = content.new_content(sender, [BOB], [part], salt=bytes(16), created_at=1_795_000_000_000)
    bob = devices[BOB]
    recipient = Recipient(parse_certificate(bob.certificate_pem), bob.prekey)
    copy = seal_for_device(signed_by(OTHER, made), recipient, now=datetime.now(UTC), random=os.urandom)
    received = receive(worker, BOB, copy.envelope)
    with pytest.raises(AgentRefused) as refused:
        _decrypt(web, received.content, encrypted, did=BOB)
    assert refused.value.code == "FileDamaged"


def test_a_description_opens_for_its_account_and_id_alone_and_is_no_message(
    web: AgentClient, message: tuple[SealedContent, Made]
) -> None:
    content, made = message
    sealed = made.file.sealed
    wrong = [
        (BOB, FILE_ID, sealed),
        (ALICE, "2", sealed),
        (ALICE, FILE_ID, sealed[:-1] + bytes((sealed[-1] ^ 1,))),
        (ALICE, FILE_ID, sealed[:1] + bytes(4) + sealed[5:]),
        (ALICE, FILE_ID, b"\1" + sealed[1:]),
        (ALICE, FILE_ID, b"\2"),
        (ALICE, FILE_ID, content.sealed),
    ]
    for did, file_id, blob in wrong:
        attachment = Attachment(file_id, blob, URL, EXPIRES)
        with pytest.raises(AgentRefused) as refused:
            web.compose(did, [CAROL], "", created_at=WRITTEN_AT, attachments=[attachment])
        assert refused.value.code == "CannotUnseal"
    assert web.read(ALICE, [SealedContent(content.conversation_id, content.message_id, sealed)])[0].error
    for moved, did in (
        (content, BOB),
        (SealedContent(content.conversation_id, "01" * 32, content.sealed), ALICE),
    ):
        with pytest.raises(AgentRefused) as refused:
            _decrypt(web, moved, made.encrypted, did=did)
        assert refused.value.code == "CannotUnseal"


def test_a_locked_account_has_its_files_opened_in_an_unlocked_browser_alone(agent: Agent) -> None:
    did, locked = locked_person(agent)
    web = agent.client()
    mine = web.unlocked(locked.session.token)
    made = _encrypt(mine, bytes(LARGE), did=did)
    composed = mine.compose(did, [BOB], "", created_at=WRITTEN_AT, attachments=[made.attachment])
    assert _decrypt(mine, composed.content, made.encrypted, did=did) == made.plaintext
    for call in (
        lambda: _encrypt(web, b"x", did=did),
        lambda: _decrypt(web, composed.content, made.encrypted, did=did),
    ):
        with pytest.raises(AgentLocked):
            call()


def test_what_is_no_file_kept_elsewhere_is_not_decrypted(
    web: AgentClient, message: tuple[SealedContent, Made]
) -> None:
    content, made = message
    text = web.compose(ALICE, [BOB], "text", created_at=WRITTEN_AT).content
    for wrong, part in ((content, 1), (content, 65_535), (text, 0)):
        with pytest.raises(AgentRefused) as refused:
            _decrypt(web, wrong, made.encrypted, part=part)
        assert refused.value.code == "NoSuchFile"


def test_every_use_is_on_record_and_a_worker_may_do_neither(
    agent: Agent, web: AgentClient, worker: AgentClient, message: tuple[SealedContent, Made]
) -> None:
    content, made = message
    _decrypt(web, content, made.encrypted)
    for call in (lambda: _encrypt(worker, b"x"), lambda: _decrypt(worker, content, made.encrypted)):
        with pytest.raises(AgentRefused) as refused:
            call()
        assert refused.value.code == "NotPermitted"
    rows = agent.execute(
        "SELECT caller, purpose, outcome FROM crypto_agent_auditentry ORDER BY sequence DESC LIMIT 3"
    )
    assert [tuple(row) for row in rows] == [
        ("worker", "decryptFile", "NotPermitted"),
        ("worker", "encryptFile", "NotPermitted"),
        ("web", "decryptFile", "ok"),
    ]


@pytest.mark.usefixtures("devices")
def test_a_body_of_another_size_leaves_nothing(agent: Agent, web: AgentClient) -> None:
    for size in (999, 1001):
        out = bytearray()
        with pytest.raises(ValueError, match="another size"):
            web.encrypt_file(ALICE, FILE_ID, "x", "a/b", 1000, [bytes(size)], out.extend)
        assert not out
    assert _encrypt(web, b"still here").encrypted
    query = "SELECT COUNT(*) FROM crypto_agent_auditentry WHERE purpose = 'encryptFile'"
    for _ in range(100):
        if agent.execute(f"{query} AND outcome = 'InvalidRequest'")[0][0] == 2:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("what ended early is not on record")


def test_slow_files_hold_up_nothing_else(agent: Agent, web: AgentClient, devices: dict[str, Device]) -> None:
    """Four at once; one more is told to come back, and everything that carries no file is answered."""
    going_on = threading.Event()
    started = [threading.Event() for _ in range(4)]
    done: list[EncryptedFile] = []

    def slow(begun: threading.Event) -> Iterator[bytes]:
        yield bytes(MEBIBYTE)
        begun.set()
        going_on.wait(20)
        yield bytes(MEBIBYTE)

    def upload(begun: threading.Event) -> None:
        client = agent.client()
        done.append(client.encrypt_file(ALICE, FILE_ID, "slow", "a/b", 2 * MEBIBYTE, slow(begun), bytes))
        client.close()

    threads = [threading.Thread(target=upload, args=(each,)) for each in started]
    for thread in threads:
        thread.start()
    try:
        assert all(each.wait(10) for each in started)
        wait_until(lambda: _spools(agent) == 4)
        with pytest.raises(AgentUnavailable) as unavailable:
            _encrypt(web, b"one more")
        assert unavailable.value.code == "TooManyFiles"
        assert web.list_devices(ALICE)
    finally:
        going_on.set()
        for thread in threads:
            thread.join()
    assert len(done) == 4
    assert _encrypt(web, b"after").encrypted


def _spools(agent: Agent) -> int:
    """How many files the agent has in hand: temporary ones without a name."""
    places = [os.readlink(each) for each in Path(f"/proc/{_worker(agent)}/fd").iterdir() if each.is_symlink()]
    return sum(str(agent.directory) in place and place.endswith("(deleted)") for place in places)


def test_a_hundred_megabytes_take_little_memory(own_agent: Agent) -> None:
    web = own_agent.client()
    web.create_device(ALICE, "alice.test", "mail.test")
    warm = _encrypt(web, bytes(MEBIBYTE))
    composed = web.compose(ALICE, [BOB], "", created_at=WRITTEN_AT, attachments=[warm.attachment])
    _decrypt(web, composed.content, warm.encrypted)
    before = _peak(own_agent)
    size = 100 * MEBIBYTE
    spool = own_agent.directory / "encrypted"
    with spool.open("wb") as out:
        file = web.encrypt_file(ALICE, FILE_ID, "film", "video/mp4", size, _zeros(size), out.write)
    attachment = Attachment(FILE_ID, file.sealed, URL, EXPIRES)
    composed = web.compose(ALICE, [BOB], "", created_at=WRITTEN_AT, attachments=[attachment])
    got = 0

    def count(chunk: bytes) -> None:
        nonlocal got
        got += len(chunk)
        assert not any(chunk[:1])

    with spool.open("rb") as encrypted:
        web.decrypt_file(
            ALICE, composed.content, 0, file.size, iter(lambda: encrypted.read(MEBIBYTE), b""), count
        )
    assert got == size
    assert _peak(own_agent) - before < 30 * MEBIBYTE
    with pytest.raises(AgentRefused) as refused:
        web.encrypt_file(ALICE, FILE_ID, "film", "video/mp4", size + 1, chain(_zeros(size), [b"0"]), bytes)
    assert refused.value.code == "InvalidRequest"


def _zeros(size: int) -> Iterator[bytes]:
    chunk = bytes(MEBIBYTE)
    for _ in range(size // MEBIBYTE):
        yield chunk


def _peak(agent: Agent) -> int:
    """The most memory that the agent's worker process ever had, in bytes."""
    lines = Path(f"/proc/{_worker(agent)}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def _worker(agent: Agent) -> str:
    (worker,) = Path(f"/proc/{agent.running.pid}/task/{agent.running.pid}/children").read_text().split()
    return worker
