"""Comparing keys: what was compared holds until another device turns up, and then nothing goes out unseen.

Every device here is a record in the real PDS, swapped while the conversation goes on.
"""

from __future__ import annotations

import os
import re
import time
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

import outbound
from accounts import key_history, own_entries, peers, records
from accounts.identities import Identity
from accounts.models import Account, Peer, PeerEvent
from accounts.pds import PdsClient
from crypto_agent.atsms import certificates
from crypto_agent.atsms.content import text_part
from tests.services.slow_server import slow_server
from tests.webmail.conftest import Publish, Write, hand_over, seal
from tests.webmail.installation import browser_of
from tests.webmail.other_client import OtherClient
from webmail import (
    comparisons,
    forgetting,
    held_messages,
    key_gate,
    not_arrived,
    person_keys,
    sealing,
    threads,
)
from webmail.comparisons import ChangedMeanwhile, How, Outcome, Standing
from webmail.conversation_keys import keys_in
from webmail.models import Conversation, Delivery, DeliveryCopy, Message, Verification
from webmail.person_keys import keys_of

pytestmark = pytest.mark.django_db


def match(account: Account, other: Account, outcome: Verification.Outcome = Outcome.MATCHED) -> Verification:
    shown = comparisons.comparison(account, other.did).shown
    return comparisons.conclude(account, other.did, outcome, How.NUMBER, shown)


def standing(account: Account, other: Account) -> Standing:
    return comparisons.state_of(account, other.did).standing


def states(message: Message) -> dict[str, tuple[str, str]]:
    return {row.recipient_did: (row.state, row.failure_code) for row in message.deliveries.all()}


def thread_of(account: Account) -> threads.Thread:
    return threads.thread(account, Conversation.objects.get(account=account))


HELD = (Delivery.State.HELD, "keys-changed")


def test_both_installations_show_the_same_number(alice: Account, bob: Account, publish: Publish) -> None:
    hers, his = comparisons.comparison(alice, bob.did), comparisons.comparison(bob, alice.did)
    assert hers.number == his.number
    assert hers.code == his.code
    # A device that bob's server slips in changes what alice sees, and not what bob sees.
    own_entries.audit(bob)
    publish(bob)
    changed = comparisons.comparison(alice, bob.did, max_age=timedelta(0))
    assert changed.number != hers.number
    assert comparisons.comparison(bob, alice.did).number == hers.number
    # Until he says that it is his.
    (entry,) = own_entries.audit(bob)
    own_entries.accept(bob, entry.pk)
    assert comparisons.comparison(bob, alice.did).number == changed.number


def test_the_own_part_is_of_the_moment_as_well(alice: Account, bob: Account, publish: Publish) -> None:
    phone = publish(alice)
    own_entries.audit(alice)
    before = comparisons.comparison(alice, bob.did)
    assert phone.fingerprint in before.own.fingerprints
    phone.withdraw()
    hers, his = comparisons.comparison(alice, bob.did), comparisons.comparison(bob, alice.did)
    assert hers.number == his.number != before.number
    # What turns up in her repository is told beside the number, and no part of it.
    stranger = publish(alice)
    assert comparisons.comparison(alice, bob.did).number == hers.number
    assert own_entries.unknown_devices(alice) == {stranger.fingerprint}


def test_while_the_own_server_is_away_the_own_part_is_what_was_last_read(
    alice: Account, bob: Account, publish: Publish, settings: Settings
) -> None:
    phone = publish(alice)
    own_entries.audit(alice)
    number = comparisons.comparison(alice, bob.did).number
    phone.withdraw()
    settings.PLC_URL = "http://localhost:9"
    assert comparisons.comparison(alice, bob.did).number == number


def test_a_slow_own_server_is_not_waited_for(
    alice: Account, bob: Account, publish: Publish, settings: Settings
) -> None:
    phone = publish(alice)
    own_entries.audit(alice)
    number = comparisons.comparison(alice, bob.did).number
    phone.withdraw()
    with slow_server(60) as server:
        settings.PLC_URL = f"http://localhost:{server.ports[0]}"
        started = time.monotonic()
        assert comparisons.comparison(alice, bob.did).number == number
        # One question alone may take longer.
        assert time.monotonic() - started < outbound.READ_SECONDS
        assert server.asked


