"""Deliveries against a real server that answers as it is told: accepted, deferred, refused, given up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.conf import settings
from django.utils import timezone, translation
from pytest_django import Settings

from accounts import peers, records
from accounts.models import Account, Peer
from crypto_agent.client import AgentClient
from tests.webmail.conftest import Write, seal
from tests.webmail.test_journey import folder, texts
from webmail import (
    archive,
    deliveries,
    delivery_reports,
    not_arrived,
    progress,
    queues,
    sealing,
    tasks,
    tries,
)
from webmail.carriers import Deferred, Refused
from webmail.ingress_quota import redis_quota
from webmail.mailbox import ARCHIVE, INBOX, MailboxError
from webmail.message_info import message_info
from webmail.models import Delivery, Message
from webmail.people import people_of

pytestmark = pytest.mark.django_db


class Inbox:
    """A recipient's server: what it got, and the answers it gives, the last one for good."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.answers: list[tuple[int, dict[str, str]]] = [(200, {})]
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers = inbox.answers.pop(0) if len(inbox.answers) > 1 else inbox.answers[0]
                if status < 300:
                    inbox.got.append(json.loads(body)["envelope"])
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/inbox"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    threading.Thread(target=inbox.server.serve_forever, daemon=True).start()
    yield inbox
    inbox.server.shutdown()
    inbox.server.server_close()


@pytest.fixture
def delivery(alice: Account, bob: Account, inbox: Inbox, write: Write) -> Delivery:
    """A sealed message to bob, whose own server is the inbox."""
    message = write(alice, [bob], "to be carried")
    seal(message)
    Peer.objects.filter(did=bob.did).update(inbox_endpoints=[inbox.url], smtp_endpoint="")
    return Delivery.objects.get(message=message)


def carry(delivery: Delivery, now: datetime | None = None) -> Delivery:
    deliveries.deliver(delivery.pk, now=now or timezone.now())
    delivery.refresh_from_db()
    return delivery


def test_accepted_says_so_and_forgets_the_bytes(delivery: Delivery, inbox: Inbox) -> None:
    carry(delivery)
    assert delivery.state == Delivery.State.ACCEPTED
    assert (delivery.route_kind, delivery.route_target) == ("https", inbox.url)
    assert delivery.route_reason
    with translation.override("de"):
        way = message_info(delivery.message.account, delivery.message.message_id).deliveries[0]
        assert way.route_reason.startswith("Der Posteingangs-Datensatz von ")
    copy = delivery.copies.get()
    assert copy.accepted_at
    assert copy.envelope is None
    assert len(inbox.got) == 1
    carry(delivery)
    assert len(inbox.got) == 1


@pytest.fixture
def lives_here(bob: Account) -> str:
    """The address of bob's inbox, which is at this installation; nothing listens there in these tests."""
    (own,) = records.own_endpoints(bob.did, settings.PUBLIC_URL, None)
    Peer.objects.filter(did=bob.did).update(inbox_endpoints=[own], smtp_endpoint="")
    return own


def test_what_stays_here_goes_through_the_door_without_going_out(
    delivery: Delivery, lives_here: str, bob: Account
) -> None:
    carry(delivery)
    assert delivery.state == Delivery.State.ACCEPTED
    assert (delivery.route_kind, delivery.route_target) == ("https", lives_here)
    assert len(folder(bob, INBOX)) == 1
    # A worker that died before it could note that carries it again.
    Delivery.objects.update(state=Delivery.State.SEALED, next_attempt_at=timezone.now())
    carry(delivery)
    assert len(folder(bob, INBOX)) == 1


def test_what_stays_here_is_refused_as_by_https(
    delivery: Delivery, lives_here: str, bob: Account, settings: Settings
) -> None:
    settings.INGRESS_ENVELOPES_PER_HOUR = 0
    redis_quota.cache_clear()
    carry(delivery)
    redis_quota.cache_clear()
    assert (delivery.state, delivery.failure_code) == (Delivery.State.SEALED, "rate-limited")
    assert delivery.failure_reply.startswith("429 ")
    assert folder(bob, INBOX) == []

    bob.delete()
    carry(delivery, timezone.now() + timedelta(hours=2))
    assert delivery.failure_code == "address-unknown"


def test_what_stays_here_does_not_wait_for_the_senders_archive(
    alice: Account, bob: Account, write: Write, lives_here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_messages: object, **_more: object) -> None:
        raise MailboxError("unavailable", "the mail server can't be reached")

    given: list[str] = []
    monkeypatch.setattr(queues, "give", lambda task, _key, **_more: given.append(task))
    message = write(alice, [bob], "at once")
    with monkeypatch.context() as patch:
        patch.setattr(archive, "archive", away)
        tasks.seal(message.pk)
    assert Delivery.objects.get(message=message).state == Delivery.State.ACCEPTED
    assert queues.DELIVER not in given
    assert queues.PULL in given
    tasks.pull(bob.pk)
    assert texts(bob) == [["at once"]]

    assert folder(alice, ARCHIVE) == []
    assert archive.due(timezone.now() + timedelta(hours=1), older_than=timedelta()) == [alice.pk]
    tasks.archive_waiting(alice.pk)
    assert len(folder(alice, ARCHIVE)) == 1


