"""A PDS that signs in as one of its users: with the account's passkey required, it gets no further than that.

It completes OAuth in alice's name, which her real PDS does here, and has everything that her browser would
get by it. What it does not have is her passkey.
"""

import json
from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import unlocking
from accounts.agent import kept_client
from accounts.models import Account, OAuthSession
from accounts.sessions import PENDING_KEY, PENDING_LIFETIME
from crypto_agent.client import AgentRefused, PasskeyUse, Passphrase
from demo.local_network import NetworkInfo
from tests.accounts.conftest import SignIn, begin, come_back
from tests.crypto_agent.authenticator import Authenticator
from tests.services import sign_in as consent

pytestmark = pytest.mark.django_db

ORIGIN = "http://localhost:8000"
WORDS = "four words nobody guesses"

#: Every page that needs somebody to be signed in, and every form.
PAGES = (
    *("/", "/list/", "/new/", "/kept-aside/", "/unlock/", "/lock/state/", "/welcome/"),
    *("/devices/", "/devices/keys/", "/devices/keys/lock/", "/devices/keys/managed/"),
    *("/devices/keys/passphrase/", "/devices/keys/recovery-code/", "/devices/keys/sign-in/"),
    *("/devices/keys/passkeys/new/", "/devices/apps/", "/devices/apps/new/", "/devices/uses/"),
)
FORMS = {
    "/unlock/": {"way": "passphrase", "passphrase": WORDS, "lifetime_s": "3600"},
    "/lock/": {},
    "/welcome/": {},
    "/devices/keys/lock/": {"way": "passphrase", "new": WORDS, "again": WORDS},
    "/devices/keys/managed/": {"way": "passphrase", "passphrase": WORDS},
    "/devices/keys/passkeys/new/": {"name": "Hostile", "passkey": "{}"},
    "/devices/apps/new/": {"name": "Hostile", "purposes": "open", "open_understood": "on", "days": "30"},
}


@pytest.fixture
def passkey() -> Authenticator:
    return Authenticator(origin=ORIGIN)


@pytest.fixture
def alice(
    client: Client, enrolled: SignIn, passkey: Authenticator, local_network: NetworkInfo
) -> Iterator[Account]:
    """Enrolled, with a passkey that is required and keys that are locked."""
    account = enrolled(client, "alice")
    agent = kept_client()
    agent.add_passkey(account.did, "Key", passkey.create(agent.begin_passkey(account.did, "alice.test")))
    shown = PasskeyUse(passkey.get(agent.passkey_challenge(account.did, "require-passkey")))
    code = agent.require_passkey(account.did, True, shown)
    confirmed = passkey.get(agent.passkey_challenge(account.did, "change-custody"))
    locked = agent.make_locked(account.did, Passphrase(WORDS), lifetime_s=600, assertion=confirmed)
    agent.lock_now(account.did, everywhere=True)
    assert code or locked.recovery_code
    yield account
    passkey.origin = ORIGIN
    shown = PasskeyUse(passkey.get(agent.passkey_challenge(account.did, "require-passkey")))
    agent.require_passkey(account.did, False, shown)
    agent.make_managed(account.did, Passphrase(WORDS))
    for kept in agent.custody(account.did).passkeys:
        agent.remove_passkey(account.did, kept.passkey_id)


@pytest.fixture
def hostile_pds(alice: Account) -> Client:
    """A browser that alice's PDS has signed in as her."""
    browser = Client()
    answer = come_back(browser, consent.approve(begin(browser, "alice.test"), "alice.test", "alice-pass"))
    assert answer.headers["location"] == "/sign-in/passkey/"
    return browser


def test_it_gets_no_page(hostile_pds: Client) -> None:
    for page in PAGES:
        answer = hostile_pds.get(page)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (302, "/sign-in/"), page
    assert hostile_pds.get("/events/").status_code == 204
    page = hostile_pds.get("/sign-in/passkey/").content.decode()
    assert "Now your passkey" in page


def test_it_can_do_nothing(hostile_pds: Client, alice: Account) -> None:
    agent = kept_client()
    before = (agent.custody(alice.did), agent.list_devices(alice.did), agent.list_grants(alice.did))
    for address, fields in FORMS.items():
        answer = hostile_pds.post(address, fields)
        assert (answer.status_code, answer.headers["location"]) == (302, "/sign-in/"), address
    for purpose in ("unlock", "change-custody", "create-grant", "export", "require-passkey", "", "nothing"):
        assert hostile_pds.post("/passkeys/challenge/", {"purpose": purpose}).status_code == 403
    assert hostile_pds.post("/passkeys/begin/").status_code == 403
    assert (agent.custody(alice.did), agent.list_devices(alice.did), agent.list_grants(alice.did)) == before


def answer_with(browser: Client, credential: object) -> int:
    answer = browser.post("/sign-in/passkey/", {"passkey": json.dumps({"credential": credential})})
    return int(answer.status_code)


