"""Nobody's server hears that somebody looks at their keys before the account agreed to hear of them."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Peer, PublishedEntry
from tests.webmail.conftest import Write
from tests.webmail.strangers import arrives, asked_of_others
from webmail import blocking, comparisons, consent
from webmail.models import Conversation, Verification, WhoMayWrite

pytestmark = pytest.mark.django_db

WITHHELD = "Nobody is asked before you accept what they wrote"


@pytest.fixture
def request_of_bob(alice: Account, bob: Account, write: Write) -> Conversation:
    """What Bob began with alice, of whose keys nothing fresh is known."""
    consent.choose(alice, WhoMayWrite.NOBODY)
    found = arrives(write, bob, [alice], "Hello Alice").conversation
    _let_time_go_by()
    return found


def _let_time_go_by() -> None:
    Peer.objects.update(checked_at=timezone.now() - timedelta(days=2))


def is_offered(browser: Client, did: str) -> bool:
    person = browser.get(reverse("person", args=[did])).content.decode()
    return reverse("compare", args=[did]) in person


def test_whoever_waits_for_an_answer_is_compared_with_once_they_have_it(
    alice: Account, bob: Account, request_of_bob: Conversation, at_alices: Client
) -> None:
    code = comparisons.comparison(bob, alice.did).code
    _let_time_go_by()
    address = reverse("compare", args=[bob.did])
    picture = reverse("compare-code", args=[bob.did])
    with pytest.MonkeyPatch.context() as patch, asked_of_others(patch) as asked:
        assert not is_offered(at_alices, bob.did)
        page = at_alices.get(address)
        assert at_alices.get(picture).status_code == 404
        answers = [
            at_alices.post(address, {"code": code}),
            at_alices.post(address, {"found": "match", "shown": "0" * 128}),
        ]
    assert asked == []
    assert page.status_code == 200
    assert WITHHELD in page.content.decode()
    assert "Number to compare" not in page.content.decode()
    assert [answer.status_code for answer in answers] == [403, 403]
    assert all("Nothing was noted." in answer.content.decode() for answer in answers)
    assert f"{code}</textarea>" in answers[0].content.decode()
    assert not Verification.objects.exists()

    consent.accept(alice, request_of_bob, timezone.now())
    assert is_offered(at_alices, bob.did)
    assert "Number to compare" in at_alices.get(address).content.decode()
    assert at_alices.get(picture).status_code == 200


def test_a_device_that_nobody_looked_at_counts_where_there_is_a_number(
    alice: Account, request_of_bob: Conversation, at_alices: Client
) -> None:
    """Since it may make that another one."""
    now = timezone.now()
    seen = {"known": False, "present": True, "first_seen_at": now, "last_seen_at": now}
    PublishedEntry.objects.create(account=alice, kind="device", value="5a" * 32, **seen)
    address = reverse("compare", args=[request_of_bob.started_by])
    looked_at = "a device in your own repository that you have not looked at"
    assert looked_at not in at_alices.get(address).content.decode()
    consent.accept(alice, request_of_bob, now)
    assert looked_at in at_alices.get(address).content.decode()


def test_whom_the_account_blocks_is_not_asked(
    alice: Account, bob: Account, request_of_bob: Conversation, at_alices: Client
) -> None:
    consent.accept(alice, request_of_bob, timezone.now())
    blocking.block(alice, bob.did, timezone.now())
    with pytest.MonkeyPatch.context() as patch, asked_of_others(patch) as asked:
        assert not is_offered(at_alices, bob.did)
        assert WITHHELD in at_alices.get(reverse("compare", args=[bob.did])).content.decode()
    assert asked == []


def test_whom_others_brought_along_is_compared_with_where_that_was_agreed_to(
    alice: Account, bob: Account, carol: Account, write: Write, at_alices: Client
) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    group = arrives(write, bob, [alice, carol], "Hello both").conversation
    assert not is_offered(at_alices, carol.did)
    consent.accept(alice, group, timezone.now())
    assert not consent.may_hear_of_a_look(alice, carol.did)
    assert is_offered(at_alices, carol.did)
    assert "Number to compare" in at_alices.get(reverse("compare", args=[carol.did])).content.decode()
