"""What rests here moves on to the newest data key; former ones are destroyed once nothing needs them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import override_settings
from django.utils import timezone

from accounts.agent import agent, kept_client
from accounts.models import Account
from crypto_agent.client import FormerDataKeys, FormerDataKeysPage, RestingItem, SealedContent
from tests.services.agent import AgentProcess
from tests.webmail.installation import new_account, peer, received
from webmail import drafts, former_data_keys, tasks
from webmail.draft_content import DraftContent
from webmail.draft_places import DraftOnPage, DraftPlace
from webmail.models import AccountImport, Blob, Draft, Message, PendingMessage

NEWEST = 2


@pytest.fixture
def alice(db: None, agent_process: AgentProcess, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Somebody with everything that rests here, and a data key that was followed by another a while ago."""
    begun = tasks.leave_former_data_keys
    monkeypatch.setattr(begun, "delay", begun.run)
    account, bob = new_account("alice"), peer("bob").did
    message = received(account, bob, "kept in the database")
    composed = agent().compose(account.did, [bob], "not sent yet", created_at=timezone.now())
    draft = drafts.new_id()
    for text in ("one", "two"):
        content = DraftContent(text, people=("did:plc:x",))
        on_page = DraftOnPage(DraftPlace(draft_id=draft), str(uuid4()))
        drafts.keep(account, on_page, content, now=timezone.now())
    PendingMessage.objects.create(
        account=account,
        conversation=message.conversation,
        kind=PendingMessage.Kind.SCHEDULED,
        release_at=timezone.now() + timedelta(days=300),
        message_id=composed.message_id,
        content_created_at=composed.created_at,
        sealed=composed.sealed,
        draft_id="00" * 16,
        draft=agent().seal_draft(account.did, "00" * 16, b"as it was written"),
        token=str(uuid4()),
    )
    expires_at = timezone.now() + timedelta(days=1)
    blob = Blob.objects.create(account=account, secret="s", size=19, expires_at=expires_at)
    file = agent().encrypt_file(account.did, str(blob.pk), "a.txt", "text/plain", 3, [b"abc"], lambda _: None)
    Blob.objects.filter(pk=blob.pk).update(sealed=file.sealed)
    assert agent().rotate_data_key(account.did) == NEWEST
    with _keys_of(agent_process) as database:
        database.execute(
            "UPDATE crypto_agent_datakey SET created_at = ? WHERE account_id ="
            " (SELECT id FROM crypto_agent_account WHERE did = ?)",
            (str((timezone.now() - timedelta(days=38)).replace(tzinfo=None)), account.did),
        )
    return account


@contextmanager
def _keys_of(process: AgentProcess) -> Iterator[sqlite3.Connection]:
    path = Path(process.spec.environment["WAXWING_AGENT_DATABASE_URL"].removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path, timeout=20)) as database, database:
        yield database


def _versions(process: AgentProcess, account: Account) -> list[int]:
    with _keys_of(process) as database:
        rows = database.execute(
            "SELECT version FROM crypto_agent_datakey k JOIN crypto_agent_account a ON a.id = account_id"
            " WHERE did = ? ORDER BY version",
            (account.did,),
        ).fetchall()
    return [version for (version,) in rows]


@contextmanager
def _in_a_worker() -> Iterator[None]:
    with override_settings(AGENT_CALLER="worker"):
        kept_client.cache_clear()
        yield
    kept_client.cache_clear()


def _round() -> None:
    with _in_a_worker():
        tasks.leave_all_former_data_keys()


def _check_that_all_opens(account: Account) -> None:
    message, pending = Message.objects.get(account=account), PendingMessage.objects.get(account=account)
    for row, text in ((message, "kept in the database"), (pending, "not sent yet")):
        content = SealedContent(row.conversation.conversation_id, row.message_id, bytes(row.sealed))
        assert agent().read(account.did, [content])[0].text == text
    draft = Draft.objects.get(account=account)
    blobs = [(draft.draft_id, bytes(draft.sealed)), (draft.draft_id, bytes(draft.overtaken))]
    blobs.append((pending.draft_id, bytes(pending.draft)))
    assert None not in agent().open_drafts(account.did, blobs)
    blob = Blob.objects.get(account=account)
    file = RestingItem("file", bytes(blob.sealed), file_id=str(blob.pk))
    with _in_a_worker():
        assert agent().seal_again(account.did, [file]) != [None]


