"""Real workers: servers of others that are slow keep nobody here waiting."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from celery import Celery
from django.utils import timezone

from accounts import records
from accounts.models import Account
from crypto_agent.atsms import cms, oneshot
from crypto_agent.atsms.content import encode_content, new_content, text_part
from crypto_agent.atsms.prekeys import Prekey
from demo.local_network import NetworkInfo
from tests.environment import RUN
from tests.services.inhabited import Inhabited, inhabited_installation
from tests.services.installations import wait_until
from tests.services.slow_server import slow_server
from tests.services.windows import Window
from tests.webmail.other_client import OtherClient

MESSAGES = 200
#: Each is a host of its own, so that what is known of one says nothing of another.
HOSTS = 20
#: How much longer a message may take while the others come in: the pull before it has 200 to open.
SLOWER_BY_SECONDS = 15.0


@pytest.fixture(scope="module")
def installation() -> Iterator[Inhabited]:
    """alice and bob are signed in."""
    with inhabited_installation(RUN.directory / "queues", "alice", "bob") as installation:
        yield installation


def sealer_for(network: NetworkInfo, reader: str) -> Callable[[str, str], bytes]:
    """Envelopes for the reader's device, as its PDS shows it, from unpublished devices of any DID."""

    def listed(collection: str) -> dict[str, Any]:
        url = f"{network.pds_url}/xrpc/com.atproto.repo.listRecords"
        found = httpx.get(url, params={"repo": reader, "collection": collection}).json()["records"]
        return {entry["uri"].rpartition("/")[2]: entry["value"] for entry in found}

    certificates, prekeys = listed(records.CERTIFICATES), listed(records.PREKEYS)
    ((fingerprint, record),) = certificates.items()
    device = oneshot.Recipient(
        records.read_certificate_record(reader, fingerprint, record).certificate,
        Prekey.from_record(prekeys[fingerprint]),
    )

    def envelope(sender: str, text: str) -> bytes:
        now = timezone.now()
        stranger = OtherClient.of(Account(did=sender, handle="stranger.test"))
        message = new_content(
            sender,
            [reader],
            [text_part(text)],
            salt=os.urandom(16),
            created_at=int(now.timestamp() * 1000),
        )
        signed = cms.sign(encode_content(message), stranger.key, stranger.certificate)
        return oneshot.seal_for_device(signed, device, now=now, random=os.urandom).envelope

    return envelope


def seconds_to_arrive(sender: Window, reader: Window, conversation: str, text: str) -> float:
    started = time.monotonic()
    said = sender.reply(conversation, text)
    wait_until(lambda: any(each.id == said for each in reader.thread(conversation)), 90, every=0.1)
    return time.monotonic() - started


def test_strangers_with_slow_servers_do_not_delay_people_who_know_each_other(
    installation: Inhabited,
) -> None:
    running, network = installation.running, installation.network.info
    alice, bob = installation.people.values()
    conversation = alice.write([bob.did], "hello")
    wait_until(lambda: conversation in bob.rows())
    idle = min(seconds_to_arrive(alice, bob, conversation, f"idle {n}") for n in range(3))
    envelopes_to = sealer_for(network, bob.did)
    with slow_server(20, hosts=HOSTS) as server:
        envelopes = [envelopes_to(server.did(n % HOSTS), f"stranger {n}") for n in range(MESSAGES)]

        def post(envelope: bytes) -> None:
            body = {"envelope": base64.b64encode(envelope).decode()}
            answer = httpx.post(f"{running.url}/inbox/{bob.did}", json=body, timeout=60)
            assert answer.status_code == 200

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(post, envelopes))
        busy = [seconds_to_arrive(alice, bob, conversation, f"busy {n}") for n in range(3)]
        assert max(busy) < idle + SLOWER_BY_SECONDS, (idle, busy)
        # It was a time in which they did ask, and were kept waiting.
        wait_until(lambda: len(server.asked) >= 2)
        stored = "SELECT COUNT(*) FROM webmail_message WHERE trust = ?"
        wait_until(lambda: running.sql(stored, "unchecked")[0][0] == MESSAGES, 60)
        # Far fewer questions than messages: a host that does not answer is left alone.
        assert len(server.asked) < MESSAGES / 4


def test_the_workers_each_have_their_queues(installation: Inhabited) -> None:
    with Celery(broker=installation.running.installation.redis_url) as app:
        taken = app.control.inspect(timeout=5).active_queues() or {}
    assert {
        name.partition("@")[0]: {queue["name"] for queue in queues} for name, queues in taken.items()
    } == {
        "worker": {"interactive", "schedule"},
        "deliveries": {"delivery"},
        "lookups": {"lookups"},
    }
