"""One installation that has seen some use, for the tests that look into it and take it apart."""

from __future__ import annotations

import base64
import smtplib
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from crypto_agent.atsms import envelope
from crypto_agent.atsms.certificates import mailbox_local_part
from tests.environment import RUN
from tests.services.inhabited import Inhabited, inhabited_installation
from tests.services.installations import RunningInstallation, wait_until
from tests.services.windows import Window

#: In no other text, and its last word is long enough to be found in any form.
CANARY = f"the canary sings {uuid4().hex}"


@pytest.fixture(scope="session")
def in_use() -> Iterator[Inhabited]:
    """alice, bob and carol have written to each other in several conversations; bob has mail set aside."""
    with inhabited_installation(RUN.directory / "in-use", "alice", "bob", "carol") as in_use:
        people = in_use.people
        talk(people["alice"], people["bob"], people["carol"])
        set_aside(in_use.running, people["bob"])
        yield in_use


def talk(alice: Window, bob: Window, carol: Window) -> None:
    """A conversation of two, one of three, one of two others, and a note to oneself."""
    pair = alice.write([bob.did], f"{CANARY}\nsecond line \U0001f98a https://example.com/?a=1&b=2")
    wait_until(lambda: pair in bob.rows())
    for number in range(5):
        writer, reader = (bob, alice) if number % 2 else (alice, bob)
        said = writer.reply(pair, f"number {number}")
        wait_until(lambda reader=reader, said=said: any(each.id == said for each in reader.thread(pair)))
    group = carol.write([alice.did, bob.did], "to the two of you")
    for window in (alice, bob):
        wait_until(lambda window=window: group in window.rows())
    bob.reply(group, "from Bob to both")
    for window in (alice, carol):
        wait_until(lambda window=window: "from Bob to both" in window.texts(group))
    between_two = carol.write([alice.did], "between us")
    wait_until(lambda: between_two in alice.rows())
    alice.write([alice.did], "remember the milk")


def set_aside(running: RunningInstallation, bob: Window) -> None:
    """An envelope for a key that nobody has, and a mail that is not sealed."""
    nobody = X25519PrivateKey.generate().public_key().public_bytes_raw()
    body = {"envelope": base64.b64encode(envelope.seal(1, b"nothing", nobody)).decode()}
    assert httpx.post(f"{running.url}/inbox/{bob.did}", json=body).status_code == 200
    with smtplib.SMTP(f"127.0.0.1:{running.installation.ports.ingress}") as mail:
        address = f"{mailbox_local_part(bob.did)}@localhost"
        mail.sendmail("", [address], b"Subject: a plain mail\r\n\r\nhello\r\n")
    wait_until(lambda: "None of your keys opens it" in bob.words("/kept-aside/"))
    wait_until(lambda: "Ordinary mail, not sealed" in bob.words("/kept-aside/"))