def test_what_rests_moves_on_and_the_former_key_is_destroyed_a_round_later(
    alice: Account, agent_process: AgentProcess
) -> None:
    _round()
    _check_that_all_opens(alice)
    assert _versions(agent_process, alice) == [1, NEWEST]
    _round()
    assert _versions(agent_process, alice) == [NEWEST]
    _check_that_all_opens(alice)
    with _in_a_worker():
        assert list(former_data_keys.due()) == []


def test_all_accounts_are_asked_for_page_by_page(alice: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = new_account("bob")
    pages = {
        None: FormerDataKeysPage([FormerDataKeys("did:plc:stuck", 2), FormerDataKeys(bob.did, 3)], "7"),
        "7": FormerDataKeysPage([FormerDataKeys(alice.did, NEWEST)], None),
    }
    asked = type("Asked", (), {"former_data_keys": lambda _self, cursor=None: pages[cursor]})
    monkeypatch.setattr(former_data_keys, "agent", asked)
    assert list(former_data_keys.due()) == [(bob.pk, 3), (alice.pk, NEWEST)]


def test_what_waits_for_its_own_end_keeps_the_key(alice: Account, agent_process: AgentProcess) -> None:
    key = (1).to_bytes(4, "big") + bytes(40)
    running = AccountImport.objects.create(account=alice, file_name="x", import_key=key, total=1)
    for _ in range(3):
        _round()
    assert _versions(agent_process, alice) == [1, NEWEST]
    AccountImport.objects.filter(pk=running.pk).update(state=AccountImport.State.DONE)
    _round()
    assert _versions(agent_process, alice) == [NEWEST]


def test_what_does_not_open_keeps_the_key_and_ends_no_round(
    alice: Account, agent_process: AgentProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former_data_keys, "BATCH", 1)
    monkeypatch.setattr(former_data_keys, "MOST_BATCHES", 2)
    message = Message.objects.get(account=alice)
    damaged = bytes(message.sealed)[:-1] + b"?"
    Message.objects.filter(pk=message.pk).update(sealed=damaged)
    for _ in range(3):
        _round()
    assert _versions(agent_process, alice) == [1, NEWEST]
    assert bytes(Message.objects.get(pk=message.pk).sealed) == damaged
    assert bytes(Draft.objects.get(account=alice).sealed)[1:5] == NEWEST.to_bytes(4, "big")


def test_what_lies_behind_much_that_does_not_open_moves_on_in_the_same_round(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former_data_keys, "BATCH", 1)
    monkeypatch.setattr(former_data_keys, "MOST_BATCHES", 2)
    message = Message.objects.get(account=alice)
    sealed, opens = bytes(message.sealed), message.message_id
    Message.objects.filter(pk=message.pk).delete()
    for number in range(5):
        message.pk, message.message_id, message.sealed = None, f"{number:064x}", sealed[:-1] + b"?"
        message.save(force_insert=True)
    message.pk, message.message_id, message.sealed = None, opens, sealed
    message.save(force_insert=True)
    _round()
    rows = Message.objects.filter(account=alice).order_by("pk")
    versions = [bytes(row.sealed)[2:6] for row in rows]
    assert versions == [(1).to_bytes(4, "big")] * 5 + [NEWEST.to_bytes(4, "big")]
    assert bytes(Blob.objects.get(account=alice).sealed)[1:5] == NEWEST.to_bytes(4, "big")


def test_what_somebody_writes_meanwhile_is_not_overwritten(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = former_data_keys._file

    def written_over(row: Blob, sealed: bytes) -> RestingItem:
        Blob.objects.filter(pk=row.pk).update(sealed=b"another")
        return item(row, sealed)

    holders = [
        former_data_keys._Holder(holder.rows, holder.column, holder.at, written_over)
        for holder in former_data_keys._HOLDERS
        if holder.item is item
    ]
    monkeypatch.setattr(former_data_keys, "_HOLDERS", holders)
    _round()
    assert bytes(Blob.objects.get(account=alice).sealed) == b"another"
