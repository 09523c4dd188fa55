"""Where the operator's key comes from: a file with versions, a passphrase, a PKCS#11 token."""

import base64
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from crypto_agent.client import AgentSealed, SealedContent
from crypto_agent.errors import OperatorKeyMismatch, Sealed
from crypto_agent.operator_keys.key_file import add_version, keys_in, read_key_file, write_key_file
from crypto_agent.operator_keys.pkcs11_token import TokenAddress
from crypto_agent.operator_keys.sources import source_of
from demo.ports import free_port
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT, receive, write
from tests.crypto_agent.persons import PASSPHRASE as LOCK_PASSPHRASE
from tests.crypto_agent.persons import new_person
from tests.crypto_agent.running_agent import READ_ONLY, ROOT, Agent, running_agent
from tests.crypto_agent.softhsm import SoftToken, soft_token

ONE, TWO = (base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2))
PASSPHRASE = "four words and a number 4"


def _writes_and_reads(agent: Agent) -> None:
    """Alice writes to Bob, who opens it."""
    web, worker = agent.client("web"), agent.client("worker")
    for did, handle in ((ALICE, "alice.test"), (BOB, "bob.test")):
        web.create_device(did, handle, "mail.test")
    _, sealed = write(web, worker, ALICE, web.list_devices(BOB), "Good morning")
    message = receive(worker, BOB, sealed.copies[0].envelope)
    assert web.read(BOB, [message.content])[0].text == "Good morning"


def _locks(agent: Agent) -> tuple[str, SealedContent]:
    """Somebody writes something and locks their account, so that what is wrapped is longer."""
    web = agent.client()
    did = new_person(agent)
    content = web.compose(did, [BOB], "Before the lock", created_at=WRITTEN_AT).content
    web.make_locked(did, LOCK_PASSPHRASE, lifetime_s=60)
    web.lock_now(did, everywhere=True)
    return did, content


def _unlocks(agent: Agent, did: str, content: SealedContent) -> None:
    web = agent.client()
    session = web.unlock(did, LOCK_PASSPHRASE, lifetime_s=60)
    assert web.unlocked(session.token).read(did, [content])[0].text == "Before the lock"


@pytest.mark.parametrize(
    ("content", "versions"),
    [
        (ONE, {1}),
        (f"{ONE.rstrip('=')}\n", {1}),
        (f"7 {ONE}\n", {7}),
        (f"1 {ONE}\n2 {TWO}\n", {1, 2}),
        (f"  2 {TWO}\r\n1 {ONE}  \r\n", {1, 2}),
    ],
)
def test_a_file_holds_versions(content: str, versions: set[int]) -> None:
    keys = keys_in(content.encode())
    assert keys.keys() == versions
    assert {bytes([1]) * 32, bytes([2]) * 32} >= set(keys.values())


@pytest.mark.parametrize(
    "content",
    [
        f"{ONE}\n{TWO}",
        f"1 {ONE}\n1 {TWO}",
        f"0 {ONE}",
        f"-1 {ONE}",
        f"1 {ONE} old",
        f"# a comment\n1 {ONE}",
        f"1 {ONE[:-4]}",
        f"1 {'A' * 45}",
        f"1\t{ONE}",
    ],
)
def test_another_file_is_refused_without_a_word_of_it(content: str) -> None:
    with pytest.raises(Sealed) as refused:
        keys_in(content.encode())
    assert not any(word in str(refused.value) for word in content.split() if len(word) > 20)


def test_the_newest_version_wraps_and_the_older_still_unwrap(tmp_path: Path) -> None:
    path = tmp_path / "operator.key"
    write_key_file(path, {1: os.urandom(32)})
    first = read_key_file(path)
    old = first.wrap(b"d" * 32, ALICE, 1, os.urandom)
    assert add_version(path) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    both = read_key_file(path)
    assert (both.versions, both.current_version) == ({1, 2}, 2)
    assert both.unwrap(old, ALICE, 1, 1) == b"d" * 32
    new = both.wrap(b"d" * 32, ALICE, 1, os.urandom)
    assert both.unwrap(new, ALICE, 1, 2) == b"d" * 32
    for wrapped, version in ((old, 2), (new, 1), (new, 3)):
        with pytest.raises(OperatorKeyMismatch):
            both.unwrap(wrapped, ALICE, 1, version)
    with pytest.raises(OperatorKeyMismatch):
        first.unwrap(new, ALICE, 1, 2)


