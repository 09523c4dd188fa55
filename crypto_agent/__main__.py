"""Open and seal envelopes on the command line: ``python -m crypto_agent open`` and ``… seal``.

JSON lines in and out, one answer for each line, whatever is in it. Exit status 0 if every line
succeeded, 1 if one failed, 2 if the command could not start. Neither needs the agent or its database.
"""

import argparse
import base64
import binascii
import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from crypto_agent.atsms import cms
from crypto_agent.atsms.content import SALT_BYTES, encode_content, new_content, text_part
from crypto_agent.atsms.errors import AtsmsError, TooLarge
from crypto_agent.atsms.ids import message_id
from crypto_agent.atsms.oneshot import OpenedMessage, Recipient, open_message, seal_for_device
from crypto_agent.device_file import BadDeviceFile, FileDevice, parse_devices

#: A line takes some 90 KB for the largest envelope; other fields of a case may stand beside it.
MAX_LINE_BYTES = 1 << 20
MAX_DEVICE_FILE_BYTES = 16 << 20


class BadLine(AtsmsError):
    """A line of input that is not a JSON object with the fields that it needs."""

    code = "bad-line"


class UnknownDevice(AtsmsError):
    """A fingerprint that is not in the devices file."""

    code = "unknown-device"


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        devices = _read_devices(options.devices)
    except (BadDeviceFile, OSError) as error:
        print(f"crypto_agent: {error}", file=sys.stderr)
        return 2
    answers = (
        open_lines(sys.stdin.buffer, devices)
        if options.command == "open"
        else seal_text(devices, options.sender, options.to, options.text, options.created_at)
    )
    failed = False
    for answer in answers:
        failed = failed or "error" in answer
        print(json.dumps(answer), flush=True)
    return int(failed)


def open_lines(lines: BinaryIO, devices: Mapping[str, FileDevice]) -> Iterator[dict[str, Any]]:
    """An answer for every line that is not blank: what opened, or the code of why it did not.

    A line is ``{"name", "openWith": fingerprint, "envelopeB64"}``; other fields are ignored. The
    envelope is a sealed envelope or bare CMS.
    """
    while line := lines.readline(MAX_LINE_BYTES + 1):
        name = None
        try:
            if len(line) > MAX_LINE_BYTES:
                _skip_line(lines, line)
                raise TooLarge(f"a line above {MAX_LINE_BYTES} bytes")
            if not line.strip():
                continue
            case = _parse_line(line)
            name = case.get("name")
            device = _device(devices, _text(case, "openWith"))
            message = open_message(_base64(case, "envelopeB64"), device.keys())
            yield {"name": name, **_description(message)}
        except AtsmsError as error:
            yield _failure(name, error)


def seal_text(
    devices: Mapping[str, FileDevice], sender: str, to: list[str], text: str, created_at: datetime
) -> Iterator[dict[str, Any]]:
    """One sealed copy of ``text`` for each fingerprint in ``to``, as lines that ``open`` reads.

    ``sender`` is the fingerprint that signs. The recipients are the DIDs of the devices in ``to``; a
    sender's own device may be among them and is sent a copy.
    """
    now = datetime.now(UTC)
    try:
        keys = _device(devices, sender).keys()
        known = [devices[fingerprint].certificate.did for fingerprint in to if fingerprint in devices]
        others = [did for did in dict.fromkeys(known) if did != keys.did]
        content = new_content(
            keys.did,
            others or [keys.did],
            [text_part(text)],
            salt=os.urandom(SALT_BYTES),
            created_at=max(0, round(created_at.timestamp() * 1000)),
        )
        encoded = encode_content(content)
        signed = cms.sign(encoded, keys.key, keys.certificate)
    except AtsmsError as error:
        yield _failure(sender, error)
        return
    identifier = message_id(keys.did, content.conversation_id, encoded, content.salt)
    for fingerprint in to:
        try:
            device = _device(devices, fingerprint)
            recipient = Recipient(device.certificate, device.prekey)
            copy = seal_for_device(signed, recipient, now=now, random=os.urandom)
        except AtsmsError as error:
            yield _failure(fingerprint, error)
            continue
        yield {
            "name": fingerprint,
            "openWith": fingerprint,
            "envelopeB64": base64.b64encode(copy.envelope).decode(),
            "envelopeIdHex": copy.envelope_id.hex(),
            "form": copy.form,
            "prekeyError": copy.prekey_error,
            "conversationIdHex": content.conversation_id.hex(),
            "messageIdHex": identifier.hex(),
        }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crypto_agent", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    opening = commands.add_parser("open", help="open the envelopes in JSON lines on standard input")
    sealing = commands.add_parser("seal", help="seal a text and print an envelope for each device")
    for command in (opening, sealing):
        command.add_argument("--devices", required=True, type=Path, help="JSON file of devices")
    sealing.add_argument("--from", dest="sender", required=True, metavar="FINGERPRINT")
    sealing.add_argument("--to", required=True, nargs="+", action="extend", metavar="FINGERPRINT")
    sealing.add_argument("--text", required=True)
    sealing.add_argument(
        "--created-at",
        type=_time,
        default=datetime.now(UTC),
        help="ISO 8601 time with a zone, instead of now",
    )
    return parser


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise argparse.ArgumentTypeError("not an ISO 8601 time with a zone")
    return time


def _read_devices(path: Path) -> dict[str, FileDevice]:
    with path.open("rb") as file:
        text = file.read(MAX_DEVICE_FILE_BYTES + 1)
    if len(text) > MAX_DEVICE_FILE_BYTES:
        raise BadDeviceFile(f"the devices file is above {MAX_DEVICE_FILE_BYTES} bytes")
    return parse_devices(text)


def _skip_line(lines: BinaryIO, read: bytes) -> None:
    while read and not read.endswith(b"\n"):
        read = lines.readline(MAX_LINE_BYTES)


def _parse_line(line: bytes) -> dict[str, Any]:
    try:
        case = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine("not JSON") from error
    if not isinstance(case, dict):
        raise BadLine("not a JSON object")
    return case


def _text(case: Mapping[str, Any], field: str) -> str:
    value = case.get(field)
    if not isinstance(value, str):
        raise BadLine(f"{field} is missing or not text")
    return value


def _base64(case: Mapping[str, Any], field: str) -> bytes:
    try:
        return base64.b64decode(_text(case, field), validate=True)
    except (binascii.Error, ValueError) as error:
        if isinstance(error, BadLine):
            raise
        raise BadLine(f"{field} is not base64") from error


def _device(devices: Mapping[str, FileDevice], fingerprint: str) -> FileDevice:
    if fingerprint not in devices:
        raise UnknownDevice("no device in the devices file has this fingerprint")
    return devices[fingerprint]


def _description(message: OpenedMessage) -> dict[str, Any]:
    content = message.content
    return {
        "senderDid": message.sender_did,
        "senderFingerprint": message.sender_fingerprint,
        "conversationIdHex": message.conversation_id.hex(),
        "messageIdHex": message.message_id.hex(),
        "contentHex": message.content_bytes.hex(),
        "text": content.text,
        "renderKinds": content.render_kinds,
        "applyKinds": content.apply_kinds,
        "degraded": content.degraded,
        "tombstone": content.tombstone,
    }


def _failure(name: object, error: AtsmsError) -> dict[str, Any]:
    return {"name": name, "error": error.code, "detail": str(error)}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away; the interpreter's own flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
