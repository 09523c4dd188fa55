"""People who have been writing to each other for a while, so that every page has something to show."""

from __future__ import annotations

import json
import re
import smtplib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx

from demo.local_network import NetworkInfo
from tests.services.installations import RunningInstallation, wait_until
from tests.services.windows import Window, words
from tests.webmail.pictures import photo
from webmail.mailbox.names import mailbox_name

VECTORS = Path(__file__).parent.parent / "vectors" / "oneshot-reference.json"

WITH_BOB = (
    ("alice", "Are you still up for Sunday? The forecast turned out better than I feared."),
    ("bob", "Yes! Sun until four, then clouds."),
    ("bob", "Shall we take the early train? The path along the river is lovely before everyone is there."),
    ("alice", "7:52 from the main station. I'll bring the thermos.\nThe whole way is here:"),
    ("alice", "https://walks.example/river-path?from=weir"),
    ("bob", "🎉"),
    ("bob", "Perfect. I'll look after bread and cheese, and the good apples if the market still has them."),
    ("alice", "Then all that's missing is the dog."),
)
WITH_BOTH = (
    ("alice", "Supper on Friday, at my place? Seven or so."),
    ("carol", "Count me in. I bring bread."),
    ("bob", "And I the soup. It is last year's pumpkin, so it had better be eaten."),
)
#: Each a topic of all three: what it began with, and what was answered in it.
TOPICS = (
    (
        ("carol", "\u05de\u05d4 \u05e7\u05d5\u05e8\u05d0\u05d9\u05dd?\nA book for the summer, not too sad."),
        ("bob", "The one with the lighthouse."),
    ),
    (
        ("bob", "What everybody brings on Friday, so that there are not three salads and no bread again"),
        ("carol", "A salad, then."),
        ("alice", "Wine, and glasses."),
    ),
)
GROUP = "Supper on Fridays, and what everybody brings"
WITH_CAROL = (("carol", "The book is finished. You were right about the ending."), ("alice", "I told you!"))
NOTE = "Maps for the walk"
MAIL = (
    "From: Parcel desk <desk@parcels.example>\nReply-To: answers@parcels.example\n"
    "Cc: The house at the end of the road <house-with-a-long-name@neighbours.example>, shop@shops.example\n"
    "Subject: Your parcel waits at the desk\nMessage-ID: <one@parcels.example>\n"
    "Date: Tue, 17 Nov 2026 17:44:00 +0100\nMIME-Version: 1.0\n"
    "Content-Type: multipart/alternative; boundary=b\n\n"
    "--b\nContent-Type: text/plain\n\nHello Alice,\n\nyour parcel waits. Shall we bring it on Friday?\n"
    "--b\nContent-Type: text/html\n\n<p>Hello <b>Alice</b>,<p>your parcel waits.\n--b--\n"
)
MAIL_OF_PROGRAM = "From: MAILER-DAEMON@lists.example\nSubject: Undelivered\n\nIt came back.\n"
ANSWER = "Friday is fine, after five. Ring twice, the bell is quiet."
LATER = "Remember the maps, and the key to the boathouse."
HALF = "And ask whether the ferry still goes on the days before"
AFTER_REVOKING = "Can I pass it on to Bob when we meet?"


@dataclass(frozen=True)
class Seeded:
    """The paths of the conversations."""

    with_bob: str
    with_both: str
    #: Its last message was not delivered.
    with_carol: str
    #: Files with long and right-to-left names; a draft, and a message that waits for its time.
    with_files: str
    #: Ordinary mail to several people, and one that nobody reads an answer to.
    mail: str
    mail_of_program: str
    #: One that is deleted.
    mail_deleted: str


def seed(installation: RunningInstallation, network: NetworkInfo) -> Seeded:
    """Conversations and troubles. Alice's pages are the ones to look at afterwards."""
    seeded = seed_conversations(installation, network)
    seed_troubles(installation, network, seeded)
    return seeded


