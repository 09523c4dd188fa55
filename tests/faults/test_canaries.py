"""What people type, upload or are shown once lies nowhere afterwards: in no database, log, queue or file."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from crypto_agent import recovery_codes
from crypto_agent.client import PasskeyUse
from tests.crypto_agent.authenticator import Authenticator
from tests.environment import RUN
from tests.faults.secret_search import (
    Place,
    columns_of,
    environments_of,
    files_below,
    found,
    keys_of_redis,
)
from tests.services.inhabited import inhabited_installation
from tests.services.installations import RunningInstallation, wait_until
from tests.services.windows import Window, words


def _canary(what: str) -> str:
    """In no other text, and long enough to be found in any form."""
    return f"{what} canary {uuid4().hex}"


@dataclass
class Used:
    """An installation after its use, what must not be found in it, and the pages that said no."""

    running: RunningInstallation
    temporary: Path
    secrets: dict[str, bytes] = field(default_factory=dict)
    refusals: dict[str, bytes] = field(default_factory=dict)

    def keep(self, name: str, secret: str | bytes) -> None:
        self.secrets[name] = secret.encode() if isinstance(secret, str) else secret


@pytest.fixture(scope="module")
def used() -> Iterator[Used]:
    """alice and bob write, attach, export, import, lock and unlock: well, badly, and while parts are away."""
    directory = RUN.directory / "canaries"
    temporary = directory / "tmp"
    temporary.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        # Whatever a process of the installation keeps for a while lies here.
        patch.setenv("TMPDIR", str(temporary))
        with inhabited_installation(directory, "alice", "bob") as place:
            people, used = place.people, Used(place.running, temporary)
            _write(used, people["alice"], people["bob"])
            _export_and_import(used, people["alice"])
            _lock_with_a_passphrase(used, people["alice"])
            _lock_with_a_passkey(used, people["bob"])
            _while_the_agent_is_away(used, people["alice"])
            yield used


def _write(used: Used, alice: Window, bob: Window) -> None:
    text, name = _canary("text"), _canary("name")
    small, large = _canary("small file"), _canary("large file")
    conversation = alice.write([bob.did], text)
    wait_until(lambda: any(text in row for row in bob.rows().values()))
    for content in (small.encode(), large.encode() * 5000):
        data = {"csrfmiddlewaretoken": _token(alice, conversation), "text": "", "token": str(uuid4())}
        files = {"files": (f"{name}.txt", content, "text/plain")}
        sent = alice.client.post(f"{conversation}send/", data=data, files=files)
        assert sent.status_code == 302, words(sent.text)
    links: list[str] = []

    def both_are_there() -> bool:
        links[:] = dict.fromkeys(re.findall(r'href="(/m/[0-9a-f]+/files/\d+/)', bob.get(conversation)))
        return len(links) == 2

    wait_until(both_are_there)
    saved = b"".join(bob.client.get(link).content for link in links)
    assert small.encode() in saved
    assert large.encode() in saved
    word = text.rpartition(" ")[2]
    wait_until(lambda: f"<mark>{word}</mark>" in bob.post("/search/", {"q": word}, form_at="/").text)
    sought = uuid4().hex
    assert bob.post("/search/", {"q": sought}, form_at="/").status_code == 200
    used.keep("what was sought and is nowhere", sought)
    used.keep("the text", text)
    used.keep("a file's name", name)
    used.keep("a small file", small)
    used.keep("a large file", large)


def _token(window: Window, path: str) -> str:
    found_there = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', window.get(path))
    assert found_there
    return found_there[1]


def _export_and_import(used: Used, alice: Window) -> None:
    passphrase, wrong = _canary("export"), _canary("wrong export")
    export = alice.post("/devices/export/", {"passphrase": passphrase, "again": passphrase})
    assert export.headers["Content-Type"] == "application/x-tar"
    differ = alice.post("/devices/export/", {"passphrase": passphrase, "again": wrong})
    used.refusals["an export that is typed differently"] = differ.content
    for typed in (wrong, passphrase):
        data = {
            "csrfmiddlewaretoken": _token(alice, "/devices/import/?again"),
            "passphrase": typed,
        }
        files = {"file": ("export.tar", export.content, "application/x-tar")}
        answer = alice.client.post("/devices/import/", data=data, files=files)
        if typed == wrong:
            assert "passphrase does not open" in words(answer.text)
            used.refusals["an import with another passphrase"] = answer.content
        else:
            assert answer.status_code == 302, words(answer.text)
    used.keep("the export's passphrase", passphrase)
    used.keep("a wrong passphrase of the export", wrong)


def _lock_with_a_passphrase(used: Used, alice: Window) -> None:
    passphrase, wrong = _canary("lock"), _canary("wrong lock")
    typed = {"way": "passphrase", "new": passphrase}
    used.refusals["a lock that is typed differently"] = alice.post(
        "/devices/keys/lock/", {**typed, "again": wrong}
    ).content
    locked = alice.post("/devices/keys/lock/", {**typed, "again": passphrase})
    shown = re.search(r'id="recovery-code"[^>]*>([^<]+)<', locked.text)
    assert shown, words(locked.text)
    code = shown[1].strip()
    _lock_again(alice)
    for way, value, fits in (
        ("passphrase", wrong, False),
        ("code", "AAAA" + code[4:], False),
        ("passphrase", passphrase, True),
        ("code", code, True),
    ):
        answer = alice.post("/unlock/", {"way": way, way: value, "lifetime_s": "900"})
        if fits:
            assert answer.status_code == 302, words(answer.text)
            _lock_again(alice)
        else:
            used.refusals[f"a wrong {way}"] = answer.content
    used.keep("the lock's passphrase", passphrase)
    used.keep("a wrong passphrase of the lock", wrong)
    used.keep("the recovery code", code)
    used.keep("the recovery code without dashes", code.replace("-", ""))
    used.keep("what the recovery code says", recovery_codes.read(code))


def _lock_again(window: Window) -> None:
    window.post("/lock/", {}, form_at="/devices/keys/")
    assert "Unlock your keys" in window.words("/unlock/")


def _lock_with_a_passkey(used: Used, bob: Window) -> None:
    origin = httpx.URL(used.running.url)
    passkey = Authenticator(origin=f"{origin.scheme}://{origin.host}:{origin.port}")
    made = passkey.create(bob.post("/passkeys/begin/", {}, form_at="/devices/keys/passkeys/new/").json())
    kept = bob.post(
        "/devices/keys/passkeys/new/", {"name": "A key", "passkey": json.dumps({"credential": made})}
    )
    assert kept.status_code == 302, words(kept.text)

    def use(purpose: str, page: str) -> PasskeyUse:
        return passkey.use(bob.post("/passkeys/challenge/", {"purpose": purpose}, form_at=page).json())

    locking = use("change-custody", "/devices/keys/lock/")
    locked = bob.post("/devices/keys/lock/", {"way": "passkey", "passkey": _field(locking)})
    assert "recovery-code" in locked.text, words(locked.text)
    _lock_again(bob)
    opening = use("unlock", "/unlock/")
    wrong = PasskeyUse(opening.credential, os.urandom(32))
    fields: dict[str, str | list[str]] = {"way": "passkey", "lifetime_s": "900"}
    refused = bob.post("/unlock/", {**fields, "passkey": _field(wrong)})
    assert refused.status_code != 302
    used.refusals["a passkey with another secret"] = refused.content
    opened = bob.post("/unlock/", {**fields, "passkey": _field(use("unlock", "/unlock/"))})
    assert opened.status_code == 302, words(opened.text)
    assert locking.prf is not None
    assert wrong.prf is not None
    used.keep("the passkey's secret", locking.prf)
    used.keep("another passkey's secret", wrong.prf)


def _field(use: PasskeyUse) -> str:
    assert use.prf is not None
    prf = base64.urlsafe_b64encode(use.prf).rstrip(b"=").decode()
    return json.dumps({"credential": use.credential, "prf": prf})


def _while_the_agent_is_away(used: Used, alice: Window) -> None:
    """What was typed then is in no report of it either."""
    passphrase = _canary("agent away")
    token = _token(alice, "/unlock/")
    fields = {
        "csrfmiddlewaretoken": token,
        "way": "passphrase",
        "passphrase": passphrase,
        "lifetime_s": "900",
    }
    used.running.stop("agent")
    answer = alice.client.post("/unlock/", data=fields)
    assert answer.status_code == 503
    used.refusals["an agent that is away"] = answer.content
    used.running.start("agent")
    broken = alice.client.post("/unlock/", data={**fields, "lifetime_s": passphrase, "way": passphrase})
    used.refusals["a form with anything in it"] = re.sub(rb'value="[^"]*"', b"", broken.content)
    used.keep("a passphrase that nobody took", passphrase)


def places(used: Used) -> Iterator[Place]:
    """Everything that the installation keeps, the agent's own included."""
    directory = used.running.installation.directory
    yield from files_below(directory)
    yield from files_below(used.temporary)
    yield from columns_of(used.running.environment["WAXWING_DATABASE_URL"])
    yield from columns_of(f"sqlite:///{directory / 'agent' / 'agent.sqlite3'}")
    yield from keys_of_redis(used.running.installation.redis_url)


def test_nothing_of_it_is_kept_anywhere(used: Used) -> None:
    assert len(used.secrets) >= 13
    assert found(used.secrets, places(used)) == []


def test_no_page_that_says_no_repeats_it(used: Used) -> None:
    assert len(used.refusals) >= 8
    assert found(used.secrets, used.refusals.items()) == []


def test_it_is_in_no_environment_or_command_line(used: Used) -> None:
    everything = [
        place for process in used.running.processes.values() for place in environments_of(process.pid)
    ]
    assert everything
    assert found(used.secrets, everything) == []


def test_all_of_it_was_looked_at(used: Used) -> None:
    looked_at = dict(places(used))
    for name in ("agent.log", "web.log", "worker.log", "agent.sqlite3"):
        assert any(where.endswith(f"/{name}") for where in looked_at), name
    for table in ("django_session", "crypto_agent_auditentry", "crypto_agent_locksecret", "webmail_blob"):
        assert looked_at[f"table {table}"], table
    assert any(where.startswith("Redis") for where in looked_at)
    # What may be written down is found: the name under which bob's passkey is kept.
    assert found({"a name": b"A key"}, looked_at.items()) != []
