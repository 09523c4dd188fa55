"""Reporting: what is disclosed is what was chosen, and lies sealed until an administrator reads it."""

import re
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import token_encryption
from accounts.models import Account
from tests.webmail import sent_files
from tests.webmail.conftest import Write
from tests.webmail.installation import browser_of
from tests.webmail.strangers import arrives
from tests.webmail.test_message_actions import carry_newest
from webmail import blocking, changing, consent, forgetting, reportable, reporting
from webmail.blocked import blocked_among
from webmail.models import Message, Report, WhoMayWrite


@pytest.fixture(autouse=True)
def request_of_carol(alice: Account, carol: Account, write: Write) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    arrives(write, carol, [alice], "Buy my lottery tickets")
    arrives(write, carol, [alice], "An innocent word")


def all_keys(account: Account, person: Account) -> list[str]:
    return [each.key for each in reportable.page_of(account, person.did).messages]


def key_of(account: Account, person: Account, words: str) -> str:
    page = reportable.page_of(account, person.did)
    return next(each.key for each in page.messages if words in each.said.versions[-1].text)


def change(person: Account, words: str, to: str, *readers: Account) -> None:
    """They edit what they wrote, or take it back where nothing is to stand there."""
    sent = Message.objects.filter(account=person, replaces="").order_by("pk")
    message = sent[0] if words == "lottery" else sent[1]
    if to:
        changing.edit(person, message.message_id, to, str(uuid4()))
    else:
        changing.take_back(person, message.message_id, str(uuid4()))
    carry_newest(person, *readers)


def test_what_was_ticked_reaches_the_operator_and_nothing_else(alice: Account, carol: Account) -> None:
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    assert "lottery" in browser.get(address).content.decode()
    chosen = key_of(alice, carol, "lottery")
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


def test_pressing_twice_makes_one_report(alice: Account, carol: Account) -> None:
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    chosen = key_of(alice, carol, "lottery")
    preview = browser.post(address, {"reason": "spam", "message": chosen, "do": "look"}).content.decode()
    found = re.search(r'name="token" value="([^"]+)"', preview)
    assert found is not None
    form = {"reason": "spam", "message": chosen, "do": "send", "token": found.group(1)}
    for _twice in range(2):
        assert "The operator has your report." in browser.post(address, form).content.decode()
    assert Report.objects.count() == 1


def test_administrators_without_the_right_neither_see_nor_delete_reports(
    alice: Account, carol: Account
) -> None:
    disclosed = reporting.Disclosed("", [])
    report = reporting.report(alice, carol.did, "other", disclosed, now=timezone.now())
    helper = Client()
    helper.force_login(User.objects.create_user("helper", is_staff=True))
    for page in ("change", "delete"):
        assert helper.get(reverse(f"admin:webmail_report_{page}", args=[report.pk])).status_code == 403


def test_the_text_can_be_made_without_telling_anybody(alice: Account, carol: Account) -> None:
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    ids = all_keys(alice, carol)
    answer = browser.post(address, {"message": ids, "do": "text"}).content.decode()
    assert "Nothing was sent to anybody." in answer
    assert "Buy my lottery tickets" in answer
    assert carol.did in answer
    assert not Report.objects.exists()


def test_who_is_reported_is_blocked_only_where_that_was_ticked(alice: Account, carol: Account) -> None:
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    ids = all_keys(alice, carol)
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
    keys = all_keys(alice, carol)
    for reporter, did in ((alice, bob.did), (bob, carol.did)):
        with pytest.raises(reporting.CannotReport) as refusal:
            reporting.choose(reporter, did, "", keys)
        assert refusal.value.code == "not-readable"


def test_reports_are_bounded_in_a_day_and_gone_after_ninety(alice: Account, carol: Account) -> None:
    now = timezone.now()
    disclosed = reporting.Disclosed("", [])
    for _ in range(reporting.MOST_A_DAY):
        reporting.report(alice, carol.did, "spam", disclosed, now=now)
    with pytest.raises(reporting.CannotReport) as refusal:
        reporting.report(alice, carol.did, "spam", disclosed, now=now)
    assert refusal.value.code == "too-many"
    assert reporting.prune(now + timedelta(days=89)) == 0
    assert reporting.prune(now + timedelta(days=91)) == reporting.MOST_A_DAY


