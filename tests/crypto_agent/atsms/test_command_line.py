"""``python -m crypto_agent open`` and ``seal``, run as the commands that they are."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.crypto_agent.atsms.reference import ALICE, BOB, BOBS_OTHER, CAROL, CASES, ONE_SHOT_FILE, vectors

ROOT = Path(__file__).parents[3]
ALICES, BOBS, BOBS_SECOND, CAROLS = (
    device.certificate.fingerprint for device in (ALICE, BOB, BOBS_OTHER, CAROL)
)


def run(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "crypto_agent", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        cwd=ROOT,
        timeout=30,
        env={"PATH": os.environ["PATH"]},
    )


def open_lines(*lines: bytes, devices: Path = ONE_SHOT_FILE) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and answers of ``open``, which must have nothing to say on standard error."""
    finished = run("open", "--devices", devices, stdin=b"\n".join(lines) + b"\n")
    assert finished.stderr == b""
    return finished.returncode, [json.loads(line) for line in finished.stdout.splitlines()]


def seal(*arguments: str) -> tuple[int, list[dict[str, Any]], bytes]:
    finished = run("seal", "--devices", ONE_SHOT_FILE, *arguments)
    assert finished.stderr == b""
    return finished.returncode, [json.loads(line) for line in finished.stdout.splitlines()], finished.stdout


def devices_without(field: str, directory: Path) -> Path:
    """A file of the same devices that lack a field."""
    entries = [dict(entry) for entry in vectors("oneshot-reference.json")["devices"]]
    for entry in entries:
        entry.pop(field)
    path = directory / "devices.json"
    path.write_text(json.dumps(entries))
    return path


def line_of(case: dict[str, Any], field: str = "envelopeB64") -> bytes:
    line = {"name": case["name"], "openWith": case["openWith"], "envelopeB64": case[field]}
    return json.dumps(line).encode()


def test_all_36_reference_cases_give_exactly_what_is_expected() -> None:
    status, answers = open_lines(*map(line_of, CASES))
    assert status == 0
    assert answers == [
        {"name": case["name"], "senderFingerprint": case["sender"], **case["expect"]} for case in CASES
    ]


def test_bare_cms_opens_too() -> None:
    bare = [case for case in CASES if "bareCmsB64" in case]
    status, answers = open_lines(*(line_of(case, "bareCmsB64") for case in bare))
    assert status == 0
    assert [answer["messageIdHex"] for answer in answers] == [case["expect"]["messageIdHex"] for case in bare]


def test_whole_cases_and_a_bare_list_of_devices_are_accepted(tmp_path: Path) -> None:
    devices = tmp_path / "devices.json"
    devices.write_text(json.dumps(vectors("oneshot-reference.json")["devices"]))
    status, answers = open_lines(json.dumps(CASES[0]).encode(), devices=devices)
    assert status == 0
    assert answers[0]["text"] == CASES[0]["expect"]["text"]


GOOD = line_of(CASES[0])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not JSON", "bad-line"),
        (b"\xff\xfe", "bad-line"),
        (b"[]", "bad-line"),
        (b"null", "bad-line"),
        (b"{}", "bad-line"),
        (b"[" * 100_000, "bad-line"),
        (b"9" * 10_000, "bad-line"),
        (b'{"name": "x"}', "bad-line"),
        (b'{"name": "x", "openWith": 7, "envelopeB64": "AA=="}', "bad-line"),
        (json.dumps({"name": "x", "openWith": BOBS}).encode(), "bad-line"),
        (json.dumps({"name": "x", "openWith": BOBS, "envelopeB64": "é"}).encode(), "bad-line"),
        (json.dumps({"name": "x", "openWith": BOBS, "envelopeB64": "AAA"}).encode(), "bad-line"),
        (json.dumps({"name": "x", "openWith": BOBS, "envelopeB64": ""}).encode(), "not-canonical"),
        (
            json.dumps({"name": "x", "openWith": BOBS, "envelopeB64": CASES[0]["envelopeB64"]}).encode(),
            "cannot-open",
        ),
        (json.dumps({"name": "x", "openWith": "0" * 64, "envelopeB64": "AA=="}).encode(), "unknown-device"),
        (b'{"name": "' + b"x" * (2 << 20) + b'"}', "too-large"),
    ],
)
def test_a_bad_line_gets_its_code_and_the_next_line_is_still_read(line: bytes, code: str) -> None:
    status, answers = open_lines(line, b"", GOOD)
    assert status == 1
    assert [answer.get("error") for answer in answers] == [code, None]
    assert answers[1]["name"] == CASES[0]["name"]


def test_a_failed_line_is_told_by_its_name() -> None:
    line = json.dumps({"name": "mine", "openWith": "0" * 64, "envelopeB64": "AA=="}).encode()
    assert open_lines(line)[1][0]["name"] == "mine"


def test_no_lines_is_no_failure() -> None:
    assert open_lines() == (0, [])


