"""Taking in an export whose values fit nowhere: a clear end, and nothing of such a part."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts import unlocking
from accounts.agent import kept_client
from accounts.models import Account
from crypto_agent.client import AgentClient, Expires, Passphrase
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account
from tests.webmail.test_locked import WORDS, lock_account
from tests.webmail.test_pages import html_of
from webmail import (
    account_export,
    account_import,
    disappearing,
    export_file,
    outgoing,
    queues,
    tasks,
    waiting,
)
from webmail.export_file import ExportFileError
from webmail.exported_values import seconds_in
from webmail.models import AccountImport, Conversation, Draft, Message, ReceiptChoice

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

PASSPHRASE = "correct horse battery"
BOB = "did:plc:bob"


@pytest.fixture
def alice(
    agent_process: AgentProcess, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    """Her export is made and begun as the web process does, and taken in as the worker does."""
    settings.MAILBOX_URL = f"maildir://{tmp_path / 'mail'}"
    settings.IMPORT_DIR = str(tmp_path / "imports")
    kept_client.cache_clear()
    account = new_account("alice")
    monkeypatch.setattr(outgoing, "agent", lambda: as_web(settings))
    settings.AGENT_CALLER = "worker"
    kept_client.cache_clear()
    yield account
    kept_client.cache_clear()


def as_web(settings: Settings) -> AgentClient:
    return AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")


def taken_in(account: Account, settings: Settings, *more_settings: Mapping[str, object]) -> AccountImport:
    """Takes in a file of what the account wrote and of these settings, which it has no more then."""
    row = begun(account, settings, *more_settings)
    while not account_import.take_in(row.pk):
        pass
    row.refresh_from_db()
    assert not (Path(settings.IMPORT_DIR) / row.file_name).exists()
    return row


def begun(account: Account, settings: Settings, *more_settings: Mapping[str, object]) -> AccountImport:
    """The same, of which nothing but the keys is taken in yet."""
    web, now = as_web(settings), timezone.now()
    made = web.export_account(account.did, PASSPHRASE)
    export = account_export.Export(account, "words", web, made.keys, made.export_key, now)
    writer = export_file.Writer(account.did, now)
    parts = [writer.part(export_file.KEYS, made.keys), *export._unsent(writer)]
    if more_settings:
        name = writer.next_name(export_file.SETTINGS)
        parts.append(writer.part(name, export._sealed(name, json.dumps(more_settings).encode())))
    manifest = writer.manifest()
    parts.append(writer.part(export_file.MANIFEST, manifest))
    parts.append(writer.part(export_file.END, export._sealed("end", hashlib.sha256(manifest).digest())))
    parts.append(writer.end())
    file = b"".join(parts)
    total = Message.objects.filter(account=account).count()
    Conversation.objects.all().delete()
    path = account_import.keep_upload([file], len(file))
    keys = web.import_account(account.did, PASSPHRASE, made.keys, revoked=[])
    return AccountImport.objects.create(
        account=account, file_name=path.name, import_key=keys.import_key, total=total
    )


def what_it_waits_for(account: Account) -> str:
    """What the page of a running import says of that; nothing while it goes on."""
    page = html_of(browser_of(account), "/devices/import/")
    assert "Your messages are coming in" in page
    notice = re.search(r'<div class="notice">(.+?)</div>\s*</section>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", notice[1]).split()) if notice else ""


def written(account: Account, text: str) -> Message:
    return outgoing.send(account, [BOB], text, str(uuid4()))


def test_what_fits_comes_in(alice: Account, settings: Settings) -> None:
    written(alice, "fits")
    choice = {"kind": "receipts", "conversation": "", "status": "read", "tells": True}
    row = taken_in(alice, settings, choice)
    assert (row.state, row.done) == (AccountImport.State.DONE, 1)
    assert Message.objects.get().conversation.participants == [alice.did, BOB]
    assert ReceiptChoice.objects.exists()


def test_it_waits_while_the_keys_are_locked_and_goes_on_when_they_are_not(
    alice: Account, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(alice, "fits")
    row = begun(alice, settings)
    AccountImport.objects.update(updated_at=timezone.now() - timedelta(hours=1))
    given: list[tuple[str, int]] = []
    monkeypatch.setattr(queues, "give", lambda task, key, **_: given.append((task, key)))
    web, again = as_web(settings), (queues.TAKE_IN, row.pk)
    lock_account(alice, web)
    tasks.reconcile()
    assert again in given
    assert what_it_waits_for(alice) == ""
    tasks.take_in(row.pk)
    assert what_it_waits_for(alice) == (
        "It waits, because your keys are locked. It goes on once you unlock them. Unlock"
    )
    # The agent notes each question that it refuses, so it is not asked again and again.
    AccountImport.objects.update(updated_at=timezone.now() - timedelta(hours=1))
    given.clear()
    tasks.reconcile()
    assert again not in given
    web.unlock(alice.did, Passphrase(WORDS), lifetime_s=60)
    try:
        unlocking.note_unlocked(alice)
        waiting._enqueue(alice.pk)
        assert again in given
        tasks.take_in(row.pk)
    finally:
        web.make_managed(alice.did, Passphrase(WORDS))
    row.refresh_from_db()
    assert (row.state, row.done) == (AccountImport.State.DONE, 1)


@pytest.mark.parametrize("name", ["did:plc:" + "x" * 4000, "no DID", "did:plc:bob\x01"])
def test_a_name_too_long_for_its_column_ends_the_import_and_leaves_nothing_of_its_batch(
    alice: Account, settings: Settings, name: str
) -> None:
    written(alice, "fits")
    message = written(alice, "does not")
    Conversation.objects.filter(pk=message.conversation_id).update(participants=[alice.did, name])
    row = taken_in(alice, settings)
    assert (row.state, row.failure_code) == (AccountImport.State.FAILED, "changed")
    assert not Message.objects.exists()
    assert not Conversation.objects.exists()
    page = html_of(browser_of(alice), "/devices/import/")
    assert "Something in the file cannot be taken in" in page


@pytest.mark.skipif(connection.vendor != "postgresql", reason="other databases keep it")
def test_what_the_database_refuses_ends_the_import_and_leaves_nothing_of_its_part(
    alice: Account, settings: Settings
) -> None:
    draft = {"kind": "draft", "id": "a" * 32, "text": "words", "conversation": "", "people": [BOB]}
    choice = {"kind": "receipts", "conversation": "\x00", "status": "read", "tells": True}
    row = taken_in(alice, settings, draft, choice)
    assert (row.state, row.failure_code) == (AccountImport.State.FAILED, "changed")
    assert not Draft.objects.exists()


def test_what_fits_nowhere_is_left_out_and_said_so(alice: Account, settings: Settings) -> None:
    at = "0001-01-01T00:00:00+14:00"
    person = {"kind": "person", "did": BOB, "standing": "blocked", "since": at}
    draft = {"kind": "draft", "id": "a" * 32, "text": "words", "conversation": "", "people": [BOB]}
    written(alice, "fits")
    row = taken_in(alice, settings, person, draft, {**draft, "id": "b" * 32, "text": "w" * 300_000})
    assert (row.state, row.done, row.left_out) == (AccountImport.State.DONE, 1, 2)
    assert Draft.objects.get().draft_id == "a" * 32
    page = html_of(browser_of(alice), "/devices/import/")
    assert "2 settings, answers or drafts of the file do not fit here. They were left out." in page


@pytest.mark.parametrize(
    "endpoints", [["x" * 4000], ["https://a.test/\x00"], ["https://a.test"] * 101, {}, [1]]
)
def test_addresses_that_are_none_are_refused_before_anything_is_taken_in(endpoints: object) -> None:
    with pytest.raises(ExportFileError) as refused:
        account_import._endpoints(json.dumps({"endpoints": endpoints}).encode())
    assert refused.value.code == "changed"


def test_what_is_to_disappear_still_does_once_it_is_sent_from_here(
    alice: Account, settings: Settings
) -> None:
    for recipient in (BOB, alice.did):
        outgoing.send(alice, [recipient], "for an hour", str(uuid4()), expires=Expires(True, 3600))
    ends = Message.objects.get(deliveries=None).expires_at
    assert ends is not None
    taken_in(alice, settings)
    note = Message.objects.get(deliveries=None)
    assert (note.expires_after, note.expires_at) == (3600, ends)
    sent = Message.objects.exclude(pk=note.pk).get()
    assert (sent.expires_after, sent.expires_at) == (3600, None)
    now = timezone.now()
    disappearing.begin_sent(sent, now)
    sent.refresh_from_db()
    assert sent.expires_at == now + timedelta(hours=1)


@pytest.mark.parametrize("wrong", [-1, 2**31, True, "3600", 1.5, None])
def test_seconds_that_no_column_takes_are_refused(wrong: object) -> None:
    assert seconds_in(2**31 - 1) == 2**31 - 1
    with pytest.raises(ValueError, match="no seconds"):
        seconds_in(wrong)
