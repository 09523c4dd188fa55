"""An account whose keys are locked: what its pages show, and that its mail waits and then opens."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import unlocking
from accounts.agent import kept_client, unlocked_by
from accounts.models import Account
from accounts.tasks import renew_prekeys_of
from crypto_agent.client import AgentClient, AgentLocked, Passphrase
from tests.services.agent import AgentProcess
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import browser_of, new_account, peer, received
from webmail import conversations, events, ingress, intake, outgoing, queues, sealing, tasks, threads, waiting
from webmail.mailbox import ARCHIVE, INBOX, QUARANTINE, open_mailbox
from webmail.models import Arrival, Delivery, Message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

WORDS = "correct horse battery staple"


def lock_account(account: Account, agent: AgentClient) -> str:
    """Locks the account's keys everywhere; the recovery code."""
    made = agent.make_locked(account.did, Passphrase(WORDS), lifetime_s=600)
    agent.lock_now(account.did, everywhere=True)
    Account.objects.filter(pk=account.pk).update(custody=Account.Custody.LOCKED)
    account.refresh_from_db()
    return made.recovery_code


def unlock_in(client: Client, **fields: str) -> HttpResponse:
    return client.post("/unlock/", {"way": "passphrase", "passphrase": WORDS, "lifetime_s": "3600", **fields})


