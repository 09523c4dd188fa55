"""What is kept ready for signing: used only for the rows that are there now, and gone when these go."""

from collections.abc import Callable

import pytest

from crypto_agent.client import AgentRefused
from crypto_agent.signing_keys import Ready, Rows, SigningKeys
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT
from tests.crypto_agent.persons import PASSPHRASE, new_person
from tests.crypto_agent.running_agent import Agent

ROW = (1, 1, b"wrapped", 1, "", "ab" * 32, b"certificate", b"key", 1)
ROWS = [ROW]
READY = Ready({}, frozenset({1}), None)


@pytest.mark.parametrize(
    "other",
    [
        [],
        [ROW, ROW],
        [(*ROW[:2], b"another", *ROW[3:])],
        [(*ROW[:3], 2, *ROW[4:])],
        [(*ROW[:4], "lock", *ROW[5:])],
        [(*ROW[:5], "cd" * 32, *ROW[6:])],
        [(*ROW[:6], b"another", *ROW[7:])],
        [(*ROW[:7], b"another", *ROW[8:])],
        [(*ROW[:8], 2)],
    ],
)
def test_keys_are_found_by_exactly_their_rows(other: Rows) -> None:
    keys = SigningKeys()
    keys.keep(ALICE, ROWS, READY, keys.epoch)
    assert keys.find(ALICE, lambda _: list(ROWS)) is READY
    assert keys.find(ALICE, lambda _: other) is None
    assert keys.find(BOB, lambda _: ROWS) is None


def test_what_was_dropped_does_not_come_back_from_an_older_row() -> None:
    keys = SigningKeys()
    epoch = keys.epoch
    keys.keep(ALICE, ROWS, READY, epoch)
    keys.drop(ALICE)
    assert ALICE not in keys
    keys.keep(ALICE, ROWS, READY, epoch)
    assert len(keys) == 0


def test_only_so_many_are_kept() -> None:
    keys = SigningKeys(most_keys=2)
    for did in ("did:plc:one", "did:plc:two", "did:plc:three"):
        keys.keep(did, ROWS, READY, keys.epoch)
    assert [did in keys for did in ("did:plc:one", "did:plc:two", "did:plc:three")] == [False, True, True]


@pytest.mark.parametrize("end", ["revoke", "lock", "erase"])
def test_an_account_that_signed_signs_no_more(agent: Agent, end: str) -> None:
    did, web, worker = new_person(agent), agent.client(), agent.client("worker")
    composed = web.compose(did, [BOB], "Hello", created_at=WRITTEN_AT)
    worker.seal(did, composed.content, [])
    (device,) = web.list_devices(did)

    def lock() -> None:
        web.make_locked(did, PASSPHRASE, lifetime_s=600)
        web.lock_now(did, everywhere=True)

    ends: dict[str, Callable[[], object]] = {
        "revoke": lambda: web.revoke_device(did, device.fingerprint),
        "lock": lock,
        "erase": lambda: web.erase_account(did),
    }
    ends[end]()
    with pytest.raises(Exception, match=r"NoActiveDevice|AccountLocked|NoSuchAccount") as refused:
        worker.seal(did, composed.content, [])
    assert isinstance(refused.value, AgentRefused) or end == "lock"


def test_a_key_that_is_kept_does_not_hide_an_altered_row(own_agent: Agent) -> None:
    did, web, worker = new_person(own_agent), own_agent.client(), own_agent.client("worker")
    composed = web.compose(did, [BOB], "Hello", created_at=WRITTEN_AT)
    worker.seal(did, composed.content, [])
    own_agent.execute("UPDATE crypto_agent_devicekey SET wrapped = CAST(x'00' || substr(wrapped, 2) AS BLOB)")
    with pytest.raises(AgentRefused, match="CannotUnseal"):
        worker.seal(did, composed.content, [])
