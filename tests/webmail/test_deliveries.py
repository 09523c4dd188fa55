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

from accounts.models import Account, Peer
from crypto_agent.client import AgentClient
from tests.webmail.conftest import Write, seal
from webmail import deliveries, delivery_reports, outgoing, progress, sealing
from webmail.carriers import Deferred, Refused
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
    now = delivery.created_at + deliveries.GIVE_UP_AFTER - timedelta(seconds=1)
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
    outgoing.retry(alice, delivery.message.message_id)
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
    outgoing.retry(alice, delivery.message.message_id)
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
    outgoing.retry(alice, message.message_id)
    assert sealing.due(later, older_than=timedelta()) == [message.pk]
    assert sealing.seal_message(message.pk) == [delivery.pk]
