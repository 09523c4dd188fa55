"""An installation whose agent started without its operator's key: its pages say so, and nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx

from tests.installations.conftest import World
from tests.installations.test_two_installations import shows
from tests.services.installations import RunningInstallation, wait_until
from tests.services.windows import Window, words

SAID_BY_PAGES = "The key agent of this server is locked: its operator has to give it its key. Nothing is lost"
SAID_OF_A_STEP = "The key agent is locked: its operator has to give it its key."
WRITTEN = ("written before", "answered before", "in the file", "half a draft", "for tomorrow")


@dataclass
class Before:
    """What was there when the agent was still open."""

    conversation: str
    message: str
    file: str


@contextmanager
def without_its_key(running: RunningInstallation) -> Iterator[None]:
    """The agent starts anew while the key is elsewhere; in the end it is back, without another start."""
    key = running.installation.directory / "agent" / "operator-key"
    elsewhere = key.with_name("kept-elsewhere")
    running.stop("agent")
    key.rename(elsewhere)
    running.start("agent")
    try:
        yield
    finally:
        elsewhere.rename(key)


def test_pages_say_it_writing_is_refused_and_mail_waits_until_the_key_is_there(world: World) -> None:
    alice, bob = world.alice, world.bob
    before = _written(alice, bob)
    with without_its_key(world.alices):
        _pages_say_it(alice, before)
        assert _readiness(world.alices) == (503, "sealed")
        _nothing_is_sent(alice, bob, before)
        bob.reply(before.conversation, "sent meanwhile")
        wait_until(lambda: bob.thread(before.conversation)[-1].state.partition(" ")[2].startswith("Their"))
        wait_until(lambda: len(world.alices.mails(alice.did, "INBOX")) == 1)
        assert "sent meanwhile" not in alice.words(before.conversation)
    wait_until(lambda: shows(alice, before.conversation, "sent meanwhile"), 60)
    assert _readiness(world.alices) == (200, "ready")
    texts = alice.texts(before.conversation)
    assert [text for text in texts if text] == [*WRITTEN[:2], "with a file", "sent meanwhile", WRITTEN[4]]
    assert "half a draft" in alice.get(before.conversation)
    assert alice.client.get(before.file).content == b"in the file"
    assert "for tomorrow" in alice.words("/scheduled/")
    for folder in ("INBOX", "Quarantine"):
        assert world.alices.mails(alice.did, folder) == []
    assert not [text for text in bob.texts(before.conversation) if "typed" in text]
    assert SAID_BY_PAGES not in alice.words("/")


def _written(alice: Window, bob: Window) -> Before:
    conversation = alice.write([bob.did], WRITTEN[0])
    wait_until(lambda: shows(bob, conversation, WRITTEN[0]))
    bob.reply(conversation, WRITTEN[1])
    wait_until(lambda: shows(alice, conversation, WRITTEN[1]))
    message = alice.thread(conversation)[0].id
    alice.attach(conversation, "with a file", ("a.txt", b"in the file", "text/plain"))
    (file,) = set(re.findall(r'href="(/m/[0-9a-f]+/files/\d+/)', alice.get(conversation)))
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later: dict[str, str | list[str]] = {"text": WRITTEN[4], "token": str(uuid4()), "at": tomorrow}
    assert alice.post(f"{conversation}send/", later, form_at=conversation).status_code == 302
    kept = alice.post(f"{conversation}draft/keep/", {"text": WRITTEN[3]}, form_at=conversation)
    assert kept.status_code == 200
    return Before(conversation, message, file)


def _pages_say_it(alice: Window, before: Before) -> None:
    for path in ("/", before.conversation, f"/m/{before.message}/", "/scheduled/"):
        page = alice.words(path)
        assert SAID_BY_PAGES in page, path
        assert "could not be opened" not in page, path
        assert not [text for text in WRITTEN if text in page], path
    for path in ("/devices/keys/", "/devices/uses/", "/unlock/", before.file):
        answer = alice.client.get(path)
        assert answer.status_code == 503, path
        assert SAID_OF_A_STEP in words(answer.text), path
    for path in ("/new/", "/devices/", "/devices/export/", "/kept-aside/", "/requests/"):
        assert alice.client.get(path).status_code == 200, path
    found = alice.post("/search/", {"q": "before"}, form_at="/")
    assert SAID_BY_PAGES in words(found.text)


def _nothing_is_sent(alice: Window, bob: Window, before: Before) -> None:
    """What was typed stays in the field of the page that says no."""
    field = re.compile(r"<textarea[^>]*>\s*typed meanwhile</textarea>")
    typed: dict[str, str | list[str]] = {"text": "typed meanwhile", "token": str(uuid4())}
    place = f"{before.conversation}send/"
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', alice.get(before.conversation))
    assert token
    refused = [
        alice.post(place, typed, form_at=before.conversation),
        alice.post("/new/", {**typed, "to": [bob.did], "do": "send"}),
        alice.client.post(
            place,
            data={"csrfmiddlewaretoken": token[1], **typed},
            files=[("files", ("b.txt", b"typed elsewhere", "text/plain"))],
        ),
    ]
    for answer in refused:
        assert answer.status_code == 422
        assert SAID_OF_A_STEP in words(answer.text)
        assert field.search(answer.text)
    keeping = alice.post(f"{before.conversation}draft/keep/", {**typed}, form_at=before.conversation)
    assert keeping.status_code == 503
    assert keeping.json()["code"] == "agent-sealed"
    assert "waits for its operator's key" in keeping.json()["error"]


def _readiness(running: RunningInstallation) -> tuple[int, str]:
    """What monitoring is told, and of the agent."""
    answer = httpx.get(f"{running.url}/readyz")
    (agent,) = (part for part in answer.json()["parts"] if part["name"] == "agent")
    return answer.status_code, agent["state"]
