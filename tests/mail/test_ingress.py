"""The door: what is stored, when, and what is refused; on both kinds of mailbox."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
import redis
from pytest_django.fixtures import Settings

from accounts.models import Account
from webmail import ingress
from webmail.ingress import IngressRefusal, accept, accept_mail
from webmail.ingress_quota import QuotaExceeded, RedisQuota
from webmail.mailbox import INBOX, open_mailbox
from webmail.mailbox.envelope_mail import MAX_ENVELOPE, envelope_in_mail, mail_with_envelope
from webmail.redis_client import redis_client

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def inbox_of(did: str) -> list[bytes]:
    with open_mailbox(did) as mailbox:
        return [stored.raw for stored in mailbox.fetch(INBOX, mailbox.uids_after(INBOX, 0)).values()]


@pytest.fixture
def pulls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(account, number of mails stored by then) for each pull that is started, instead of a worker."""
    started: list[tuple[int, int]] = []

    def note(task: object, account_pk: int) -> None:
        started.append((account_pk, len(inbox_of(Account.objects.get(pk=account_pk).did))))

    monkeypatch.setattr("webmail.queues.give", note)
    return started


@pytest.mark.usefixtures("mailboxes")
class TestAccept:
    def test_an_envelope_is_stored_before_the_pull_starts(
        self, account: Account, envelope: bytes, pulls: list[tuple[int, int]]
    ) -> None:
        accepted = accept(account.did, envelope, now=NOW)
        assert not accepted.duplicate
        (raw,) = inbox_of(account.did)
        assert raw == mail_with_envelope(envelope)
        stored = envelope_in_mail(raw)
        assert stored is not None
        assert (stored.data, stored.envelope_id) == (envelope, accepted.envelope_id)
        assert pulls == [(account.pk, 1)]

    def test_a_second_copy_is_accepted_and_not_stored(
        self, account: Account, envelope: bytes, pulls: list[tuple[int, int]]
    ) -> None:
        first = accept(account.did, envelope, now=NOW)
        for _ in range(3):
            again = accept(account.did, envelope, now=NOW)
            assert again.duplicate
            assert again.envelope_id == first.envelope_id
        assert len(inbox_of(account.did)) == 1

    def test_ordinary_mail_is_stored_untouched(self, account: Account, pulls: list[tuple[int, int]]) -> None:
        raw = (
            b"Received: from x\r\nSubject:  two  spaces\r\nX-Long: "
            + b"y" * 300
            + b"\r\n\r\n\xff\xfe body\r\n"
        )
        accept_mail(account.did, raw, now=NOW)
        accept_mail(account.did, raw, now=NOW)
        assert inbox_of(account.did) == [raw, raw]
        assert len(pulls) == 2

    def test_a_broker_that_is_away_does_not_fail_the_answer(
        self, account: Account, envelope: bytes, settings: Settings
    ) -> None:
        with patch("webmail.queues.give", side_effect=OSError("no broker")):
            accept(account.did, envelope, now=NOW)
        assert len(inbox_of(account.did)) == 1


@pytest.mark.usefixtures("in_maildir")
class TestRefusals:
    def test_unknown_recipients(
        self, transactional_db: None, new_did: Callable[[], str], envelope: bytes
    ) -> None:
        for did in (new_did(), "did:plc:nonsense", "../../x", ""):
            with pytest.raises(IngressRefusal) as caught:
                accept(did, envelope, now=NOW)
            assert caught.value.code == "unknown-recipient"
            with pytest.raises(IngressRefusal) as caught:
                accept_mail(did, b"Subject: x\r\n\r\n", now=NOW)
            assert caught.value.code == "unknown-recipient"

    def test_what_is_too_large_or_no_envelope(self, account: Account) -> None:
        for data, code in (
            (b"\x85" + bytes(MAX_ENVELOPE), "too-large"),
            (b"hello", "not-an-envelope"),
            (b"", "not-an-envelope"),
        ):
            with pytest.raises(IngressRefusal) as caught:
                accept(account.did, data, now=NOW)
            assert caught.value.code == code
        with pytest.raises(IngressRefusal) as caught:
            accept_mail(account.did, bytes(ingress.MAX_MAIL + 1), now=NOW)
        assert caught.value.code == "too-large"
        assert inbox_of(account.did) == []

    def test_a_mailbox_that_is_away(
        self, account: Account, envelope: bytes, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.MAILBOX_URL = "maildir:///dev/null/nothing"
        with pytest.raises(IngressRefusal) as caught:
            accept(account.did, envelope, now=NOW)
        assert caught.value.code == "mailbox-unavailable"
        assert account.did not in caplog.text


class TestQuota:
    @pytest.fixture
    def client(self, redis_server: str) -> redis.Redis:
        return redis.Redis.from_url(redis_server)

    def test_items_of_an_hour(self, client: redis.Redis, did: str) -> None:
        quota = RedisQuota(client, items=3, octets=1000)
        for _ in range(3):
            quota.take(did, 1, now=NOW)
        with pytest.raises(QuotaExceeded) as caught:
            quota.take(did, 1, now=NOW)
        assert caught.value.retry_after == 1800
        quota.take(did, 1, now=NOW + timedelta(minutes=30))

    def test_octets_of_an_hour(self, client: redis.Redis, did: str) -> None:
        quota = RedisQuota(client, items=100, octets=1000)
        quota.take(did, 600, now=NOW)
        with pytest.raises(QuotaExceeded):
            quota.take(did, 500, now=NOW)
        # What was refused was not counted.
        quota.take(did, 400, now=NOW)

    def test_mailboxes_have_their_own(self, client: redis.Redis, new_did: Callable[[], str]) -> None:
        quota = RedisQuota(client, items=1, octets=1000)
        quota.take(new_did(), 1, now=NOW)
        quota.take(new_did(), 1, now=NOW)

    def test_counters_go_away(self, client: redis.Redis, did: str) -> None:
        before = set(client.keys("ingress:*"))
        RedisQuota(client, items=1, octets=1000).take(did, 1, now=NOW)
        (key,) = set(client.keys("ingress:*")) - before
        assert did.encode() not in key
        assert 0 < client.ttl(key) <= 7200

    def test_without_redis_everything_is_let_in(self, did: str) -> None:
        away = redis_client("redis://127.0.0.1:1/0")
        started = time.monotonic()
        for _ in range(3):
            RedisQuota(away, items=1, octets=1).take(did, 100, now=NOW)
        assert time.monotonic() - started < 1

    def test_the_door_keeps_to_it(self, client: redis.Redis, account: Account, in_maildir: None) -> None:
        quota = RedisQuota(client, items=2, octets=10_000)
        with patch("webmail.queues.give"):
            for number in (1, 2):
                accept(account.did, b"\x85%d" % number, now=NOW, quota=quota)
            for attempt in (b"\x853", b"\x851"):
                with pytest.raises(IngressRefusal) as caught:
                    accept(account.did, attempt, now=NOW, quota=quota)
                assert caught.value.code == "over-quota"
                assert caught.value.retry_after == 1800
        assert len(inbox_of(account.did)) == 2