class TestPages:
    """What a browser sees of an account that is locked."""

    @pytest.fixture
    def alice(self, agent_process: AgentProcess) -> Account:
        return new_account("alice")

    @pytest.fixture
    def message(self, alice: Account) -> Message:
        message = received(alice, peer("bob", display_name="Bob").did, "the secret of the wine")
        lock_account(alice, kept_client())
        return message

    @pytest.fixture
    def client(self, alice: Account, message: Message) -> Client:
        return browser_of(alice)

    def test_the_list_shows_who_and_when_and_nothing_else(self, client: Client) -> None:
        for address in (reverse("inbox"), reverse("conversation-list"), reverse("new-conversation")):
            html = client.get(address).content.decode()
            assert "Bob" in html
            assert "Sealed until you unlock" in html
            assert "could not be opened" not in html
            assert "wine" not in html

    def test_a_conversation_says_so_and_leads_to_unlocking(self, client: Client, message: Message) -> None:
        address = reverse("conversation", args=[message.conversation.conversation_id])
        answer = client.get(address)
        html = answer.content.decode()
        assert "This conversation is locked" in html
        assert f'href="/unlock/?next={address}"' in html
        assert "Unlock to write" in html
        # Within an open page it is none either: that goes to the page.
        pane = client.get(address, headers={"HX-Request": "true", "HX-Target": "pane"})
        assert (pane.status_code, pane.content) == (204, b"")
        assert "HX-Push-Url" not in pane.headers
        assert "wine" not in html
        assert answer.headers["Cache-Control"] == "no-store"
        message.refresh_from_db()
        assert message.unread

    def test_the_page_of_unlocking_says_once_that_the_keys_are_locked(self, client: Client) -> None:
        html = client.get("/unlock/").content.decode()
        assert "Unlock your keys" in html
        assert 'id="lock-state"' not in html
        assert "Your keys are locked" not in html
        assert 'id="lock-state"' in client.get("/").content.decode()

    def test_a_new_conversation_leads_to_unlocking_and_back(self, client: Client) -> None:
        html = client.get("/new/?to=bob.test").content.decode()
        assert "Unlock to write" in html
        assert "/unlock/?next=%2Fnew%2F%3Fto%3Dbob.test" in html
        assert "data-send" not in html
        # What was typed before the keys were locked stays.
        fields = {"text": "typed while locked", "token": "0" * 32, "do": "send"}
        assert "typed while locked" in client.post("/new/", fields).content.decode()

    def test_details_of_a_message_show_no_text(self, client: Client, message: Message) -> None:
        html = client.get(reverse("message", args=[message.message_id])).content.decode()
        assert "Your keys are locked" in html
        assert "wine" not in html

    def test_nothing_can_be_sent_and_nothing_typed_is_lost(self, client: Client, message: Message) -> None:
        address = reverse("conversation-send", args=[message.conversation.conversation_id])
        answer = client.post(address, {"text": "typed while locked", "token": "0" * 32})
        assert answer.status_code == 422
        assert "Your keys are locked, so nothing was sent" in answer.content.decode()
        assert "typed while locked" in answer.content.decode()
        assert Message.objects.count() == 1

    def test_after_unlocking_the_same_page_shows_the_text(self, client: Client, message: Message) -> None:
        address = reverse("conversation", args=[message.conversation.conversation_id])
        assert unlock_in(client, next=address).headers["Location"] == address
        assert "the secret of the wine" in client.get(address).content.decode()
        # Another browser of the same person stays locked.
        account = Account.objects.get(pk=message.account_id)
        assert "wine" not in browser_of(account).get(address).content.decode()

    def test_locking_now_locks_all_browsers(self, client: Client, message: Message) -> None:
        other = browser_of(Account.objects.get(pk=message.account_id))
        for each in (client, other):
            unlock_in(each)
            assert "wine" in each.get("/").content.decode()
        assert client.post("/lock/").headers["Location"] == "/"
        for each in (client, other):
            assert "wine" not in each.get("/").content.decode()
            assert "Sealed until you unlock" in each.get("/").content.decode()

    @pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["a page", "typed"])
    def test_a_search_says_that_it_is_locked_too(self, client: Client, headers: dict[str, str]) -> None:
        answer = client.post("/search/", {"q": "wine"}, headers=headers)
        assert answer.status_code == 200
        assert "Unlock to search" in answer.content.decode()
        unlock_in(client)
        assert "Unlock to search" not in client.post("/search/", {"q": "wine"}).content.decode()

    def test_signing_out_ends_what_the_browser_unlocked(self, client: Client, message: Message) -> None:
        unlock_in(client)
        token = unlocking.token_of(client_request(client), message.account, timezone.now())
        assert token
        client.post("/sign-out/")
        with pytest.raises(AgentLocked):
            kept_client().unlocked(token).compose(
                message.account.did, [message.account.did], "x", created_at=timezone.now()
            )

    def test_an_open_page_drops_what_it_showed_once_it_is_locked(
        self, client: Client, message: Message
    ) -> None:
        news = reverse("conversation-news", args=[message.conversation.conversation_id])
        shown = f"{message.message_id[:16]}:"
        unlock_in(client)
        assert client.get(news, {"shown": shown, "state": "open"}).status_code == 204
        client.post("/lock/")
        answer = client.get(news, {"shown": shown, "state": "open"}, headers={"HX-Request": "true"})
        html = answer.content.decode()
        assert answer.headers["HX-Reswap"] == "none"
        for part in ('id="thread"', 'id="side"', 'id="composer-lock"', 'id="thread-state"'):
            assert part in html
        assert "This conversation is locked" in html
        assert client.get(news, {"state": "locked"}).status_code == 204
        unlock_in(client)
        assert client.get(news, {"state": "locked"}).headers["HX-Refresh"] == "true"

    def test_the_token_is_in_no_page_and_readable_in_no_table(self, client: Client, message: Message) -> None:
        unlock_in(client)
        token = unlocking.token_of(client_request(client), message.account, timezone.now())
        assert token
        for address in ("/", "/devices/keys/"):
            assert token not in client.get(address).content.decode()
        session = client.session
        assert token not in str(dict(session.items()))

    def test_a_restart_of_the_agent_locks_every_browser(
        self, client: Client, message: Message, agent_process: AgentProcess
    ) -> None:
        unlock_in(client)
        assert "wine" in client.get("/").content.decode()
        agent_process.stop()
        agent_process.start()
        html = client.get("/").content.decode()
        assert "wine" not in html
        assert "Sealed until you unlock" in html
        assert client.get("/lock/state/").content.decode().count("Your keys are locked") == 1

    def test_wrong_passphrases_have_to_wait_and_the_page_says_for_how_long(self, client: Client) -> None:
        for _ in range(6):
            answer = unlock_in(client, passphrase="no idea at all")
        html = answer.content.decode()
        assert "too many wrong passphrases" in html
        assert unlock_in(client).status_code == 422
        assert "too many wrong passphrases" in client.get("/unlock/").content.decode()