def seed_conversations(installation: RunningInstallation, network: NetworkInfo) -> Seeded:
    """Everybody has signed in and published before."""
    windows = _windows(installation, network)
    everybody = _Talk(installation, windows, ("alice", "bob", "carol"))
    with_both = _write(everybody, WITH_BOTH)
    everybody.name("bob", with_both, GROUP)
    return Seeded(
        with_files=_write_files(windows),
        with_carol=_write(_Talk(installation, windows, ("alice", "carol")), WITH_CAROL),
        with_both=_write_topics(everybody, with_both),
        with_bob=_write(_Talk(installation, windows, ("alice", "bob")), WITH_BOB),
        mail=write_ordinary_mail(installation, windows["alice"], MAIL),
        mail_of_program=write_ordinary_mail(installation, windows["alice"], MAIL_OF_PROGRAM),
        mail_deleted=_delete_ordinary_mail(installation, windows["alice"]),
    )


def seed_troubles(installation: RunningInstallation, network: NetworkInfo, seeded: Seeded) -> None:
    """A message that was not delivered, and one that could not be opened."""
    windows = _windows(installation, network)
    _fail_to_deliver(installation, windows, seeded.with_carol)
    _keep_something_aside(installation, windows["alice"])
    _find_a_strange_device(installation, windows["alice"])
    _fail_to_answer(installation, windows["alice"], seeded.mail)
    _leave_unsent(windows["alice"], seeded.with_files)


def write_ordinary_mail(installation: RunningInstallation, to: Window, raw: str) -> str:
    """A mail comes by SMTP; the path of its page."""
    before = set(_mails(to))
    with smtplib.SMTP("127.0.0.1", installation.installation.ports.ingress) as client:
        # The same mail once more would be known.
        mail = f"X-Number: {uuid4()}\nTo: {mailbox_name(to.did)}@localhost\n{raw}".replace(
            "\n", "\r\n"
        ).encode()
        client.sendmail("", [f"{mailbox_name(to.did)}@localhost"], mail)
    wait_until(lambda: set(_mails(to)) - before, 60)
    (path,) = set(_mails(to)) - before
    return path


def _delete_ordinary_mail(installation: RunningInstallation, alice: Window) -> str:
    path = write_ordinary_mail(installation, alice, MAIL)
    alice.post(f"{path}mark/", {"do": "delete"}, form_at=path)
    return path


def _mails(window: Window) -> list[str]:
    return re.findall(r'href="(/mail/\d+/)"', window.get("/mail/"))


def _fail_to_answer(installation: RunningInstallation, alice: Window, path: str) -> None:
    """Two answers: one that left, and one that a server refused, as if it had."""
    for text in (ANSWER, f"{ANSWER} {ANSWER}"):
        form: dict[str, str | list[str]] = {"text": text, "token": str(uuid4()), "to": "all", "quote": "1"}
        alice.post(f"{path}answer/", form, form_at=path)
    statement = (
        "UPDATE webmail_outgoingmailrecipient SET state = 'failed', next_attempt_at = NULL,"
        " failure_code = 'address-unknown', failure_reply = '550 5.1.1 no such user'"
        " WHERE id = (SELECT MAX(id) FROM webmail_outgoingmailrecipient WHERE state <> 'waiting')"
    )
    wait_until(lambda: "Waiting to be sent" not in alice.words(path), 60)
    installation.sql(statement)


def _leave_unsent(alice: Window, path: str) -> None:
    """A message for tomorrow that will disappear, and half of another one."""
    alice.post(f"{path}disappear/", {"seconds": "86400"}, form_at=path)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    later: dict[str, str | list[str]] = {"text": LATER, "token": str(uuid4()), "at": tomorrow.isoformat()}
    alice.post(f"{path}send/", later, form_at=path)
    kept = alice.post(f"{path}draft/keep/", {"text": HALF, "revision": "0"}, form_at=path)
    assert kept.status_code == 200, words(kept.text)


def _windows(installation: RunningInstallation, network: NetworkInfo) -> dict[str, Window]:
    windows = {name: Window(installation.url, account) for name, account in network.accounts.items()}
    for window in windows.values():
        window.sign_in()
    return windows


