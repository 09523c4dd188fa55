"""Looking for secrets in everything that an installation keeps or holds, in every form they may have."""

import base64
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote_from_bytes, quote_plus

import psutil
import psycopg
import redis
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from crypto_agent.custody import AccountKeys, unwrap_account_keys
from crypto_agent.operator_keys.key_file import read_key_file
from crypto_agent.prekey_secrets import prekey_contexts
from crypto_agent.purposes import Context, Purpose

LARGE = 4 * 1024 * 1024
#: What memories and files are divided into, in octets, and how many of them no form of a secret exceeds.
PAGE, LONGEST = 4096, 512

#: A name for each secret, and the secret.
Secrets = Mapping[str, bytes]
#: Where it was, and what was there.
Place = tuple[str, bytes]


def forms_of(secret: bytes) -> set[bytes]:
    """The octets, their reverse, hex, as addresses and forms write them, and base64 of both alphabets
    however it is aligned."""
    forms = {secret, secret[::-1], secret.hex().encode(), secret.hex().upper().encode()}
    forms |= {quote_from_bytes(secret).encode(), quote_plus(secret).encode()}
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret)
        # What does not depend on the octets before and after.
        inner = encoded[(offset * 8 + 5) // 6 : len(secret + b"\0" * offset) * 8 // 6]
        forms |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_"), quote_plus(inner).encode()}
    return forms


def distinct(text: str) -> bytes:
    """The last word, which has no space that a form or an address would write in another way."""
    return text.rpartition(" ")[2].encode()


def found(secrets: Secrets, places: Iterable[Place]) -> list[str]:
    """Which secret is where. PEM and other broken lines are searched as one, but not in whole memories."""
    needles = {name: forms_of(secret) for name, secret in secrets.items()}
    assert all(len(form) <= LONGEST for forms in needles.values() for form in forms)
    hits = []
    for where, content in places:
        unbroken = content.replace(b"\r\n", b"").replace(b"\n", b"") if len(content) < LARGE else content
        for text in {content, unbroken}:
            hits += [f"{name} in {where}" for name, forms in needles.items() if any(f in text for f in forms)]
    return sorted(set(hits))


def keys_of_agent(database: Path, operator_key: Path) -> dict[str, bytes]:
    """Every private key that the agent holds, opened with the operator's key by the agent's own code."""
    keys: dict[str, bytes] = {
        "the operator's key": base64.urlsafe_b64decode(operator_key.read_bytes() + b"==")
    }
    operator = read_key_file(operator_key)
    with closing(sqlite3.connect(database)) as agent:
        for account, did in agent.execute("SELECT id, did FROM crypto_agent_account").fetchall():
            rows = agent.execute(
                "SELECT version, wrapped, key_version FROM crypto_agent_datakey WHERE account_id = ?",
                [account],
            ).fetchall()
            for version, wrapped, operator_version in rows:
                keys[f"data key {version} of {did}"] = operator.unwrap(
                    wrapped, did, version, operator_version
                )
            keys |= _keys_of_account(agent, account, unwrap_account_keys(did, rows, operator))
    return keys


def _keys_of_account(agent: sqlite3.Connection, account: int, keys: AccountKeys) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    devices = agent.execute(
        "SELECT id, fingerprint, wrapped, key_version FROM crypto_agent_devicekey"
        " WHERE account_id = ? AND wrapped IS NOT NULL",
        [account],
    ).fetchall()
    for device, fingerprint, wrapped, version in devices:
        context = Context(Purpose.DEVICE_KEY, keys.did, device=fingerprint)
        found[f"device key {fingerprint}"] = _scalar(keys.decrypt(context, wrapped, version))
        prekeys = agent.execute(
            "SELECT generation, wrapped_secret, wrapped_signing_key, key_version"
            " FROM crypto_agent_prekeysecret WHERE device_id = ?",
            [device],
        ).fetchall()
        for generation, secret, signing_key, version in prekeys:
            for purpose, each in (
                (Purpose.PREKEY_SECRET, secret),
                (Purpose.PREKEY_SIGNING_KEY, signing_key),
            ):
                context, _ = prekey_contexts(purpose, keys.did, fingerprint, generation)
                found[f"{purpose} {generation} of {fingerprint}"] = keys.decrypt(context, each, version)
    archive_keys = agent.execute(
        "SELECT generation, wrapped, key_version FROM crypto_agent_archivekey WHERE account_id = ?", [account]
    ).fetchall()
    for generation, wrapped, version in archive_keys:
        context = Context(Purpose.ARCHIVE_KEY, keys.did, device=str(generation))
        found[f"archive key {generation} of {keys.did}"] = keys.decrypt(context, wrapped, version)
    return found


def _scalar(pkcs8: bytes) -> bytes:
    """The 32 octets that are the P-256 key, whatever is written around them."""
    key = load_der_private_key(pkcs8, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    assert scalar in pkcs8
    return scalar


def files_below(directory: Path, *, without: Iterable[Path] = ()) -> Iterator[Place]:
    """Every file, its name included."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not any(path.is_relative_to(other) for other in without):
            # A server that runs may take one away meanwhile.
            with suppress(FileNotFoundError):
                yield str(path), str(path).encode() + b"\n" + path.read_bytes()


def files_of_postgres(database_url: str) -> Iterator[Place]:
    """Everything that the server of a database has on disk, its log beside it included. What several files
    have in common, as each database has the server's own tables, stands in the first of them."""
    with psycopg.connect(database_url, autocommit=True) as postgres:
        postgres.execute("CHECKPOINT")
        row = postgres.execute("SHOW data_directory").fetchone()
    assert row
    seen: set[bytes] = set()
    for where, content in files_below(Path(row[0]).parent):
        # Pages stand at the same places in all files, whose names have several lengths.
        name, written = content[: len(where) + 1], content[len(where) + 1 :]
        yield where, name + not_seen(written, seen)


def columns_of(database_url: str) -> Iterator[Place]:
    """Every value of every table of a SQLite or PostgreSQL database."""
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=20)) as lite:
            tables = lite.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                rows = lite.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608 (names from the database)
                yield f"table {table}", _joined(rows)
        return
    with psycopg.connect(database_url) as postgres:
        tables = postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            rows = postgres.execute(f'SELECT * FROM "{table}"'.encode()).fetchall()  # noqa: S608
            yield f"table {table}", _joined(rows)


