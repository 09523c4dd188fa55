"""Files in reports: each is handed over only where it was ticked, and lies encrypted until it goes."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import token_encryption
from accounts.models import Account
from accounts.token_encryption import TokenUnreadable
from crypto_agent.atsms.content import InlinePart, text_part
from crypto_agent.client import AgentClient, Passphrase
from tests.accounts.http_server import Server, reply
from tests.webmail import sent_files
from tests.webmail.installation import browser_of
from tests.webmail.other_client import OtherClient
from tests.webmail.sent_files import DATA, ENCRYPTED, from_phone, giving, part_at
from tests.webmail.test_locked import WORDS, lock_account
from tests.webmail.test_message_actions import carry_newest
from webmail import blocking, changing, disclosed_files, reportable, reporting
from webmail.blobs.spool import Spool
from webmail.models import Delivery, Message, Report, ReportFile
from webmail.reportable import Reportable

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def web(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentClient:
    return sent_files.pages_ask_as_web(settings, tmp_path, monkeypatch, disclosed_files)


@pytest.fixture
def threat(alice: Account, carol: Account) -> bytes:
    """A file that carol sent to alice, with another one; they lie at this installation."""
    data = os.urandom(100_000)
    files = [
        sent_files.attach(carol, data, "threat.pdf"),
        sent_files.attach(carol, os.urandom(90_000), "x.pdf"),
    ]
    sent = sent_files.send(carol, [alice], files, "Read this")
    sent_files.received(alice, sent)
    sent.deliveries.update(state=Delivery.State.ACCEPTED)
    return data


def newest(account: Account, person: Account) -> Reportable:
    return reportable.page_of(account, person.did).messages[0]


def address_of(person: Account) -> str:
    return reverse("person-report", args=[person.did])


def filled_in(message: Reportable, do: str, *places: int) -> dict[str, Any]:
    """The form with this message and those of its files ticked."""
    files = [message.files[place].named.key for place in places]
    return {"do": do, "reason": "harassment", "message": message.key, "file": files}


def operator_of(*rights: str) -> Client:
    """A browser of an administrator who has these rights, or all of them."""
    client = Client()
    if rights:
        user = User.objects.create_user(f"helper-{uuid4().hex}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    else:
        user = User.objects.create_superuser(f"operator-{uuid4().hex}")
    client.force_login(user)
    return client


def file_at(report: Report, place: int = 0) -> str:
    return reverse("admin:webmail_report_file", args=[report.pk, place])


def hand_over_threat(alice: Account, carol: Account) -> Report:
    answer = browser_of(alice).post(address_of(carol), filled_in(newest(alice, carol), "send", 0))
    assert "The operator has your report and 1 file." in answer.content.decode()
    return Report.objects.get()


def test_a_file_is_only_named_unless_it_is_ticked(alice: Account, carol: Account, threat: bytes) -> None:
    browser = browser_of(alice)
    html = browser.get(f"{address_of(carol)}?message={newest(alice, carol).id}").content.decode()
    assert html.count(" checked") == 1, "the message, and neither of its files"
    assert "Also disclose the file <bdi>threat.pdf</bdi> itself" in html
    browser.post(address_of(carol), filled_in(newest(alice, carol), "send"))
    report = Report.objects.get()
    assert not report.files.exists()
    page = operator_of().get(reverse("admin:webmail_report_change", args=[report.pk])).content.decode()
    assert "threat.pdf (application/pdf" in page
    assert file_at(report) not in page


def test_what_is_handed_over_is_shown_before(alice: Account, carol: Account, threat: bytes) -> None:
    form = {**filled_in(newest(alice, carol), "look", 0), "words": "Every day", "block": "1"}
    browser = browser_of(alice)
    html = browser.post(address_of(carol), form).content.decode()
    assert "Nothing was handed over yet." in html
    assert "Read this" in html
    assert "Every day" in html
    assert html.count("The file itself as well") == 1
    assert hashlib.sha256(threat).hexdigest() in html
    assert "1 file itself, 97.7" in html
    assert "x.pdf</bdi>, application/pdf, 87.9" in html
    assert html.count('name="file"') == 1
    assert not Report.objects.exists()
    # And the form is as it was filled in.
    html = browser.post(address_of(carol), {**form, "do": "change"}).content.decode()
    assert html.count(" checked") == 3
    assert f'value="{form["file"][0]}" checked' in html


def test_a_report_says_what_it_is_about_before_anything_is_fetched(
    alice: Account, bob: Account, phone: OtherClient
) -> None:
    with Server(giving(ENCRYPTED)) as server:
        from_phone(alice, phone, part_at(server.url + "/file"))
        form = {**filled_in(newest(alice, bob), "look", 0), "reason": ""}
        assert browser_of(alice).post(address_of(bob), form).status_code == 422
        assert server.requests == 0


def test_the_operator_saves_what_was_handed_over(alice: Account, carol: Account, threat: bytes) -> None:
    report = hand_over_threat(alice, carol)
    operator = operator_of()
    page = operator.get(reverse("admin:webmail_report_change", args=[report.pk])).content.decode()
    assert f'<a href="{file_at(report)}" download>threat.pdf (application/pdf' in page
    assert hashlib.sha256(threat).hexdigest() in page
    answer = operator.get(file_at(report))
    assert answer.content == threat
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="threat.pdf"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "no-store" in answer.headers["Cache-Control"]
    assert operator.get(file_at(report, 1)).status_code == 404
    assert "Reports: their files take 97.7" in operator.get(
        "/admin/webmail/report/"
    ).content.decode().replace("\xa0", " ")


def test_others_do_not_get_it(alice: Account, carol: Account, threat: bytes) -> None:
    report = hand_over_threat(alice, carol)
    assert operator_of("view_report").get(file_at(report)).status_code == 200
    assert operator_of("view_blob").get(file_at(report)).status_code == 403
    for browser in (browser_of(alice), Client()):
        assert browser.get(file_at(report)).status_code == 302, "to the page where administrators sign in"


def test_it_lies_encrypted_and_without_its_name(alice: Account, carol: Account, threat: bytes) -> None:
    report = hand_over_threat(alice, carol)
    with connection.cursor() as cursor:
        stored = b""
        for query in ("SELECT * FROM webmail_report", "SELECT * FROM webmail_reportfile"):
            cursor.execute(query)
            for value in (value for row in cursor.fetchall() for value in row):
                stored += bytes(value) if isinstance(value, memoryview | bytes) else str(value).encode()
    assert len(stored) > len(threat)
    assert threat[:32] not in stored
    assert b"threat.pdf" not in stored
    assert hashlib.sha256(threat).hexdigest().encode() not in stored
    row = report.files.get()
    row.encrypted = bytes(row.encrypted)[:-1] + bytes((bytes(row.encrypted)[-1] ^ 1,))
    row.save()
    assert operator_of().get(file_at(report)).status_code == 404, "it is not what was handed over"


def test_without_the_token_keys_nobody_gets_it(
    alice: Account, carol: Account, threat: bytes, settings: Settings
) -> None:
    report = hand_over_threat(alice, carol)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    assert operator_of().get(file_at(report)).status_code == 404


def kept_in(alice: Account, *contents: bytes) -> Report:
    report = Report.objects.create(account=alice, did="did:plc:x", reason="spam", sealed=b"", messages=1)
    spools = []
    for content in contents:
        spools.append(Spool())
        spools[-1].write(content)
    disclosed_files.keep(report, spools)
    return report


def test_a_file_opens_in_its_place_of_its_report_alone(alice: Account) -> None:
    one, other = kept_in(alice, b"first", b"second"), kept_in(alice, b"elsewhere")
    assert [disclosed_files.kept(one, place) for place in (0, 1)] == [b"first", b"second"]
    for report, place in ((one, 1), (other, 0)):
        row = ReportFile.objects.defer(None).get(report=one, place=0)
        ReportFile.objects.filter(report=report, place=place).update(
            encrypted=row.encrypted, sealed_key=row.sealed_key
        )
        with pytest.raises(TokenUnreadable):
            disclosed_files.kept(report, place)
    assert disclosed_files.kept(one, 0) == b"first"


def test_what_was_kept_before_files_had_a_place_of_their_own_opens(alice: Account) -> None:
    report, key, nonce = kept_in(alice, b"x"), AESGCM.generate_key(256), os.urandom(12)
    encrypted = nonce + AESGCM(key).encrypt(nonce, b"of old", None)
    report.files.update(encrypted=encrypted, sealed_key=token_encryption.seal(key.hex()))
    assert disclosed_files.kept(report, 0) == b"of old"
    report.files.update(encrypted=encrypted[:-1] + bytes([encrypted[-1] ^ 1]))
    with pytest.raises(TokenUnreadable):
        disclosed_files.kept(report, 0)


def test_files_go_with_their_report_and_with_who_made_it(
    alice: Account, carol: Account, threat: bytes, django_assert_max_num_queries: Any
) -> None:
    report = hand_over_threat(alice, carol)
    operator = operator_of()
    address = reverse("admin:webmail_report_delete", args=[report.pk])
    with django_assert_max_num_queries(30) as asked:
        assert operator.get(address).status_code == 200
    assert not any('"encrypted"' in query["sql"] for query in asked.captured_queries), (
        "no file is read for that"
    )
    operator.post(address, {"post": "yes"})
    assert not ReportFile.objects.exists()

    hand_over_threat(alice, carol)
    assert reporting.prune(timezone.now() + timedelta(days=89)) == 0
    assert reporting.prune(timezone.now() + timedelta(days=91)) > 0
    assert not ReportFile.objects.exists()

    hand_over_threat(alice, carol)
    Account.objects.get(pk=alice.pk).delete()
    assert not ReportFile.objects.exists()


def test_the_text_tells_a_file_s_digest_and_nobody_gets_the_file(
    alice: Account, carol: Account, threat: bytes
) -> None:
    html = (
        browser_of(alice).post(address_of(carol), filled_in(newest(alice, carol), "text", 0)).content.decode()
    )
    assert "Nothing was sent to anybody." in html
    assert "No file is in it" in html
    assert html.count("SHA-256: ") == 1
    assert hashlib.sha256(threat).hexdigest() in html
    assert not Report.objects.exists()


def test_a_file_comes_with_its_message_alone(
    alice: Account, bob: Account, carol: Account, threat: bytes
) -> None:
    form = filled_in(newest(alice, carol), "look", 0)
    answer = browser_of(alice).post(address_of(carol), {**form, "message": []})
    assert answer.status_code == 422
    assert "Tick the message too" in answer.content.decode()
    for person, keys in ((bob, form["file"]), (carol, ["00:0"])):
        with pytest.raises(reporting.CannotReport) as refusal:
            reporting.choose(alice, person.did, "", [], keys)
        assert refusal.value.code == "file-alone"


def test_a_server_elsewhere_is_asked_only_for_what_was_ticked(
    alice: Account, bob: Account, phone: OtherClient
) -> None:
    with Server(giving(ENCRYPTED)) as server:
        from_phone(alice, phone, part_at(server.url + "/file"), text_part("look"))
        blocking.block(alice, bob.did, timezone.now())
        browser, message = browser_of(alice), newest(alice, bob)
        html = browser.get(address_of(bob)).content.decode()
        assert "Also disclose the picture <bdi>from elsewhere.png</bdi> itself" in html
        assert "It is fetched from <bdi>localhost</bdi> for that" in html.replace("127.0.0.1", "localhost")
        browser.post(address_of(bob), filled_in(message, "look"))
        assert server.requests == 0
        browser.post(address_of(bob), filled_in(message, "send", 0))
        assert server.requests == 1
    assert disclosed_files.kept(Report.objects.get(), 0) == DATA


def test_one_that_rides_in_its_message_is_handed_over_too(
    alice: Account, bob: Account, phone: OtherClient
) -> None:
    from_phone(
        alice, phone, InlinePart(3, {"data": b"1234", "contentType": "image/png", "filename": "a.png"})
    )
    html = browser_of(alice).post(address_of(bob), filled_in(newest(alice, bob), "send", 0)).content.decode()
    assert "The operator has your report and 1 file." in html
    assert disclosed_files.kept(Report.objects.get(), 0) == b"1234"


def test_what_is_gone_is_said_before_anything_is_handed_over(
    alice: Account, bob: Account, phone: OtherClient
) -> None:
    status = [200]

    def answer(request: BaseHTTPRequestHandler) -> None:
        reply(request, status[0], ENCRYPTED)

    with Server(answer) as server:
        from_phone(alice, phone, part_at(server.url + "/file"), text_part("look"))
        browser, message = browser_of(alice), newest(alice, bob)
        assert (
            "The file itself as well"
            in browser.post(address_of(bob), filled_in(message, "look", 0)).content.decode()
        )
        status[0] = 404
        for do in ("look", "send", "text"):
            reply_to = browser.post(address_of(bob), filled_in(message, do, 0))
            html = reply_to.content.decode()
            assert reply_to.status_code == (200 if do == "look" else 422)
            assert ("Nothing was handed over: a file could not be had." in html) == (do != "look")
            assert "from elsewhere.png</bdi>: It can&#x27;t be fetched any more." in html
            assert "The file itself as well" not in html
            assert 'name="file"' not in html, "what is handed over next is what this page shows"
        assert not Report.objects.exists()


def test_a_server_that_gives_another_file_is_found_out(
    alice: Account, bob: Account, phone: OtherClient
) -> None:
    with Server(giving(bytes(len(ENCRYPTED)))) as server:
        from_phone(alice, phone, part_at(server.url + "/file"))
        html = (
            browser_of(alice).post(address_of(bob), filled_in(newest(alice, bob), "look", 0)).content.decode()
        )
    assert "is not the file that was sent" in html


@pytest.mark.parametrize("url", ["https://[::1", "javascript:alert(1)", ""])
def test_what_is_no_address_is_said_to_be_none(
    alice: Account, bob: Account, phone: OtherClient, url: str
) -> None:
    from_phone(alice, phone, part_at(url))
    browser, message = browser_of(alice), newest(alice, bob)
    assert "which learns of it" not in browser.get(address_of(bob)).content.decode()
    html = browser.post(address_of(bob), filled_in(message, "look", 0)).content.decode()
    assert "an address that this server does not call" in html


def test_keys_that_are_locked_meanwhile_are_named(
    alice: Account, carol: Account, threat: bytes, web: AgentClient
) -> None:
    message = newest(alice, carol)
    chosen = reporting.choose(alice, carol.did, "", [message.key], [message.files[0].named.key])
    lock_account(alice, web)
    try:
        with disclosed_files.fetched(alice, chosen.files, now=timezone.now()) as fetched:
            assert fetched.plaintexts == []
            sentence = "Your keys are locked. Unlock them to open the file."
            assert fetched.problems == {message.files[0].named.key: sentence}
        html = browser_of(alice).get(address_of(carol)).content.decode()
    finally:
        web.make_managed(alice.did, Passphrase(WORDS))
    assert "threat.pdf" not in html
    assert "Your keys are locked" in html


def test_a_file_that_is_too_large_is_only_named(
    alice: Account, carol: Account, threat: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reportable, "MOST_BYTES_OF_FILE", 95_000)
    html = browser_of(alice).get(address_of(carol)).content.decode()
    assert "<bdi>threat.pdf</bdi> is only named: it is larger than 92.8" in html
    assert html.count('name="file"') == 1
    message = newest(alice, carol)
    answer = browser_of(alice).post(address_of(carol), filled_in(message, "send", 0))
    assert answer.status_code == 422
    assert not Report.objects.exists()


def test_files_of_a_report_are_bounded(
    alice: Account, carol: Account, threat: bytes, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    message = newest(alice, carol)
    keys = [each.named.key for each in message.files]

    def refused() -> str:
        with pytest.raises(reporting.CannotReport) as refusal:
            reporting.choose(alice, carol.did, "", [message.key], keys)
        assert refusal.value.sentence
        return refusal.value.code

    for name, most, code in (
        ("MOST", 1, "too-many-files"),
        ("MOST_BYTES", 150_000, "files-too-large"),
        ("MOST_BYTES_OF_ACCOUNT", 150_000, "no-room"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(disclosed_files, name, most)
            assert refused() == code
    settings.REPORT_FILES_BYTES = 150_000
    assert refused() == "no-room"
    settings.REPORT_FILES_BYTES = 250_000
    hand_over_threat(alice, carol)
    assert refused() == "no-room", "what is kept already counts"


def test_an_operator_who_takes_no_files_is_said_to_take_none(
    alice: Account, carol: Account, threat: bytes, settings: Settings
) -> None:
    settings.REPORT_FILES_BYTES = 0
    browser, message = browser_of(alice), newest(alice, carol)
    html = browser.get(address_of(carol)).content.decode()
    assert "the operator takes none" in html
    assert 'name="file"' not in html
    assert browser.post(address_of(carol), filled_in(message, "send", 0)).status_code == 422
    assert browser.post(address_of(carol), filled_in(message, "send")).status_code == 200


def test_files_of_every_version_are_there_once(alice: Account, carol: Account, threat: bytes) -> None:
    sent = Message.objects.get(account=carol, replaces="")
    changing.edit(carol, sent.message_id, "Read that", str(uuid4()))
    carry_newest(carol, alice)
    assert [each.named.name for each in newest(alice, carol).files] == ["threat.pdf", "x.pdf"]
    assert hand_over_threat(alice, carol).files.count() == 1
    changing.take_back(carol, sent.message_id, str(uuid4()))
    carry_newest(carol, alice)
    assert newest(alice, carol).files == []