def test_pages_say_that_an_agent_without_its_operators_key_is_locked(agent_process: AgentProcess) -> None:
    account = new_account("alice")
    message = received(account, peer("bob", display_name="Bob").did, "the secret of the wine")
    client = browser_of(account)
    key = Path(os.environ["WAXWING_AGENT_OPERATOR_KEY_PATH"])
    kept = key.read_bytes()
    key.unlink()
    agent_process.stop()
    agent_process.start()
    try:
        address = reverse("conversation", args=[message.conversation.conversation_id])
        html = client.get(address).content.decode()
        assert "The key agent of this server is locked" in html
        assert "wine" not in html
        answer = client.post(f"{address}send/", {"text": "typed meanwhile", "token": "0" * 32})
        assert "Nothing was sent" in answer.content.decode()
        assert "typed meanwhile" in answer.content.decode()
    finally:
        key.write_bytes(kept)
        key.chmod(0o600)
    assert "the secret of the wine" in client.get(address).content.decode()


def test_an_open_page_is_told_when_the_time_of_unlocking_ends(redis_server: str) -> None:
    async def first_events() -> list[bytes]:
        stream = events.stream(1, 0.3)
        try:
            return [await asyncio.wait_for(anext(stream), 5) for _ in range(3)]
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    told = [event for event in asyncio.run(first_events()) if not event.startswith(b":")]
    assert b"event: ready" in told[0]
    assert told[1] == b"event: custody\ndata: {}\n\n"


