"""People who have been writing to each other for a while, so that every page has something to show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import httpx

from demo.local_network import NetworkInfo
from tests.services.installations import RunningInstallation, wait_until
from tests.services.windows import Window

VECTORS = Path(__file__).parent.parent / "vectors" / "oneshot-reference.json"

WITH_BOB = (
    ("alice", "Are you still up for Sunday? The forecast turned out better than I feared."),
    ("bob", "Yes! Sun until four, then clouds."),
    ("bob", "Shall we take the early train? The path along the river is lovely before everyone is there."),
    ("alice", "7:52 from the main station. I'll bring the thermos.\nThe whole way is here:"),
    ("alice", "https://walks.example/river-path?from=weir"),
    ("bob", "🎉"),
    ("bob", "Perfect. I'll look after bread and cheese, and the good apples if the market still has them."),
    ("alice", "Then all that's missing is the dog."),
)
WITH_BOTH = (
    ("alice", "Supper on Friday, at my place? Seven or so."),
    ("carol", "Count me in. I bring bread."),
    ("bob", "And I the soup. It is last year's pumpkin, so it had better be eaten."),
)
WITH_CAROL = (("carol", "The book is finished. You were right about the ending."), ("alice", "I told you!"))
AFTER_REVOKING = "Can I pass it on to Bob when we meet?"


@dataclass(frozen=True)
class Seeded:
    """The paths of the conversations."""

    with_bob: str
    with_both: str
    #: Its last message was not delivered.
    with_carol: str


def seed(installation: RunningInstallation, network: NetworkInfo) -> Seeded:
    """Conversations and troubles. Alice's pages are the ones to look at afterwards."""
    seeded = seed_conversations(installation, network)
    seed_troubles(installation, network, seeded)
    return seeded


def seed_conversations(installation: RunningInstallation, network: NetworkInfo) -> Seeded:
    """Everybody has signed in and published before."""
    windows = _windows(installation, network)
    return Seeded(
        with_carol=_write(windows, ("alice", "carol"), WITH_CAROL),
        with_both=_write(windows, ("alice", "bob", "carol"), WITH_BOTH),
        with_bob=_write(windows, ("alice", "bob"), WITH_BOB),
    )


def seed_troubles(installation: RunningInstallation, network: NetworkInfo, seeded: Seeded) -> None:
    """A message that was not delivered, and one that could not be opened."""
    windows = _windows(installation, network)
    _fail_to_deliver(installation, windows, seeded.with_carol)
    _keep_something_aside(installation, windows["alice"])


def _windows(installation: RunningInstallation, network: NetworkInfo) -> dict[str, Window]:
    windows = {name: Window(installation.url, account) for name, account in network.accounts.items()}
    for window in windows.values():
        window.sign_in()
    return windows


def _write(windows: dict[str, Window], people: tuple[str, ...], said: tuple[tuple[str, str], ...]) -> str:
    """What was said in turn, each once everybody has what came before."""
    first_writer, first = said[0]
    others = [windows[name].did for name in people if name != first_writer]
    path = windows[first_writer].write(others, first)
    _everybody_has(windows, people, path, first)
    for writer, text in said[1:]:
        windows[writer].reply(path, text)
        _everybody_has(windows, people, path, text)
    return path


def _everybody_has(windows: dict[str, Window], people: tuple[str, ...], path: str, text: str) -> None:
    for name in people:
        wait_until(lambda name=name: _has(windows[name], path, text), 60)


def _has(window: Window, path: str, text: str) -> bool:
    return path in window.rows() and text in window.texts(path)


def _fail_to_deliver(installation: RunningInstallation, windows: dict[str, Window], path: str) -> None:
    """Carol has no device for a moment."""
    windows["carol"].revoke_device()
    installation.a_day_passes()
    windows["alice"].reply(path, AFTER_REVOKING)
    wait_until(lambda: "Not delivered" in windows["alice"].rows()[path], 60)
    windows["carol"].enrol()
    installation.a_day_passes()


def _keep_something_aside(installation: RunningInstallation, alice: Window) -> None:
    """An envelope that was sealed to somebody else."""
    envelope = json.loads(VECTORS.read_text())["cases"][0]["envelopeB64"]
    answer = httpx.post(f"{installation.url}/inbox/{alice.did}", json={"envelope": envelope}, timeout=20)
    answer.raise_for_status()
    wait_until(lambda: "None of your keys opens it" in alice.words("/kept-aside/"), 60)
