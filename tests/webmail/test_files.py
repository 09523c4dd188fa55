"""Files from one person here to another, with the real agent: kept, given out, and gone in time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.agent import unlocked_by
from accounts.models import Account
from crypto_agent.atsms.content import text_part
from crypto_agent.client import AgentClient, AgentError, AgentLimited, AgentRefused, Passphrase
from tests.webmail.conftest import hand_over
from tests.webmail.installation import browser_of, new_account, peer
from tests.webmail.other_client import OtherClient
from tests.webmail.sent_files import (
    LARGE,
    attach,
    kept_files,
    pages_ask_as_web,
    received,
    refused,
    saved,
    send,
    upload,
)
from webmail import changing, forgetting, forwarding, not_arrived, outgoing, pending, threads
from webmail.blobs import attaching, fetching, store, sweeping
from webmail.blobs.attaching import CannotAttach
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.spool import MEMORY_BYTES
from webmail.models import Blob, Delivery, Message, PendingMessage
from webmail.templatetags.times import moment

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages_ask_as_web(settings, tmp_path, monkeypatch)


def test_a_file_goes_from_one_person_to_another_and_the_sender_sees_it_too(
    alice: Account, bob: Account
) -> None:
    data = os.urandom(LARGE)
    blob = attach(alice, data)
    (kept,) = kept_files()
    assert kept.stat().st_size == LARGE + 16
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == blob.content_hash
    sent = send(alice, [bob], [blob], "look")
    arrived = received(bob, sent)
    for account, message in ((bob, arrived), (alice, sent)):
        assert saved(account, message) == data
        entry = threads.entry(account, message.message_id)
        (file,) = entry.files
        assert (file.name, file.media_type, file.size) == ("a file.pdf", "application/pdf", LARGE)
        assert not file.expired
        assert file.expires_at is not None
        assert abs(file.expires_at - blob.expires_at) < timedelta(seconds=1)
        assert "".join(segment.text for segment in entry.segments) == "look"


def test_neither_plaintext_nor_key_nor_name_lies_here(alice: Account, bob: Account) -> None:
    canary = b"canary canary canary " * 20_000
    blob = attach(alice, canary, "canary.pdf")
    seen = b"".join(path.read_bytes() for path in kept_files())
    row = Blob.objects.filter(pk=blob.pk).values().get()
    assert b"canary" not in seen + repr(row).encode() + bytes(row["sealed"])
    send(alice, [bob], [blob])
    assert bytes(Blob.objects.get().sealed) == b""


def test_a_small_file_rides_in_its_message_and_nothing_of_it_is_kept(
    alice: Account,
    bob: Account,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    blob = attach(alice, b"small", "small.txt")
    with django_capture_on_commit_callbacks(execute=True):
        sent = send(alice, [bob], [blob])
    assert kept_files() == []
    assert not Blob.objects.exists()
    arrived = received(bob, sent)
    assert saved(bob, arrived) == b"small"
    entry = threads.entry(bob, arrived.message_id)
    assert [file.name for file in entry.files] == ["small.txt"]
    # The name stands once.
    assert entry.segments == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("letter.pdf", ""),
        ("a.b.PDF", ""),
        ("film.mp4", ""),
        ("Letter to Dr. Who", "application/pdf"),
        ("letter, version 1.2", "application/pdf"),
        ("letter.", "application/pdf"),
        ("letter", "application/pdf"),
        # Its type stands for its name already.
        ("", ""),
    ],
)
def test_what_a_file_is_of_is_said_where_its_name_does_not(name: str, says: str) -> None:
    assert threads.FilePart(0, name, "application/pdf", 1000, None, expired=False).shown_type == says


def test_the_thread_says_until_when_a_file_is_here_in_words_of_people(alice: Account, bob: Account) -> None:
    blobs = [attach(alice, bytes(LARGE)), attach(alice, bytes(LARGE), "no ending")]
    sent = send(alice, [bob], blobs)
    page = browser_of(alice).get(reverse("conversation", args=[sent.conversation.conversation_id]))
    text = page.content.decode().replace("\xa0", " ")
    until = f"Here until {moment(blobs[0].expires_at)}</small>"
    assert f"<small>97.7 KB · {until}" in text
    assert f"<small><bdi>application/pdf</bdi>, 97.7 KB · {until}" in text


def test_a_message_is_sent_once_with_its_files_and_no_file_twice(alice: Account, bob: Account) -> None:
    blob, token = attach(alice, bytes(LARGE)), str(uuid4())
    first = outgoing.send(alice, [bob.did], "", token, files=[blob])
    assert outgoing.send(alice, [bob.did], "", token, files=[blob]) == first
    assert outgoing.sent_before(alice, token) == first
    with pytest.raises(CannotAttach):
        send(alice, [bob], [blob])
    assert Message.objects.filter(account=alice).count() == 1
    with pytest.raises(CannotAttach):
        attaching.chosen(alice, [blob.pk])


def test_nobody_gets_at_a_file_that_somebody_else_chose(alice: Account, bob: Account) -> None:
    blob = attach(alice, bytes(LARGE))
    with pytest.raises(CannotAttach):
        attaching.chosen(bob, [blob.pk])
    attaching.detach(bob, blob.pk)
    assert attaching.chosen(alice, [blob.pk]) == [blob]
    attaching.detach(alice, blob.pk)
    attaching.detach(alice, blob.pk)
    assert kept_files() == []
    assert not Blob.objects.exists()


@pytest.mark.parametrize(
    ("setting", "room", "code"),
    [
        ("BLOB_MAX_BYTES", LARGE - 1, "too-large"),
        ("BLOB_ACCOUNT_BYTES", 2 * LARGE, "account-full"),
        ("BLOB_DAY_BYTES", 2 * LARGE, "day-full"),
        ("BLOB_STORE_BYTES", 2 * LARGE, "store-full"),
    ],
)
def test_there_is_so_much_room_and_no_more(
    alice: Account, settings: Settings, setting: str, room: int, code: str
) -> None:
    setattr(settings, setting, room)
    if code != "too-large":
        attach(alice, bytes(LARGE))
    with pytest.raises(CannotAttach) as failure:
        attach(alice, bytes(LARGE))
    assert failure.value.code == code
    assert Blob.objects.count() == len(kept_files()) == (code != "too-large")


def test_a_removed_file_counts_for_the_day_and_not_for_the_room(alice: Account, settings: Settings) -> None:
    settings.BLOB_ACCOUNT_BYTES = settings.BLOB_DAY_BYTES = 150_000
    attaching.remove(attach(alice, bytes(LARGE)), timezone.now())
    with pytest.raises(CannotAttach) as failure:
        attach(alice, bytes(LARGE))
    assert failure.value.code == "day-full"
    attach(alice, bytes(LARGE), now=timezone.now() + timedelta(days=2))


def test_what_ends_early_leaves_nothing(alice: Account) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(50_000)
        raise OSError("the reader went away")

    for chunks in ([bytes(10)], broken()):
        with pytest.raises((CannotAttach, ValueError)):
            attaching.attach(alice, "x", "a/b", LARGE, chunks, now=timezone.now())
    assert kept_files() == []
    assert not Blob.objects.exists()


def test_files_go_when_their_time_is_over(alice: Account, bob: Account) -> None:
    now = timezone.now()
    unsent = attach(alice, bytes(LARGE))
    sent = send(alice, [bob], [attach(alice, bytes(LARGE))])
    arrived = received(bob, sent)
    (store.root() / "incoming").mkdir(exist_ok=True)
    (store.root() / "incoming" / "left").write_bytes(b"by a process that was killed")
    assert sweeping.sweep(now) == 0
    assert sweeping.sweep(now + timedelta(hours=23)) == 1
    assert len(kept_files()) == 2
    assert sweeping.sweep(now + timedelta(hours=25)) == 1
    assert not Blob.objects.filter(pk=unsent.pk).exists()
    assert saved(bob, arrived)
    later = now + timedelta(days=31)
    assert threads.entry(bob, arrived.message_id).files[0].expired is False
    with pytest.raises(CannotFetch) as failure:
        fetching.download(bob, arrived.message_id, 0, now=later)
    assert failure.value.code == "expired"
    assert sweeping.sweep(later) == 1
    assert sweeping.sweep(later) == 0
    assert kept_files() == []
    assert Blob.objects.get().removed_at == later
    assert refused(bob, arrived) == "gone"
    sweeping.sweep(later + timedelta(days=91))
    assert not Blob.objects.exists()


@pytest.mark.usefixtures("agent_process")
def test_nothing_is_attached_or_opened_while_the_keys_are_locked(settings: Settings) -> None:
    agent_of_pages = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")
    person = new_account("locked")
    small, large = (attach(person, bytes(size)) for size in (100, LARGE))
    message = outgoing.send(person, [person.did], "", str(uuid4()), files=[small, large])
    phrase = Passphrase("correct horse battery staple")
    session = agent_of_pages.make_locked(person.did, phrase, lifetime_s=600).session
    kept = kept_files()
    for part in (0, 1):
        assert refused(person, message, part) == "locked"
    with pytest.raises(CannotAttach) as failure:
        attach(person, bytes(LARGE))
    assert failure.value.code == "locked"
    assert kept_files() == kept
    with unlocked_by(session.token):
        assert saved(person, message, 1) == bytes(LARGE)
        assert attach(person, bytes(LARGE))


def test_files_go_with_their_account(alice: Account, bob: Account) -> None:
    send(alice, [bob], [attach(alice, bytes(LARGE))])
    attach(alice, bytes(LARGE))
    others = attach(bob, bytes(LARGE))
    attaching.forget_all(alice)
    attaching.forget_all(alice)
    assert list(Blob.objects.all()) == [others]
    assert len(kept_files()) == 1


def test_administrators_see_how_much_there_is_and_nothing_else(alice: Account, admin_client: Client) -> None:
    blob = attach(alice, bytes(3_000_000), "canary.pdf")
    page = admin_client.get(reverse("admin:webmail_blob_changelist")).content.decode()
    assert "Files: 2.9\xa0MB of 20.0\xa0GB" in page
    assert "alice.test" in page
    row = admin_client.get(reverse("admin:webmail_blob_change", args=[blob.pk])).content.decode()
    assert blob.content_hash in row
    for hidden in (blob.secret, "canary"):
        assert hidden not in page + row


def test_files_outlive_a_lost_database(alice: Account, bob: Account) -> None:
    sent = send(alice, [bob], [attach(alice, bytes(LARGE))])
    arrived = received(bob, sent)
    Blob.objects.all().delete()
    sweeping.sweep(timezone.now())
    assert saved(bob, arrived) == bytes(LARGE)
    assert sweeping.sweep(timezone.now() + timedelta(days=31)) == 1


def test_a_file_of_a_message_that_reached_nobody_goes_and_the_message_is_not_tried_again(
    alice: Account, bob: Account
) -> None:
    sent = send(alice, [bob], [attach(alice, bytes(LARGE))])
    now = timezone.now()
    sent.deliveries.update(state=Delivery.State.FAILED, finished_at=now)
    sweeping.sweep(now + timedelta(days=2))
    assert len(kept_files()) == 1
    sweeping.sweep(now + timedelta(days=4))
    assert kept_files() == []
    with pytest.raises(outgoing.CannotSend) as failure:
        not_arrived.retry(alice, sent.message_id)
    assert failure.value.code == "file-gone"


def test_a_file_of_a_message_taken_back_goes(alice: Account, bob: Account) -> None:
    phone = OtherClient.of(alice)
    phone.publish()
    try:
        sent = send(alice, [bob], [attach(alice, bytes(LARGE))], "look")
        sweeping.sweep(timezone.now())
        assert len(kept_files()) == 1
        taken_back = phone.write([bob, alice], None, replaces=bytes.fromhex(sent.message_id))
        # Among these the one for alice's own device here.
        hand_over(alice, taken_back)
        assert threads.entry(alice, sent.message_id).tombstone
        sweeping.sweep(timezone.now())
        assert kept_files() == []
        assert refused(alice, sent) == "no-such-file"
    finally:
        phone.withdraw()


def taken_back(sender: Account, recipient: str) -> Message:
    """A message with a file that its recipient's server had before its sender took it back."""
    files = [attach(sender, os.urandom(LARGE))]
    sent = outgoing.send(sender, [recipient], "look", str(uuid4()), files=files)
    sent.deliveries.update(state=Delivery.State.ACCEPTED)
    assert changing.take_back(sender, sent.message_id, str(uuid4()))
    return sent


