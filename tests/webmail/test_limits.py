"""The agent's limit for an hour is reached: workers wait, pages say so, and nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from accounts import enrolment
from accounts.models import Account
from crypto_agent.client import AgentLimited, AgentUnavailable
from tests.services.agent import AgentProcess
from tests.webmail.conftest import Write, hand_over, seal
from webmail import archive, intake, outgoing, rebuild, tasks, threads
from webmail.mailbox import ARCHIVE, INBOX, open_mailbox
from webmail.models import Arrival, Conversation, Message
from webmail.outgoing import CannotSend

pytestmark = pytest.mark.django_db


@contextmanager
def used_up(process: AgentProcess, account: Account, caller: str, purpose: str) -> Iterator[None]:
    """The account's hour is used up; it passes when this ends."""
    path = process.spec.environment["WAXWING_AGENT_DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as database:
        names = (account.did, caller, purpose)
        database.execute(
            "DELETE FROM crypto_agent_usecount WHERE did = ? AND caller = ? AND purpose = ?", names
        )
        began_at: datetime = timezone.now().replace(tzinfo=None) - timedelta(minutes=59)
        database.execute(
            "INSERT INTO crypto_agent_usecount (did, caller, purpose, began_at, used, alarmed) "
            "VALUES (?, ?, ?, ?, 100000000, 0)",
            (*names, str(began_at)),
        )
        try:
            yield
        finally:
            database.execute(
                "UPDATE crypto_agent_usecount SET began_at = ? WHERE did = ? AND caller = ? AND purpose = ?",
                (str(began_at - timedelta(hours=1)), *names),
            )


def _uids(account: Account, folder: str) -> list[int]:
    with open_mailbox(account.did) as mailbox:
        return list(mailbox.uids_after(folder, 0))


def _texts(account: Account) -> list[str]:
    found = []
    for conversation in Conversation.objects.filter(account=account):
        for entry in threads.thread(account, conversation).entries:
            found.append("".join(segment.text for segment in entry.segments) or entry.shut or "")
    return found


def _envelope(write: Write, sender: Account, recipient: Account, text: str) -> bytes:
    return seal(write(sender, [recipient], text))[recipient.did]


def test_mail_waits_in_the_inbox_and_opens_when_the_hour_is_over(
    alice: Account, bob: Account, write: Write, agent_process: AgentProcess
) -> None:
    envelope = _envelope(write, alice, bob, "waited")
    with used_up(agent_process, bob, "worker", "open"):
        with pytest.raises(AgentLimited):
            hand_over(bob, envelope)
        tasks.pull(bob.pk)
        assert Arrival.objects.get(account=bob).state == Arrival.State.WAITING
        assert len(_uids(bob, INBOX)) == 1
    intake.pull(bob)
    assert Arrival.objects.get(account=bob).state == Arrival.State.DONE
    assert (_texts(bob), _uids(bob, INBOX)) == (["waited"], [])


def test_the_original_stays_until_the_archive_can_be_written(
    alice: Account, bob: Account, write: Write, agent_process: AgentProcess
) -> None:
    envelope = _envelope(write, alice, bob, "archived later")
    with used_up(agent_process, bob, "worker", "archive"):
        with pytest.raises(AgentUnavailable):
            hand_over(bob, envelope)
        assert _texts(bob) == ["archived later"]
        assert Message.objects.get(account=bob).archived_at is None
        assert (len(_uids(bob, INBOX)), _uids(bob, ARCHIVE)) == (1, [])
    archive.archive_waiting(bob, now=timezone.now())
    intake.pull(bob)
    assert (_uids(bob, INBOX), len(_uids(bob, ARCHIVE))) == ([], 1)


def test_sealing_waits(alice: Account, bob: Account, write: Write, agent_process: AgentProcess) -> None:
    message = write(alice, [bob], "sealed later")
    with used_up(agent_process, alice, "worker", "seal"):
        tasks.seal(message.pk)
        message.refresh_from_db()
        assert message.state == Message.State.COMPOSED
    message.deliveries.update(next_attempt_at=timezone.now())
    assert seal(message)[bob.did]


def test_a_rebuild_waits_for_the_next_hour_and_goes_on_where_it_was(
    alice: Account,
    bob: Account,
    write: Write,
    agent_process: AgentProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hand_over(bob, _envelope(write, alice, bob, "restored"))
    Message.objects.filter(account=bob).delete()
    Conversation.objects.filter(account=bob).delete()
    monkeypatch.setattr(enrolment, "restore_devices", lambda _account: None)
    waited: list[float] = []
    hour = used_up(agent_process, bob, "worker", "readArchive")
    hour.__enter__()

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        hour.__exit__(None, None, None)

    monkeypatch.setattr(rebuild.time, "sleep", sleep)
    assert rebuild.rebuild(bob) == 1
    assert len(waited) == 1
    assert 0 < waited[0] <= 60
    assert _texts(bob) == ["restored"]


def test_a_page_says_why_it_shows_no_text_and_what_cannot_be_sent_says_so(
    alice: Account, bob: Account, write: Write, agent_process: AgentProcess
) -> None:
    hand_over(bob, _envelope(write, alice, bob, "hidden for now"))
    with used_up(agent_process, bob, "worker", "read"):
        assert _texts(bob) == [
            "More messages were opened in this hour than your agent allows. It shows them again later."
        ]
    assert _texts(bob) == ["hidden for now"]
    with used_up(agent_process, alice, "web", "compose"):
        with pytest.raises(CannotSend) as refused:
            outgoing.send(alice, [bob.did], "too much", "00000000-0000-4000-8000-000000000001")
        assert refused.value.code == "limit-reached"
        assert "as one hour allows" in refused.value.sentence