def test_what_was_ticked_is_disclosed_however_much_they_write_meanwhile(
    alice: Account, carol: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reportable, "PAGE", 2)
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    form = {"reason": "spam", "message": key_of(alice, carol, "lottery")}
    for number in range(3):
        arrives(write, carol, [alice], f"Something else {number}")

    # The form is shown again, on another page, with what was ticked.
    for do in ("older", "newest"):
        html = browser.post(address, {**form, "do": do}).content.decode()
        assert html.count(form["message"]) == 1
        assert f'value="{form["message"]}" checked' in html
    browser.post(address, {**form, "do": "send"})
    assert Report.objects.get().messages == 1
    assert "lottery" in reporting.disclosed_in(Report.objects.get()).messages[0].versions[0].text


def test_older_messages_can_be_reported(
    alice: Account, carol: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reportable, "PAGE", 2)
    for number in range(3):
        arrives(write, carol, [alice], f"Something else {number}")
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    first = browser.get(address)
    assert "lottery" not in first.content.decode()
    page, seen = first, []
    for _page in range(3):
        seen += [each.said.versions[0].text for each in page.context["messages"]]
        page = browser.post(address, {"do": "older", "older": page.context["older"], "words": "Every day"})
        assert "Every day" in page.content.decode()
    assert seen == [
        *(f"Something else {number}" for number in (2, 1, 0)),
        "An innocent word",
        "Buy my lottery tickets",
    ]


def test_every_version_is_disclosed_with_its_time(alice: Account, carol: Account) -> None:
    before = key_of(alice, carol, "innocent")
    change(carol, "innocent", "I know where you live", alice)
    with pytest.raises(reporting.CannotReport) as refusal:
        reporting.choose(alice, carol.did, "", [before])
    assert refusal.value.code == "changed", "nobody saw that when it was ticked"

    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    html = browser.get(address).content.decode()
    assert html.index("An innocent word") < html.index("I know where you live")
    key = key_of(alice, carol, "I know where you live")
    made = browser.post(address, {"do": "send", "reason": "harassment", "message": key}).content.decode()
    first, second = Message.objects.filter(account=alice, sender_did=carol.did).order_by("pk")[1:]
    for version in (first, second):
        assert version.placed_at.isoformat(timespec="seconds") in made
    operator = Client()
    operator.force_login(User.objects.create_superuser("operator"))
    row = Report.objects.get()
    page = operator.get(reverse("admin:webmail_report_change", args=[row.pk])).content.decode()
    assert page.index("An innocent word") < page.index("edited") < page.index("I know where you live")


def test_of_many_versions_the_first_and_the_newest_are_disclosed_and_the_rest_counted(
    alice: Account, carol: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reportable, "MOST_VERSIONS", 3)
    for number in range(4):
        change(carol, "innocent", f"Version {number}", alice)
    disclosed = reporting.choose(alice, carol.did, "", [key_of(alice, carol, "Version 3")]).disclosed
    (said,) = disclosed.messages
    assert [each.text for each in said.versions] == ["An innocent word", "Version 2", "Version 3"]
    assert said.left_out == 2
    assert "2 versions after this one" in reporting.as_plain_text(alice, carol.did, "spam", disclosed)
    assert (
        "2 versions after this one"
        in browser_of(alice).get(reverse("person-report", args=[carol.did])).content.decode()
    )


def test_what_was_taken_back_is_told_to_nobody(alice: Account, carol: Account) -> None:
    change(carol, "innocent", "", alice)
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    html = browser.get(address).content.decode()
    assert "innocent" not in html
    assert "A message was taken back" in html
    disclosed = reporting.choose(alice, carol.did, "", all_keys(alice, carol)).disclosed
    assert [said.taken_back for said in disclosed.messages] == [False, True]
    assert "innocent" not in reporting.as_plain_text(alice, carol.did, "spam", disclosed)


