"""Somebody moves from one installation to the other with everything, and erases what stayed behind."""

from __future__ import annotations

import hashlib
import inspect
import io
import re
import tarfile
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from crypto_agent.account_file import AccountSecrets, open_keys
from tests.crypto_agent import export_reader
from tests.faults.secret_search import columns_of, distinct, files_below, found, keys_of_agent, keys_of_redis
from tests.installations.conftest import World
from tests.services.installations import RunningInstallation, wait_until
from tests.services.repository import Repository
from tests.services.windows import Shown, Window, words

PASSPHRASE = f"the canary's own passphrase {uuid4().hex}"
CANARY = f"the canary sings of leaving {uuid4().hex}"


@dataclass
class Moved:
    """What alice took along, and her window at the new place."""

    file: bytes
    #: Her conversations before, at the old place.
    before: dict[str, list[Shown]]
    fingerprint: str
    there: Window
    with_bob: str
    with_carol: str


def export_of(window: Window, passphrase: str = PASSPHRASE) -> bytes:
    answer = window.post("/devices/export/", {"passphrase": passphrase, "again": passphrase})
    assert answer.status_code == 200, words(answer.text)
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="alice.test-')
    return answer.content


def bring(window: Window, file: bytes, passphrase: str = PASSPHRASE) -> httpx.Response:
    page = window.get("/devices/import/?again")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    return window.client.post(
        "/devices/import/",
        data={"csrfmiddlewaretoken": token[1], "passphrase": passphrase},
        files={"file": ("alice.tar", file, "application/x-tar")},
    )


def compare_with(window: Window, other: Window) -> None:
    """By number, which was the same for both."""
    path = f"/people/{other.did}/compare/"
    shown = re.search(r'name="shown" value="([0-9a-f]{128})"', window.get(path))
    assert shown
    assert window.post(path, {"found": "match", "shown": shown[1]}).status_code == 302


def damaged(file: bytes) -> bytes:
    """The same with one bit changed, far inside."""
    place = len(file) // 3
    return file[:place] + bytes([file[place] ^ 1]) + file[place + 1 :]


def everything_is_here(window: Window) -> bool:
    return "Everything is here" in window.words("/devices/import/")


def said(thread: list[Shown]) -> list[tuple[str, str, bool, str]]:
    return [(one.id, one.text, one.own, one.author) for one in thread]


def secrets_of(file: bytes, did: str) -> AccountSecrets:
    with tarfile.open(fileobj=io.BytesIO(file)) as tar:
        keys = tar.extractfile("keys.cbor")
        assert keys
        return open_keys(did, keys.read(), PASSPHRASE)


