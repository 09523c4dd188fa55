"""How often an administrator's password may be tried, counted in the real Redis."""

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

pytestmark = pytest.mark.django_db

PASSWORD = "a sentence that nobody guesses"


@pytest.fixture(autouse=True)
def few(settings: Settings) -> None:
    cache.clear()
    settings.ADMIN_SIGN_INS_OF_ONE, settings.ADMIN_SIGN_INS_OF_NAME = 3, 5
    User.objects.create_superuser("root", password=PASSWORD)


def tried(name: str = "root", password: str = "wrong", address: str = "192.0.2.1") -> int:
    """The status of a try: 200 is the page again, 302 leads in, 429 was not tried."""
    form = {"username": name, "password": password}
    return Client().post("/admin/login/?next=/admin/", form, REMOTE_ADDR=address).status_code


def test_an_address_has_so_many_tries_whatever_the_names() -> None:
    assert [tried(name) for name in ("root", "admin", "root")] == [200, 200, 200]
    assert tried(password=PASSWORD) == 429
    assert tried(password=PASSWORD, address="192.0.2.2") == 302


def test_a_name_has_so_many_tries_from_wherever_they_come() -> None:
    assert {tried(address=f"192.0.2.{number}") for number in range(5)} == {200}
    assert tried(password=PASSWORD, address="192.0.2.9") == 429
    assert tried("ROOT", address="192.0.2.10") == 429
    assert tried(" root\t", address="192.0.2.12") == 429
    assert tried("somebody", address="192.0.2.11") == 200


def test_who_signed_in_before_is_not_kept_out_by_strangers_and_has_so_many_tries_as_well() -> None:
    known = Client()

    def tries(name: str = "root", password: str = "wrong", address: str = "192.0.2.1") -> int:
        form = {"username": name, "password": password}
        return known.post("/admin/login/?next=/admin/", form, REMOTE_ADDR=address).status_code

    assert tries(password=PASSWORD) == 302
    cookie = known.cookies["admin-browser"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/admin/login/")
    assert "root" not in cookie.value
    known.post("/admin/logout/")
    for number in range(7):
        tried(address=f"192.0.2.{number}")
    for _ in range(4):
        tried()
    assert tried(password=PASSWORD, address="192.0.2.99") == 429
    assert tries(password=PASSWORD) == 302
    # A copy of it may try as often as an address, and signing in does not make it more often.
    assert [tries(), tries(), tries()] == [200, 200, 429]
    assert tries(password=PASSWORD, address="192.0.2.98") == 429


def test_another_password_makes_every_browser_a_stranger() -> None:
    known, form = Client(), {"username": "root", "password": PASSWORD}
    assert known.post("/admin/login/?next=/admin/", form, REMOTE_ADDR="192.0.2.99").status_code == 302
    root = User.objects.get()
    root.set_password("another sentence that nobody guesses")
    root.save()
    for number in range(5):
        tried(address=f"192.0.2.{number}")
    wrong = known.post("/admin/login/?next=/admin/", form, REMOTE_ADDR="192.0.2.98")
    assert wrong.status_code == 429


@pytest.mark.parametrize("name", ["", "ro\0ot", "r" * 9000])
def test_a_name_that_nobody_has_is_tried_as_any_other(name: str) -> None:
    known, form = Client(), {"username": "root", "password": PASSWORD}
    known.post("/admin/login/?next=/admin/", form, REMOTE_ADDR="192.0.2.99")
    form["username"] = name
    assert known.post("/admin/login/?next=/admin/", form, REMOTE_ADDR="192.0.2.98").status_code == 200


@pytest.mark.parametrize("name", ["admin", "root"])
def test_a_cookie_is_of_one_name_and_of_this_installation(name: str, settings: Settings) -> None:
    User.objects.create_superuser("admin", password=PASSWORD)
    known = Client()
    known.post("/admin/login/", {"username": "root", "password": PASSWORD}, REMOTE_ADDR="192.0.2.90")
    if name == "root":
        known.cookies["admin-browser"] = known.cookies["admin-browser"].value[:-1]
    for number in range(6):
        tried(name, address=f"192.0.2.{number}")
    form = {"username": name, "password": PASSWORD}
    assert known.post("/admin/login/", form, REMOTE_ADDR="192.0.2.91").status_code == 429


def test_a_wrong_password_gets_no_cookie_nor_does_one_without_the_right() -> None:
    User.objects.create_user("reader", password=PASSWORD)
    for name, password in (("root", "wrong"), ("reader", PASSWORD)):
        browser = Client()
        browser.post("/admin/login/", {"username": name, "password": password}, REMOTE_ADDR="192.0.2.80")
        assert "admin-browser" not in browser.cookies


def test_networks_of_one_site_share_their_tries(settings: Settings) -> None:
    settings.ADMIN_SIGN_INS_OF_NAME = 1000
    assert {tried(address=f"2001:db8:0:{number}::1") for number in range(12)} == {200}
    assert tried(address="2001:db8:0:ff::1") == 429
    assert tried(address="2001:db8:1::1") == 200


def test_the_page_itself_is_there_and_says_when_to_come_back() -> None:
    for _ in range(4):
        tried()
    refused = Client().post("/admin/login/", {"username": "root"}, REMOTE_ADDR="192.0.2.1")
    assert "Too often for now" in refused.content.decode()
    assert int(refused["Retry-After"]) > 0
    assert Client().get("/admin/login/", REMOTE_ADDR="192.0.2.1").status_code == 200


@pytest.mark.parametrize("password", ["short", "password1234", "administrator"])
def test_a_weak_password_is_not_taken(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check that createsuperuser and changepassword make, under the installation's settings."""
    monkeypatch.setattr("getpass.getpass", lambda *_args, **_fields: password)
    with pytest.raises((CommandError, ValidationError)):
        call_command("changepassword", "root")
