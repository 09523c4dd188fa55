"""How the agent treats a PKCS#11 token: it spares the PIN's tries, and the sessions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crypto_agent.running_agent import ROOT
from tests.crypto_agent.softhsm import PIN, SoftToken, soft_token

#: Sees every login and every session. SoftHSM reads its configuration once, so each test has a process.
BEGINNING = """
import logging, os
import pkcs11
from pathlib import Path
from pkcs11 import Mechanism
from pkcs11.exceptions import DeviceError, GeneralError, PKCS11Error
from crypto_agent.errors import OperatorKeyMismatch, Sealed
from crypto_agent.operator_keys import pkcs11_token
from crypto_agent.operator_keys.pkcs11_token import TokenAddress, TokenSource, _parameters, add_version
from crypto_agent.operator_keys.sources import is_present
from crypto_agent.purposes import Context, Purpose

class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())

class Library:
    def __init__(self, path):
        self.library = real(path)
    def get_token(self, **names):
        return Token(self.library.get_token(**names))

class Token:
    def __init__(self, token):
        self.token = token
    def open(self, **how):
        logins.append("user_pin" in how)
        session = self.token.open(**how)
        sessions.append(session)
        return session

def alive():
    count = 0
    for session in sessions:
        try:
            list(session.get_objects({}))
            count += 1
        except PKCS11Error:
            pass
    return count

def former(source, did):
    # As agents wrapped it before data keys had versions in their context.
    key = source._session._keys[1]
    parameters = _parameters(b"n" * 12, Context(Purpose.DATA_KEY, did), 1)
    return b"n" * 12 + bytes(
        key.encrypt(b"d" * 32, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
    )

lines, logins, sessions = [], [], []
logging.getLogger().addHandler(Lines())
real, pkcs11.lib = pkcs11.lib, Library
address = TokenAddress.parse(os.environ["WAXWING_AGENT_OPERATOR_KEY"])
source = TokenSource(address)
"""


@pytest.fixture
def token(tmp_path: Path) -> SoftToken:
    return soft_token(tmp_path / "token")


def _run(token: SoftToken, code: str) -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "crypto_agent.settings", "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        [sys.executable, "-c", BEGINNING + code],
        cwd=ROOT,
        env={**environment, **token.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("wrong", ["00000", "0"])
def test_a_pin_that_the_token_refused_is_not_tried_again(token: SoftToken, wrong: str) -> None:
    """A token locks, or erases its keys, after a few tries. ``0`` is shorter than any PIN."""
    _run(
        token,
        f"""
add_version(address)
address.pin_file.write_text({wrong!r})
logins.clear()
assert [is_present(source) for _ in range(5)] == [False] * 5
assert len(logins) == 1, logins
address.pin_file.write_text({wrong!r} + "\\n")
for look in (source.key, source.read_again):
    try:
        look()
    except Sealed as sealed:
        said = str(sealed)
assert "refuses the PIN of the file" in said and "Pin" in said
assert lines == [said] and {wrong!r} not in said, lines
assert len(logins) == 1, logins
address.pin_file.write_text("{PIN}0")
assert not is_present(source) and len(logins) == 2
address.pin_file.write_text("{PIN}")
assert is_present(source) and is_present(source) and len(logins) == 3
""",
    )


def test_an_empty_file_is_no_pin(token: SoftToken) -> None:
    _run(
        token,
        """
address.pin_file.write_text("\\n")
try:
    source.key()
except Sealed as sealed:
    assert "is empty" in str(sealed)
assert logins == []
""",
    )


def test_a_session_that_died_is_not_logged_in_again_with_a_refused_pin(token: SoftToken) -> None:
    _run(
        token,
        f"""
add_version(address)
key = source.key()
wrapped = key.wrap(b"d" * 32, "did:plc:one", 7, os.urandom)
address.pin_file.write_text("00000")
assert key.unwrap(wrapped, "did:plc:one", 7, 1) == b"d" * 32
sessions[-1].close()
logins.clear()
for _ in range(5):
    try:
        key.unwrap(wrapped, "did:plc:one", 7, 1)
    except Sealed:
        continue
    raise SystemExit("opened")
assert len(logins) == 1, logins
address.pin_file.write_text("{PIN}")
assert key.unwrap(wrapped, "did:plc:one", 7, 1) == b"d" * 32
""",
    )


def test_one_session_serves_all(token: SoftToken) -> None:
    _run(
        token,
        """
add_version(address)
source.key()
logins.clear()
wrapped = former(source, "did:plc:one")
for _ in range(20):
    assert source.key().unwrap(wrapped, "did:plc:one", 7, 1) == b"d" * 32
    assert source.read_again().versions == {1}
    try:
        source.key().unwrap(wrapped, "did:plc:two", 7, 1)
    except OperatorKeyMismatch:
        continue
    raise SystemExit("opened another's")
assert (logins, alive()) == ([], 1), (logins, alive())
""",
    )


def test_a_session_that_died_is_given_back_and_another_one_opened(token: SoftToken) -> None:
    _run(
        token,
        """
add_version(address)
key = source.key()
wrapped = key.wrap(b"d" * 32, "did:plc:one", 7, os.urandom)
for _ in range(4):
    sessions[-1].close()
    assert key.unwrap(wrapped, "did:plc:one", 7, 1) == b"d" * 32
    assert alive() == 1, alive()
    sessions[-1].close()
    assert source.read_again().versions == {1}
    assert alive() == 1, alive()

class Faulty:
    def __init__(self, key, error):
        self.key, self.error = key, error
    def decrypt(self, *arguments, **how):
        raise self.error
    def __getitem__(self, attribute):
        return self.key[attribute]

count = len(sessions)
# Some tokens say no more than this of a wrong ciphertext, and in a session that has died.
source._session._keys[1] = Faulty(source._session._keys[1], GeneralError)
try:
    key.unwrap(wrapped, "did:plc:one", 7, 1)
except OperatorKeyMismatch:
    pass
else:
    raise SystemExit("opened")
assert len(sessions) == count
sessions[-1].close()
assert key.unwrap(wrapped, "did:plc:one", 7, 1) == b"d" * 32
assert (len(sessions), alive()) == (count + 1, 1)
# Here the session stands, and is of no use.
source._session._keys[1] = Faulty(source._session._keys[1], DeviceError)
assert key.unwrap(wrapped, "did:plc:one", 7, 1) == b"d" * 32
assert (len(sessions), alive()) == (count + 2, 1)
""",
    )


def test_a_token_that_fails_while_its_keys_are_looked_for_is_sealed(token: SoftToken) -> None:
    _run(
        token,
        """
add_version(address)
opened = Token.open

def dies(self, **how):
    session = opened(self, **how)
    session.close()
    return session

Token.open = dies
assert not is_present(source)
try:
    source.key()
except Sealed as sealed:
    assert "can't be read: SessionHandleInvalid" in str(sealed), sealed
try:
    add_version(address)
except Sealed as sealed:
    assert "can't be read: SessionHandleInvalid" in str(sealed), sealed
Token.open = opened

def fails(session, label):
    raise DeviceError

found, pkcs11_token._versions = pkcs11_token._versions, fails
assert not is_present(source) and not is_present(source)
assert alive() == 0, alive()
pkcs11_token._versions = found
assert is_present(source)
""",
    )
