"""The drill of deploy/README.md: a running installation is backed up, is gone, and comes back elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from demo import installation as parts
from demo.local_network import LocalNetwork
from demo.ports import free_port
from tests.environment import RUN
from tests.services.compose import ROOT
from tests.services.dovecot import DovecotServer, dovecot_server
from tests.services.installations import RunningInstallation, running_installation, wait_until
from tests.services.postgres import new_database
from tests.services.programs import find_postgres, need
from tests.services.windows import Window

SECTION = (ROOT / "deploy" / "README.md").read_text().split("\n## Backup\n")[1].split("\n## ")[0]
#: Too large to ride in its message, so that it lies in the folder of files.
FILE = os.urandom(300_000)


@dataclass
class Backup:
    """What the steps leave behind, and where each part of it lies."""

    folder: Path

    def dump(self, database_url: str, name: str) -> None:
        options = re.search(rf"pg_dump -U postgres (.+) {name} >", SECTION)
        assert options
        with (self.folder / f"{name}.dump").open("wb") as file:
            subprocess.run([_postgres("pg_dump"), *options[1].split(), database_url], stdout=file, check=True)

    def restore(self, database_url: str, name: str) -> None:
        options = re.search(rf"pg_restore -U postgres (.+) --role={name} -d {name} <", SECTION)
        assert options
        subprocess.run(
            [_postgres("pg_restore"), *options[1].split(), "-d", database_url, self.folder / f"{name}.dump"],
            check=True,
        )

    def pack(self, folder: Path, name: str) -> None:
        subprocess.run(["tar", "-C", folder, "-cf", self.folder / f"{name}.tar", "."], check=True)

    def unpack(self, name: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-C", folder, "-xpf", self.folder / f"{name}.tar"], check=True)


def _postgres(program: str) -> Path:
    programs = find_postgres()
    assert programs
    return programs / program


@dataclass
class Restored:
    """The installation that was made from the backup, its people, and what they saw before."""

    running: RunningInstallation
    alice: Window
    bob: Window
    pair: str
    file: str
    before: dict[str, object]


def everything(running: RunningInstallation, alice: Window, bob: Window) -> dict[str, object]:
    """Also what no mailbox knows: how far messages came, what was read, and a setting."""
    return {
        "alice": alice.everything(),
        "bob": bob.everything(),
        "pinned": running.sql("SELECT conversation_id, pinned FROM webmail_conversation ORDER BY id"),
    }


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Restored]:
    need("PostgreSQL")
    need("Dovecot")
    server = request.getfixturevalue("postgres")
    folder = RUN.directory / "restore"
    first = {name: new_database(server, f"{name}_before") for name in ("web", "agent")}
    backup = Backup(tmp_path_factory.mktemp("backup"))
    with LocalNetwork(folder / "network") as network, dovecot_server() as new_dovecot:
        with running_installation(
            folder / "old",
            network.info,
            with_dovecot=True,
            settings={"WAXWING_DATABASE_URL": first["web"]},
            agent_settings={"WAXWING_AGENT_DATABASE_URL": first["agent"]},
        ) as old:
            people = [Window(old.url, network.info.accounts[name]) for name in ("alice", "bob")]
            for window in people:
                window.sign_in()
                window.enrol()
            alice, bob = people
            pair, file = talk(alice, bob)
            before = everything(old, alice, bob)
            take(backup, old, first)
        shutil.rmtree(folder / "old")
        running = come_back(backup, old, new_dovecot, server, folder / "new")
        try:
            yield Restored(running, alice, bob, pair, file, before)
        finally:
            running.stop()


def talk(alice: Window, bob: Window) -> tuple[str, str]:
    """A conversation with a file, and one that its owner pinned; the path of the first, and of the file."""
    pair = alice.write([bob.did], "said before the fire")
    wait_until(lambda: pair in bob.rows())
    bob.reply(pair, "and answered")
    message = bob.attach(pair, "with a file", ("plans.bin", FILE, "application/octet-stream"))
    wait_until(lambda: any(each.id == message for each in alice.thread(pair)))
    found = re.search(rf'href="(/m/{message}/files/\d+/)"', alice.get(pair))
    assert found
    note = alice.write([alice.did], "remember the milk")
    assert alice.post(f"{note}settings/", {"do": "pin"}, form_at=f"{note}menu/").status_code in (
        200,
        204,
        302,
    )
    return pair, found[1]


def take(backup: Backup, old: RunningInstallation, databases: dict[str, str]) -> None:
    """In the order of the document, beside the running installation."""
    wait_until(lambda: not old.sql("SELECT 1 FROM webmail_message WHERE archived_at IS NULL"))
    directory = old.installation.directory
    assert old.dovecot
    backup.dump(databases["web"], "web")
    backup.pack(directory / "data" / "blobs", "files")
    backup.pack(old.dovecot.mail, "mail")
    backup.dump(databases["agent"], "agent")
    shutil.copy(directory / "secrets.json", backup.folder / "secrets.json")
    shutil.copy(directory / "agent" / "operator-key", backup.folder / "operator-key")


def come_back(
    backup: Backup, old: RunningInstallation, dovecot: DovecotServer, server: str, folder: Path
) -> RunningInstallation:
    """A new folder, new databases, another Dovecot and another Redis, with nothing but the backup."""
    databases = {name: new_database(server, f"{name}_after") for name in ("web", "agent")}
    for name, url in databases.items():
        backup.restore(url, name)
    (folder / "agent").mkdir(parents=True)
    shutil.copy(backup.folder / "secrets.json", folder / "secrets.json")
    shutil.copy(backup.folder / "operator-key", folder / "agent" / "operator-key")
    backup.unpack("files", folder / "data" / "blobs")
    backup.unpack("mail", dovecot.mail)
    (folder / "data").chmod(0o700)
    installation = replace(
        old.installation,
        directory=folder,
        # This process keeps connections to the old one.
        ports=replace(old.installation.ports, redis=free_port()),
        settings={
            **old.installation.settings,
            **dovecot.dovecot.settings(),
            "WAXWING_DATABASE_URL": databases["web"],
        },
        agent_settings={
            **old.installation.agent_settings,
            "WAXWING_AGENT_DATABASE_URL": databases["agent"],
        },
    )
    running = RunningInstallation(installation, dovecot)
    parts.make_directories(installation)
    running.prepare()
    running.start()
    running.manage("rebuild_index")
    return running


def test_people_are_signed_in_and_read_what_they_read(restored: Restored) -> None:
    assert "said before the fire" in str(restored.before["bob"])
    assert "True" in str(restored.before["pinned"])
    assert everything(restored.running, restored.alice, restored.bob) == restored.before


def test_files_are_there(restored: Restored) -> None:
    assert restored.alice.client.get(restored.file).content == FILE


def test_the_agents_keys_are_those_of_before_and_its_record_is_whole(restored: Restored) -> None:
    environment = parts.agent_environment(restored.running.installation)
    said = {
        command: subprocess.run(
            [sys.executable, "-m", "django", command],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for command in ("key_status", "verify_audit")
    }
    assert re.search(r"version 1: [1-9]\d* data keys; present, newest", said["key_status"])
    assert "The audit log is whole" in said["verify_audit"]


def test_people_go_on_writing(restored: Restored) -> None:
    answer = restored.bob.reply(restored.pair, "after the fire")
    wait_until(lambda: any(each.id == answer for each in restored.alice.thread(restored.pair)))
