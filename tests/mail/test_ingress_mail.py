"""What the ingress says to recipients and mails, without a socket."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from webmail import ingress_mail
from webmail.carriers.bounces import bounce_local_part
from webmail.ingress import IngressRefusal
from webmail.ingress_mail import (
    BARE_LINE_END,
    HOLDS_NUL,
    MAILBOX_FULL,
    OTHER_DOMAIN,
    RECIPIENT_KNOWN,
    RECIPIENT_UNKNOWN,
    STORED,
    TROUBLE,
    MailboxAddress,
    ReportAddress,
    read_address,
    replies_to_mail,
    reply_to_recipient,
)
from webmail.ingress_server import worst_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "secret"
DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
OTHER = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
SEALED = b"\x85\x01\x01\x01\x58\x20sealed"
ENVELOPE_MAIL = (
    b"Received: from [192.0.2.7]\r\nFrom: a@b.example\r\nContent-Type: application/atsms-envelope\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(SEALED) + b"\r\n"
)
ORDINARY_MAIL = b"From: a@b.example\r\nSubject: hello\r\n\r\nhello\r\n"


@dataclass
class RecordingDoor:
    """Notes what it is given; refuses the DIDs that it is told to."""

    refusals: dict[str, Exception] = field(default_factory=dict)
    given: list[tuple[str, str, bytes]] = field(default_factory=list)

    def check_recipient(self, did: str, *, now: datetime) -> None:
        if did != DID:
            raise IngressRefusal("unknown-recipient", "nobody")
        if did in self.refusals:
            raise self.refusals[did]

    def accept(self, did: str, envelope: bytes, *, now: datetime) -> object:
        return self._note("envelope", did, envelope)

    def accept_mail(self, did: str, raw: bytes, *, now: datetime) -> None:
        self._note("mail", did, raw)

    def accept_report(self, token: str, raw: bytes, *, now: datetime) -> None:
        self._note("report", token, raw)

    def _note(self, kind: str, whom: str, what: bytes) -> None:
        if whom in self.refusals:
            raise self.refusals[whom]
        self.given.append((kind, whom, what))


@pytest.mark.parametrize(
    ("address", "meaning"),
    [
        ("did!plc!ewvi7nxzyoun6zhxrhs64oiz@mail.test", MailboxAddress(DID)),
        ("DID!PLC!EWVI7NXZYOUN6ZHXRHS64OIZ@Mail.Test", MailboxAddress(DID)),
        ('"did!plc!ewvi7nxzyoun6zhxrhs64oiz"@mail.test', MailboxAddress(DID)),
        ('"did:plc:ewvi7nxzyoun6zhxrhs64oiz"@mail.test', MailboxAddress(DID)),
        ("plc.ewvi7nxzyoun6zhxrhs64oiz@mail.test", MailboxAddress(DID)),
        ("did!web!bob#example@mail.test", MailboxAddress("did:web:bob.example")),
        (bounce_local_part("17", SECRET) + "@mail.test", ReportAddress("17")),
        ("did!plc!ewvi7nxzyoun6zhxrhs64oiz@other.test", OTHER_DOMAIN),
        ("did!plc!ewvi7nxzyoun6zhxrhs64oiz@sub.mail.test", OTHER_DOMAIN),
        ("did!plc!ewvi7nxzyoun6zhxrhs64oiz", OTHER_DOMAIN),
        ("evil!did!plc!ewvi7nxzyoun6zhxrhs64oiz@mail.test", RECIPIENT_UNKNOWN),
        ("user%other.test@mail.test", RECIPIENT_UNKNOWN),
        ("@other.test:did!plc!ewvi7nxzyoun6zhxrhs64oiz@mail.test", RECIPIENT_UNKNOWN),
        ("b+17@mail.test", RECIPIENT_UNKNOWN),
        ("root@mail.test", RECIPIENT_UNKNOWN),
        ("@mail.test", RECIPIENT_UNKNOWN),
        ("did!plc!../../../../etc/passwd@mail.test", RECIPIENT_UNKNOWN),
    ],
)
def test_addresses(address: str, meaning: object) -> None:
    assert read_address(address, domains=["mail.test"], secret=SECRET) == meaning


def test_only_known_recipients_are_taken() -> None:
    door = RecordingDoor()
    assert reply_to_recipient(MailboxAddress(DID), door, now=NOW) == RECIPIENT_KNOWN
    assert reply_to_recipient(MailboxAddress(OTHER), door, now=NOW) == RECIPIENT_UNKNOWN
    assert reply_to_recipient(ReportAddress("17"), door, now=NOW) == RECIPIENT_KNOWN
    assert reply_to_recipient(OTHER_DOMAIN, door, now=NOW) == OTHER_DOMAIN


def test_a_recipient_whose_mailbox_is_full_is_asked_for_later() -> None:
    door = RecordingDoor(refusals={DID: IngressRefusal("mailbox-full", "why")})
    assert reply_to_recipient(MailboxAddress(DID), door, now=NOW) == MAILBOX_FULL
    assert MAILBOX_FULL.startswith("452 4.2.2 ")


def replies(door: RecordingDoor, raw: bytes, *addresses: MailboxAddress | ReportAddress) -> list[str]:
    return replies_to_mail(addresses, raw, door, now=NOW)


def test_an_envelope_is_stored_alone_and_ordinary_mail_as_it_came() -> None:
    door = RecordingDoor()
    assert replies(door, ENVELOPE_MAIL, MailboxAddress(DID)) == [STORED]
    assert replies(door, ORDINARY_MAIL, MailboxAddress(DID)) == [STORED]
    assert door.given == [("envelope", DID, SEALED), ("mail", DID, ORDINARY_MAIL)]


def test_a_report_goes_to_its_delivery() -> None:
    door = RecordingDoor()
    assert replies(door, ORDINARY_MAIL, ReportAddress("17")) == [STORED]
    assert door.given == [("report", "17", ORDINARY_MAIL)]


@pytest.mark.parametrize(
    ("code", "start"),
    [
        ("unknown-recipient", "550 5.1.1 "),
        ("too-large", "552 5.3.4 "),
        ("not-an-envelope", "554 5.6.0 "),
        ("over-quota", "452 4.2.2 "),
        ("mailbox-full", "452 4.2.2 "),
        ("mailbox-unavailable", "451 4.3.0 "),
        ("something-new", "451 4.3.0 "),
    ],
)
def test_refusals(code: str, start: str) -> None:
    door = RecordingDoor(refusals={DID: IngressRefusal(code, "why")})
    (reply,) = replies(door, ENVELOPE_MAIL, MailboxAddress(DID))
    assert reply.startswith(start)


def test_every_recipient_gets_a_reply_of_their_own() -> None:
    errors: list[Exception] = []
    door = RecordingDoor(
        refusals={OTHER: IngressRefusal("over-quota", "x"), "17": RuntimeError("secret text")}
    )
    got = replies_to_mail(
        [MailboxAddress(OTHER), MailboxAddress(DID), ReportAddress("17")],
        ENVELOPE_MAIL,
        door,
        now=NOW,
        on_error=errors.append,
    )
    assert [reply[:3] for reply in got] == ["452", "250", "451"]
    assert got[2] == TROUBLE
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("raw", "reply"),
    [
        (b"Subject: x\r\n\r\na\n.\r\nMAIL FROM:<x@y>\r\n", BARE_LINE_END),
        (b"Subject: x\r\n\r\na\r.\r\n", BARE_LINE_END),
        (b"Subject: x\n\nhello\n", BARE_LINE_END),
        (b"Subject: x\r\n\r\na\r\r\n", BARE_LINE_END),
        (b"Subject: x\r\n\r\na\0b\r\n", HOLDS_NUL),
    ],
)
def test_mail_that_others_could_read_otherwise_is_refused(raw: bytes, reply: str) -> None:
    door = RecordingDoor()
    assert replies(door, raw, MailboxAddress(DID), MailboxAddress(DID)) == [reply, reply]
    assert door.given == []


def test_one_reply_for_all_keeps_the_mail_with_the_sender() -> None:
    assert worst_of([STORED, "452 4.2.2 x", "550 5.1.1 x"]).startswith("452")
    assert worst_of([STORED, "550 5.1.1 x"]).startswith("550")
    assert worst_of([STORED, STORED]) == STORED
    assert worst_of([]) == TROUBLE


def test_no_reply_holds_a_line_end() -> None:
    texts = [value for value in vars(ingress_mail).values() if isinstance(value, str) and value[:1] in "245"]
    assert texts
    assert not any("\r" in text or "\n" in text for text in texts)