@pytest.fixture(scope="module")
def moved(world: World) -> Moved:
    alice, bob, carol = world.alice, world.bob, world.carol
    with_bob = alice.write([bob.did], CANARY)
    wait_until(lambda: with_bob in bob.rows())
    bob.reply(with_bob, "an answer")
    wait_until(lambda: "an answer" in alice.texts(with_bob))
    with_carol = alice.write([carol.did], "to carol")
    wait_until(lambda: "Their server has it" in alice.thread(with_carol)[0].state)
    wait_until(lambda: with_carol in carol.rows())
    carol.reply(with_carol, "not read yet")
    wait_until(lambda: alice.rows()[with_carol].endswith("unread: 1"))
    compare_with(alice, carol)
    alices = world.alices
    wait_until(lambda: not alices.sql("SELECT id FROM webmail_message WHERE archived_at IS NULL"))

    # One message that was opened by nobody yet, and one that was not sealed yet.
    alices.stop("worker", "scheduler")
    bob.reply(with_bob, "still in the inbox")
    wait_until(lambda: len(alices.mails(alice.did, "INBOX")) == 1)
    first = alice.thread(with_bob)[0].id
    alice.reply(with_bob, "not sealed yet", topic=first)
    before = {path: alice.thread(path) for path in (with_bob,)}
    file = export_of(alice)
    fingerprint = alices.sql(
        "SELECT fingerprint FROM accounts_device d JOIN accounts_account a"
        " ON a.id = d.account_id WHERE a.did = ?",
        alice.did,
    )[0][0]

    there = Window(world.bobs.url, alice.account)
    there.sign_in()
    assert "Bring it here" in there.words("/welcome/")
    assert "The passphrase does not open the file" in words(bring(there, file, "another passphrase").text)
    assert "was changed or is damaged" in words(bring(there, damaged(file)).text)
    assert "was cut off" in words(bring(there, file[: len(file) // 2]).text)
    answer = bring(there, file)
    assert answer.status_code == 302, words(answer.text)
    wait_until(lambda: everything_is_here(there))
    return Moved(file, before, fingerprint, there, with_bob, with_carol)


def test_the_old_conversations_are_readable_at_the_new_place(world: World, moved: Moved) -> None:
    there = moved.there
    assert "2 conversations, " in there.words("/devices/import/")
    wait_until(lambda: "still in the inbox" in there.texts(moved.with_bob))
    thread = there.thread(moved.with_bob)
    assert said(thread)[:2] == said(moved.before[moved.with_bob])[:2]
    assert sorted(one.text for one in thread) == sorted(
        [CANARY, "an answer", "not sealed yet", "still in the inbox"]
    )
    # What was not sealed yet belongs to its topic.
    (topic,) = set(re.findall(rf'href="({moved.with_bob}t/[0-9a-f]{{64}}/)"', there.get(moved.with_bob)))
    assert there.texts(topic) == [CANARY, "not sealed yet"]
    # Whom she compared keys with, which no message says.
    assert "they match" in there.words(f"/people/{world.carol.did}/compare/")
    # Read marks, and how far the messages came.
    assert there.rows()[moved.with_carol].endswith("unread: 1")
    assert "Their server has it" in there.thread(moved.with_carol)[0].state
    assert there.texts(moved.with_carol) == ["to carol", "not read yet"]


def test_the_device_is_the_same_and_messages_are_brought_to_the_new_place(world: World, moved: Moved) -> None:
    repository = Repository(world.network.info.pds_url, world.alice.account)
    assert all(uri.startswith((world.bobs.url, "mailto:")) for uri in repository.inbox())
    assert f":{world.bobs.installation.ports.web}/" in str(repository.inbox())
    assert world.alices.url not in str(repository.inbox())
    devices = world.bobs.sql(
        "SELECT fingerprint FROM accounts_device d JOIN accounts_account a ON a.id = d.account_id"
        " WHERE a.did = ? AND revoked_at IS NULL",
        world.alice.did,
    )
    assert [row[0] for row in devices] == [moved.fingerprint]


def test_what_was_never_sealed_goes_out_from_there_and_arrives_once(world: World, moved: Moved) -> None:
    wait_until(lambda: "not sealed yet" in world.bob.texts(moved.with_bob))
    # The old place sends it as well: it is the same message.
    world.alices.start("worker", "scheduler")
    wait_until(lambda: not world.alices.sql("SELECT id FROM webmail_message WHERE state = 'composed'"))
    wait_until(
        lambda: not world.alices.sql("SELECT id FROM webmail_delivery WHERE state IN ('queued', 'sealed')")
    )
    assert world.bob.texts(moved.with_bob).count("not sealed yet") == 1


def test_new_messages_reach_the_new_place_and_are_answered(world: World, moved: Moved) -> None:
    there = moved.there
    world.alices.a_day_passes()
    world.bobs.a_day_passes()
    for window, path in ((world.carol, moved.with_carol), (world.bob, moved.with_bob)):
        window.reply(path, "where are you now?")
        wait_until(lambda path=path: "where are you now?" in there.texts(path))
        there.reply(path, "over there")
        wait_until(lambda window=window, path=path: "over there" in window.texts(path))
        assert "Signed by alice.test" in window.thread(path)[-1].state


def test_bringing_the_same_file_again_changes_nothing(world: World, moved: Moved) -> None:
    there = moved.there
    before = {path: said(thread) for path, thread in there.everything().items()}
    archived = len(world.bobs.mails(there.did, "Archive"))
    assert bring(there, moved.file).status_code == 302
    wait_until(lambda: everything_is_here(there))
    assert {path: said(thread) for path, thread in there.everything().items()} == before
    assert len(world.bobs.mails(there.did, "Archive")) == archived
    assert list_of_files(world.bobs) == []


def list_of_files(running: RunningInstallation) -> list[str]:
    return [path.name for path in (running.installation.directory / "data" / "imports").iterdir()]


def test_neither_text_nor_key_nor_passphrase_is_in_the_file_or_left_anywhere(
    world: World, moved: Moved
) -> None:
    secrets = secrets_of(moved.file, world.alice.did)
    (device,) = secrets.devices
    keys = {
        "the export key": secrets.export_key,
        "the archive key": secrets.archive_keys[0].secret,
        **{f"prekey {each.generation}": each.secret for each in device.prekeys},
        "the text": distinct(CANARY),
        "another text": b"still in the inbox",
        "what was not sealed": b"not sealed yet",
        "the passphrase": distinct(PASSPHRASE),
    }
    for running in (world.alices, world.bobs):
        agent = running.installation.directory / "agent"
        held = keys_of_agent(agent / "agent.sqlite3", agent / "operator-key")
        assert held[f"device key {moved.fingerprint}"] in (device.private_key or b"")
        keys[f"device key at {running.url}"] = held[f"device key {moved.fingerprint}"]
    assert found(keys, [("the file", moved.file)]) == []
    for running in (world.alices, world.bobs):
        directory = running.installation.directory
        assert found(keys, files_below(directory, without=[directory / "agent" / "operator-key"])) == []
        assert found(keys, columns_of(running.environment["WAXWING_DATABASE_URL"])) == []
        assert found(keys, keys_of_redis(running.installation.redis_url)) == []


def test_erasing_leaves_nothing_behind_and_the_new_place_goes_on(world: World, moved: Moved) -> None:
    alice, alices = world.alice, world.alices
    assert "You receive at another server by now" in alice.words("/devices/erase/")
    refused = alice.post("/devices/erase/", {"handle": "bob.test"})
    assert "Nothing was erased" in words(refused.text)
    assert alice.texts(moved.with_bob)
    held = keys_of_agent(
        alices.installation.directory / "agent" / "agent.sqlite3",
        alices.installation.directory / "agent" / "operator-key",
    )
    assert any(alice.did in name for name in held)

    done = alice.post("/devices/erase/", {"handle": "@Alice.test "})
    assert (done.status_code, done.headers["Location"]) == (302, "/erased/")
    assert "Everything is erased" in alice.words("/erased/")

    assert alice.client.get("/").headers["Location"].startswith("/sign-in/")
    assert alices.sql("SELECT id FROM accounts_account WHERE did = ?", alice.did) == []
    for folder in ("INBOX", "Archive", "Quarantine"):
        assert alices.mails(alice.did, folder) == []
    held = keys_of_agent(
        alices.installation.directory / "agent" / "agent.sqlite3",
        alices.installation.directory / "agent" / "operator-key",
    )
    assert not any(alice.did in name or moved.fingerprint in name for name in held)
    body = {"envelope": "AAAA"}
    assert httpx.post(f"{alices.url}/inbox/{alice.did}", json=body).status_code in (400, 404)
    # What the new place publishes stays, and carol still reads what alice wrote.
    there = moved.there
    world.carol.reply(moved.with_carol, "still there?")
    wait_until(lambda: "still there?" in there.texts(moved.with_carol))
    assert "to carol" in world.carol.texts(moved.with_carol)


def test_erasing_the_only_place_takes_back_what_was_published(world: World, moved: Moved) -> None:
    carol = world.carol
    repository = Repository(world.network.info.pds_url, carol.account)
    assert repository.inbox()
    assert "nobody can seal messages to you" in carol.words("/devices/erase/")
    assert carol.post("/devices/erase/", {"handle": "carol.test"}).headers["Location"] == "/erased/"
    assert repository.find("at.atsms.inbox", "self") is None
    (certificate,) = repository.records("at.atsms.x509")
    assert "revokedAt" in certificate
    assert repository.records("at.atsms.prekey") == []
    # She may begin again, with other keys.
    carol.client.cookies.clear()
    carol.sign_in()
    carol.enrol()
    assert len(repository.records("at.atsms.x509")) == 2
    assert carol.rows() == {}


def test_the_manifest_says_what_is_in_the_file(moved: Moved) -> None:
    with tarfile.open(fileobj=io.BytesIO(moved.file)) as tar:
        names = tar.getnames()
        assert names[:3] == ["README.txt", "keys.cbor", "account.cbor"]
        assert names[-2:] == ["manifest.json", "end.cbor"]
        assert {name.split("/")[0] for name in names[3:-2]} == {
            "unsent",
            "state",
            "pending",
            "archive",
            "settings",
        }
        manifest = tar.extractfile("manifest.json")
        readme = tar.extractfile("README.txt")
        assert manifest
        assert readme
        said_there = manifest.read().decode()
        for name in names[:-2]:
            part = tar.extractfile(name)
            assert part
            assert hashlib.sha256(part.read()).hexdigest() in said_there
        assert b"alice.test" in readme.read()


def test_another_program_reads_the_file_from_its_documentation_alone(world: World, moved: Moved) -> None:
    read = export_reader.read(moved.file, PASSPHRASE)
    assert read.did == moved.there.did
    assert read.account["handle"] == "alice.test"
    compared = [row for row in read.settings if row["kind"] == "compared-keys"]
    assert [(row["did"], row["outcome"]) for row in compared] == [(world.carol.did, "matched")]
    assert all(endpoint.startswith(("http", "mailto:")) for endpoint in read.account["endpoints"])
    # The signature holds the content as it is, so its text is there to be found.
    signed = [message[3] for message in read.archive]
    for text in (CANARY, "an answer", "to carol", "not read yet"):
        assert sum(text.encode() in each for each in signed) == 1
    assert [b"not sealed yet" in content for _conversation, _message, content in read.unsent] == [True]
    assert len(read.pending) == 1
    states = {state["id"]: state for state in read.states}
    assert [states[message].get("unread") for message in states].count(True) == 1
    assert {each["state"] for state in states.values() for each in state["deliveries"]} == {
        "accepted",
        "queued",
    }
    (device,) = read.keys["devices"]
    assert load_der_private_key(device["privateKey"], None)
    for each in ("subprocess", "waxwing", "crypto_agent", "webmail"):
        assert f"import {each}" not in inspect.getsource(export_reader)
        assert f"from {each}" not in inspect.getsource(export_reader)