def test_new_devices_of_somebody_never_compared_are_only_told(
    alice: Account, bob: Account, write: Write, publish: Publish
) -> None:
    assert len(seal(write(alice, [bob], "first"))[bob.did]) == 1
    publish(bob)
    assert len(seal(write(alice, [bob], "second"))[bob.did]) == 2
    assert keys_of(alice, bob.did).in_use == 2
    keys = keys_in(alice, Conversation.objects.get(account=alice))
    assert (keys.standing, keys.to_look_at) == (Standing.NOT_COMPARED, [])
    assert [note.person.did for note in keys.at_end] == [bob.did]
    write(alice, [bob], "third")
    assert [len(entry.key_notes) for entry in thread_of(alice).entries] == [0, 0, 1]
    assert keys_in(alice, Conversation.objects.get(account=alice)).at_end == ()


def test_another_handle_is_told_between_the_messages(alice: Account, bob: Account, write: Write) -> None:
    write(alice, [bob], "to the old name")
    peer = peers.refresh(bob.did)
    renamed = timezone.now()
    pds = peer.pds_url

    def is_called(handle: str, seconds: int) -> None:
        with transaction.atomic():
            key_history.peer_of(Identity(bob.did, handle, pds, {}), now=renamed + timedelta(seconds=seconds))

    # A name that did not lead to him for a while is not worth a line, whatever it is afterwards.
    for seconds, handle in enumerate(["handle.invalid", "bob.test", "handle.invalid", "bob2.test"]):
        is_called(handle, seconds)
    (note,) = keys_in(alice, Conversation.objects.get(account=alice)).at_end
    assert (note.person.did, note.former, note.handle) == (bob.did, "bob.test", "bob2.test")
    path = f"/c/{Conversation.objects.get(account=alice).conversation_id}/"
    line = "<bdi>bob.test</bdi> is now <bdi>bob2.test</bdi>"
    assert browser_of(alice).get(path).content.decode().count(line) == 1
    write(alice, [bob], "to the new name", now=renamed + timedelta(minutes=1))
    told = [[each.handle for each in entry.key_notes] for entry in thread_of(alice).entries]
    assert told == [[], ["bob2.test"]]
    lines = [(line.words, line.subject, line.former) for line in keys_of(alice, bob.did).lines]
    assert lines[:2] == [
        ("Another name", "bob2.test", ""),
        ("A name that does not lead to them any more", "bob.test", ""),
    ]
    assert standing(alice, bob) is Standing.NOT_COMPARED


