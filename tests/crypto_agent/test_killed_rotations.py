"""Prekeys, data keys and the operator's key are replaced by what is killed fifty times: nothing is lost."""
# ruff: noqa: S608 (nobody but a test gives the queries their names)

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from crypto_agent.client import IndexItem, SealedContent
from crypto_agent.custody import AccountKeys, unwrap_account_keys
from crypto_agent.operator_keys.key_file import read_key_file
from crypto_agent.prekey_secrets import prekey_contexts
from crypto_agent.purposes import Purpose
from tests.crypto_agent.killing import KILLS, killer
from tests.crypto_agent.people import BOB, WRITTEN_AT
from tests.crypto_agent.persons import new_person
from tests.crypto_agent.running_agent import Agent
from tests.faults.secret_search import keys_of_agent

PEOPLE = 3
#: Each in a segment of its own; more than go into one transaction.
TEXTS = 12


def _keys(agent: Agent) -> dict[str, bytes]:
    """Every private key that the agent holds; all of them open."""
    return keys_of_agent(agent.database, agent.operator_key)


def _account_keys(agent: Agent, did: str) -> AccountKeys:
    rows = agent.execute(
        "SELECT version, wrapped, k.key_version FROM crypto_agent_datakey k"
        f" JOIN crypto_agent_account a ON a.id = account_id WHERE did = '{did}'"
    )
    return unwrap_account_keys(did, rows, read_key_file(agent.operator_key))


@pytest.fixture
def people(own_agent: Agent) -> dict[str, SealedContent]:
    """People whose messages are indexed, and a message of each; the agent does not run."""
    web, worker = own_agent.client(), own_agent.client("worker")
    people = {}
    for _ in range(PEOPLE):
        did = new_person(own_agent)
        for minute in range(TEXTS):
            at = WRITTEN_AT + timedelta(minutes=minute)
            people[did] = web.compose(did, [BOB], f"word {minute}", created_at=at).content
            worker.index_messages(did, [IndexItem(people[did], did, at)])
    own_agent.running.stop()
    return people


def test_prekeys(own_agent: Agent, people: dict[str, SealedContent]) -> None:
    agent, newest = own_agent, [0] * PEOPLE
    with killer(agent, "rotate_prekeys") as kill:
        done = sum(kill() for _ in range(KILLS) if _prekeys_are_whole(agent, newest))
    assert _prekeys_are_whole(agent, newest)
    # What was done and what stands there differ by what was killed before it could tell.
    assert done <= sum(newest) - PEOPLE <= done + KILLS
    agent.start()
    web = agent.client()
    for did in people:
        (device,) = web.list_devices(did)
        again = web.rotate_prekey(did, device.fingerprint, force=True)
        assert again.prekey is not None
    assert agent.command("verify_audit").returncode == 0


def _prekeys_are_whole(agent: Agent, newest: list[int]) -> bool:
    """Each device has its newest prekey and the one before; their secrets are those that it shows."""
    rows = agent.execute(
        "SELECT did, fingerprint, generation, signed_prekey, wrapped_secret, p.key_version"
        " FROM crypto_agent_prekeysecret p JOIN crypto_agent_devicekey d ON d.id = device_id"
        " JOIN crypto_agent_account a ON a.id = account_id ORDER BY did, generation"
    )
    generations: dict[str, list[int]] = {}
    for did, fingerprint, generation, public, wrapped, version in rows:
        context, _ = prekey_contexts(Purpose.PREKEY_SECRET, did, fingerprint, generation)
        secret = _account_keys(agent, did).decrypt(context, wrapped, version)
        assert X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw() == public
        generations.setdefault(did, []).append(generation)
    now = [max(each) for each in generations.values()]
    assert all(each == list(range(max(1, max(each) - 1), max(each) + 1)) for each in generations.values())
    assert all(before <= after for before, after in zip(newest, now, strict=True))
    newest[:] = now
    return True


def test_data_keys(own_agent: Agent, people: dict[str, SealedContent]) -> None:
    agent, held = own_agent, _keys(own_agent)
    # Among the steps of a run are the batches of those whose keys a run before has replaced.
    with killer(agent, "rotate_data_keys", steps=4) as kill:
        for _ in range(KILLS):
            assert kill() > 0
            now = _keys(agent)
            assert held.items() <= now.items()
            held = now
    # Each run began with a new key, however slow it was.
    assert sum(name.startswith("data key ") for name in held) >= PEOPLE + KILLS
    assert agent.execute("SELECT max(key_version) FROM crypto_agent_searchsegment")[0][0] > 1
    agent.command("rotate_data_keys").check_returncode()
    behind = (
        "SELECT count(*) FROM crypto_agent_searchsegment s WHERE key_version <"
        " (SELECT max(version) FROM crypto_agent_datakey k WHERE k.account_id = s.account_id)"
    )
    assert agent.execute(behind)[0][0] == 0
    agent.start()
    web = agent.client()
    for did, message in people.items():
        assert web.read(did, [message])[0].text == f"word {TEXTS - 1}"
        assert len(web.search(did, "word").found) == TEXTS
    assert agent.command("verify_audit").returncode == 0


def test_the_operators_key(own_agent: Agent, people: dict[str, SealedContent]) -> None:
    agent, held = own_agent, _keys(own_agent)
    del held["the operator's key"]
    lines: list[str] = [f"1 {agent.operator_key.read_text().strip()}"]
    with killer(agent, "make_operator_keys") as kill:
        for _ in range(KILLS):
            made = len(lines) + kill()
            # Every version that was told of is there, and each is what it was.
            now = agent.operator_key.read_text().splitlines()
            assert now[: len(lines)] == lines
            assert made <= len(now) <= made + 1
            lines = now
    entries = "SELECT count(*) FROM crypto_agent_auditentry WHERE purpose = 'makeOperatorKey'"
    assert agent.execute(entries)[0][0] >= len(lines) - 1, "a version was made that is not on record"
    assert agent.command("make_operator_key", "--next").returncode == 0
    agent.command("rewrap").check_returncode()
    assert [row[0] for row in agent.execute("SELECT DISTINCT key_version FROM crypto_agent_datakey")] == [
        len(lines) + 1
    ]
    # The first run after the last kill made way for what a killed one had left beside the file.
    assert [path.name for path in agent.directory.glob("operator.key*")] == ["operator.key"]
    agent.start()
    for did, message in people.items():
        assert agent.client().read(did, [message])[0].text == f"word {TEXTS - 1}"
