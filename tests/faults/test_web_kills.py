"""The web process is killed while others hand in envelopes: whatever it confirmed is in the mailbox."""

import base64
import os
import random
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from crypto_agent.atsms import envelope
from tests.services.inhabited import Inhabited
from tests.services.installations import wait_until
from webmail.mailbox.envelope_mail import envelope_in_mail

KILLS = 6
SEED = int(os.environ.get("KILLS_SEED", time.time_ns() % 2**32))


def test_what_was_answered_is_stored_and_what_was_repeated_is_stored_once(in_use: Inhabited) -> None:
    print(f"KILLS_SEED={SEED}")  # noqa: T201
    chance = random.Random(SEED)
    running, carol = in_use.running, in_use.people["carol"]
    nobody = X25519PrivateKey.generate().public_key().public_bytes_raw()
    confirmed: list[str] = []
    ended, given_up = threading.Event(), time.monotonic() + 180

    def hand_in() -> None:
        """One envelope after the other, each until it is confirmed."""
        while not ended.is_set():
            sealed = envelope.seal(1, os.urandom(32), nobody)
            body = {"envelope": base64.b64encode(sealed).decode()}
            while time.monotonic() < given_up:
                try:
                    answer = httpx.post(f"{running.url}/inbox/{carol.did}", json=body, timeout=20)
                except httpx.HTTPError:
                    time.sleep(0.05)
                    continue
                if answer.status_code == 200:
                    confirmed.append(answer.json()["envelopeId"])
                    break
            time.sleep(0.2)

    with ThreadPoolExecutor(3) as threads:
        others = [threads.submit(hand_in) for _each in range(3)]
        try:
            for _kill in range(KILLS):
                before = len(confirmed)
                wait_until(lambda before=before: len(confirmed) > before + 2)
                time.sleep(chance.uniform(0, 0.3))
                running.kill("web")
                running.start("web")
        finally:
            ended.set()
        for other in others:
            other.result(timeout=60)

    assert len(confirmed) > KILLS
    wait_until(lambda: running.mails(carol.did, "INBOX") == [], 60)
    stored = Counter(
        found.envelope_id
        for mail in running.mails(carol.did, "Quarantine")
        if (found := envelope_in_mail(mail))
    )
    assert stored == Counter(confirmed)
    page = carol.get("/kept-aside/")
    listed = Counter(re.findall(r"envelope  sha256 ([0-9a-f]{64})", page))
    assert listed
    assert set(listed.values()) == {1}