def test_the_whole_history_and_all_records_can_be_looked_at(
    alice: Account, bob: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    pds, now = peers.refresh(bob.did).pds_url, timezone.now()
    for number in range(5):
        with transaction.atomic():
            at = now + timedelta(seconds=number)
            peer = key_history.peer_of(Identity(bob.did, f"bob{number}.test", pds, {}), now=at)
        operation = {"cid": f"record-{number}", "position": number, "created_at": at, "first_seen_at": at}
        peer.plc_operations.create(**operation)
    monkeypatch.setattr(person_keys, "MOST_LINES", 2)
    monkeypatch.setattr(person_keys, "MOST_ROWS", 2)
    browser, address = browser_of(alice), f"/people/{bob.did}/"
    names, records = [], []
    for place in (0, 2, 4):
        page = browser.get(f"{address}?changes={place}&records={place}&show=aside").content.decode()
        names += re.findall(r"<small><bdi>(bob\d)\.test", page)
        records += re.findall(r"record-\d", page)
        for what, anchor in (("changes", "key-history"), ("records", "key-records")):
            following = re.search(rf'href="([^"]*{what}={place + 2}[^"]*)#{anchor}"', page)
            assert bool(following) is (place < 4)
            assert following is None or "show=aside" in following[1]
    assert names == ["bob4", "bob3", "bob2", "bob1", "bob0"]
    assert records == [f"record-{number}" for number in (4, 3, 2, 1, 0)]
    for nonsense in ("-1", "x", "9" * 40, "٣"):
        assert browser.get(address, {"changes": nonsense, "records": nonsense}).status_code == 200


def test_another_device_of_somebody_compared_stops_what_is_written(
    alice: Account, bob: Account, write: Write, publish: Publish
) -> None:
    match(alice, bob)
    assert standing(alice, bob) is Standing.COMPARED
    assert len(seal(write(alice, [bob], "before"))[bob.did]) == 1
    phone = publish(bob)
    message = write(alice, [bob], "after")
    assert seal(message) == {}
    assert states(message) == {bob.did: HELD}
    message.refresh_from_db()
    assert message.state == Message.State.COMPOSED
    assert standing(alice, bob) is Standing.CHANGED
    assert comparisons.state_of(alice, bob.did).new == {phone.fingerprint}
    state = thread_of(alice).entries[-1].state
    assert state is not None
    assert (state.held, state.words) == (True, "Waits until you look at the keys of Bob")
    # No round of the workers, and no trying again, gets it out.
    later = timezone.now() + timedelta(days=1)
    assert sealing.due(later, older_than=timedelta(0)) == []
    key_gate.release_settled()
    not_arrived.retry(alice, message.message_id)
    assert seal(message) == {}
    # Nor does the next message, and both go when she has compared again.
    next_one = write(alice, [bob], "and then")
    assert seal(next_one) == {}
    (one,) = keys_in(alice, message.conversation).to_look_at
    assert (one.waiting, one.to_several) == (2, False)
    match(alice, bob)
    assert standing(alice, bob) is Standing.COMPARED
    assert len(seal(message)[bob.did]) == len(seal(next_one)[bob.did]) == 2


def test_sending_anyway_uses_the_keys_and_forgets_the_comparison(
    alice: Account, bob: Account, write: Write, publish: Publish
) -> None:
    match(alice, bob)
    publish(bob)
    peers.refresh(bob.did)
    message = write(alice, [bob], "waits")
    seal(message)
    seen = comparisons.state_of(alice, bob.did).used
    publish(bob)
    peers.refresh(bob.did)
    with pytest.raises(ChangedMeanwhile):
        comparisons.accept(alice, bob.did, seen)
    assert states(message) == {bob.did: HELD}
    comparisons.accept(alice, bob.did, comparisons.state_of(alice, bob.did).used)
    assert standing(alice, bob) is Standing.NOT_COMPARED
    assert len(seal(message)[bob.did]) == 3
    publish(bob)
    assert len(seal(write(alice, [bob], "no longer held back"))[bob.did]) == 4


def test_keys_that_differ_stop_everything(alice: Account, bob: Account, write: Write) -> None:
    match(alice, bob, Outcome.DIFFERED)
    message = write(alice, [bob], "to whom")
    assert seal(message) == {}
    assert standing(alice, bob) is Standing.DIFFERED
    match(alice, bob)
    assert len(seal(message)[bob.did]) == 1


def test_one_text_waits_for_all_of_a_group(
    alice: Account, bob: Account, carol: Account, write: Write, publish: Publish
) -> None:
    match(alice, bob)
    publish(bob)
    message = write(alice, [bob, carol], "Supper?")
    assert seal(message) == {}
    assert states(message) == {bob.did: HELD, carol.did: (Delivery.State.HELD, "waits-with-others")}
    assert keys_in(alice, message.conversation).to_look_at[0].to_several
    match(alice, bob)
    assert {did: len(found) for did, found in seal(message).items()} == {bob.did: 2, carol.did: 1}


def test_what_nobody_looked_at_for_thirty_days_fails_and_can_be_retried_or_thrown_away(
    alice: Account, bob: Account, carol: Account, write: Write, publish: Publish
) -> None:
    match(alice, bob)
    publish(bob)
    messages = [write(alice, [carol, bob], text) for text in ("Supper?", "Or lunch?")]
    for message in messages:
        assert seal(message) == {}
    written = messages[0].created_at
    assert held_messages.give_up(written + timedelta(days=29)) == 0
    now = timezone.now() + timedelta(days=30)
    assert [held_messages.give_up(now) for _twice in range(2)] == [2, 0]
    failed = Delivery.State.FAILED
    given_up = {bob.did: (failed, "keys-not-looked-at"), carol.did: (failed, "waited-with-others")}
    for message in messages:
        assert states(message) == given_up
    page = browser_of(alice).get(f"/c/{messages[0].conversation.conversation_id}/").content.decode()
    assert page.count("Not delivered to Bob: it waited 30 days for you to look at their keys") == 2
    # Nothing goes out by itself, and tried again it waits again.
    assert sealing.due(now, older_than=timedelta(0)) == []
    not_arrived.retry(alice, messages[0].message_id, now=now)
    sealing.seal_message(messages[0].pk, now=now)
    assert states(messages[0])[bob.did] == HELD
    assert held_messages.give_up(now + timedelta(days=29)) == 0
    match(alice, bob)
    assert {did: len(found) for did, found in seal(messages[0]).items()} == {bob.did: 2, carol.did: 1}
    assert states(messages[1]) == given_up
    not_arrived.discard(alice, messages[1].message_id, now=now)
    assert not forgetting.erase(alice, now=now)
    messages[1].refresh_from_db()
    assert (bytes(messages[1].sealed), messages[1].erased_at) == (b"", now)


def test_a_swapped_key_gets_nothing(alice: Account, bob: Account, write: Write, publish: Publish) -> None:
    """Attack class 34: the server shows another key in place of the one that was compared."""
    match(alice, bob)
    own = bob.devices.get()
    pds = PdsClient(bob)
    record = dict(pds.get_record(records.CERTIFICATES, own.fingerprint).value)  # type: ignore[union-attr]
    prekey = dict(pds.get_record(records.PREKEYS, own.fingerprint).value)  # type: ignore[union-attr]
    stranger = publish(bob)
    pds.delete_record(records.CERTIFICATES, own.fingerprint)
    pds.delete_record(records.PREKEYS, own.fingerprint)
    peers.forget(bob.did)
    try:
        message = write(alice, [bob], "for bob alone")
        assert seal(message) == {}
        assert states(message) == {bob.did: HELD}
        assert not DeliveryCopy.objects.exists()
        kinds = PeerEvent.objects.order_by("pk").values_list("kind", "subject")
        assert list(kinds) == [("device-new", stranger.fingerprint), ("device-gone", own.fingerprint)]
    finally:
        pds.put_record(records.CERTIFICATES, own.fingerprint, record)
        pds.put_record(records.PREKEYS, own.fingerprint, prekey)
    # The key is swapped back: it goes on by itself, for the compared device alone.
    stranger.withdraw()
    peers.refresh(bob.did)
    key_gate.release_settled()
    (envelope,) = seal(message)[bob.did]
    hand_over(bob, [envelope])
    assert Message.objects.filter(account=bob).count() == 1


def test_what_goes_on_waiting_keeps_nobody_elses_waiting(
    alice: Account, bob: Account, carol: Account, write: Write, publish: Publish
) -> None:
    both = sorted([alice, bob], key=lambda account: account.pk)
    for account in both:
        match(account, carol)
    phone = publish(carol)
    stays, goes_on = (write(account, [carol], "Waits") for account in both)
    for message in (stays, goes_on):
        seal(message)
        assert states(message) == {carol.did: HELD}
    # What the second waits for is gone again; to the first the numbers were not the same.
    match(both[0], carol, Outcome.DIFFERED)
    phone.withdraw()
    peers.refresh(carol.did)
    for _round in range(40):
        key_gate.release_settled(limit=1)
    assert states(stays) == {carol.did: HELD}
    assert states(goes_on)[carol.did] != HELD


def test_new_prekeys_and_certificates_of_the_same_key_change_nothing(
    alice: Account, bob: Account, write: Write, publish: Publish
) -> None:
    phone = publish(bob)
    match(alice, bob)
    number = comparisons.comparison(alice, bob.did).number
    now = timezone.now()
    der = certificates.issue_certificate(
        phone.key, bob.did, bob.handle, "other.test", os.urandom(16), now, now + timedelta(days=400)
    )
    renewed = OtherClient(
        bob, phone.key, certificates.parse_certificate(der), phone.prekey_secret, OtherClient.of(bob).prekey
    )
    renewed.publish(prekey=False)
    assert comparisons.comparison(alice, bob.did, max_age=timedelta(0)).number == number
    assert standing(alice, bob) is Standing.COMPARED
    assert len(seal(write(alice, [bob], "goes on"))[bob.did]) == 2
    assert [event.kind for event in PeerEvent.objects.all()] == [PeerEvent.Kind.CERTIFICATE_RENEWED]


def test_what_a_new_device_signs_is_marked(
    alice: Account, bob: Account, write: Write, publish: Publish
) -> None:
    hand_over(alice, seal(write(bob, [alice], "from his agent"))[alice.did])
    match(alice, bob)
    hand_over(alice, seal(write(bob, [alice], "again"))[alice.did])
    phone = publish(bob)
    hand_over(alice, phone.write([alice], [text_part("from a phone")]))
    assert [entry.not_compared for entry in thread_of(alice).entries] == [False, False, True]
    page = browser_of(alice).get(f"/c/{Conversation.objects.get(account=alice).conversation_id}/")
    assert page.content.decode().count("Signed with a device you have not compared") == 1


class TestPages:
    @pytest.fixture
    def browser(self, alice: Account, bob: Account) -> Client:
        peers.refresh(bob.did)
        return browser_of(alice)

    def test_the_number_and_what_was_found(self, browser: Client, alice: Account, bob: Account) -> None:
        path = f"/people/{bob.did}/compare/"
        page = browser.get(path)
        comparison = page.context["comparison"]
        html = page.content.decode()
        assert all(f"<span>{group}</span>" in html for group in comparison.number)
        assert browser.post(path, {"found": "match", "shown": "0" * 128}).status_code == 409
        assert standing(alice, bob) is Standing.NOT_COMPARED
        answer = browser.post(path, {"found": "match", "shown": comparison.shown})
        assert answer.status_code == 302
        assert standing(alice, bob) is Standing.COMPARED
        assert "they match" in browser.get(path).content.decode()
        row = Verification.objects.get()
        assert (row.account, row.how, row.fingerprints) == (
            alice,
            "number",
            sorted(comparison.theirs.fingerprints),
        )

    def test_a_code(self, browser: Client, alice: Account, bob: Account, carol: Account) -> None:
        path = f"/people/{bob.did}/compare/"
        code = comparisons.comparison(bob, alice.did).code
        other = comparisons.comparison(carol, alice.did).code
        for wrong in ("", "hello", other):
            assert browser.post(path, {"code": wrong}).status_code == 422
        assert not Verification.objects.exists()
        assert browser.post(path, {"code": f"  {code}\n"}).status_code == 302
        assert standing(alice, bob) is Standing.COMPARED
        _start, *halves = code.split()
        digests = dict(zip(halves[::2], halves[1::2], strict=True))
        swapped = code.replace(digests[bob.did], digests[alice.did])
        assert browser.post(path, {"code": swapped}).status_code == 302
        assert standing(alice, bob) is Standing.DIFFERED
        assert Verification.objects.filter(did=bob.did).count() == 2

    def test_a_code_that_differs_of_oneself_alone_says_nothing_of_the_other(
        self, browser: Client, alice: Account, bob: Account, publish: Publish
    ) -> None:
        own_entries.audit(alice)
        publish(alice)
        path = f"/people/{bob.did}/compare/"
        his = comparisons.comparison(bob, alice.did).code
        answer = browser.post(path, {"code": his})
        html = answer.content.decode()
        assert answer.status_code == 409
        assert "About your own keys their code says something else, so nothing was noted" in html
        assert f"{his}</textarea>" in html
        assert "a device in your own repository that you have not looked at" in html
        assert not Verification.objects.exists()
        (entry,) = own_entries.troubles(alice)
        own_entries.accept(alice, entry.pk)
        assert browser.post(path, {"code": his}).status_code == 302
        assert standing(alice, bob) is Standing.COMPARED

    def test_the_picture_of_the_code(self, browser: Client, bob: Account) -> None:
        answer = browser.get(f"/people/{bob.did}/compare/code.svg")
        assert answer["Content-Type"] == "image/svg+xml"
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.content.startswith(b"<?xml")
        assert b"style" not in answer.content

    def test_nobody_compares_with_themselves_or_with_the_unknown(
        self, browser: Client, alice: Account
    ) -> None:
        for did in (alice.did, "nonsense"):
            assert browser.get(f"/people/{did}/compare/").status_code == 404
            assert browser.post(f"/people/{did}/use-keys/").status_code == 404
        # Nor does the page tell whom others here know: of a stranger it is there, and has nothing to compare.
        stranger = browser.get(f"/people/did:plc:{'a' * 24}/compare/")
        assert stranger.status_code == 200
        assert "Number to compare" not in stranger.content.decode()

    def test_sending_anyway(
        self, browser: Client, alice: Account, bob: Account, write: Write, publish: Publish
    ) -> None:
        match(alice, bob)
        publish(bob)
        message = write(alice, [bob], "waits")
        seal(message)
        path = f"/c/{message.conversation.conversation_id}/"
        page = browser.get(path)
        html = page.content.decode()
        assert "has a device that you have not compared" in html
        assert "A message waits here until you have looked" in html
        assert "Waits until you look at the keys of Bob" in html
        (one,) = page.context["keys"].to_look_at
        answer = browser.post(f"/people/{bob.did}/use-keys/", {"fingerprints": one.shown, "next": path})
        assert answer["Location"] == path
        assert states(message) == {bob.did: (Delivery.State.QUEUED, "")}
        assert "you have not compared" not in browser.get(path).content.decode()

    def test_a_server_that_is_away_gives_no_number(
        self, browser: Client, bob: Account, settings: object
    ) -> None:
        settings.PLC_URL = "http://localhost:9"  # type: ignore[attr-defined]
        Peer.objects.update(checked_at=timezone.now() - timedelta(hours=1))
        page = browser.get(f"/people/{bob.did}/compare/")
        assert page.status_code == 200
        assert "cannot be read just now" in page.content.decode()


def test_no_account_sees_what_another_compared(alice: Account, bob: Account, carol: Account) -> None:
    match(alice, bob)
    peers.refresh(bob.did)
    assert standing(carol, bob) is Standing.NOT_COMPARED
