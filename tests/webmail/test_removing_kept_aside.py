"""What was kept aside leaves the mailbox for good: by its owner's doing, or once nothing can open it."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from tests.webmail.every_address import somebody
from tests.webmail.installation import browser_of, new_account
from webmail import intake, kept_aside_removal, reasons, tasks
from webmail.mailbox import QUARANTINE, MailboxError, open_mailbox
from webmail.mailbox.envelope_mail import envelope_in_mail, mail_with_envelope
from webmail.models import Arrival

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]


@pytest.fixture
def alice(settings: Settings, tmp_path: Path) -> Account:
    settings.MAILBOX_URL = f"maildir://{tmp_path / 'mail'}"
    return somebody()


def aside(account: Account, reason: str = "cannot-open", *, days: float = 0, **more: object) -> Arrival:
    """An envelope in the Quarantine folder, tried last so many days ago."""
    raw = mail_with_envelope(b"\x85" + os.urandom(40))
    read = envelope_in_mail(raw)
    assert read
    with open_mailbox(account.did) as mailbox:
        uid = mailbox.append(QUARANTINE, raw)
    row = Arrival.objects.create(
        account=account,
        envelope_id=read.envelope_id,
        state=Arrival.State.KEPT_ASIDE,
        reason=reason,
        folder=QUARANTINE,
        uid_validity=uid.uidvalidity,
        uid=uid.uid,
        size=len(raw),
        arrived_at=timezone.now() - timedelta(days=days),
        **more,
    )
    Arrival.objects.filter(pk=row.pk).update(updated_at=timezone.now() - timedelta(days=days))
    return row


def left(account: Account) -> tuple[set[int], int]:
    """The rows that are left, and how many mails."""
    with open_mailbox(account.did) as mailbox:
        mails = mailbox.uids_after(QUARANTINE, 0)
    return set(Arrival.objects.filter(account=account).values_list("pk", flat=True)), len(mails)


def asked(browser: Client, address: str) -> dict[str, str]:
    """What the page that asks sends on."""
    page = browser.get(address).content.decode()
    assert "This cannot be undone" in page
    (asked_at,) = re.findall(r'name="asked_at" value="([^"]+)"', page)
    return {"asked_at": asked_at}


def test_one_is_removed_for_good_once_that_was_asked(alice: Account) -> None:
    going, staying = aside(alice), aside(alice)
    browser = browser_of(alice)
    address = reverse("kept-aside-remove", args=[going.pk])
    assert address in browser.get(reverse("kept-aside")).content.decode()
    fields = asked(browser, address)
    assert browser_of(new_account("bob")).post(address, fields)["Location"] == reverse("kept-aside")
    assert left(alice) == ({going.pk, staying.pk}, 2)
    said = browser.post(address, fields, follow=True).content.decode()
    assert "1 mail was removed for good." in said
    assert left(alice) == ({staying.pk}, 1)
    again = browser.post(address, fields, follow=True).content.decode()
    assert "not kept aside any more" in again
    assert browser.get(address).status_code == 404
    ordinary = aside(alice, "ordinary-mail")
    assert browser.get(reverse("kept-aside-remove", args=[ordinary.pk])).status_code == 404


def test_all_are_removed_but_what_came_since_or_is_in_the_other_list(alice: Account) -> None:
    for _each in range(2):
        aside(alice)
    away = aside(alice, put_away_at=timezone.now())
    ordinary = aside(alice, "ordinary-mail")
    trying = aside(alice)
    Arrival.objects.filter(pk=trying.pk).update(state=Arrival.State.WAITING)
    browser, address = browser_of(alice), reverse("kept-aside-remove-all")
    assert address in browser.get(reverse("kept-aside")).content.decode()
    fields = asked(browser, address)
    later = aside(alice)
    said = browser.post(address, fields, follow=True).content.decode()
    assert "2 mails were removed for good." in said
    assert left(alice) == ({away.pk, ordinary.pk, trying.pk, later.pk}, 4)
    of_put_away = f"{address}?show=put-away"
    browser.post(of_put_away, asked(browser, of_put_away))
    assert left(alice) == ({ordinary.pk, trying.pk, later.pk}, 3)
    assert browser.get(of_put_away)["Location"].endswith("?show=put-away")


def test_a_mailbox_that_is_away_loses_nothing(alice: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    row = aside(alice)
    browser = browser_of(alice)

    def away(*_: object) -> None:
        raise MailboxError("unreachable", "nobody answers")

    monkeypatch.setattr(kept_aside_removal, "open_mailbox", away)
    for address in (reverse("kept-aside-remove", args=[row.pk]), reverse("kept-aside-remove-all")):
        answer = browser.post(address, asked(browser, address))
        assert answer.status_code == 503
        assert "cannot be reached just now" in answer.content.decode()
    assert left(alice) == ({row.pk}, 1)


def test_what_nothing_opens_goes_after_a_time_and_the_rest_stays(alice: Account) -> None:
    for reason in ("for-another-device", "bad-envelope", "too-many-people"):
        aside(alice, reason, days=31)
    staying = [
        aside(alice, "for-another-device", days=29),
        aside(alice, "for-another-device", days=31, asked_at=timezone.now() - timedelta(days=2)),
        *(
            aside(alice, reason, days=400)
            for reason in ("cannot-open", "for-another-device-key", "unsupported", "signer-not-published")
        ),
        aside(alice, "ordinary-mail", days=400),
    ]
    tasks.prune_kept_aside()
    assert left(alice) == ({row.pk for row in staying}, len(staying))
    assert reasons._KEPT_ASIDE.keys() >= kept_aside_removal.HOPELESS


def test_a_copy_for_another_device_says_to_which_of_its_keys(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    not_opened = intake._NotOpened(alice)
    monkeypatch.setitem(vars(not_opened), "_has_others", True)
    assert not_opened.reason("cannot-open", b"\x85" + bytes(9)) == "for-another-device"
    assert not_opened.reason("cannot-open", b"\x30" + bytes(9)) == "for-another-device-key"
    assert not_opened.reason("bad-cms", b"\x30" + bytes(9)) == "bad-cms"