@pytest.mark.parametrize("by", ["deleting", "its time"])
def test_a_file_of_a_message_taken_back_goes_though_the_message_is_erased(
    alice: Account, bob: Account, by: str
) -> None:
    sent, now = taken_back(alice, bob.did), timezone.now()
    if by == "deleting":
        forgetting.forget(alice, sent.message_id, now=now)
    else:
        Message.objects.filter(pk=sent.pk).update(expires_at=now)
        assert forgetting.forget_expired(now) == 1
    Message.objects.filter(account=alice).update(state=Message.State.SEALED)
    Delivery.objects.update(state=Delivery.State.ACCEPTED)
    forgetting.erase(alice, now=now)
    assert {bytes(row.sealed) for row in Message.objects.filter(account=alice)} == {b""}
    assert sweeping.sweep(now) == 1
    assert kept_files() == []


@pytest.mark.usefixtures("agent_process")
def test_a_file_of_a_message_taken_back_goes_while_the_keys_are_locked(settings: Settings) -> None:
    person = new_account("locked")
    taken_back(person, peer("bob").did)
    agent_of_pages = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")
    agent_of_pages.make_locked(person.did, Passphrase("correct horse battery staple"), lifetime_s=600)
    assert sweeping.sweep(timezone.now()) == 1
    assert kept_files() == []