def _joined(rows: Iterable[tuple[object, ...]]) -> bytes:
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
    )


def keys_of_redis(url: str) -> Iterator[Place]:
    """Every key of Redis with its value."""
    readers = {
        b"string": lambda client, key: client.get(key),
        b"list": lambda client, key: client.lrange(key, 0, -1),
        b"hash": lambda client, key: client.hgetall(key),
        b"set": lambda client, key: client.smembers(key),
        b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    }
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter():
            kind = client.type(key)
            if kind == b"none":
                # Its time was over since it was found.
                continue
            value = readers[kind](client, key)
            yield (
                f"Redis {key!r}",
                key + b"\n" + (value if isinstance(value, bytes) else repr(value).encode()),
            )


def process_of(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def environments_of(pid: int) -> Iterator[Place]:
    """What a process and its children were started with."""
    for process in process_of(pid):
        root = Path("/proc") / str(process.pid)
        yield f"environment of {process.pid}", (root / "environ").read_bytes()
        yield f"command line of {process.pid}", (root / "cmdline").read_bytes()


def memory_of(pid: int) -> Iterator[Place]:
    """All memory that a process and its children can write to, but what several have in common once. Raises
    PermissionError."""
    seen: set[bytes] = set()
    for process in process_of(pid):
        root = Path("/proc") / str(process.pid)
        regions = [line.split() for line in (root / "maps").read_text().splitlines()]
        with (root / "mem").open("rb", 0) as memory:
            for span, rights, *_rest in regions:
                start, end = (int(edge, 16) for edge in span.split("-"))
                if "rw" in rights:
                    # Some regions of the kernel's own can't be read.
                    with suppress(OSError, ValueError, OverflowError):
                        memory.seek(start)
                        region = os.read(memory.fileno(), end - start)
                        yield f"memory of {process.pid} at {span}", not_seen(region, seen)


def not_seen(memory: bytes, seen: set[bytes]) -> bytes:
    """The parts of a memory or file that stood in none of those before; `seen` remembers its pages too.

    A forked process has most of its parent's. Each page counts together with the octets after it, so that
    nothing that is no longer than those is passed over because it lies across two pages.
    """
    parts: list[bytes] = []
    begin: int | None = None
    for at in range(0, len(memory), PAGE):
        page = blake2b(memory[at : at + PAGE + LONGEST], digest_size=16).digest()
        if page not in seen:
            seen.add(page)
            begin = at if begin is None else begin
        elif begin is not None:
            parts.append(memory[begin : at + LONGEST])
            begin = None
    if begin is not None:
        parts.append(memory[begin:])
    return b"\0".join(parts)