def test_the_page_shows_all_that_is_disclosed_and_says_what_is_cut(
    alice: Account, carol: Account, write: Write
) -> None:
    text = "x" * reportable.LONGEST_TEXT + "y" * 7
    arrives(write, carol, [alice], text)
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    html = browser.get(address).content.decode()
    assert "x" * reportable.LONGEST_TEXT in html
    assert "7 more characters are not disclosed." in html
    made = browser.post(address, {"do": "text", "message": key_of(alice, carol, "xxx")}).content.decode()
    assert "7 more characters are not disclosed." in made


def test_files_are_named(
    alice: Account, carol: Account, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_files.pages_ask_as_web(settings, tmp_path, monkeypatch)
    sent = sent_files.send(carol, [alice], [sent_files.attach(carol, b"x" * 2048, "threat.pdf")])
    sent_files.received(alice, sent)
    browser, address = browser_of(alice), reverse("person-report", args=[carol.did])
    html = browser.get(address).content.decode()
    assert "threat.pdf</bdi>, application/pdf, 2.0" in html
    assert "A message without text" not in html
    key = reportable.page_of(alice, carol.did).messages[0].key
    made = browser.post(address, {"do": "send", "reason": "spam", "message": key}).content.decode()
    assert "File: threat.pdf (application/pdf, 2.0" in made
    operator = Client()
    operator.force_login(User.objects.create_superuser("operator"))
    page = operator.get(reverse("admin:webmail_report_change", args=[Report.objects.get().pk]))
    assert "threat.pdf (application/pdf, 2.0" in page.content.decode()


def test_a_message_s_menu_leads_to_its_report(alice: Account, carol: Account) -> None:
    message = Message.objects.get(account=alice, message_id=key_of(alice, carol, "lottery").partition(":")[0])
    consent.accept(alice, message.conversation, timezone.now())
    browser = browser_of(alice)
    menu = browser.get(reverse("message-menu", args=[message.message_id])).content.decode()
    address = f"{reverse('person-report', args=[carol.did])}?message={message.message_id}"
    assert f'href="{address}"' in menu
    html = browser.get(address).content.decode()
    assert html.count(" checked") == 1
    assert f'value="{key_of(alice, carol, "lottery")}" checked' in html
    own = Message.objects.get(account=carol, message_id=message.message_id)
    assert (
        "Report" not in browser_of(carol).get(reverse("message-menu", args=[own.message_id])).content.decode()
    )


def test_too_many_and_unreadable_messages_are_refused_aloud(
    alice: Account, carol: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = all_keys(alice, carol)
    forgetting.forget(alice, keys[0].partition(":")[0], now=timezone.now())
    for most, code in ((50, "not-readable"), (1, "too-many-messages")):
        monkeypatch.setattr(reporting, "MOST_MESSAGES", most)
        with pytest.raises(reporting.CannotReport) as refusal:
            reporting.choose(alice, carol.did, "", keys)
        assert refusal.value.code == code


def test_what_was_set_aside_can_be_reported_but_no_reactions(
    alice: Account, carol: Account, write: Write
) -> None:
    lottery = key_of(alice, carol, "lottery").partition(":")[0]
    changing.react(carol, lottery, "👍", str(uuid4()))
    carry_newest(carol, alice)
    blocking.block(alice, carol.did, timezone.now())
    arrives(write, carol, [alice], "You can't hide")
    change(carol, "innocent", "You can hide", alice)
    pages = reportable.page_of(alice, carol.did).messages
    assert [each.said.versions[-1].text for each in pages] == [
        "You can't hide",
        "You can hide",
        "Buy my lottery tickets",
    ]


def test_reports_of_a_former_version_are_read(alice: Account, carol: Account) -> None:
    report = reporting.report(alice, carol.did, "spam", reporting.Disclosed("", []), now=timezone.now())
    report.sealed = token_encryption.seal(
        '{"words": "Look", "messages": [["2026-01-02T03:04:05+00:00", "Buy this"]]}'
    )
    (said,) = reporting.disclosed_in(report).messages
    assert [(each.at.year, each.text) for each in said.versions] == [(2026, "Buy this")]