@pytest.mark.parametrize("undo_seconds", [0, 10])
@pytest.mark.parametrize("end", ["taken back", "failed", "discarded"])
def test_a_file_that_was_passed_on_stays_whatever_becomes_of_the_first_message(
    alice: Account, bob: Account, carol: Account, settings: Settings, undo_seconds: int, end: str
) -> None:
    settings.UNDO_SECONDS = undo_seconds
    data, now = os.urandom(LARGE), timezone.now()
    sent = send(alice, [bob], [attach(alice, data)])
    forward = forwarding.forward_to(alice, sent.message_id, [carol.did], str(uuid4()), now=now)
    if isinstance(forward, PendingMessage):
        PendingMessage.objects.update(release_at=now)
        released = pending.release(forward.pk, now=now)
        assert released is not None
        forward = released
    if end == "taken back":
        sent.deliveries.update(state=Delivery.State.ACCEPTED)
        assert changing.take_back(alice, sent.message_id, str(uuid4()))
    elif end == "failed":
        sent.deliveries.update(state=Delivery.State.FAILED, finished_at=now)
    else:
        not_arrived.discard(alice, sent.message_id, now=now)
    assert sweeping.sweep(now + timedelta(days=4)) == 0
    assert saved(carol, received(carol, forward)) == data
    assert sweeping.sweep(now + timedelta(days=31)) == 1