@dataclass(frozen=True)
class _Talk:
    """Some of them, who write in turn, each once everybody has what came before."""

    installation: RunningInstallation
    windows: dict[str, Window]
    people: tuple[str, ...]

    def begin(self, writer: str, text: str) -> str:
        """The path of the conversation."""
        others = [self.windows[name].did for name in self.people if name != writer]
        path = self.windows[writer].write(others, text)
        wait_until(lambda: self._copies(path) >= len(self.people), 60)
        return path

    def go_on(self, writer: str, path: str, text: str, *, topic: str = "") -> str:
        """The message's id."""
        expected = self._copies(path) + len(self.people)
        message_id = self.windows[writer].reply(path, text, topic=topic)
        wait_until(lambda: self._copies(path) >= expected, 60)
        return message_id

    def name(self, writer: str, path: str, name: str) -> None:
        """Which every thread tells as an event."""
        fields: dict[str, str | list[str]] = {"name": name, "token": str(uuid4())}
        self.windows[writer].post(f"{path}people/name/", fields, form_at=f"{path}people/")
        for each in self.people:
            wait_until(lambda each=each: name in self.windows[each].words(path), 60)

    def end(self, path: str, text: str) -> None:
        """Everybody sees the last message, and so opens all of them."""
        for name in self.people:
            wait_until(lambda name=name: _has(self.windows[name], path, text), 60)

    def _copies(self, path: str) -> int:
        """How many messages there are in the conversation, one for each who has it."""
        ((count,),) = self.installation.sql(
            "SELECT count(*) FROM webmail_message m JOIN webmail_conversation c ON c.id = m.conversation_id"
            " WHERE c.conversation_id = ?",
            path.split("/")[2],
        )
        return int(count)


def _write(talk: _Talk, said: tuple[tuple[str, str], ...]) -> str:
    path = talk.begin(*said[0])
    for writer, text in said[1:]:
        talk.go_on(writer, path, text)
    talk.end(path, said[-1][1])
    return path


def _write_topics(talk: _Talk, path: str) -> str:
    for (first_writer, first), *answers in TOPICS:
        key = talk.go_on(first_writer, path, first)
        for writer, text in answers:
            talk.go_on(writer, path, text, topic=key)
    talk.end(path, TOPICS[-1][-1][1])
    return path


def _write_files(windows: dict[str, Window]) -> str:
    """Alone with herself, so that the list's other rows stay as they are."""
    path = windows["alice"].write([windows["alice"].did], NOTE)
    name = "the way along the river, seen from the weir, with the two bridges.png"
    picture = (name, photo((900, 600), "PNG"), "image/png")
    right_to_left = ("\u05de\u05e4\u05d4.pdf", bytes(90_000), "application/pdf")
    windows["alice"].attach(path, "", ("notes.txt", b"a few words", "text/plain"))
    windows["alice"].attach(path, "Both maps", picture, right_to_left)
    wait_until(lambda: _has(windows["alice"], path, "Both maps"), 60)
    return path


def _has(window: Window, path: str, text: str) -> bool:
    return path in window.rows() and text in window.texts(path)


def _fail_to_deliver(installation: RunningInstallation, windows: dict[str, Window], path: str) -> None:
    """Carol has no device for a moment."""
    windows["carol"].revoke_device()
    installation.a_day_passes()
    windows["alice"].reply(path, AFTER_REVOKING)
    wait_until(lambda: "Not delivered" in windows["alice"].rows()[path], 60)
    windows["carol"].enrol()
    installation.a_day_passes()


def _keep_something_aside(installation: RunningInstallation, alice: Window) -> None:
    """An envelope that was sealed to somebody else."""
    envelope = json.loads(VECTORS.read_text())["cases"][0]["envelopeB64"]
    answer = httpx.post(f"{installation.url}/inbox/{alice.did}", json={"envelope": envelope}, timeout=20)
    answer.raise_for_status()
    wait_until(lambda: "None of your keys opens it" in alice.words("/kept-aside/"), 60)


def _find_a_strange_device(installation: RunningInstallation, alice: Window) -> None:
    """As if a look at her repository had found it; the next look finds it gone."""
    installation.sql(
        "INSERT INTO accounts_publishedentry"
        " (account_id, kind, value, known, expected, present, first_seen_at, last_seen_at)"
        " SELECT id, 'device', ?, FALSE, FALSE, TRUE, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP"
        " FROM accounts_account WHERE did = ?",
        "5a" * 32,
        alice.did,
    )
