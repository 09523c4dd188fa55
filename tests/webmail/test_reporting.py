"""Reporting: what is disclosed is what was chosen, and lies sealed until an administrator reads it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from tests.webmail.conftest import Write
from tests.webmail.installation import browser_of
from tests.webmail.test_consent import arrives
from webmail import consent, reporting
from webmail.blocked import blocked_among
from webmail.models import Report, WhoMayWrite


@pytest.fixture(autouse=True)
def request_of_carol(alice: Account, carol: Account, write: Write) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    arrives(write, carol, [alice], "Buy my lottery tickets")
    arrives(write, carol, [alice], "An innocent word")


def test_what_was_ticked_reaches_the_operator_and_nothing_else(alice: Account, carol: Account) -> None:
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    assert "lottery" in browser.get(address).content.decode()
    chosen = next(each.id for each in reporting.messages_of(alice, carol.did) if "lottery" in each.text)
    form = {"reason": "spam", "words": "Every day", "message": chosen, "do": "send"}
    answer = browser.post(address, form).content.decode()
    assert "The operator has your report." in answer

    report = Report.objects.get()
    assert (report.account, report.did, report.handle, report.messages) == (alice, carol.did, "carol.test", 1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM webmail_report")
        stored = b"".join(
            value.tobytes() if isinstance(value, memoryview) else str(value).encode()
            for value in cursor.fetchone()
        )
    assert b"lottery" not in stored
    assert b"Every day" not in stored

    operator = Client()
    operator.force_login(User.objects.create_superuser("operator"))
    page = operator.get(reverse("admin:webmail_report_change", args=[report.pk])).content.decode()
    assert "Buy my lottery tickets" in page
    assert "Every day" in page
    assert "innocent" not in page
    operator.post(reverse("admin:webmail_report_delete", args=[report.pk]), {"post": "yes"})
    assert not Report.objects.exists()


def test_administrators_without_the_right_neither_see_nor_delete_reports(
    alice: Account, carol: Account
) -> None:
    disclosed = reporting.disclose(alice, carol.did, "", [])
    report = reporting.report(alice, carol.did, "other", disclosed, now=timezone.now())
    helper = Client()
    helper.force_login(User.objects.create_user("helper", is_staff=True))
    for page in ("change", "delete"):
        assert helper.get(reverse(f"admin:webmail_report_{page}", args=[report.pk])).status_code == 403


def test_the_text_can_be_made_without_telling_anybody(alice: Account, carol: Account) -> None:
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    ids = [each.id for each in reporting.messages_of(alice, carol.did)]
    answer = browser.post(address, {"message": ids, "do": "text"}).content.decode()
    assert "Nothing was sent to anybody." in answer
    assert "Buy my lottery tickets" in answer
    assert carol.did in answer
    assert not Report.objects.exists()


def test_who_is_reported_is_blocked_only_where_that_was_ticked(alice: Account, carol: Account) -> None:
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    ids = [each.id for each in reporting.messages_of(alice, carol.did)]
    for form in ({"do": "send", "block": "1"}, {"do": "text", "message": ids}):
        html = browser.post(address, form).content.decode()
        assert "You block <bdi>" not in html
        assert not blocked_among(alice.pk, [carol.did])
    html = browser.post(
        address, {"do": "send", "reason": "spam", "message": ids, "block": "1"}
    ).content.decode()
    assert "Buy my lottery tickets" in html
    assert "You block <bdi>" in html
    assert blocked_among(alice.pk, [carol.did]) == {carol.did}
    assert 'name="block"' not in browser.get(address).content.decode()


def test_a_report_says_what_it_is_about(alice: Account, carol: Account) -> None:
    answer = browser_of(alice).post(
        reverse("person-report", args=[carol.did]), {"do": "send", "words": "Every day"}
    )
    assert answer.status_code == 422
    assert "Choose what it is about." in answer.content.decode()
    assert "Every day" in answer.content.decode(), "what was written stays"
    assert not Report.objects.exists()


def test_messages_of_others_are_never_disclosed(alice: Account, bob: Account, carol: Account) -> None:
    ids = [each.id for each in reporting.messages_of(alice, carol.did)]
    assert reporting.disclose(alice, bob.did, "", ids).messages == []
    assert reporting.disclose(bob, carol.did, "", ids).messages == []


def test_reports_are_bounded_in_a_day_and_gone_after_ninety(alice: Account, carol: Account) -> None:
    now = timezone.now()
    disclosed = reporting.disclose(alice, carol.did, "", [])
    for _ in range(reporting.MOST_A_DAY):
        reporting.report(alice, carol.did, "spam", disclosed, now=now)
    with pytest.raises(reporting.CannotReport) as refusal:
        reporting.report(alice, carol.did, "spam", disclosed, now=now)
    assert refusal.value.code == "too-many"
    assert reporting.prune(now + timedelta(days=89)) == 0
    assert reporting.prune(now + timedelta(days=91)) == reporting.MOST_A_DAY