class TestMail:
    """With a real agent, real mailboxes and the tasks that the workers run."""

    @pytest.fixture
    def web(self, people: dict[str, Account]) -> AgentClient:
        return AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")

    @pytest.fixture
    def locked_bob(self, bob: Account, web: AgentClient) -> Iterator[Account]:
        lock_account(bob, web)
        yield bob
        with unlocked_by(None):
            web.make_managed(bob.did, Passphrase(WORDS))

    def test_what_arrives_while_locked_waits_and_opens_at_unlock_once(
        self,
        alice: Account,
        locked_bob: Account,
        web: AgentClient,
        write: Write,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for text in ("first", "second"):
            for envelope in seal(write(alice, [locked_bob], text))[locked_bob.did]:
                ingress.accept(locked_bob.did, envelope, now=timezone.now())
        with caplog.at_level(logging.INFO, logger="webmail"):
            tasks.pull(locked_bob.pk)
            tasks.pull(locked_bob.pk)
        assert "stopped" not in caplog.text
        states = Arrival.objects.filter(account=locked_bob).values_list("state", flat=True)
        assert list(states) == [Arrival.State.WAITING] * 2
        with open_mailbox(locked_bob.did) as mailbox:
            assert len(mailbox.uids_after(INBOX, 0)) == 2
            assert mailbox.uids_after(QUARANTINE, 0) == []

        unlocked = web.unlock(locked_bob.did, Passphrase(WORDS), lifetime_s=60)
        unlocking.note_unlocked(locked_bob)
        tasks.pull(locked_bob.pk)
        tasks.pull(locked_bob.pk)
        threads_of = [
            ["".join(part.text for part in entry.segments) for entry in found.entries]
            for row in conversations.list_conversations(locked_bob).rows
            for found in [threads.thread(locked_bob, conversations.find(locked_bob, row.id))]
        ]
        assert threads_of == [["first", "second"]]
        with open_mailbox(locked_bob.did) as mailbox:
            assert (mailbox.uids_after(INBOX, 0), len(mailbox.uids_after(ARCHIVE, 0))) == ([], 2)
        web.unlocked(unlocked.token).lock_now(locked_bob.did, everywhere=True)

    def test_the_agent_is_not_asked_again_and_again_while_locked(
        self, alice: Account, locked_bob: Account, write: Write
    ) -> None:
        (envelope,) = seal(write(alice, [locked_bob], "x"))[locked_bob.did]
        ingress.accept(locked_bob.did, envelope, now=timezone.now())
        tasks.pull(locked_bob.pk)
        now = timezone.now()
        assert waiting.is_waiting(locked_bob.pk, now)
        assert not waiting.is_waiting(alice.pk, now)
        assert not waiting.is_waiting(locked_bob.pk, now + waiting.ASK_AGAIN + timedelta(seconds=1))
        # Found locked by work that began before somebody unlocked: that work counts for nothing.
        unlocking.note_unlocked(locked_bob)
        assert not waiting.is_waiting(locked_bob.pk, timezone.now())

    def test_what_was_written_before_locking_goes_out_at_unlock(
        self, alice: Account, bob: Account, web: AgentClient, write: Write
    ) -> None:
        message = write(bob, [alice], "written before")
        lock_account(bob, web)
        try:
            tasks.seal(message.pk)
            delivery = message.deliveries.get()
            assert (delivery.state, delivery.failure_code) == (Delivery.State.QUEUED, "")
            now = timezone.now()
            assert message.pk not in sealing.due(now, older_than=timedelta())
            web.unlock(bob.did, Passphrase(WORDS), lifetime_s=60)
            unlocking.note_unlocked(bob)
            assert message.pk in sealing.due(timezone.now(), older_than=timedelta())
            envelopes = seal(message)
            hand_over(alice, envelopes[alice.did])
            assert Message.objects.filter(account=alice, message_id=message.message_id).count() == 1
        finally:
            web.make_managed(bob.did, Passphrase(WORDS))

    def test_unlocking_gives_all_that_waited_to_the_workers(
        self, alice: Account, locked_bob: Account, web: AgentClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[tuple[str, int]] = []
        monkeypatch.setattr(queues, "give", lambda task, key: given.append((task, key)))
        waiting._enqueue(locked_bob.pk)
        assert given == [
            ("webmail.tasks.pull", locked_bob.pk),
            ("webmail.tasks.archive_waiting", locked_bob.pk),
            ("accounts.tasks.renew_prekeys_of", locked_bob.pk),
        ]

    def test_prekeys_are_not_renewed_while_locked_and_nothing_is_said(
        self, locked_bob: Account, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, logger="accounts"):
            renew_prekeys_of(locked_bob.pk)
        assert caplog.text == ""

    def test_other_accounts_go_on(
        self, alice: Account, locked_bob: Account, carol: Account, write: Write
    ) -> None:
        envelopes = seal(write(alice, [locked_bob, carol], "to both"))
        for did, copies in envelopes.items():
            for envelope in copies:
                ingress.accept(did, envelope, now=timezone.now())
        for account in (locked_bob, carol):
            tasks.pull(account.pk)
        assert Message.objects.filter(account=carol).count() == 1
        assert Message.objects.filter(account=locked_bob).count() == 0

    def test_nothing_is_composed_while_locked(self, alice: Account, locked_bob: Account) -> None:
        with pytest.raises(outgoing.CannotSend) as refused:
            outgoing.send(locked_bob, [alice.did], "x", "6f2b6e3e-3a0c-4a3d-9d5e-0f4f6f3f5b1a")
        assert refused.value.code == "locked"
        assert intake.pull(locked_bob) == 0


def client_request(client: Client) -> HttpRequest:
    """As much of a request as the session of a browser needs."""
    request = HttpRequest()
    request.session = client.session
    return request