@pytest.mark.parametrize(
    "setting", ["/a/path", "file:", "file", "vault:here", "pkcs11:", "pkcs11:token=a;object=b", "passphrase"]
)
def test_a_setting_that_names_no_place_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=r"WAXWING_AGENT_OPERATOR_KEY|PKCS #11 URI"):
        source_of(setting)


def test_a_pkcs11_uri_is_read() -> None:
    uri = "pkcs11:token=My%20token;object=a%3Bb?module-path=/lib/m.so&pin-source=file:/run/pin"
    assert TokenAddress.parse(uri) == TokenAddress("/lib/m.so", "My token", "a;b", Path("/run/pin"))


def test_a_passphrase_in_a_file_opens_the_agent_at_its_start(tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n")
    with running_agent(tmp_path, WAXWING_AGENT_OPERATOR_KEY=f"passphrase:{secret}") as agent:
        _writes_and_reads(agent)
        # Neither the passphrase nor a key in clear rests in the database.
        assert PASSPHRASE.encode() not in agent.database.read_bytes()
        parameters = agent.execute("SELECT memory_kib, iterations, lanes FROM crypto_agent_passphrasekey")
        assert [tuple(row) for row in parameters] == [(65536, 3, 4)]
        secret.write_text("another passphrase")
        agent.kill()
        agent.start()
        assert agent.client().status().state == "sealed"
        secret.write_text(PASSPHRASE)
        assert agent.client().list_devices(ALICE)
        assert agent.command("make_operator_key").stderr.startswith(
            "CommandError: There is an operator's key"
        )


def test_a_passphrase_is_given_to_the_running_agent(tmp_path: Path) -> None:
    with running_agent(tmp_path, unsealed=False, WAXWING_AGENT_OPERATOR_KEY="passphrase:") as agent:
        assert "No operator's key was made yet" in agent.command("unseal", stdin=PASSPHRASE).stderr
        assert "has 12 to 1024 bytes" in agent.command("make_operator_key", stdin="short").stderr
        agent.command("make_operator_key", stdin=PASSPHRASE).check_returncode()
        with pytest.raises(AgentSealed):
            agent.client().create_device(ALICE, "alice.test", "mail.test")
        wrong = agent.command("unseal", stdin=PASSPHRASE + "!")
        assert (wrong.returncode, wrong.stderr) == (1, "CommandError: The passphrase is wrong.\n")
        assert agent.client().status().state == "sealed"
        _cut_off(tmp_path / "unseal.sock")
        opened = agent.command("unseal", stdin=f"{PASSPHRASE}\n")
        assert opened.stdout == "The agent is open.\n"
        _writes_and_reads(agent)
        _unlocks(agent, *_locks(agent))
        assert PASSPHRASE.encode() not in agent.log
        assert stat.S_IMODE((tmp_path / "unseal.sock").stat().st_mode) == 0o600


def test_what_the_operator_does_with_a_passphrase_is_on_record_or_not_done(tmp_path: Path) -> None:
    with running_agent(tmp_path, unsealed=False, WAXWING_AGENT_OPERATOR_KEY="passphrase:") as agent:
        agent.execute(READ_ONLY)
        refused = agent.command("make_operator_key", stdin=PASSPHRASE)
        assert (refused.returncode, "the audit log can't be written" in refused.stderr) == (1, True)
        assert agent.execute("SELECT * FROM crypto_agent_passphrasekey") == []
        agent.execute("DROP TRIGGER read_only")
        agent.command("make_operator_key", stdin=PASSPHRASE).check_returncode()
        assert agent.command("unseal", stdin="not this one").returncode == 1
        agent.execute(READ_ONLY)
        refused = agent.command("unseal", stdin=PASSPHRASE)
        assert (refused.returncode, "the audit log can't be written" in refused.stderr) == (1, True)
        assert agent.client().status().state == "sealed"
        agent.execute("DROP TRIGGER read_only")
        agent.command("unseal", stdin=PASSPHRASE).check_returncode()
        agent.command("make_operator_key", "--next", stdin=PASSPHRASE).check_returncode()
        agent.command("unseal", stdin=PASSPHRASE).check_returncode()
        assert _commands(agent) == ["makeOperatorKey", "unseal", "makeOperatorKey", "unseal"]
        assert agent.command("verify_audit").returncode == 0


def test_the_first_key_is_on_record_where_there_is_a_log(own_agent: Agent, tmp_path: Path) -> None:
    first, early, late = (tmp_path / f"{name}.key" for name in ("first", "early", "late"))
    own_agent.command("make_operator_key", str(first)).check_returncode()
    assert _commands(own_agent) == ["makeOperatorKey"]
    assert "already there" in own_agent.command("make_operator_key", str(first)).stderr
    nowhere = own_agent.command("make_operator_key", str(tmp_path / "no" / "a.key"))
    assert "No such file" in nowhere.stderr
    # A folder that can't be written to, as the secrets of a container.
    closed = own_agent.command("make_operator_key", "/sys/operator.key")
    assert (closed.returncode, "docs/operator-keys.md" in closed.stderr) == (1, True)
    assert _commands(own_agent) == ["makeOperatorKey"]
    # Before `migrate` there is neither a log, nor a database that the command would leave behind.
    database = tmp_path / "agent.sqlite3"
    absent = {"WAXWING_AGENT_DATABASE_URL": f"sqlite:///{database}"}
    own_agent.command("make_operator_key", str(early), **absent).check_returncode()
    assert (early.exists(), database.exists()) == (True, False)
    refused = own_agent.command("make_operator_key", str(early), "--next", **absent)
    assert (refused.returncode, "the audit log can't be written" in refused.stderr) == (1, True)
    # Where nobody can say whether there is one, there may be.
    away = {"WAXWING_AGENT_DATABASE_URL": f"postgres://nobody@127.0.0.1:{free_port()}/agent"}
    refused = own_agent.command("make_operator_key", str(late), **away)
    assert (refused.returncode, "the audit log can't be written" in refused.stderr) == (1, True)
    assert not late.exists()


def test_the_next_version_is_made_by_another_way_to_the_file(own_agent: Agent, tmp_path: Path) -> None:
    """As docs/operator-keys.md has it for containers, whose own way to the file they may only read."""
    own_agent.client().create_device(ALICE, "alice.test", "mail.test")
    folder = tmp_path / "secrets"
    folder.symlink_to(own_agent.operator_key.parent)
    made = own_agent.command("make_operator_key", "--next", str(folder / own_agent.operator_key.name))
    assert "Added version 2" in made.stdout
    own_agent.kill()
    own_agent.start()
    assert "All data keys are wrapped by version 2." in own_agent.command("rewrap").stdout
    assert own_agent.client().status().state == "open"


def _commands(agent: Agent) -> list[str]:
    """What the operator did, oldest first."""
    rows = agent.execute(
        "SELECT purpose FROM crypto_agent_auditentry WHERE caller = 'command' AND outcome = 'ok'"
        " ORDER BY sequence"
    )
    return [purpose for (purpose,) in rows]


def _cut_off(path: Path) -> None:
    """Somebody connects and says nothing more; the next one is served all the same."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"half a pass")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b"wrong\n"


def test_the_passphrase_can_be_changed_and_the_key_stays(tmp_path: Path) -> None:
    with running_agent(tmp_path, unsealed=False, WAXWING_AGENT_OPERATOR_KEY="passphrase:") as agent:
        agent.command("make_operator_key", stdin=PASSPHRASE).check_returncode()
        agent.command("make_operator_key", "--next", stdin=PASSPHRASE).check_returncode()
        assert "wrong" in agent.command("make_operator_key", "--next", stdin="not this one").stderr
        agent.command("unseal", stdin=PASSPHRASE).check_returncode()
        agent.client().create_device(ALICE, "alice.test", "mail.test")
        new = "another one, and longer"
        assert "wrong" in agent.command("change_passphrase", stdin=f"{new}\n{new}\n").stderr
        changed = agent.command("change_passphrase", stdin=f"{PASSPHRASE}\n{new}\n")
        assert "opens all 2 versions" in changed.stdout
        agent.kill()
        agent.start()
        assert agent.command("unseal", stdin=PASSPHRASE).returncode == 1
        agent.command("unseal", stdin=new).check_returncode()
        assert agent.client("worker").open(ALICE, [b"no envelope"])[0].error


@pytest.fixture
def token(tmp_path: Path) -> SoftToken:
    return soft_token(tmp_path / "token")


def test_a_key_in_a_token_serves_the_agent_and_never_leaves(tmp_path: Path, token: SoftToken) -> None:
    with running_agent(tmp_path, unsealed=False, **token.variables) as agent:
        assert agent.client().status().state == "sealed"
        agent.command("make_operator_key").check_returncode()
        _writes_and_reads(agent)
        did, content = _locks(agent)
        assert "--next adds a version" in agent.command("make_operator_key").stderr
        # Another version is found by a running agent as soon as something is wrapped by it.
        agent.command("make_operator_key", "--next").check_returncode()
        assert "All data keys are wrapped by version 2." in agent.command("rewrap").stdout
        assert _commands(agent)[:3] == ["makeOperatorKey", "makeOperatorKey", "rewrap"]
        agent.kill()
        agent.start()
        _writes_and_reads(agent)
        _unlocks(agent, did, content)
        (agent.directory / "token" / "pin").write_text("00000")
        agent.kill()
        agent.start()
        assert agent.client().status().state == "sealed"
    _try_to_take_it_out(token)


def _try_to_take_it_out(token: SoftToken) -> None:
    """Asks the token itself, in a process of its own: SoftHSM reads its configuration once."""
    (token.directory / "pin").write_text("90210")
    code = """
import os
from pkcs11 import Attribute, Mechanism
from pkcs11.exceptions import AttributeSensitive, PKCS11Error
from crypto_agent.errors import OperatorKeyMismatch
from crypto_agent.operator_keys.pkcs11_token import (
    TokenAddress, TokenOperatorKey, TokenSession, _parameters, open_session, versions_in,
)
from crypto_agent.purposes import Context, Purpose
address = TokenAddress.parse(os.environ["WAXWING_AGENT_OPERATOR_KEY"])
keys = versions_in(open_session(address), address.label)
assert sorted(keys) == [1, 2]
for key in keys.values():
    try:
        key[Attribute.VALUE]
    except AttributeSensitive:
        pass
    else:
        raise SystemExit("the token gave its key out")
session = TokenSession(address)
operator_key = TokenOperatorKey(session)
wrapped = operator_key.wrap(b"d" * 32, "did:plc:one", 7, os.urandom)
assert operator_key.unwrap(wrapped, "did:plc:one", 7, 2) == b"d" * 32
former, nonce = _parameters(b"n" * 12, Context(Purpose.DATA_KEY, "did:plc:one"), 2), b"n" * 12
inside = session._keys[2].encrypt(b"d" * 32, mechanism=Mechanism.AES_GCM, mechanism_param=former)
assert operator_key.unwrap(nonce + bytes(inside), "did:plc:one", 7, 2) == b"d" * 32
for did, number, version, data in (
    ("did:plc:two", 7, 2, wrapped), ("did:plc:one", 7, 1, wrapped), ("did:plc:one", 7, 2, wrapped[:-1]),
    ("did:plc:one", 7, 2, b""), ("did:plc:one", 7, 3, wrapped), ("did:plc:one", 8, 2, wrapped),
):
    try:
        operator_key.unwrap(data, did, number, version)
    except OperatorKeyMismatch:
        continue
    raise SystemExit(f"opened {did} {version}")
print("kept")
"""
    environment = {"DJANGO_SETTINGS_MODULE": "crypto_agent.settings", "PATH": os.environ["PATH"]}
    tried = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, **token.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.stdout == "kept\n", tried.stderr


def test_a_key_that_the_token_gives_out_is_not_used(tmp_path: Path, token: SoftToken) -> None:
    code = """
import os
from pkcs11 import Attribute, KeyType
from crypto_agent.operator_keys.pkcs11_token import TokenAddress, open_session
address = TokenAddress.parse(os.environ["WAXWING_AGENT_OPERATOR_KEY"])
session = open_session(address, writable=True)
session.generate_key(KeyType.AES, 256, label=address.label, id=b"\\x01", store=True,
    template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True})
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **token.variables}, check=True)
    with running_agent(tmp_path, unsealed=False, **token.variables) as agent:
        assert agent.client().status().state == "sealed"
        assert "can be taken out of the token" in agent.command("key_status").stdout
