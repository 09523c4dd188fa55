"""Names of mailboxes, and the forms in which others write them."""

import base64

import pytest

from webmail.mailbox import MailboxError
from webmail.mailbox.names import did_of_local_part, mailbox_name

PLC = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"


@pytest.mark.parametrize(
    ("did", "name"),
    [
        (PLC, "did!plc!ewvi7nxzyoun6zhxrhs64oiz"),
        ("did:web:bob.example", "did!web!bob.example"),
        ("did:web:localhost%3A8443", "did!web!localhost%3a8443"),
    ],
)
def test_a_name_stands_for_its_did(did: str, name: str) -> None:
    assert mailbox_name(did) == name
    assert did_of_local_part(name) == did
    assert did_of_local_part(name.upper()) == did


@pytest.mark.parametrize(
    ("local", "did"),
    [
        (PLC, PLC),
        (PLC.replace(":", "_"), PLC),
        ("plc.ewvi7nxzyoun6zhxrhs64oiz", PLC),
        ("did!web!bob#example", "did:web:bob.example"),
        ("web." + base64.urlsafe_b64encode(b"bob.example").decode().rstrip("="), "did:web:bob.example"),
        (
            "web." + base64.urlsafe_b64encode(b"localhost%3A8443").decode().rstrip("="),
            "did:web:localhost%3A8443",
        ),
    ],
)
def test_other_forms_of_an_address_are_read(local: str, did: str) -> None:
    assert did_of_local_part(local) == did


@pytest.mark.parametrize(
    "local",
    [
        "",
        "postmaster",
        "did!plc!short",
        "did!plc!..",
        "did!web!../x",
        "did!web!a#!b",
        "did!web!#",
        "plc.",
        "web.",
        "web.!!!!",
        "web.gIA",
        "did!plc!ewvi7nxzyoun6zhxrhs64oiz+tag",
        "did!plc!ewvi7nxzyoun6zhxrhs64oiz!x",
        "éé",
    ],
)
def test_other_local_parts_stand_for_nobody(local: str) -> None:
    assert did_of_local_part(local) is None


def test_a_name_can_be_no_other_path() -> None:
    for did in ("did:web:..", "did:web:a..b", "did:web:a%2Fb", "did:web:-" + "a" * 250):
        with pytest.raises(MailboxError):
            mailbox_name(did)