@pytest.mark.parametrize(
    "fault", [AgentLimited("LimitReached", "", 60), AgentRefused("NoSuchAccount", "no such account")]
)
def test_an_account_that_the_agent_does_not_read_holds_up_no_others_files(
    fault: AgentError,
    alice: Account,
    bob: Account,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    phones = {person: OtherClient.of(person) for person in (alice, bob)}
    real = sweeping.agent

    def agent() -> SimpleNamespace:
        def read(did: str, *arguments: Any) -> Any:
            if did == alice.did:
                raise fault
            return real().read(did, *arguments)

        return SimpleNamespace(read=read)

    for phone in phones.values():
        phone.publish()
    try:
        for person, other in ((alice, bob), (bob, alice)):
            sent = send(person, [other], [attach(person, os.urandom(LARGE))], "look")
            without_it = [text_part("gone")]
            hand_over(
                person,
                phones[person].write([other, person], without_it, replaces=bytes.fromhex(sent.message_id)),
            )
        monkeypatch.setattr(sweeping, "agent", agent)
        assert sweeping.sweep(timezone.now()) == 1
        assert Blob.objects.get(removed_at=None).account == alice
        assert f"the files of 1 accounts were not looked at: {fault.code}" in caplog.messages
        monkeypatch.setattr(sweeping, "agent", real)
        assert sweeping.sweep(timezone.now()) == 1
    finally:
        for phone in phones.values():
            phone.withdraw()


def test_files_from_slow_servers_hold_up_only_who_asks_for_them(alice: Account, bob: Account) -> None:
    data = os.urandom(LARGE)
    sent = send(alice, [bob], [attach(alice, data)])
    at_bob = received(bob, sent)
    taken = [fetching._places.take(alice.pk) for _ in range(fetching.MOST_AT_ONCE)]
    try:
        assert taken.count(True) == fetching.MOST_OF_ONE
        assert refused(alice, sent) == "busy"
        assert saved(bob, at_bob) == data
    finally:
        for _ in range(taken.count(True)):
            fetching._places.give_back(alice.pk)
    assert saved(alice, sent) == data


def test_while_there_is_no_room_for_what_passes_files_wait_and_nothing_fails(
    alice: Account, bob: Account, settings: Settings
) -> None:
    data = os.urandom(MEMORY_BYTES + 1)
    arrived = received(bob, send(alice, [bob], [attach(alice, data)]))
    settings.SPOOL_BYTES = 100
    answer = browser_of(bob).get(reverse("message-file", args=[arrived.message_id, 0]))
    assert answer.status_code == 503
    assert "Too many files are being fetched. Try again in a moment." in answer.content.decode()
    answer = upload(browser_of(alice), b"\xff\xd8\xff" + data)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert Blob.objects.count() == 1
    settings.SPOOL_BYTES = 2 * MEMORY_BYTES
    assert saved(bob, arrived) == data


NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\boot.ini": "boot.ini",
    "/": "",
    "..": "",
    ".": "",
    "": "",
    "photo\u202egpj.exe": "photogpj.exe",
    "a\r\nSet-Cookie: b=c": "a Set-Cookie: b=c",
    "a\0b\x1b[31m.txt": "ab[31m.txt",
    "two\u2028lines": "two lines",
    "\ud800": "",
    "päper 文件.pdf": "päper 文件.pdf",
    "x" * 4096 + ".pdf": "x" * 248 + "….pdf",
    "文" * 2000 + ".pdf": "文" * 82 + "….pdf",
    "x" * 4096: "x" * 252 + "…",
    "q\"uote'<b>.txt": "q\"uote'<b>.txt",
}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_names_are_harmless(name: str) -> None:
    from webmail.blobs.names import safe_name

    assert safe_name(name) == NAMES[name]
    assert len(safe_name(name).encode()) <= 255


