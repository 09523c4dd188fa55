"""One contract for mailboxes, kept by the Maildir adapter, and by the IMAP adapter on a real Dovecot."""

import multiprocessing
import os
import random
import re
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from webmail.mailbox import (
    ARCHIVE,
    DELETED,
    FOLDERS,
    INBOX,
    JUNK,
    NOT_JUNK,
    QUARANTINE,
    SEEN,
    MailboxError,
    open_mailbox,
)
from webmail.mailbox.mailbox import FETCH_BYTES


def in_child(work: Callable[[], None]) -> int:
    """Starts a child process by a bare fork and returns its id. multiprocessing's own would first tidy up
    connections that other tests left in this process, and wait for servers that are gone."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def mail(number: int | str, body: bytes = b"hello\r\n") -> bytes:
    return f"Message-ID: <m{number}@example.invalid>\r\nSubject: {number}\r\n\r\n".encode() + body


@pytest.mark.usefixtures("mailboxes")
class TestContract:
    def test_append_gives_back_what_was_put_in(self, did: str) -> None:
        raw = mail(1, bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") * 3 + b"\r\n.\r\n\r\n")
        before = datetime.now(UTC) - timedelta(seconds=2)
        with open_mailbox(did) as mailbox:
            put = mailbox.append(INBOX, raw)
            stored = mailbox.fetch(INBOX, [put.uid])[put.uid]
        assert stored.raw == raw
        assert stored.size == len(raw)
        assert not stored.truncated
        assert put.uidvalidity > 0
        assert before <= stored.received_at <= datetime.now(UTC) + timedelta(seconds=2)

    def test_lone_line_ends_become_crlf(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            put = mailbox.append(INBOX, b"Subject: x\n\na\rb\r\nc\n")
            assert mailbox.fetch(INBOX, [put.uid])[put.uid].raw == b"Subject: x\r\n\r\na\r\nb\r\nc\r\n"

    def test_a_nul_is_refused_and_nothing_stored(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            with pytest.raises(MailboxError) as caught:
                mailbox.append(INBOX, b"Subject: x\r\n\r\n\0")
            assert caught.value.code == "refused"
            assert mailbox.uids_after(INBOX, 0) == []

    def test_uids_ascend_and_are_the_same_in_another_session(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            uids = [mailbox.append(INBOX, mail(n)).uid for n in range(5)]
            assert uids == sorted(set(uids))
            validity = mailbox.uidvalidity(INBOX)
        with open_mailbox(did) as mailbox:
            assert mailbox.uids_after(INBOX, 0) == uids
            assert mailbox.uids_after(INBOX, uids[1]) == uids[2:]
            assert mailbox.uids_after(INBOX, uids[-1]) == []
            assert mailbox.uidvalidity(INBOX) == validity

    def test_one_session_sees_what_another_appended(self, did: str) -> None:
        with open_mailbox(did) as reading, open_mailbox(did) as writing:
            assert reading.uids_after(INBOX, 0) == []
            put = writing.append(INBOX, mail(1))
            assert reading.uids_after(INBOX, 0) == [put.uid]
            assert reading.fetch(INBOX, [put.uid])[put.uid].raw == mail(1)
            again = writing.append(INBOX, mail(2))
            assert reading.uids_after(INBOX, put.uid) == [again.uid]
            assert reading.find(INBOX, "<m2@example.invalid>") == [again.uid]

    def test_a_uid_is_never_given_twice(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            first = mailbox.append(INBOX, mail(1))
            last = mailbox.append(INBOX, mail(2))
            mailbox.expunge(INBOX, [last.uid])
        with open_mailbox(did) as mailbox:
            following = mailbox.append(INBOX, mail(3))
            assert following.uid > last.uid > first.uid
            assert following.uidvalidity == last.uidvalidity

    def test_marks_are_added_and_taken_away_and_nothing_else_changes(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            first, second, third = [mailbox.append(INBOX, mail(n)).uid for n in range(3)]
            assert mailbox.flags(INBOX, [first, second, third + 7]) == {
                first: frozenset(),
                second: frozenset(),
            }
            mailbox.mark(INBOX, [first, second, third + 7], add=[SEEN, JUNK])
            mailbox.mark(INBOX, [second], add=[NOT_JUNK, DELETED], remove=[JUNK])
        with open_mailbox(did) as mailbox:
            assert mailbox.flags(INBOX, [first, second, third]) == {
                first: {SEEN, JUNK},
                second: {SEEN, NOT_JUNK, DELETED},
                third: frozenset(),
            }
            stored = mailbox.fetch(INBOX, [first, second])
            assert stored[second].flags == {SEEN, NOT_JUNK, DELETED}
            assert stored[first].raw == mail(0)
            assert mailbox.uids_after(INBOX, 0) == [first, second, third]
            mailbox.mark(INBOX, [second], remove=[DELETED, SEEN])
            # Reading a mail is no mark.
            assert b"".join(mailbox.whole(INBOX, second)) == mail(1)
            assert mailbox.flags(INBOX, [second]) == {second: {NOT_JUNK}}
            mailbox.mark(INBOX, [first], add=[DELETED])
            mailbox.expunge(INBOX, [third])
            assert mailbox.uids_after(INBOX, 0) == [first, second]

    def test_marks_go_along_when_a_mail_is_moved(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            put = mailbox.append(INBOX, mail(1))
            mailbox.mark(INBOX, [put.uid], add=[SEEN, JUNK])
            mailbox.move(INBOX, [put.uid], QUARANTINE)
            (moved,) = mailbox.uids_after(QUARANTINE, 0)
            assert mailbox.flags(QUARANTINE, [moved]) == {moved: {SEEN, JUNK}}

    @pytest.mark.parametrize("mark", ["\\Answered", "$Other", "x y", ""])
    def test_other_marks_are_refused(self, did: str, mark: str) -> None:
        with open_mailbox(did) as mailbox:
            put = mailbox.append(INBOX, mail(1))
            with pytest.raises(MailboxError) as caught:
                mailbox.mark(INBOX, [put.uid], add=[mark])
            assert caught.value.code == "refused"
            assert mailbox.flags(INBOX, [put.uid]) == {put.uid: frozenset()}

    def test_fetch_leaves_out_what_is_not_there(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            put = mailbox.append(INBOX, mail(1))
            assert list(mailbox.fetch(INBOX, [put.uid, put.uid + 7, 4_000_000_000])) == [put.uid]
            assert mailbox.fetch(INBOX, []) == {}

    def test_fetch_of_many_comes_in_batches_and_complete(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            uids = [mailbox.append(INBOX, mail(n)).uid for n in range(70)]
            fetched = mailbox.fetch(INBOX, uids)
        assert [fetched[uid].raw for uid in uids] == [mail(n) for n in range(70)]

    def test_fetch_of_a_large_mail_is_bounded(self, did: str) -> None:
        raw = mail(1, b"x" * 70 + b"\r\n") + (b"y" * 70 + b"\r\n") * 20_000
        with open_mailbox(did) as mailbox:
            put = mailbox.append(INBOX, raw)
            stored = mailbox.fetch(INBOX, [put.uid])[put.uid]
        assert stored.raw == raw[:FETCH_BYTES]
        assert stored.size == len(raw)
        assert stored.truncated

    def test_all_of_a_large_mail_is_read_in_pieces(self, did: str) -> None:
        large = mail(1, b"x" * 70 + b"\r\n") + (b"y" * 70 + b"\r\n") * 20_000
        exact = mail(2).ljust(2 * FETCH_BYTES - 2, b"z") + b"\r\n"
        with open_mailbox(did) as mailbox:
            for raw in (large, exact, mail(3)):
                put = mailbox.append(INBOX, raw)
                pieces = list(mailbox.whole(INBOX, put.uid))
                assert b"".join(pieces) == raw
                assert max(map(len, pieces)) <= FETCH_BYTES
                assert mailbox.fetch(INBOX, [put.uid])[put.uid].flags == frozenset()
            assert list(mailbox.whole(INBOX, put.uid + 7)) == []
            with pytest.raises(MailboxError):
                list(mailbox.whole(INBOX, 0))

    def test_find_by_message_id(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            put = [mailbox.append(INBOX, mail(n)).uid for n in (1, 2, 12, 2)]
            mailbox.append(ARCHIVE, mail(2))
            assert mailbox.find(INBOX, "<m2@example.invalid>") == [put[1], put[3]]
            assert mailbox.find(INBOX, "<m3@example.invalid>") == []

    def test_several_are_appended_at_once_and_keep_their_order(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            before = mailbox.append(ARCHIVE, mail("before"))
            put = mailbox.append_all(ARCHIVE, [mail(n) for n in range(30)])
            assert mailbox.append_all(ARCHIVE, [mail("alone")])[0].uid > put[-1].uid
            assert mailbox.append_all(ARCHIVE, []) == []
            uids = [each.uid for each in put]
            stored = mailbox.fetch(ARCHIVE, uids)
        assert {each.uidvalidity for each in put} == {before.uidvalidity}
        assert [stored[uid].raw for uid in uids] == [mail(n) for n in range(30)]

    def test_several_are_appended_to_a_folder_that_is_not_there_yet(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            put = mailbox.append_all(QUARANTINE, [mail(1), mail(2)])
            assert mailbox.uids_after(QUARANTINE, 0) == [each.uid for each in put]

    def test_of_several_with_a_nul_among_them_none_is_stored(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            with pytest.raises(MailboxError) as caught:
                mailbox.append_all(INBOX, [mail(1), b"Subject: x\r\n\r\n\0"])
            assert caught.value.code == "refused"
            assert mailbox.uids_after(INBOX, 0) == []

    def test_find_several_by_message_id(self, did: str) -> None:
        ids = [f"<m{n}@example.invalid>" for n in range(250)]
        with open_mailbox(did) as mailbox:
            assert mailbox.find_all(INBOX, ids) == {}
            put = [each.uid for each in mailbox.append_all(INBOX, [mail(n) for n in (1, 2, 12, 2, 249)])]
            mailbox.append(INBOX, b"Subject: none\r\n\r\nhello\r\n")
            assert mailbox.find_all(INBOX, ids) == {
                ids[1]: [put[0]],
                ids[2]: [put[1], put[3]],
                ids[12]: [put[2]],
                ids[249]: [put[4]],
            }
            assert mailbox.find_all(INBOX, ids[2:3]) == {ids[2]: [put[1], put[3]]}
            assert mailbox.find_all(INBOX, []) == {}

    def test_expunge_removes_only_what_was_asked(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            uids = [mailbox.append(INBOX, mail(n)).uid for n in range(4)]
            mailbox.expunge(INBOX, [uids[1], uids[3], uids[3] + 100])
            mailbox.expunge(INBOX, [uids[1]])
            mailbox.expunge(INBOX, [])
        with open_mailbox(did) as mailbox:
            assert mailbox.uids_after(INBOX, 0) == [uids[0], uids[2]]

    def test_move_keeps_the_mail_and_gives_it_a_new_uid(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            mailbox.append(QUARANTINE, mail("before"))
            uids = [mailbox.append(INBOX, mail(n), keywords=["$Kept"]).uid for n in range(3)]
            mailbox.move(INBOX, [uids[0], uids[2], uids[2] + 50], QUARANTINE)
            assert mailbox.uids_after(INBOX, 0) == [uids[1]]
            (moved,) = mailbox.find(QUARANTINE, "<m2@example.invalid>")
            stored = mailbox.fetch(QUARANTINE, [moved])[moved]
            assert stored.raw == mail(2)
            assert stored.flags == {"$Kept"}
            assert len(mailbox.uids_after(QUARANTINE, 0)) == 3
            mailbox.move(INBOX, [uids[0]], QUARANTINE)
            assert len(mailbox.uids_after(QUARANTINE, 0)) == 3

    def test_move_into_a_folder_that_is_not_there_yet(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            put = mailbox.append(INBOX, mail(1))
            mailbox.move(INBOX, [put.uid], ARCHIVE)
            assert len(mailbox.uids_after(ARCHIVE, 0)) == 1

    def test_folders_are_made_on_first_use_whatever_it_is(self, new_did: Callable[[], str]) -> None:
        for folder in FOLDERS:
            with open_mailbox(new_did()) as mailbox:
                assert mailbox.uids_after(folder, 0) == []
                assert mailbox.find(folder, "<m1@example.invalid>") == []
                assert mailbox.uidvalidity(folder) > 0
            with open_mailbox(new_did()) as mailbox:
                mailbox.expunge(folder, [1])
                assert mailbox.fetch(folder, [1]) == {}
                mailbox.append(folder, mail(1))

    @pytest.mark.parametrize(
        "folder",
        ["", "Drafts", "../INBOX", "Archive/../INBOX", 'INBOX"', "INBOX\r\nA1 LOGOUT", "INBOX\0", "inbox"],
    )
    def test_other_folders_are_not_found(self, did: str, folder: str) -> None:
        with open_mailbox(did) as mailbox:
            calls: list[Callable[[], object]] = [
                lambda: mailbox.append(folder, mail(1)),
                lambda: mailbox.append_all(folder, [mail(1), mail(2)]),
                lambda: mailbox.uids_after(folder, 0),
                lambda: mailbox.fetch(folder, [1]),
                lambda: mailbox.expunge(folder, [1]),
                lambda: mailbox.uidvalidity(folder),
                lambda: mailbox.find(folder, "<m1@example.invalid>"),
                lambda: mailbox.find_all(folder, ["<m1@example.invalid>", "<m2@example.invalid>"]),
                lambda: mailbox.move(folder, [1], INBOX),
                lambda: mailbox.move(INBOX, [1], folder),
            ]
            for call in calls:
                with pytest.raises(MailboxError) as caught:
                    call()
                assert caught.value.code == "not-found"

    @pytest.mark.parametrize(
        "message_id",
        ["", "m1@x", "<m1>", '<m1"@x>', "<m1@x>\r\nA1 LOGOUT", "<m\0@x>", "<{5+}@x>", "<m*@x>", "<é@x>"],
    )
    def test_hostile_message_ids_are_refused(self, did: str, message_id: str) -> None:
        with open_mailbox(did) as mailbox:
            with pytest.raises(MailboxError) as caught:
                mailbox.find(INBOX, message_id)
            with pytest.raises(MailboxError):
                mailbox.find_all(INBOX, ["<m1@example.invalid>", message_id])
            assert caught.value.code == "refused"

    @pytest.mark.parametrize(
        "keyword", ["", "a b", "\\Seen", "x\r\nA1 LOGOUT", "a/../b", "x" * 33, "a,b", "a:2"]
    )
    def test_hostile_keywords_are_refused(self, did: str, keyword: str) -> None:
        with open_mailbox(did) as mailbox, pytest.raises(MailboxError) as caught:
            mailbox.append(INBOX, mail(1), keywords=[keyword])
        assert caught.value.code == "refused"

    @pytest.mark.parametrize("uid", [0, -1, 2**32])
    def test_uids_out_of_range_are_refused(self, did: str, uid: int) -> None:
        with open_mailbox(did) as mailbox:
            for call in (mailbox.fetch, mailbox.expunge):
                with pytest.raises(MailboxError) as caught:
                    call(INBOX, [uid])
                assert caught.value.code == "refused"

    def test_keywords_are_kept(self, did: str) -> None:
        with open_mailbox(did) as mailbox:
            put = mailbox.append(INBOX, mail(1), keywords=["Blue", "$Sealed"])
            assert mailbox.fetch(INBOX, [put.uid])[put.uid].flags == {"Blue", "$Sealed"}

    def test_mailboxes_are_apart(self, new_did: Callable[[], str]) -> None:
        one, other = new_did(), new_did()
        with open_mailbox(one) as mailbox:
            mailbox.append(INBOX, mail(1))
        with open_mailbox(other) as mailbox:
            assert mailbox.uids_after(INBOX, 0) == []

    def test_a_web_did_with_a_port_has_a_mailbox(self) -> None:
        did = f"did:web:host{random.randrange(10**9)}.test%3A8443"
        with open_mailbox(did) as mailbox:
            put = mailbox.append(INBOX, mail(1))
        with open_mailbox(did) as mailbox:
            assert mailbox.uids_after(INBOX, 0) == [put.uid]

    def test_several_processes_append_at_once(self, did: str) -> None:
        def append(worker: int) -> None:
            with open_mailbox(did) as mailbox:
                for number in range(20):
                    mailbox.append(INBOX, mail(f"{worker}-{number}"))

        children = {in_child(partial(append, worker)) for worker in range(4)}
        seen: list[int] = []
        with open_mailbox(did) as mailbox:
            while children:
                for child in list(children):
                    ended, status = os.waitpid(child, os.WNOHANG)
                    assert status == 0
                    children.discard(ended)
                seen += mailbox.uids_after(INBOX, seen[-1] if seen else 0)
            seen += mailbox.uids_after(INBOX, seen[-1] if seen else 0)
            stored = mailbox.fetch(INBOX, seen)
        # Nothing appeared with a UID below one that had been seen before.
        assert len(seen) == len(set(seen)) == 80
        subjects = {re.findall(rb"Subject: (\S+)", item.raw)[0] for item in stored.values()}
        assert len(subjects) == 80

    def test_a_process_killed_while_appending_loses_nothing_that_was_confirmed(self, did: str) -> None:
        confirmed: list[str] = []
        chance = random.Random(7)
        for turn in range(8):
            confirmed += _append_until_killed(did, turn, seconds=chance.uniform(0.01, 0.12))
            with open_mailbox(did) as mailbox:
                uids = mailbox.uids_after(INBOX, 0)
                stored = mailbox.fetch(INBOX, uids)
            numbers = [re.findall(rb"Subject: (\S+)", item.raw)[0].decode() for item in stored.values()]
            assert len(uids) == len(set(uids)) == len(set(numbers))
            assert set(confirmed) <= set(numbers)
            assert [item.raw for item in stored.values()] == [mail(n, b"x" * 5000) for n in numbers]
        assert confirmed


def _append_until_killed(did: str, turn: int, seconds: float) -> list[str]:
    """Let a process append one mail after the other, kill it, and return what it had confirmed."""
    receiving, sending = multiprocessing.Pipe(duplex=False)

    def append() -> None:
        with open_mailbox(did) as mailbox:
            sending.send("open")
            for number in range(100_000):
                mailbox.append(INBOX, mail(f"{turn}-{number}", b"x" * 5000))
                sending.send(f"{turn}-{number}")

    child = in_child(append)
    sending.close()
    assert receiving.recv() == "open"
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    confirmed: list[str] = []
    while True:
        try:
            confirmed.append(receiving.recv())
        except EOFError:
            return confirmed


HOSTILE_DIDS = [
    "",
    "did",
    "did:plc:",
    "did:plc:..",
    "did:plc:../../../../etc/passwd",
    "did:web:..",
    "did:web:../../x",
    "did:web:a/../b",
    "did:web:a..b",
    "did:web:%2e%2e",
    "did:web:a%00",
    "did:web:host%2Fx",
    "did:web:host:user",
    "did:web:host%3A8443%3A1",
    "did:web:.hidden",
    "did:web:" + "a" * 300,
    "did:plc:" + "a" * 23,
    "did:plc:" + "a" * 25,
    "did:plc:" + "A" * 24,
    "did:plc:" + "a" * 24 + "\n",
    "did:plc:" + "a" * 24 + "\r\nA1 LOGOUT",
    "did:plc:" + "a" * 23 + "\0",
    "did:plc:" + "a" * 24 + "@other.test",
    "did:plc:" + "a" * 24 + "*did:plc:" + "b" * 24,
    "did:web:exämple.test",
    "did:key:zQ3sh",
    "did!plc!" + "a" * 24,
    "/etc/passwd",
]


@pytest.mark.parametrize("hostile", HOSTILE_DIDS)
@pytest.mark.parametrize("url", ["maildir:///nowhere/at/all", "imap://192.0.2.1:1"])
def test_hostile_dids_are_refused_before_any_socket_or_file(
    hostile: str, url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAILBOX_URL = url

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("something was opened")

    monkeypatch.setattr("socket.socket.connect", forbidden)
    monkeypatch.setattr("pathlib.Path.mkdir", forbidden)
    with pytest.raises(MailboxError) as caught:
        open_mailbox(hostile)
    assert caught.value.code == "refused"


def test_a_mailbox_url_of_another_kind_is_refused(settings: Settings, did: str) -> None:
    settings.MAILBOX_URL = "pop3://127.0.0.1"
    with pytest.raises(MailboxError) as caught:
        open_mailbox(did)
    assert caught.value.code == "refused"


def test_a_mail_server_that_is_away_is_unavailable(settings: Settings, did: str, in_dovecot: None) -> None:
    settings.MAILBOX_URL = "imap://127.0.0.1:1"
    with pytest.raises(MailboxError) as caught, open_mailbox(did):
        pass
    assert caught.value.code == "unavailable"


def test_a_missing_token_key_is_said(settings: Settings, did: str, tmp_path: Path) -> None:
    settings.MAILBOX_URL = "imap://127.0.0.1:1"
    settings.MAIL_TOKEN_KEY_FILE = str(tmp_path / "absent.pem")
    with pytest.raises(MailboxError) as caught, open_mailbox(did):
        pass
    assert caught.value.code == "refused"
    assert "key" in str(caught.value)
