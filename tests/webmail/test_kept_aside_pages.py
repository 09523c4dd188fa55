"""Many mails that were kept aside come in pages, the ones noted last first."""

import re

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account
from webmail import kept_aside
from webmail.models import Arrival

pytestmark = pytest.mark.django_db


def test_each_mail_is_on_one_page(agent_process: AgentProcess) -> None:
    alice = new_account("alice")
    browser = browser_of(alice)
    for number in range(kept_aside.PAGE * 2 + 1):
        Arrival.objects.create(
            account=alice,
            envelope_id=f"{number:064x}",
            state=Arrival.State.KEPT_ASIDE,
            reason="cannot-open",
            uid_validity=1,
            uid=number,
            size=1,
            arrived_at=timezone.now(),
        )
    seen: list[str] = []
    address: str | None = reverse("kept-aside")
    pages = 0
    while address:
        page = browser.get(address).content.decode()
        seen += re.findall("envelope  sha256 ([0-9a-f]{64})", page)
        older = re.search(r'href="([^"]*before=[0-9]+)"[^>]*>.{0,200}Older ones', page, re.DOTALL)
        address, pages = (older[1] if older else None), pages + 1
    assert pages == 3
    assert seen == [f"{number:064x}" for number in reversed(range(kept_aside.PAGE * 2 + 1))]
    for nonsense in ("x", "-1", "9" * 30, "\uff11"):
        assert browser.get(reverse("kept-aside"), {"before": nonsense}).status_code == 200


def test_what_was_put_away_is_nothing_to_look_into(agent_process: AgentProcess) -> None:
    alice, bob = new_account("alice"), new_account("bob")
    row = Arrival.objects.create(
        account=alice,
        envelope_id="ab" * 32,
        state=Arrival.State.KEPT_ASIDE,
        reason="cannot-open",
        uid_validity=1,
        uid=1,
        size=1,
        arrived_at=timezone.now(),
    )
    address = reverse("kept-aside-put-away", args=[row.pk])
    assert browser_of(bob).post(address, {"do": "put-away"}).status_code == 404
    browser = browser_of(alice)
    assert kept_aside.count(alice) == 1
    moved = browser.post(address, {"do": "put-away"})
    assert moved.status_code == 302
    assert 'value="undo"' in browser.get(moved["Location"]).content.decode()
    assert 'value="undo"' not in browser_of(bob).get(moved["Location"]).content.decode()
    for nonsense in ("x", "0", "9" * 30):
        assert browser.get(reverse("kept-aside"), {"moved": nonsense}).status_code == 200
    assert (kept_aside.count(alice), kept_aside.kept_aside(alice)) == (0, [])
    assert [each.id for each in kept_aside.kept_aside(alice, put_away=True)] == [row.pk]
    assert browser.post(address, {"do": "put-back"}).status_code == 302
    assert kept_aside.count(alice) == 1


def test_what_was_opened_meanwhile_is_not_said_to_be_put_away_or_back(agent_process: AgentProcess) -> None:
    alice = new_account("alice")
    row = Arrival.objects.create(
        account=alice,
        envelope_id="ab" * 32,
        state=Arrival.State.OPENED,
        uid_validity=1,
        uid=1,
        size=1,
        arrived_at=timezone.now(),
    )
    address = reverse("kept-aside-put-away", args=[row.pk])
    answer = browser_of(alice).post(address, {"do": "put-away"}, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    said = answer.content.decode()
    assert "Put away." not in said
    assert "among the others again" not in said


def test_put_away_mails_come_in_pages_too(agent_process: AgentProcess) -> None:
    alice = new_account("alice")
    for number in range(kept_aside.PAGE + 1):
        Arrival.objects.create(
            account=alice,
            envelope_id=f"{number:064x}",
            state=Arrival.State.KEPT_ASIDE,
            reason="cannot-open",
            put_away_at=timezone.now(),
            uid_validity=1,
            uid=number,
            size=1,
            arrived_at=timezone.now(),
        )
    browser = browser_of(alice)
    first = browser.get(reverse("kept-aside"), {"show": "put-away"}).content.decode()
    older = re.search(r'href="([^"]*)"[^>]*>.{0,200}Older ones', first, re.DOTALL)
    assert older
    second = browser.get(older[1].replace("&amp;", "&")).content.decode()
    assert re.findall("envelope  sha256 ([0-9a-f]{64})", second) == [f"{0:064x}"]
    assert 'href="/kept-aside/?show=put-away"' in second
