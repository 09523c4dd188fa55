"""Answers to ordinary mail: what is typed is kept, and shown again on the mail's page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.agent import kept_client
from accounts.models import Account
from tests.webmail.installation import browser_of
from tests.webmail.ordinary_mail import arrived, mail_to, write
from tests.webmail.test_ordinary_mailbox_away import mailbox_away
from webmail import draft_export
from webmail.models import Arrival, Draft, OutgoingMail, UnsentAnswer
from webmail.ordinary import removing

pytestmark = pytest.mark.django_db

ONE, OTHER = "a" * 32, "b" * 32
HALF = "Half an answer & <b>"


@pytest.fixture(autouse=True)
def as_web(people: dict[str, Account], settings: Settings) -> None:
    """Drafts are the pages' alone: workers may not open them."""
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()


@pytest.fixture
def mail(alice: Account) -> Arrival:
    return arrived(alice, mail_to(alice, cc="bo@b.example"))


def keep(browser: Client, mail: Arrival, text: str = HALF, **more: object) -> dict[str, Any]:
    fields = {"text": text, "writer": ONE, "revision": "0", "to": "all", **more}
    answer = browser.post(reverse("draft-keep-answer", args=[mail.pk]), fields)
    assert answer.status_code == 200, answer.content
    told: dict[str, Any] = answer.json()
    return told


def page(browser: Client, mail: Arrival) -> str:
    return browser.get(f"/mail/{mail.pk}/").content.decode()


def test_half_an_answer_is_there_in_another_browser(alice: Account, mail: Arrival) -> None:
    kept = keep(browser_of(alice), mail)
    assert kept == {"revision": kept["revision"], "overtook": False, "left": False}
    browser = browser_of(alice)
    html = page(browser, mail)
    assert "Half an answer &amp; &lt;b&gt;</textarea>" in html
    assert f'name="revision" value="{kept["revision"]}"' in html
    assert re.search('value="all" checked', html)
    assert not re.search('name="quote" value="1" checked', html)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM webmail_draft")
        rows = repr([bytes(x) if isinstance(x, memoryview) else x for x in cursor.fetchall()])
    assert "Half" not in rows
    assert "Half" not in browser.get(reverse("inbox")).content.decode()
    assert list(draft_export.drafts_json(alice)) == []
    # Sent, it is kept no more.
    assert write(browser, mail.pk, text="A whole answer", revision=kept["revision"]).status_code == 302
    assert OutgoingMail.objects.count() == 1
    assert not Draft.objects.exists()
    assert re.search('name="quote" value="1" checked', page(browser, mail))


def test_of_two_answers_the_other_one_is_kept(alice: Account, mail: Arrival) -> None:
    browser = browser_of(alice)
    keep(browser, mail, "on the train")
    told = keep(browser, mail, "at the desk", writer=OTHER, to="sender", quote="1")
    assert told["overtook"]
    other = browser.get(reverse("draft-overtaken"), {"mail": mail.pk}).json()
    assert (other["text"], other["toAll"], other["withQuote"]) == ("on the train", True, False)
    write(browser, mail.pk, text="at the desk", writer=OTHER, revision=told["revision"])
    assert "on the train</textarea>" in page(browser, mail)


def test_it_can_be_thrown_away(alice: Account, bob: Account, mail: Arrival) -> None:
    browser, discard = browser_of(alice), f"/mail/{mail.pk}/answer/discard/"
    assert discard not in page(browser, mail)
    keep(browser, mail)
    assert discard in page(browser, mail)
    question = browser.get(discard).content.decode()
    assert "Discard this answer?" in question
    assert "Half an answer" in question
    browser_of(bob).post(discard)
    assert Draft.objects.exists()
    for _ in range(2):
        assert browser.post(discard).headers["Location"] == f"/mail/{mail.pk}/"
    assert not Draft.objects.exists()
    assert browser.get(discard).status_code == 302


def test_nobody_answers_another_accounts_mail(alice: Account, bob: Account, mail: Arrival) -> None:
    answer = browser_of(bob).post(reverse("draft-keep-answer", args=[mail.pk]), {"text": "x", "writer": ONE})
    assert answer.status_code == 404
    keep(browser_of(alice), mail)
    assert browser_of(bob).get(reverse("draft-overtaken"), {"mail": mail.pk}).status_code == 404
    signed_out = Client().post(reverse("draft-keep-answer", args=[mail.pk]), {"text": "x"})
    assert signed_out.status_code == 401


def test_it_stands_there_while_the_mailbox_is_away(alice: Account, mail: Arrival, settings: Settings) -> None:
    browser = browser_of(alice)
    with mailbox_away(settings):
        first = keep(browser, mail)["revision"]
        assert "Half an answer" in page(browser, mail)
        # What could not be sent, and is written on after that.
        assert write(browser, mail.pk, text="A whole answer", writer=ONE, revision=first).status_code == 503
        newest = keep(browser, mail, "A whole answer, and more", revision=first)["revision"]
    html = page(browser, mail)
    assert "A whole answer, and more</textarea>" in html
    assert "It is kept here until you send or discard it" in html
    (token,) = re.findall(r'name="token" value="([^"]+)"', html)
    for _ in range(2):
        write(browser, mail.pk, text="A whole answer, and more", token=token, revision=newest)
    assert OutgoingMail.objects.count() == 1
    assert not Draft.objects.exists()
    assert not UnsentAnswer.objects.exists()


def test_its_mail_is_not_removed_for_good(alice: Account, mail: Arrival) -> None:
    keep(browser_of(alice), mail)
    browser_of(alice).post(f"/mail/{mail.pk}/mark/", {"do": "delete"})
    found = removing.remove(alice, mail.pk, now=timezone.now())
    assert (found.count, found.staying) == (0, {removing.Stays.ANSWER_UNSENT: 1})
    browser_of(alice).post(f"/mail/{mail.pk}/answer/discard/")
    assert removing.remove(alice, mail.pk, now=timezone.now()).count == 1