def test_what_goes_elsewhere_is_left_to_those_who_carry(
    alice: Account, bob: Account, write: Write, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers.known_peer(bob.did)
    Peer.objects.filter(did=bob.did).update(inbox_endpoints=[inbox.url], smtp_endpoint="")
    given: list[tuple[str, int]] = []
    monkeypatch.setattr(queues, "give", lambda task, key, **_more: given.append((task, key)))
    message = write(alice, [bob], "to another server")
    tasks.seal(message.pk)
    delivery = Delivery.objects.get(message=message)
    assert delivery.state == Delivery.State.SEALED
    assert (queues.DELIVER, delivery.pk) in given
    assert inbox.got == []


def test_deferred_waits_in_growing_gaps_and_arrives_once(delivery: Delivery, inbox: Inbox) -> None:
    inbox.answers = [(503, {}), (503, {}), (503, {}), (202, {})]
    now = timezone.now()
    gaps = []
    for _attempt in range(3):
        carry(delivery, now)
        assert delivery.state == Delivery.State.SEALED
        assert delivery.next_attempt_at
        gaps.append(delivery.next_attempt_at - now)
        carry(delivery, now)  # not due: nothing happens
        now = delivery.next_attempt_at
    assert gaps == [timedelta(seconds=gap) for gap in settings.DELIVERY_GAPS_SECONDS[:3]]
    assert carry(delivery, now).state == Delivery.State.ACCEPTED
    assert len(inbox.got) == 1


def test_a_server_may_ask_for_patience(delivery: Delivery, inbox: Inbox) -> None:
    inbox.answers = [(429, {"Retry-After": "7200"})]
    now = timezone.now()
    carry(delivery, now)
    assert delivery.next_attempt_at == now + timedelta(hours=2)
    assert delivery.failure_code == "rate-limited"


@pytest.mark.parametrize(
    ("status", "code"), [(413, "too-large"), (400, "not-understood"), (403, "not-accepted")]
)
def test_refused_fails_with_a_sentence(delivery: Delivery, inbox: Inbox, status: int, code: str) -> None:
    inbox.answers = [(status, {})]
    carry(delivery)
    assert (delivery.state, delivery.failure_code) == (Delivery.State.FAILED, code)
    message = Message.objects.prefetch_related("deliveries").get(pk=delivery.message_id)
    state = progress.of_message(message, people_of([delivery.recipient_did]))
    assert state.failure
    assert state.failure.startswith("Not delivered to")
    assert state.can_retry


def test_an_unknown_address_is_looked_up_afresh_once(delivery: Delivery, inbox: Inbox, bob: Account) -> None:
    inbox.answers = [(404, {})]
    carry(delivery)
    assert delivery.state == Delivery.State.QUEUED
    assert Peer.objects.get(did=bob.did).checked_at is None
    sealing.seal_message(delivery.message_id)
    Peer.objects.filter(did=bob.did).update(inbox_endpoints=[inbox.url], smtp_endpoint="")
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.SEALED
    carry(delivery)
    assert (delivery.state, delivery.failure_code) == (Delivery.State.FAILED, "address-unknown")


def test_after_five_days_the_sender_is_told(delivery: Delivery, inbox: Inbox) -> None:
    inbox.answers = [(503, {})]
    now = delivery.created_at + tries.GIVE_UP_AFTER - timedelta(seconds=1)
    carry(delivery, now)
    assert delivery.state == Delivery.State.SEALED
    assert delivery.next_attempt_at
    carry(delivery, delivery.next_attempt_at)
    assert (delivery.state, delivery.failure_code) == (Delivery.State.FAILED, "server-trouble")


def test_the_next_route_is_tried_when_the_first_does_not_answer(delivery: Delivery, inbox: Inbox) -> None:
    Peer.objects.update(inbox_endpoints=["http://127.0.0.1:1/inbox", inbox.url])
    carry(delivery)
    assert delivery.state == Delivery.State.ACCEPTED
    assert delivery.route_target == inbox.url


def test_a_way_that_leads_nowhere_ends_nothing_while_another_may_open_again(
    delivery: Delivery, inbox: Inbox
) -> None:
    inbox.answers = [(503, {}), (200, {})]
    Peer.objects.update(inbox_endpoints=[inbox.url, "mailto:bob@localhost"])
    carry(delivery)
    assert (delivery.state, delivery.failure_code) == (Delivery.State.SEALED, "server-trouble")
    assert delivery.route_target == inbox.url
    assert delivery.next_attempt_at
    assert carry(delivery, delivery.next_attempt_at).state == Delivery.State.ACCEPTED


def test_another_way_is_tried_when_the_first_refuses(delivery: Delivery, inbox: Inbox) -> None:
    inbox.answers = [(403, {}), (200, {})]
    Peer.objects.update(inbox_endpoints=[inbox.url, f"{inbox.url}/again"])
    carry(delivery)
    assert (delivery.state, delivery.route_target) == (Delivery.State.ACCEPTED, f"{inbox.url}/again")


def test_nobody_to_hand_it_to(delivery: Delivery) -> None:
    Peer.objects.update(inbox_endpoints=[], smtp_endpoint="", handle="handle.invalid")
    carry(delivery)
    assert (delivery.state, delivery.failure_code) == (Delivery.State.FAILED, "no-route")


def test_a_failed_delivery_may_be_tried_again(delivery: Delivery, inbox: Inbox, alice: Account) -> None:
    inbox.answers = [(413, {}), (200, {})]
    carry(delivery)
    not_arrived.retry(alice, delivery.message.message_id)
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.QUEUED
    sealing.seal_message(delivery.message_id)
    Peer.objects.update(inbox_endpoints=[inbox.url], smtp_endpoint="")
    assert carry(delivery).state == Delivery.State.ACCEPTED
    assert len(inbox.got) == 1


def test_what_came_back_is_carried_anew_when_tried_again(
    delivery: Delivery, inbox: Inbox, alice: Account
) -> None:
    carry(delivery)
    delivery_reports.note_report(str(delivery.pk), Refused("mailbox-full", "5.2.2 full"), now=timezone.now())
    not_arrived.retry(alice, delivery.message.message_id)
    sealing.seal_message(delivery.message_id)
    Peer.objects.update(inbox_endpoints=[inbox.url], smtp_endpoint="")
    delivery.refresh_from_db()
    assert carry(delivery).state == Delivery.State.ACCEPTED
    assert len(inbox.got) == 2


def test_with_nothing_left_to_carry_no_mail_server_is_asked(delivery: Delivery) -> None:
    delivery.copies.update(accepted_at=timezone.now(), envelope=None)
    Peer.objects.update(inbox_endpoints=[], smtp_endpoint="smtp://127.0.0.1:9")
    assert carry(delivery).state == Delivery.State.ACCEPTED


def test_a_crash_after_the_claim_is_repeated_when_the_lease_ends(
    delivery: Delivery, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    with monkeypatch.context() as crashing:
        crashing.setattr(deliveries, "_carry", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            carry(delivery, now)
    assert deliveries.due(now) == []
    later = now + timedelta(seconds=61)
    assert deliveries.due(later) == [delivery.pk]
    assert carry(delivery, later).state == Delivery.State.ACCEPTED


@pytest.mark.parametrize("answer", [Refused("gone", "410"), Deferred("rate-limited", "429")])
def test_a_slow_try_does_not_undo_what_another_worker_did(
    delivery: Delivery, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, answer: Refused | Deferred
) -> None:
    now = timezone.now()
    carry_fast = deliveries.carriers.carry

    def slowly(*_: object, **__: object) -> list[Refused | Deferred]:
        monkeypatch.setattr(deliveries.carriers, "carry", carry_fast)
        assert carry(delivery, now + timedelta(seconds=61)).state == Delivery.State.ACCEPTED
        return [answer]

    monkeypatch.setattr(deliveries.carriers, "carry", slowly)
    assert carry(delivery, now).state == Delivery.State.ACCEPTED
    assert len(inbox.got) == 1


def test_what_nobody_can_sign_any_more_says_so_and_waits_for_its_sender(bob: Account, write: Write) -> None:
    alice = Account.objects.create(
        did="did:plc:aliceelsewhereaaaaaaaaaa", handle="alice.test", pds_url="http://localhost:1"
    )
    # Only the web process may make and revoke devices.
    web = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "web")
    device = web.create_device(alice.did, alice.handle, "mail.test")
    message = write(alice, [bob], "too late to sign")
    web.revoke_device(alice.did, device.fingerprint)
    assert sealing.seal_message(message.pk) == []
    delivery = message.deliveries.get()
    assert (delivery.state, delivery.failure_code) == (Delivery.State.FAILED, "no-own-device")
    later = timezone.now() + timedelta(hours=1)
    assert sealing.due(later, older_than=timedelta()) == []

    web.create_device(alice.did, alice.handle, "mail.test")
    not_arrived.retry(alice, message.message_id)
    assert sealing.due(later, older_than=timedelta()) == [message.pk]
    assert sealing.seal_message(message.pk) == [delivery.pk]