def test_only_the_passkey_signs_in(hostile_pds: Client, passkey: Authenticator) -> None:
    options = hostile_pds.post("/passkeys/challenge/", {"purpose": "sign-in"}).json()
    strangers = Authenticator(origin=ORIGIN, credential_id=passkey.credential_id)
    assert answer_with(hostile_pds, strangers.get(options)) == 422
    assert hostile_pds.get("/devices/").status_code == 302
    # A page of its own, at which alice would use her passkey, has another origin.
    passkey.origin = "http://localhost:2583"
    options = hostile_pds.post("/passkeys/challenge/", {"purpose": "sign-in"}).json()
    assert answer_with(hostile_pds, passkey.get(options)) == 422
    for nonsense in ("", "[]", "{}", '{"credential": []}', '{"credential": {}}', "[" * 9000):
        assert hostile_pds.post("/sign-in/passkey/", {"passkey": nonsense}).status_code == 422
    assert hostile_pds.get("/devices/").status_code == 302

    passkey.origin = ORIGIN
    options = hostile_pds.post("/passkeys/challenge/", {"purpose": "sign-in"}).json()
    shown = passkey.get(options)
    assert answer_with(hostile_pds, shown) == 302
    assert hostile_pds.get("/devices/").status_code == 200
    # And once: another browser gains nothing by the same answer.
    other = Client()
    come_back(other, consent.approve(begin(other, "alice.test"), "alice.test", "alice-pass"))
    assert answer_with(other, shown) == 422


def test_a_passkey_shown_for_one_step_serves_no_other(
    hostile_pds: Client, alice: Account, passkey: Authenticator
) -> None:
    options = kept_client().passkey_challenge(alice.did, "create-grant")
    assert answer_with(hostile_pds, passkey.get(options)) == 422


def test_a_sign_in_that_waits_for_its_passkey_ends(
    hostile_pds: Client, alice: Account, settings: Settings
) -> None:
    session = hostile_pds.session
    kept = session[PENDING_KEY]
    session[PENDING_KEY] = {**kept, "since": "2020-01-01T00:00:00+00:00"}
    session.save()
    assert PENDING_LIFETIME.total_seconds() <= 3600
    assert hostile_pds.get("/sign-in/passkey/").headers["location"] == "/sign-in/"
    assert hostile_pds.post("/passkeys/challenge/", {"purpose": "sign-in"}).status_code == 403


def test_what_it_signed_in_before_the_passkey_was_required_is_signed_out(
    alice: Account, client: Client
) -> None:
    # The browser of the fixture signed in before.
    unlocking.note_custody(alice)
    for page in PAGES:
        assert client.get(page).headers["location"].partition("?")[0] == "/sign-in/", page
    assert client.get("/events/").status_code == 204


def test_signed_in_it_still_needs_the_passkey_for_dangerous_steps(
    alice: Account, hostile_pds: Client, passkey: Authenticator
) -> None:
    """As if it had taken a browser's session over after the passkey was shown there."""
    agent, client = kept_client(), hostile_pds
    options = client.post("/passkeys/challenge/", {"purpose": "sign-in"}).json()
    assert answer_with(client, passkey.get(options)) == 302
    answer = client.post(
        "/devices/apps/new/",
        {"name": "Hostile", "purposes": ["status"], "days": "30", "hourly_limit": "100"},
    )
    assert "asks for its passkey" in answer.content.decode()
    assert agent.list_grants(alice.did).grants == []
    for address, fields in (
        ("/devices/keys/managed/", {"way": "passphrase", "passphrase": WORDS}),
        ("/devices/keys/passkeys/new/", {"name": "Hostile", "passkey": '{"credential": {}}'}),
    ):
        assert client.post(address, fields).status_code == 422, address
    (kept,) = agent.custody(alice.did).passkeys
    assert client.post(f"/devices/keys/passkeys/{kept.passkey_id}/remove/").status_code == 422
    assert agent.custody(alice.did).mode == "locked"
    assert len(agent.custody(alice.did).passkeys) == 1
    with pytest.raises(AgentRefused, match="StepUpRequired"):
        agent.make_managed(alice.did, Passphrase(WORDS))


def test_where_the_agent_cannot_say_nobody_is_signed_in(
    client: Client, local_network: NetworkInfo, agent_process: object
) -> None:
    """An account of which nothing is known yet: the agent is away, so the browser has to wait for it."""
    agent_process.stop()  # type: ignore[attr-defined]
    try:
        back = consent.approve(begin(client, "bob.test"), "bob.test", "bob-pass")
        assert come_back(client, back).headers["location"] == "/sign-in/passkey/"
        page = client.get("/sign-in/passkey/")
        assert page.status_code == 422
        assert "does not answer" in page.content.decode()
        assert client.get("/devices/").headers["location"].startswith("/sign-in/")
    finally:
        agent_process.start()  # type: ignore[attr-defined]
    assert client.get("/sign-in/passkey/").headers["location"] == "/welcome/"
    assert OAuthSession.objects.count() == 1
