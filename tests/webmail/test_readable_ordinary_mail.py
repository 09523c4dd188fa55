"""Ordinary mail in the readable export: as it came, with the answers, however large, in either format."""

from __future__ import annotations

import mailbox
import re
import secrets
import tracemalloc
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentClient
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of
from tests.webmail.ordinary_mail import WORDS, arrived, mail_to, write
from tests.webmail.readable_archives import conversations, opened, taken
from tests.webmail.sent_files import pages_ask_as_web
from webmail.blobs import spool
from webmail.mailbox import INBOX, MailboxError, open_mailbox
from webmail.models import Arrival, OutgoingMail
from webmail.ordinary import filing, reading
from webmail.readable_export import export, ordinary_mail
from webmail.views import readable_export as page

pytestmark = pytest.mark.django_db
PICTURE = bytes(range(256)) * 12_000
LIKE_A_MAIL = "From here to there\r\n>From quoted\r\nnot From here\r\n\r\nFrom the end"


@pytest.fixture(autouse=True)
def as_pages(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentClient:
    return pages_ask_as_web(settings, tmp_path, monkeypatch, page)


@pytest.fixture
def alice(agent_process: AgentProcess, settings: Settings, tmp_path: Path) -> Account:
    """Somebody of this test alone, since an hour allows an account so many exports."""
    settings.MAILBOX_URL = f"maildir://{tmp_path / 'mail'}"
    did = "did:plc:" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(24))
    account = Account.objects.create(
        did=did, handle="alice.test", pds_url="http://localhost:1", enrolled_at=timezone.now()
    )
    agent().create_device(did, account.handle, "mail.test")
    settings.AGENT_CALLER = "worker"
    return account


def with_picture(octets: bytes = PICTURE) -> bytes:
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"] = "Parcel desk <desk@parcels.example>", "alice@mail.example"
    message["Subject"], message["Message-ID"] = "Ihr Päckchen ist da", "<two@parcels.example>"
    message.set_content("See the picture.\n")
    message.add_attachment(octets, maintype="image", subtype="png", filename="päckchen.png")
    return bytes(message)


def in_mbox(archive: bytes, tmp_path: Path) -> list[bytes]:
    """The mails as Python's reader finds them, with the quoting taken back."""
    path = tmp_path / "ordinary.mbox"
    with opened(archive) as found:
        path.write_bytes(found.read(export.ORDINARY))
    box = mailbox.mbox(path, create=False)
    found_mails = [box.get_bytes(key) for key in box.keys()]  # noqa: SIM118
    box.close()
    return [re.sub(rb"(?m)^>(>*From )", rb"\1", each) for each in found_mails]


def stored(raw: bytes) -> bytes:
    """As an mbox has it."""
    raw = raw.replace(b"\r\n", b"\n")
    return raw if raw.endswith(b"\n") else raw + b"\n"


@pytest.mark.parametrize("form", ["mbox", "json"])
def test_each_mail_comes_along_as_it_came_with_its_files(
    alice: Account, as_pages: AgentClient, tmp_path: Path, form: export.Form
) -> None:
    raws = [
        mail_to(alice),
        with_picture(),
        mail_to(alice) + LIKE_A_MAIL.encode(),
        b"Subject: \xe4\xf6\xfc\r\n\r\n8bit \xff\xfe and a line of " + b"y" * 200_000 + b"\r\n",
    ]
    for raw in raws:
        arrived(alice, raw)
    archive = taken(alice, as_pages, form)
    found = in_mbox(archive, tmp_path)
    assert found == [stored(raw) for raw in raws]
    parsed = BytesParser(policy=policy.default).parsebytes(found[1])
    assert isinstance(parsed, EmailMessage)
    (file,) = parsed.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("päckchen.png", PICTURE)
    with opened(archive) as files:
        assert export.ORDINARY_LEFT not in files.namelist()
        assert "ordinary-mail.mbox has the mail that nobody sealed" in files.read("README.txt").decode()
    if form == "json":
        assert conversations(archive) == []


