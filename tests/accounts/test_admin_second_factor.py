"""Administrators' second factor: nothing of admin without it, passkeys that hold here alone, codes that work
once. Passkeys are made and shown by an authenticator in software."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import admin_challenges, admin_factor, admin_passkeys
from accounts.checks import check_settings
from accounts.models import AdminPasskey, AdminPasskeyChallenge, AdminRecoveryCode
from tests.crypto_agent.authenticator import Authenticator

pytestmark = pytest.mark.django_db

PASSWORD = "a sentence that nobody guesses"
ORIGIN = "http://localhost:8000"
HOME = "/admin/second-factor/"
ASK, CODE, NEW = f"{HOME}ask/", f"{HOME}code/", f"{HOME}new/"


@pytest.fixture(autouse=True)
def required(settings: Settings) -> None:
    cache.clear()
    settings.PUBLIC_URL, settings.PUBLIC_HOST = ORIGIN, "localhost"
    settings.ADMIN_SECOND_FACTOR = "required"
    settings.ADMIN_SIGN_INS_OF_ONE, settings.ADMIN_SIGN_INS_OF_NAME = 100, 100


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


@dataclass
class Browser:
    """One of an administrator, with what makes passkeys."""

    name: str = "root"
    key: Authenticator = field(default_factory=lambda: Authenticator(origin=ORIGIN))
    client: Client = field(default_factory=Client)

    def give_password(self) -> HttpResponse:
        form = {"username": self.name, "password": PASSWORD}
        return self.client.post("/admin/login/?next=/admin/", form)

    def asked_for(self, name: str) -> Any:
        return self.client.post(f"{HOME}{name}/").json()

    def make(self, *, name: str = "the key on the shelf", key: Authenticator | None = None) -> HttpResponse:
        made = (key or self.key).create(self.asked_for("begin"))
        return self.client.post(NEW, {"name": name, "passkey": json.dumps({"credential": made})})

    def show(self, options: Any = None) -> HttpResponse:
        return self.send(self.key.get(options or self.asked_for("challenge")))

    def send(self, credential: Any) -> HttpResponse:
        return self.client.post(ASK, {"passkey": json.dumps({"credential": credential})})

    def type_code(self, code: str) -> HttpResponse:
        return self.client.post(CODE, {"code": code})

    @property
    def is_in(self) -> bool:
        answer = self.client.get("/admin/")
        assert answer.status_code in (200, 302)
        return answer.status_code == 200


def enrolled(name: str = "root") -> tuple[Browser, list[str]]:
    """A browser in which the first passkey was just made, and the codes that it was shown."""
    browser = Browser(name)
    browser.give_password()
    page = browser.make().content.decode()
    return browser, re.findall(r"<code>([0-9A-Z-]+)</code>", page)


def again(browser: Browser) -> Browser:
    """Another browser of theirs, with the same passkeys, in which the password was just given."""
    other = Browser(browser.name, browser.key)
    other.give_password()
    return other


def log() -> list[str]:
    return [entry.change_message for entry in LogEntry.objects.order_by("pk")]


def later(monkeypatch: pytest.MonkeyPatch, time: timedelta) -> None:
    now = timezone.now() + time
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)


# ---- Nothing of admin without it


def every_admin_path() -> list[str]:
    """Each address below /admin/, but those of the second factor and of giving the password."""
    found, waiting = [], [("/", each) for each in get_resolver().url_patterns]
    while waiting:
        prefix, each = waiting.pop()
        route = re.sub(r"[\^$]|\\Z", "", f"{prefix}{each.pattern}")
        if isinstance(each, URLResolver):
            waiting += [(route, inner) for inner in each.url_patterns]
        elif route.startswith("/admin/"):
            assert isinstance(each, URLPattern)
            found.append(re.sub(r"<[^>]+>|\(\?P<[^)]+\)", "1", route))
    return sorted(
        {path.replace("(.*)", "x") for path in found if not path.startswith((HOME, "/admin/login/"))}
    )


def test_every_address_of_admin_leads_to_the_passkey_before_it(root: User) -> None:
    browser, _codes = enrolled()
    paths = every_admin_path()
    for part in ("jsi18n", "autocomplete", "password_change", "agent", "report/1/files", "/delete/", "/r/"):
        assert any(part in path for path in paths), part
    assert len(paths) > 6 * len(admin.site._registry)
    other = again(browser)
    open_to_it = []
    for path in paths:
        if path == "/admin/logout/":
            continue
        for answer in (other.client.get(path), other.client.post(path, {"post": "yes"})):
            if answer.status_code != 302 or not answer["Location"].startswith(f"{ASK}?next="):
                open_to_it.append((path, answer.status_code))
    assert open_to_it == []
    for path in (HOME, NEW, f"{HOME}codes/", f"{HOME}{root.admin_passkeys.get().pk}/remove/"):
        for answer in (other.client.get(path), other.client.post(path, {"name": "x"})):
            assert answer.status_code in (302, 405), path
            assert answer.status_code == 405 or answer["Location"].startswith(ASK)
    assert other.client.post(f"{HOME}begin/").status_code == 403
    assert (AdminPasskey.objects.count(), other.is_in) == (1, False)


def test_strangers_are_led_to_the_password_and_get_nothing_of_the_second_factor(root: User) -> None:
    enrolled()
    for path in (HOME, ASK, CODE, NEW, f"{HOME}codes/", f"{HOME}challenge/", f"{HOME}begin/"):
        answer = Client().post(path)
        assert answer.status_code in (302, 405), path
        if answer.status_code == 302:
            assert answer["Location"].startswith("/admin/login/")
    person = Client()
    person.force_login(User.objects.create_user("reader", password=PASSWORD))
    assert person.post(f"{HOME}begin/")["Location"].startswith("/admin/login/")


def test_pages_before_it_name_nothing_that_admin_has(root: User) -> None:
    browser = Browser()
    browser.give_password()
    pages = [browser.client.get(NEW).content.decode()]
    other = again(enrolled()[0])
    pages += [other.client.get(path).content.decode() for path in (ASK, CODE)]
    for page in pages:
        assert "Reports" not in page
        assert "/admin/accounts/" not in page
        assert "Log out" in page


def test_who_has_given_a_password_alone_can_sign_out(root: User) -> None:
    other = again(enrolled()[0])
    assert other.client.post("/admin/logout/").status_code == 200
    assert "/login/" in other.client.get("/admin/")["Location"]


# ---- The first passkey


def test_an_administrator_without_one_makes_it_before_anything_else(root: User) -> None:
    browser = Browser()
    browser.give_password()
    led = browser.client.get("/admin/accounts/device/?q=x")
    assert led["Location"] == f"{NEW}?next=%2Fadmin%2Faccounts%2Fdevice%2F%3Fq%3Dx"
    made = browser.make()
    page = made.content.decode()
    codes = re.findall(r"<code>([0-9A-Z-]+)</code>", page)
    assert len(codes) == len(set(codes)) == 8
    assert "no-store" in made["Cache-Control"]
    assert browser.is_in
    # None of them is kept, nor told again.
    kept = json.dumps(list(AdminRecoveryCode.objects.values("code_hash")))
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)
    assert not any(code in browser.client.get(HOME).content.decode() for code in codes)
    assert "8 recovery codes left" in browser.client.get(HOME).content.decode()
    assert log() == [
        "Added the passkey “the key on the shelf”.",
        "Made new recovery codes; former ones hold no more.",
    ]


def test_a_session_from_before_gives_its_password_once_more_for_the_first(
    root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser()
    browser.client.force_login(root)
    assert browser.client.get("/admin/")["Location"] == "/admin/login/?next=%2Fadmin%2F"
    page = browser.client.get("/admin/login/?next=%2Fadmin%2F").content.decode()
    assert "Give your password once more" in page
    assert browser.client.post(f"{HOME}begin/").status_code == 403
    browser.give_password()
    later(monkeypatch, timedelta(minutes=16))
    assert browser.client.post(f"{HOME}begin/").status_code == 403
    assert browser.client.get(NEW)["Location"].startswith("/admin/login/")


def test_a_password_alone_makes_no_other_passkey_once_there_is_one(root: User) -> None:
    thief = Browser()
    thief.give_password()
    made = thief.key.create(thief.asked_for("begin"))
    enrolled()
    answer = thief.client.post(NEW, {"name": "mine", "passkey": json.dumps({"credential": made})})
    assert answer["Location"].startswith(ASK)
    assert (AdminPasskey.objects.count(), thief.is_in) == (1, False)


def test_of_two_who_make_the_first_at_the_same_time_one_does(root: User) -> None:
    thief = Browser()
    thief.give_password()
    made = thief.key.create(thief.asked_for("begin"))
    enrolled()
    session_key = thief.client.session.session_key or ""
    with pytest.raises(admin_passkeys.NotTheFirst):
        admin_passkeys.add(root, session_key, "mine", made, timezone.now(), first=True)
    assert AdminPasskey.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://elsewhere.example"},
        {"rp_id": "elsewhere.example"},
        {"verifies_user": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_was_made_elsewhere_is_not_kept(root: User, change: dict[str, Any]) -> None:
    browser = Browser(key=Authenticator(**{"origin": ORIGIN, **change}))
    browser.give_password()
    assert browser.make().status_code == 422
    assert (AdminPasskey.objects.count(), browser.is_in) == (0, False)
    assert log() == ["A new passkey was not kept."]


@pytest.mark.parametrize("passkey", ["", "{}", "[]", '{"credential": {}}', '{"credential": {"response": 1}}'])
def test_what_is_no_passkey_is_refused(root: User, passkey: str) -> None:
    browser = Browser()
    browser.give_password()
    assert browser.client.post(NEW, {"name": "x", "passkey": passkey}).status_code == 422
    shown = again(enrolled()[0])
    assert shown.client.post(ASK, {"passkey": passkey}).status_code == 422
    assert not shown.is_in


# ---- Showing it


def test_a_passkey_opens_the_session_that_it_was_asked_for_in(root: User) -> None:
    browser, _codes = enrolled()
    other, third = again(browser), again(browser)
    key_before = other.client.session.session_key
    assert other.show()["Location"] == "/admin/"
    assert other.client.session.session_key != key_before
    assert (other.is_in, third.is_in) == (True, False)
    assert AdminPasskey.objects.get().last_used_at is not None
    # The next sign-in shows it anew.
    other.client.post("/admin/logout/")
    other.give_password()
    assert not other.is_in


def test_giving_the_password_again_in_an_open_session_closes_it(root: User) -> None:
    browser, _codes = enrolled()
    browser.give_password()
    assert not browser.is_in


def test_the_page_leads_on_within_admin_alone(root: User) -> None:
    browser, _codes = enrolled()
    for asked, led in (
        ("/admin/accounts/device/?q=x", "/admin/accounts/device/?q=x"),
        ("https://elsewhere.example/", "/admin/"),
        ("//elsewhere.example/admin/", "/admin/"),
        ("/sign-out/", "/admin/"),
    ):
        other = again(browser)
        shown = other.key.get(other.asked_for("challenge"))
        form = {"passkey": json.dumps({"credential": shown})}
        answer = other.client.post(ASK, form, query_params={"next": asked})
        assert answer["Location"] == led


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: setattr(key, "origin", "https://elsewhere.example"),
        lambda key: setattr(key, "rp_id", "elsewhere.example"),
        lambda key: setattr(key, "verifies_user", False),
        lambda key: setattr(key, "sign_count", 0),
        lambda key: setattr(key, "user_handle", "AAAA"),
        lambda key: setattr(key, "key", Authenticator().key),
    ],
    ids=["origin", "host", "nobody verified", "a copy's count", "somebody else", "another key"],
)
def test_what_does_not_hold_opens_nothing(root: User, spoil: Callable[[Authenticator], None]) -> None:
    browser, _codes = enrolled()
    again(browser).show()
    other = again(browser)
    spoil(other.key)
    answer = other.show()
    assert (answer.status_code, other.is_in) == (422, False)
    assert log()[-1] == "A passkey was refused at the second factor."


def test_a_challenge_is_of_one_session_and_used_once(root: User) -> None:
    browser, _codes = enrolled()
    thief, other = again(browser), again(browser)
    seen = other.key.get(other.asked_for("challenge"))
    assert thief.send(seen).status_code == 422
    assert other.send(seen).status_code == 302
    third = again(browser)
    used = third.key.get(third.asked_for("challenge"))
    assert third.send({**used, "rawId": "AAAA"}).status_code == 422
    # That one was used up by being wrong.
    assert third.send(used).status_code == 422
    assert (thief.is_in, third.is_in) == (False, False)


def test_a_challenge_is_for_one_purpose(root: User) -> None:
    browser, _codes = enrolled()
    asked = browser.asked_for("begin")
    other_key = {"allowCredentials": [{"id": browser.key.id}], "userVerification": "required"}
    shown = browser.key.get({**asked, **other_key, "rpId": "localhost"})
    assert browser.send(shown).status_code == 422


def test_a_challenge_ends_after_five_minutes(root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, _codes = enrolled()
    other = again(browser)
    options = other.asked_for("challenge")
    later(monkeypatch, admin_challenges.LIFETIME)
    assert other.show(options).status_code == 422
    # What has ended does not stay, and a session has one of each kind.
    for _ in range(3):
        other.asked_for("challenge")
    assert AdminPasskeyChallenge.objects.count() == 1
    assert other.show().status_code == 302


def test_a_passkey_of_another_administrator_opens_nothing(root: User) -> None:
    User.objects.create_superuser("second", password=PASSWORD)
    first, _codes = enrolled()
    enrolled("second")
    other = Browser("second", first.key)
    other.give_password()
    options = other.asked_for("challenge")
    assert first.key.id not in [each["id"] for each in options["allowCredentials"]]
    options["allowCredentials"] = [{"id": first.key.id}]
    assert other.show(options).status_code == 422
    assert not other.is_in


def test_an_open_session_is_asked_again_after_half_a_day(root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, _codes = enrolled()
    later(monkeypatch, admin_factor.PASSED_FOR - timedelta(seconds=1))
    assert browser.is_in
    later(monkeypatch, timedelta(seconds=2))
    assert not browser.is_in


def test_tries_are_counted(root: User, settings: Settings) -> None:
    settings.ADMIN_SIGN_INS_OF_ONE = 3
    browser, codes = enrolled()
    cache.clear()
    other = again(browser)
    assert [other.type_code("x").status_code for _ in range(2)] == [422, 422]
    assert other.send({"response": {}}).status_code == 422
    assert other.type_code(codes[0]).status_code == 429
    assert other.show().status_code == 429
    assert not other.is_in
    settings.ADMIN_SIGN_INS_OF_ONE, settings.ADMIN_SIGN_INS_OF_NAME = 100, 4
    assert other.client.post(CODE, {"code": codes[0]}, REMOTE_ADDR="192.0.2.9").status_code == 302
    assert other.client.post(CODE, {"code": codes[1]}, REMOTE_ADDR="192.0.2.8").status_code == 429


# ---- Recovery codes


def test_a_recovery_code_opens_once(root: User) -> None:
    browser, codes = enrolled()
    other = again(browser)
    assert other.type_code(codes[0].lower().replace("-", " "))["Location"] == HOME
    assert other.is_in
    assert "7 recovery codes left" in other.client.get(HOME).content.decode()
    assert log()[-1] == "A recovery code was used at the second factor; 7 are left."
    third = again(browser)
    for code in (codes[0], codes[1][:-1], "", "0" * 5000, "0000-" * 9):
        assert third.type_code(code).status_code == 422
        assert log()[-1] == "A recovery code was refused at the second factor."
    assert not third.is_in
    assert third.type_code(codes[1]).status_code == 302
    assert not any(code in json.dumps(log()) for code in codes)


def test_a_recovery_code_is_of_one_administrator(root: User) -> None:
    User.objects.create_superuser("second", password=PASSWORD)
    _browser, codes = enrolled()
    other = again(enrolled("second")[0])
    assert other.type_code(codes[0]).status_code == 422
    assert not other.is_in


def test_new_codes_end_the_former_and_keep_the_session(root: User) -> None:
    browser, codes = enrolled()
    other = again(browser)
    other.type_code(codes[0])
    page = other.client.post(f"{HOME}codes/").content.decode()
    fresh = re.findall(r"<code>([0-9A-Z-]+)</code>", page)
    assert len(fresh) == 8
    assert other.is_in
    third = again(browser)
    assert third.type_code(codes[1]).status_code == 422
    assert third.type_code(fresh[0]).status_code == 302


def test_new_codes_close_what_the_former_opened(root: User) -> None:
    browser, codes = enrolled()
    stolen, mine = again(browser), again(browser)
    stolen.type_code(codes[0])
    mine.type_code(codes[1])
    assert (stolen.is_in, mine.is_in) == (True, True)
    mine.client.post(f"{HOME}codes/")
    assert (stolen.is_in, mine.is_in, browser.is_in) == (False, True, True)
    browser.client.post(f"{HOME}codes/")
    assert (mine.is_in, browser.is_in) == (False, True)
    assert "8 recovery codes left" in browser.client.get(HOME).content.decode()


# ---- More than one, and removing


def test_the_second_one_is_made_with_the_first_and_the_lost_one_removed(root: User) -> None:
    browser, codes = enrolled()
    lost = AdminPasskey.objects.get()
    stolen = again(browser)
    stolen.show()
    mine = again(browser)
    mine.type_code(codes[0])
    key = Authenticator(origin=ORIGIN)
    assert mine.make(name="another", key=key)["Location"] == HOME
    assert mine.client.post(f"{HOME}{lost.pk}/remove/")["Location"] == HOME
    assert log()[-2:] == ["Added the passkey “another”.", "Removed the passkey “the key on the shelf”."]
    # What it opened is closed with it.
    assert (stolen.is_in, mine.is_in) == (False, True)
    again_with_new = Browser(key=key)
    again_with_new.give_password()
    again_with_new.show()
    assert again_with_new.is_in


def test_the_last_one_stays_where_it_is_required_and_goes_where_it_is_not(
    root: User, settings: Settings
) -> None:
    browser, _codes = enrolled()
    address = f"{HOME}{AdminPasskey.objects.get().pk}/remove/"
    assert browser.client.post(address).status_code == 422
    assert browser.is_in
    settings.ADMIN_SECOND_FACTOR = "optional"
    assert browser.client.post(address).status_code == 302
    assert (AdminPasskey.objects.count(), AdminRecoveryCode.objects.count()) == (0, 0)
    assert again(browser).is_in


def test_nobody_removes_the_passkey_of_another(root: User) -> None:
    User.objects.create_superuser("second", password=PASSWORD)
    browser, _codes = enrolled()
    enrolled("second")
    other = AdminPasskey.objects.get(user__username="second")
    assert browser.client.post(f"{HOME}{other.pk}/remove/").status_code == 404
    assert AdminPasskey.objects.count() == 2


def test_changes_ask_for_what_was_shown_a_moment_ago(root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, _codes = enrolled()
    later(monkeypatch, timedelta(minutes=16))
    assert browser.is_in
    for path in (NEW, f"{HOME}codes/", f"{HOME}{AdminPasskey.objects.get().pk}/remove/"):
        assert browser.client.post(path)["Location"].startswith(ASK)
    assert browser.client.post(f"{HOME}begin/").status_code == 403
    browser.show()
    assert browser.client.get(f"{HOME}codes/").status_code == 200


def test_the_operator_removes_all_of_one_administrator_at_the_shell(root: User) -> None:
    User.objects.create_superuser("second", password=PASSWORD)
    browser, codes = enrolled()
    enrolled("second")
    waiting = again(browser)
    said = StringIO()
    call_command("remove_admin_second_factor", "root", stdout=said)
    assert said.getvalue() == "root: removed 1 passkeys and 8 recovery codes that were left.\n"
    assert log()[-1] == "The second factor was removed from the operator's shell."
    assert not browser.is_in
    assert waiting.type_code(codes[0]).status_code == 302
    assert not waiting.is_in
    assert AdminPasskey.objects.get().user.username == "second"
    assert Browser().give_password().status_code == 302
    call_command("remove_admin_second_factor", "root", stdout=said)
    with pytest.raises(CommandError, match="Nobody signs in as toor"):
        call_command("remove_admin_second_factor", "toor")


# ---- Where it is optional


def test_where_it_is_optional_it_is_asked_of_those_who_have_one(root: User, settings: Settings) -> None:
    settings.ADMIN_SECOND_FACTOR = "optional"
    browser = Browser()
    browser.give_password()
    assert browser.is_in
    assert "Set up a passkey" in browser.client.get(HOME).content.decode()
    browser.make()
    other = again(browser)
    assert not other.is_in
    other.show()
    assert other.is_in


def test_where_it_is_optional_the_first_one_needs_a_fresh_password_too(
    root: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ADMIN_SECOND_FACTOR = "optional"
    browser = Browser()
    browser.give_password()
    later(monkeypatch, timedelta(minutes=16))
    assert browser.client.post(f"{HOME}begin/").status_code == 403
    led = browser.client.get(NEW, follow=True)
    assert led.redirect_chain == [(HOME, 302)]
    assert "Log out and in again first" in led.content.decode()


@pytest.mark.parametrize(
    ("url", "chosen", "found"),
    [
        ("http://localhost:8000", "required", []),
        ("http://127.0.0.1:8000", "optional", []),
        ("http://127.0.0.1:8000", "required", ["accounts.E006"]),
        ("http://[::1]:8000", "required", ["accounts.E006"]),
        ("http://localhost:8000", "yes", ["accounts.E005"]),
    ],
)
def test_settings_that_cannot_work_are_refused(
    settings: Settings, url: str, chosen: str, found: list[str]
) -> None:
    settings.PUBLIC_URL, settings.ADMIN_SECOND_FACTOR = url, chosen
    assert [message.id for message in check_settings()] == found


def test_names_of_passkeys_are_shown_as_text(root: User) -> None:
    browser = Browser()
    browser.give_password()
    assert browser.make(name=" \u202e\n ").status_code == 422
    browser.make(name="<b>x</b>\u202e\nroot was removed")
    assert AdminPasskey.objects.get().name == "<b>x</b> root was removed"
    pk = AdminPasskey.objects.get().pk
    for path in (HOME, f"{HOME}{pk}/remove/", reverse("admin:index")):
        assert "<b>x</b>" not in browser.client.get(path).content.decode()
