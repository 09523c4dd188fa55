"""The first visit: three steps, each with an address of its own, of which only the first has to be done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest
from django.test import Client

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import Passphrase
from tests.accounts.conftest import SignIn
from tests.services.agent import AgentProcess

pytestmark = pytest.mark.django_db
WORDS = "four words that fit"


def _words(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def _custody(account: Account) -> str:
    mode: str = agent().custody(account.did).mode
    return mode


@pytest.fixture
def alice(client: Client, enrolled: SignIn) -> Iterator[Account]:
    """She has published, and is at the second step. What a test locks is unlocked for the next."""
    account = enrolled(client, "alice")
    yield account
    if _custody(account) == "locked":
        agent().make_managed(account.did, Passphrase(WORDS))


def test_each_step_says_which_it_is_and_what_it_does(
    client: Client, sign_in: SignIn, agent_process: AgentProcess
) -> None:
    sign_in(client, "alice")
    first = _words(client, "/welcome/")
    assert "Step 1 of 3" in first
    assert "anyone can look them up" in first
    assert "Nothing else of yours is published or changed" in first
    assert client.post("/welcome/").headers["location"] == "/welcome/lock/"
    second = _words(client, "/welcome/lock/")
    assert "Step 2 of 3" in second
    assert "could open all your messages at any time" in second
    assert "Who can read what" in second
    assert client.post("/welcome/lock/", {"later": "yes"}).headers["location"] == "/welcome/done/"
    third = _words(client, "/welcome/done/")
    assert "Step 3 of 3" in third
    assert "Your keys are not locked" in third
    assert 'href="/devices/keys/lock/"' in third


def test_locking_shows_the_recovery_code_once_and_goes_on(client: Client, alice: Account) -> None:
    answer = client.post("/welcome/lock/", {"way": "passphrase", "new": WORDS, "again": WORDS})
    page = answer.content.decode()
    assert answer.status_code == 200
    code = re.search(r'id="recovery-code"[^>]*>([^<]+)<', page)
    assert code
    assert 'action="/welcome/done/"' in page
    assert _custody(alice) == "locked"
    assert code[1] not in _words(client, "/welcome/lock/")
    assert "Your keys are locked" in _words(client, "/welcome/lock/")
    assert "Your keys are locked" in _words(client, "/welcome/done/")
    # It is unlocked where it was locked.
    assert client.get("/").status_code == 200


def test_who_locks_elsewhere_has_chosen(client: Client, alice: Account) -> None:
    fields = {"way": "passphrase", "new": WORDS, "again": WORDS}
    assert client.post("/devices/keys/lock/", fields).status_code == 200
    alice.refresh_from_db()
    assert _custody(alice) == "locked"
    assert alice.welcomed_at is not None


def test_who_wants_a_new_device_while_the_keys_are_locked_is_led_to_unlocking(
    client: Client, alice: Account
) -> None:
    agent().make_locked(alice.did, Passphrase(WORDS), lifetime_s=600)
    agent().lock_now(alice.did, everywhere=True)
    alice.devices.all().delete()
    answer = client.post("/welcome/")
    assert (answer.status_code, answer.headers.get("location")) == (302, "/unlock/?next=%2Fwelcome%2F")


def test_once_locked_the_same_form_again_locks_nothing_more(client: Client, alice: Account) -> None:
    fields = {"way": "passphrase", "new": WORDS, "again": WORDS}
    client.post("/welcome/lock/", fields)
    again = client.post("/welcome/lock/", fields)
    assert 'id="recovery-code"' not in again.content.decode()
    assert _custody(alice) == "locked"


def test_a_code_that_nobody_has_said_to_have_is_offered_anew(client: Client, alice: Account) -> None:
    """As where a second press took the place of the answer with the code."""
    fields = {"way": "passphrase", "new": WORDS, "again": WORDS}
    unseen = "you have not said that you wrote it down"
    lost = client.post("/welcome/lock/", fields).content.decode()
    second = client.post("/welcome/lock/", fields)
    assert unseen in unescape(second.content.decode())
    assert 'href="/devices/keys/recovery-code/"' in second.content.decode()
    assert client.post("/devices/keys/lock/", fields).headers["location"] == "/devices/keys/"
    assert unseen in _words(client, "/devices/keys/")

    made = client.post("/devices/keys/recovery-code/", {"way": "passphrase", "passphrase": WORDS})
    code = re.search(r'id="recovery-code"[^>]*>([^<]+)<', made.content.decode())
    written = re.search(r'name="written" value="(\w+)"', made.content.decode())
    before = re.search(r'name="written" value="(\w+)"', lost)
    assert code
    assert written
    assert before
    assert code[1] not in str(dict(client.session))
    for other in ("", "yes", before[1]):
        assert unseen in _words(client, f"/devices/keys/?written={other}")
    assert unseen not in _words(client, f"/devices/keys/?written={written[1]}")
    assert unseen not in _words(client, "/devices/keys/")


def test_where_the_lock_is_gone_since_it_is_said_that_there_is_no_code_and_what_makes_one(
    client: Client, alice: Account
) -> None:
    fields = {"way": "passphrase", "new": WORDS, "again": WORDS}
    client.post("/welcome/lock/", fields)
    assert "you have not said that you wrote it down" in _words(client, "/welcome/lock/")
    agent().make_managed(alice.did, Passphrase(WORDS))
    there = client.get("/devices/keys/recovery-code/").headers["location"]
    page = _words(client, there)
    assert "Your keys are not locked, so there is no recovery code. Locking them makes one." in page
    assert 'href="/devices/keys/lock/"' in page


def test_the_end_of_the_first_visit_hears_that_the_code_is_written_down(
    client: Client, alice: Account
) -> None:
    made = client.post("/welcome/lock/", {"way": "passphrase", "new": WORDS, "again": WORDS})
    written = re.search(r'name="written" value="(\w+)"', made.content.decode())
    assert written
    client.get(f"/welcome/done/?written={written[1]}")
    assert "you have not said that you wrote it down" not in _words(client, "/devices/keys/")


@pytest.mark.parametrize(
    "fields",
    [
        {"way": "passphrase", "new": "short", "again": "short"},
        {"way": "passphrase", "new": WORDS, "again": WORDS + "x"},
        {"way": "passkey", "passkey": ""},
        {"way": "passkey", "passkey": "{"},
    ],
)
def test_what_locks_nothing_says_why_and_loses_nothing(
    client: Client, alice: Account, fields: dict[str, str]
) -> None:
    answer = client.post("/welcome/lock/", fields)
    assert answer.status_code == 422
    assert 'name="later"' in answer.content.decode()
    assert _custody(alice) == "managed"


def test_who_stops_comes_back_to_the_step_that_is_left(
    client: Client, sign_in: SignIn, alice: Account
) -> None:
    assert client.get("/").status_code == 200, "nothing is shut meanwhile"
    assert client.get("/welcome/").headers["location"] == "/welcome/lock/"
    other = Client()
    sign_in(other, "alice")
    assert other.get("/welcome/").headers["location"] == "/welcome/lock/"
    other.post("/welcome/lock/", {"later": "yes"})
    assert client.get("/welcome/").headers["location"] == "/devices/"
    before = Account.objects.get().welcomed_at
    client.post("/welcome/lock/", {"later": "yes"})
    assert Account.objects.get().welcomed_at == before


def test_an_agent_that_is_away_holds_up_nobody(
    client: Client, alice: Account, agent_process: AgentProcess
) -> None:
    agent_process.stop()
    try:
        answer = client.get("/welcome/lock/")
        assert answer.status_code == 503
        assert "The key agent does not answer" in answer.content.decode()
        assert client.post("/welcome/lock/", {"later": "yes"}).headers["location"] == "/welcome/done/"
        assert client.get("/welcome/done/").status_code == 200
    finally:
        agent_process.start()


def test_a_passkey_made_on_the_way_leads_back_to_the_step(client: Client, alice: Account) -> None:
    page = _words(client, "/welcome/lock/")
    assert "/devices/keys/passkeys/new/?next=/welcome/lock/" in page
    assert client.get("/devices/keys/passkeys/new/?next=/welcome/lock/").status_code == 200
