"""Somebody with the agent's whole database, the operator's key file, and this project's code; and patience.

Everything that is bytes in any table is tried: every possible key on every ciphertext, under every context
that the rows have names for. Whatever opens is a key to try in turn, until nothing new opens.
"""
# ruff: noqa: S608 (nobody but a test gives the queries their names)

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto_agent.client import SealedContent
from crypto_agent.content_at_rest import unseal_content
from crypto_agent.custody import AccountKeys, decrypt_with
from crypto_agent.errors import AgentProblem, CannotUnseal
from crypto_agent.lock_key import key_of_passkey, key_of_recovery_code
from crypto_agent.operator_keys.key_file import read_key_file
from crypto_agent.purposes import Context, Purpose
from tests.crypto_agent.running_agent import Agent

KEY_BYTES = 32
#: A nonce, a tag, and something between.
SMALLEST_CIPHERTEXT = 29
VERSIONS = range(1, 4)
MOST_ROUNDS = 5
#: What contexts name beside the account.
NAMES = (
    ("devicekey", "fingerprint"),
    ("archivekey", "generation"),
    ("attestationkey", "did_key"),
    ("locksecret", "secret_id"),
    ("searchsegment", "number"),
)


@dataclass
class Attacker:
    """What was taken, and what came out of it: plaintexts by the purpose that they opened for."""

    agent: Agent
    did: str
    #: Messages at rest, from the web's database.
    messages: list[SealedContent]
    #: Bytes that they know from elsewhere.
    known: frozenset[bytes] = frozenset()
    opened: dict[Purpose, set[bytes]] = field(default_factory=dict)
    read: set[bytes] = field(default_factory=set)

    def run(self) -> None:
        """Tries everything."""
        values = set(self._dump())
        keys = {value for value in values if len(value) == KEY_BYTES}
        ciphertexts = {value for value in values if len(value) >= SMALLEST_CIPHERTEXT}
        unwrapped = set(self._unwrapped_by_operator(ciphertexts))
        keys |= {value for value in unwrapped if len(value) == KEY_BYTES} | self.known
        ciphertexts |= {value for value in unwrapped if len(value) > KEY_BYTES}
        contexts = list(self._contexts())
        tried: set[bytes] = set()
        for _ in range(MOST_ROUNDS):
            fresh = set(self._derived(keys)) - tried
            tried |= fresh
            for key in fresh:
                found = set(self._opened_by(AESGCM(key), ciphertexts, contexts))
                keys |= {value for value in found if len(value) == KEY_BYTES}
                ciphertexts |= {value for value in found if len(value) > KEY_BYTES}
        self._read_messages(tried)

    def _dump(self) -> Iterator[bytes]:
        """All bytes in every table, as far as they are of this account or of nobody's."""
        if "postgres" in self.agent.environment["WAXWING_AGENT_DATABASE_URL"]:
            tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        else:
            tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
        names = [name for (name,) in self.agent.execute(tables)]
        assert "crypto_agent_locksecret" in names
        for name in names:
            # The log has hashes alone; the rows of others only take time.
            if not name.endswith("auditentry"):
                for row in self.agent.execute(f"SELECT * FROM {name}{self._whose(name)}"):
                    yield from (bytes(value) for value in row if isinstance(value, bytes | memoryview))

    def _whose(self, table: str) -> str:
        if table in _OF_ACCOUNTS:
            return f" WHERE account_id = {self._account}"
        devices = f"(SELECT id FROM crypto_agent_devicekey WHERE account_id = {self._account})"
        return f" WHERE device_id IN {devices}" if table == "crypto_agent_prekeysecret" else ""

    @property
    def _account(self) -> int:
        query = f"SELECT id FROM crypto_agent_account WHERE did = '{self.did}'"
        found: int = self.agent.execute(query)[0][0]
        return found

    def _contexts(self) -> Iterator[Context]:
        names = {""}
        for table, column in NAMES:
            query = f"SELECT {column} FROM crypto_agent_{table} WHERE account_id = {self._account}"
            names |= {str(value) for (value,) in self.agent.execute(query)}
        prekeys = (
            "SELECT fingerprint, generation FROM crypto_agent_prekeysecret p JOIN crypto_agent_devicekey d"
            f" ON d.id = device_id WHERE account_id = {self._account}"
        )
        names |= {f"{fingerprint} {generation}" for fingerprint, generation in self.agent.execute(prekeys)}
        for purpose in Purpose:
            for name in names:
                yield Context(purpose, self.did, device=name)

    def _unwrapped_by_operator(self, ciphertexts: set[bytes]) -> Iterator[bytes]:
        operator_key = read_key_file(self.agent.operator_key)
        for ciphertext in ciphertexts:
            for version in operator_key.versions:
                for data_key_version in VERSIONS:
                    with suppress(AgentProblem):
                        yield operator_key.unwrap(ciphertext, self.did, data_key_version, version)

    def _derived(self, keys: set[bytes]) -> Iterator[bytes]:
        """The keys, and what passkeys and recovery codes would make of bytes like these."""
        credentials = self.agent.execute(
            f"SELECT credential_id FROM crypto_agent_passkey WHERE account_id = {self._account}"
        )
        for key in keys:
            yield key
            yield key_of_recovery_code(key, self.did)
            for (credential_id,) in credentials:
                yield key_of_passkey(key, self.did, bytes(credential_id))

    def _opened_by(self, cipher: AESGCM, ciphertexts: set[bytes], contexts: list[Context]) -> Iterator[bytes]:
        for context in contexts:
            for version in VERSIONS:
                for ciphertext in ciphertexts:
                    with suppress(CannotUnseal):
                        plaintext = decrypt_with(cipher, context, version, ciphertext)
                        self.opened.setdefault(context.purpose, set()).add(plaintext)
                        yield plaintext

    def _read_messages(self, keys: set[bytes]) -> None:
        for key in keys:
            for version in VERSIONS:
                account_keys = AccountKeys(self.did, {version: AESGCM(key)})
                for message in self.messages:
                    with suppress(CannotUnseal):
                        self.read.add(unseal_content(account_keys, message).content)


_OF_ACCOUNTS = {
    f"crypto_agent_{name}"
    for name in (
        *("datakey", "accountcustody", "locksecret", "passkey"),
        *("devicekey", "archivekey", "attestationkey", "grant", "searchsegment"),
    )
}