def test_answers_come_before_the_input_ends() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "crypto_agent", "open", "--devices", ONE_SHOT_FILE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(GOOD + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["name"] == CASES[0]["name"]
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "crypto_agent", "open", "--devices", ONE_SHOT_FILE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(GOOD + b"\n", timeout=30)
    assert (process.returncode, errors) == (1, b"")


def test_what_is_sealed_opens() -> None:
    text = "line one\nline two \N{WHITE SMILING FACE}"
    status, copies, output = seal(
        "--from", ALICES, "--to", BOBS, CAROLS, "--to", ALICES, "--text", text,
        "--created-at", "2026-11-20T12:00:00Z",
    )  # fmt: skip
    assert status == 0
    assert [copy["openWith"] for copy in copies] == [BOBS, CAROLS, ALICES]
    assert {copy["form"] for copy in copies} == {"sealed"}
    status, answers = open_lines(*output.splitlines())
    assert status == 0
    for copy, answer in zip(copies, answers, strict=True):
        assert answer["text"] == text
        assert answer["senderFingerprint"] == ALICES
        assert answer["messageIdHex"] == copy["messageIdHex"]
        assert answer["conversationIdHex"] == copy["conversationIdHex"]
    # 2026-11-20T12:00:00Z in milliseconds, as CBOR.
    assert "1b" + (1_795_176_000_000).to_bytes(8, "big").hex() in answers[0]["contentHex"]


def test_a_device_without_a_prekey_is_sealed_to_as_bare_cms(tmp_path: Path) -> None:
    devices = devices_without("prekeyRecord", tmp_path)
    finished = run("seal", "--devices", devices, "--from", ALICES, "--to", BOBS, "--text", "x")
    assert finished.returncode == 0
    copy = json.loads(finished.stdout)
    assert (copy["form"], copy["prekeyError"]) == ("cms", None)
    assert open_lines(finished.stdout.strip(), devices=devices)[0] == 0


def test_one_unknown_device_does_not_stop_the_others() -> None:
    status, copies, _ = seal("--from", ALICES, "--to", "0" * 64, BOBS, "--text", "x")
    assert status == 1
    assert [copy.get("error") for copy in copies] == ["unknown-device", None]


@pytest.mark.parametrize(
    ("sender", "text", "code"),
    [
        ("0" * 64, "x", "unknown-device"),
        (ALICES, "x" * 70_000, "too-large"),
        (ALICES, os.fsdecode(b"\xff"), "not-canonical"),
    ],
)
def test_what_cannot_be_sealed_gets_its_code(sender: str, text: str, code: str) -> None:
    status, copies, _ = seal("--from", sender, "--to", BOBS, "--text", text)
    assert status == 1
    assert [copy["error"] for copy in copies] == [code]


def test_sealing_without_the_private_key_gets_its_code(tmp_path: Path) -> None:
    devices = devices_without("privateKeyPem", tmp_path)
    finished = run("seal", "--devices", devices, "--from", ALICES, "--to", BOBS, "--text", "x")
    assert finished.returncode == 1
    assert json.loads(finished.stdout)["error"] == "no-private-key"
    assert open_lines(GOOD, devices=devices)[1][0]["error"] == "no-private-key"


DEVICE = vectors("oneshot-reference.json")["devices"][0]


@pytest.mark.parametrize(
    "devices",
    [
        b"",
        b"not JSON",
        b"[" * 100_000,
        b"{}",
        b'{"devices": 7}',
        b"[7]",
        b"[{}]",
        json.dumps([{**DEVICE, "did": "did:web:bob.example"}]).encode(),
        json.dumps([{**DEVICE, "fingerprint": "0" * 64}]).encode(),
        json.dumps([{**DEVICE, "certificatePem": "PEM"}]).encode(),
        json.dumps([{**DEVICE, "privateKeyPem": "PEM"}]).encode(),
        json.dumps(
            [{**DEVICE, "privateKeyPem": vectors("oneshot-reference.json")["devices"][1]["privateKeyPem"]}]
        ).encode(),
        json.dumps([{**DEVICE, "prekeySecretHex": "00"}]).encode(),
        json.dumps([{**DEVICE, "prekeySecretHex": "no hex"}]).encode(),
        json.dumps([{**DEVICE, "prekeyRecord": {}}]).encode(),
        json.dumps([{**DEVICE, "prekeyRecord": 7}]).encode(),
    ],
)
def test_a_bad_devices_file_is_one_sentence(devices: bytes, tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_bytes(devices)
    finished = run("open", "--devices", path, stdin=GOOD)
    assert finished.returncode == 2
    assert finished.stdout == b""
    assert finished.stderr.startswith(b"crypto_agent: ")
    assert finished.stderr.count(b"\n") == 1


FROM_ALICE = ["seal", "--devices", str(ONE_SHOT_FILE), "--from", ALICES, "--text", "x"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["open"],
        ["unseal"],
        ["open", "--devices", "/nonexistent/devices.json"],
        FROM_ALICE,
        [*FROM_ALICE, "--to", BOBS, "--created-at", "now"],
        [*FROM_ALICE, "--to", BOBS, "--created-at", "2026-11-20"],
    ],
)
def test_a_command_that_cannot_start_exits_with_2(arguments: list[str]) -> None:
    finished = run(*arguments)
    assert finished.returncode == 2
    assert b"Traceback" not in finished.stderr


def test_neither_django_nor_the_agents_settings_are_loaded() -> None:
    program = (
        "import sys, crypto_agent.__main__ as main; main.main(['open', '--devices', sys.argv[1]]); "
        "sys.exit(any(name.split('.')[0] in ('django', 'httpx') or name == 'crypto_agent.settings' "
        "for name in sys.modules))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, ONE_SHOT_FILE], input=GOOD, capture_output=True, check=False, cwd=ROOT
    )
    assert finished.returncode == 0, finished.stderr
