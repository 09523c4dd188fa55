"""Searching fifty thousand messages of an account, and the memory of an agent that does so."""

import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench import agent, memory
from bench.figures import interleaved, limit_line, seconds_line
from bench.people import enrolled, now
from crypto_agent import searching, stored_segments
from crypto_agent.atsms.ids import conversation_id
from crypto_agent.client import AgentClient
from crypto_agent.client_values import SearchFilters
from crypto_agent.key_store import account_keys
from crypto_agent.models import Account
from crypto_agent.search_segments import Entry, fill, write
from crypto_agent.search_text import fold

DAVE = "did:plc:davedavedavedavedavedave"
MESSAGES = 50_000
CONVERSATIONS = 200
MOST_SECONDS = 0.3
MOST_MEGABYTES = 150
ROUNDS = 15
#: A word that a few dozen messages have, two words that must both be there, and one in every third message.
QUERIES = ("wxqz", "platform twenty", "train")


def figures(directory: Path) -> Iterator[str]:
    """The slowest of the queries counts; the memory is that of a running agent after all of them."""
    enrolled(DAVE, "dave.test")
    plaintexts = _indexed()
    for query in QUERIES:
        assert searching.search(DAVE, query, SearchFilters(), 20, None).found
    slowest = max(QUERIES, key=_seconds)
    narrowed = SearchFilters(sender_dids=[DAVE], has=["link"], before=now())
    assert searching.search(DAVE, "", narrowed, 20, None).found

    def work() -> None:
        searching.search(DAVE, slowest, SearchFilters(), 20, None)

    medians = interleaved(work, _decrypting_and_finding(plaintexts, slowest), ROUNDS, time.perf_counter)
    yield seconds_line(f"search/{MESSAGES}", medians)
    yield limit_line(f"search/{MESSAGES}/limit", "seconds", medians.work_s, MOST_SECONDS)

    with agent.served(directory) as (url, running):
        web = agent.client(url, "web")
        _search_all(web)
        yield limit_line("memory/search", "megabytes", memory.megabytes(running.pid), MOST_MEGABYTES)
        web.close()


def _seconds(query: str) -> float:
    started = time.perf_counter()
    searching.search(DAVE, query, SearchFilters(), 20, None)
    return time.perf_counter() - started


def _search_all(web: AgentClient) -> None:
    for query in QUERIES * 3:
        assert web.search(DAVE, query).found


def _indexed() -> list[bytes]:
    """Fills the index with made-up messages of 10 to 60 words, and gives back what its segments hold."""
    account, keys = account_keys(DAVE)
    entries = list(_entries())
    stored_segments.add_entries(Account.objects.get(pk=account.pk), keys, entries, now(), os.urandom)
    return [write(run) for run in fill(entries)]


def _entries() -> Iterator[Entry]:
    chance = random.Random(50_000)  # noqa: S311 (the same messages in every run)
    letters = "abcdefghijklmnoprstuvy"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(5000)]
    people = [f"did:plc:{index:024d}" for index in range(CONVERSATIONS)]
    conversations = [conversation_id((DAVE, person)).hex() for person in people]
    begun = now() - timedelta(days=1000)
    for index in range(MESSAGES):
        text = [chance.choice(words) for _ in range(chance.randint(10, 60))]
        text += ["train"] * (index % 3 == 0) + ["wxqz"] * (index % 1000 == 7)
        text += ["platform", "twenty"] * (index % 500 == 0)
        place = chance.randrange(CONVERSATIONS)
        yield Entry(
            message_id=chance.randbytes(32).hex(),
            conversation_id=conversations[place],
            sender_did=people[place] if index % 2 else DAVE,
            sent_ms=int((begun + timedelta(minutes=25 * index)).timestamp() * 1000),
            kinds=index % 4,
            text=fold(" ".join(text)).encode(),
        )


def _decrypting_and_finding(plaintexts: list[bytes], query: str) -> Callable[[], None]:
    """The bare operations: every segment decrypted, and every place of the first word found in it."""
    cipher, nonce = AESGCM(bytes(32)), bytes(12)
    sealed = [cipher.encrypt(nonce, plaintext, b"") for plaintext in plaintexts]
    word = query.split()[0].encode()

    def run() -> None:
        for ciphertext in sealed:
            plaintext = cipher.decrypt(nonce, ciphertext, b"")
            position = plaintext.find(word)
            while position >= 0:
                position = plaintext.find(word, position + 1)

    return run