def test_two_that_store_at_once_both_have_it(settings: Settings) -> None:
    """The same bytes under the same name, as two processes would."""
    secret, until = "ab" * 20, timezone.now() + timedelta(days=1)
    with store.Incoming() as one, store.Incoming() as other:
        for incoming in (one, other):
            incoming.write(b"the same")
        one.keep(secret, until)
        other.keep(secret, until)
    content_hash = hashlib.sha256(b"the same").hexdigest()
    file, size = store.open_file(content_hash, secret, timezone.now())
    with file:
        assert (file.read(), size) == (b"the same", 8)
    assert len(kept_files()) == 1
    with store.Incoming() as abandoned:
        abandoned.write(b"and never kept")
    assert len(kept_files()) == 1
    for wrong in (("..", secret), (content_hash, "../x"), (content_hash, "cd" * 20), ("00" * 32, secret)):
        with pytest.raises(store.NotThere):
            store.open_file(*wrong, timezone.now())


def test_without_a_sign_in_a_script_is_told_and_a_person_led_there(client: Client) -> None:
    """The sign-in page would be taken for what was asked for."""
    script = {"Accept": "application/json"}
    address = reverse("message-file", args=["ab" * 16, 0])
    told = client.get(address, headers=script)
    assert (told.status_code, told.json()["code"]) == (401, "signed-out")
    assert client.get(address).headers["Location"].startswith(reverse("sign-in") + "?next=")
    for name in ("file-upload", "notifications-on", "notifications-off"):
        told = client.post(reverse(name), headers=script)
        assert (told.status_code, told.json()["code"]) == (401, "signed-out")
        assert client.post(reverse(name)).headers["Location"] == reverse("sign-in")