def test_the_answers_stand_behind_their_mail(alice: Account, as_pages: AgentClient, tmp_path: Path) -> None:
    first, second = arrived(alice, mail_to(alice)), arrived(alice, with_picture())
    browser = browser_of(alice)
    for arrival, words in ((first, WORDS), (second, "Thank you for the picture."), (first, "Once more.")):
        assert write(browser, arrival.pk, text=words).status_code == 302
    # One of them waits here alone; the others lie in Sent, one of them nowhere else.
    early, later = OutgoingMail.objects.filter(arrival=first)
    for row in (early, OutgoingMail.objects.get(arrival=second)):
        filing.file(row.pk, now=timezone.now())
    OutgoingMail.objects.filter(pk=early.pk).update(sealed=None)
    found = in_mbox(taken(alice, as_pages, "mbox"), tmp_path)
    read = [BytesParser(policy=policy.default).parsebytes(each) for each in found]
    assert [str(each["Subject"]) for each in read] == [
        "A parcel",
        "Re: A parcel",
        "Re: A parcel",
        "Ihr Päckchen ist da",
        "Re: Ihr Päckchen ist da",
    ]
    texts = [each.get_body(("plain",)) for each in read if isinstance(each, EmailMessage)]
    said = [text.get_content() if text else "" for text in texts]
    assert WORDS in said[1]
    assert "Once more." in said[2]
    assert "Thank you for the picture." in said[4]
    assert later.sealed


def test_what_another_program_took_away_is_counted(
    alice: Account, as_pages: AgentClient, tmp_path: Path
) -> None:
    kept = with_picture()
    gone, there = arrived(alice, mail_to(alice)), arrived(alice, kept)
    with open_mailbox(alice.did) as box:
        box.expunge(INBOX, [gone.uid])
    archive = taken(alice, as_pages, "mbox")
    assert in_mbox(archive, tmp_path) == [stored(kept)]
    with opened(archive) as files:
        assert "1 mail is no longer in the mailbox" in files.read(export.ORDINARY_LEFT).decode()
    # A folder that was made anew has other mail under the same numbers.
    Arrival.objects.filter(pk=there.pk).update(uid_validity=there.uid_validity + 1)
    with opened(taken(alice, as_pages, "mbox")) as files:
        assert "2 mails are no longer in the mailbox" in files.read(export.ORDINARY_LEFT).decode()


def test_a_mailbox_that_is_away_is_named_and_asked_once(
    alice: Account, as_pages: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _number in range(3):
        arrived(alice, mail_to(alice) + str(_number).encode())
    asked = []

    def away(did: str) -> object:
        asked.append(did)
        raise MailboxError("unavailable", "away")

    monkeypatch.setattr(reading, "open_mailbox", away)
    with opened(taken(alice, as_pages, "mbox")) as files:
        assert "The mailbox could not be reached" in files.read(export.ORDINARY_LEFT).decode()
        assert files.read(export.ORDINARY) == b""
    assert len(asked) == 1


def test_what_has_no_room_here_is_counted(
    alice: Account, as_pages: AgentClient, settings: Settings, tmp_path: Path
) -> None:
    arrived(alice, with_picture())
    arrived(alice, mail_to(alice))
    settings.SPOOL_BYTES = 1_000_000
    archive = taken(alice, as_pages, "mbox")
    assert in_mbox(archive, tmp_path) == [stored(mail_to(alice))]
    with opened(archive) as files:
        assert (
            "1 mail is missing because this server had no room" in files.read(export.ORDINARY_LEFT).decode()
        )
    assert spool._room._used == 0


def test_without_ordinary_mail_there_is_no_file(alice: Account, bob: Account, as_pages: AgentClient) -> None:
    arrived(bob, mail_to(bob))
    with opened(taken(alice, as_pages, "mbox")) as files:
        assert files.namelist() == ["README.txt"]


def test_large_mail_takes_no_more_memory(alice: Account, as_pages: AgentClient) -> None:
    peaks = []
    for many in (2, 6):
        for number in range(many):
            arrived(alice, with_picture(PICTURE * 2 + bytes([many, number])))
        made = export.begin(
            alice, "waxwing.test", as_pages, "mbox", with_files=True, language="en", now=timezone.now()
        )
        tracemalloc.start()
        try:
            assert max(map(len, made.chunks())) < 1_500_000
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2
    assert peaks[1] < 5_000_000


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n",
        b"From a\r\nFrom b",
        b">>From a\r\n>From\r\nFrom\r\n",
        b"a\rFrom b\r\nFrom c\r\n",
        b"x" * 150_000 + b"From b\r\nFrom c\r\n" + b"y" * 70_000,
    ],
)
def test_quoting_does_not_depend_on_the_pieces(octets: bytes, size: int) -> None:
    size = size if len(octets) < 1000 else size + 1000
    pieces = (octets[at : at + size] for at in range(0, len(octets), size))
    out = b"".join(ordinary_mail.quoted(pieces))
    assert not re.search(rb"^From ", out, re.MULTILINE)
    assert re.sub(rb"(?m)^>(>*From )", rb"\1", out) == (stored(octets) if octets else b"")


def test_the_page_says_that_it_is_in_it(alice: Account) -> None:
    html = browser_of(alice).get("/devices/export/readable/").content.decode()
    assert "Mail that nobody sealed comes along" in html
