"""Passkeys through a running agent: what they confirm, and everything that they must not."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crypto_agent.client import (
    AgentLocked,
    AgentRefused,
    Passkey,
    PasskeyUse,
    Passphrase,
    RecoveryCode,
)
from crypto_agent.passkey_challenges import PasskeyPurpose
from tests.crypto_agent.authenticator import Authenticator
from tests.crypto_agent.people import BOB, WRITTEN_AT
from tests.crypto_agent.persons import PASSPHRASE, new_person, refused
from tests.crypto_agent.running_agent import Agent, CheckedClient, running_agent


def person_with_passkey(
    agent: Agent, authenticator: Authenticator | None = None
) -> tuple[str, Authenticator, Passkey]:
    did = new_person(agent)
    authenticator = authenticator or Authenticator()
    return did, authenticator, register(agent.client(), did, authenticator)


def register(web: CheckedClient, did: str, authenticator: Authenticator, **more: Any) -> Passkey:
    return web.add_passkey(did, "A phone", authenticator.create(web.begin_passkey(did, "alice.test")), **more)


def test_a_passkey_confirms_a_sign_in_once(either_agent: Agent) -> None:
    web = either_agent.client()
    did, authenticator, added = person_with_passkey(either_agent)
    answer = authenticator.get(web.passkey_challenge(did, "sign-in"))
    web.confirm_passkey(did, answer)
    with refused("WrongPasskey"):
        web.confirm_passkey(did, answer)
    (passkey,) = web.custody(did).passkeys
    assert (passkey.name, passkey.prf, passkey.passkey_id) == ("A phone", True, added.passkey_id)
    assert passkey.last_used_at is not None


def test_what_a_browser_is_given_names_the_pages_and_asks_for_the_user(agent: Agent) -> None:
    web = agent.client()
    did = new_person(agent)
    options = web.begin_passkey(did, "alice.test")
    assert options["rp"]["id"] == "mail.test"
    assert options["user"]["name"] == "alice.test"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert did not in str(options)
    first = Authenticator()
    web.add_passkey(did, "A phone", first.create(options))
    again = web.begin_passkey(did, "alice.test")
    assert [known["id"] for known in again["excludeCredentials"]] == [first.id]
    assert again["user"]["id"] == options["user"]["id"]
    asked = web.passkey_challenge(did, "unlock")
    assert (asked["rpId"], asked["userVerification"]) == ("mail.test", "required")
    assert list(asked["extensions"]["prf"]["evalByCredential"]) == [first.id]
    assert "extensions" not in web.passkey_challenge(did, "sign-in")


@pytest.mark.parametrize("purpose", [each.value for each in PasskeyPurpose if each != "register"])
def test_a_challenge_is_for_one_purpose(agent: Agent, purpose: Any) -> None:
    web = agent.client()
    did, authenticator, _ = person_with_passkey(agent)
    answer = authenticator.get(web.passkey_challenge(did, purpose))
    if purpose == "sign-in":
        web.confirm_passkey(did, answer)
        return
    with refused("WrongPasskey"):
        web.confirm_passkey(did, answer)
    with refused("WrongPasskey"):
        web.require_passkey(did, True, PasskeyUse(answer))


def test_a_challenge_is_for_one_account(agent: Agent) -> None:
    web = agent.client()
    mine, authenticator, _ = person_with_passkey(agent)
    yours, your_authenticator, _ = person_with_passkey(agent)
    for did, answer in (
        (yours, authenticator.get(web.passkey_challenge(mine, "sign-in"))),
        (mine, your_authenticator.get(web.passkey_challenge(yours, "sign-in"))),
    ):
        with refused("WrongPasskey"):
            web.confirm_passkey(did, answer)
    # My passkey, made to answer your challenge.
    options = {**web.passkey_challenge(yours, "sign-in"), "allowCredentials": [{"id": authenticator.id}]}
    with refused("WrongPasskey"):
        web.confirm_passkey(yours, authenticator.get(options))


def _answer_of(change: dict[str, Any], web: CheckedClient, did: str, authenticator: Authenticator) -> Any:
    return replace(authenticator, **change).get(web.passkey_challenge(did, "sign-in"))


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://evil.test"},
        {"origin": "https://mail.test:8443"},
        {"origin": "http://mail.test"},
        {"origin": "https://other.mail.test"},
        {"rp_id": "evil.test"},
        {"verifies_user": False},
        {"user_handle": "c29tZWJvZHkgZWxzZQ"},
        {"sign_count": -1},
    ],
    ids=str,
)
def test_an_answer_from_elsewhere_is_refused(agent: Agent, change: dict[str, Any]) -> None:
    web = agent.client()
    did, authenticator, _ = person_with_passkey(agent)
    web.confirm_passkey(did, authenticator.get(web.passkey_challenge(did, "sign-in")))
    with refused("WrongPasskey"):
        web.confirm_passkey(did, _answer_of(change, web, did, authenticator))
    web.confirm_passkey(did, _answer_of({}, web, did, authenticator))


def test_an_answer_of_another_key_or_over_other_data_is_refused(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, _ = person_with_passkey(agent)
    with refused("WrongPasskey"):
        web.confirm_passkey(did, _answer_of({"key": Authenticator().key}, web, did, authenticator))
    other = _answer_of_same(web, did, authenticator)["response"]
    for name in ("clientDataJSON", "authenticatorData", "signature"):
        answer = _answer_of_same(web, did, authenticator)
        answer["response"][name] = other[name]
        with refused("WrongPasskey"):
            web.confirm_passkey(did, answer)


def test_a_counter_that_goes_back_is_refused_and_none_at_all_is_well(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, _ = person_with_passkey(agent)
    copied = replace(authenticator)
    for _ in range(3):
        web.confirm_passkey(did, _answer_of_same(web, did, authenticator))
    with refused("WrongPasskey"):
        web.confirm_passkey(did, _answer_of_same(web, did, copied))
    did, countless, _ = person_with_passkey(agent, Authenticator(counts=False))
    for _ in range(2):
        web.confirm_passkey(did, _answer_of_same(web, did, countless))


def _answer_of_same(web: CheckedClient, did: str, authenticator: Authenticator) -> Any:
    return authenticator.get(web.passkey_challenge(did, "sign-in"))


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"response": None},
        {"response": {"clientDataJSON": 5}},
        {"response": {"clientDataJSON": "e30"}},
        {"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "bm90IGpzb24"}},
    ],
)
def test_what_is_no_answer_at_all_is_refused(agent: Agent, credential: dict[str, Any]) -> None:
    web = agent.client()
    did, _, _ = person_with_passkey(agent)
    with refused("WrongPasskey"):
        web.confirm_passkey(did, credential)
    with refused("WrongPasskey"):
        web.add_passkey(did, "A phone", credential)


def test_a_whole_answer_with_odd_parts_is_refused_and_the_agent_goes_on(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, _ = person_with_passkey(agent)
    for name in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        for odd in (None, 7, "", "!", "AAAA", [], {}, "gg" * 400):
            answer = _answer_of_same(web, did, authenticator)
            answer["response"][name] = odd
            if name == "userHandle" and not odd:
                continue
            with refused("WrongPasskey"):
                web.confirm_passkey(did, answer)
    deep: Any = {}
    for _ in range(200):
        deep = {"a": deep}
    with refused("WrongPasskey"):
        web.confirm_passkey(did, {**_answer_of_same(web, did, authenticator), "rawId": deep})
    with refused("InvalidRequest"):
        web.confirm_passkey(did, {"id": "x" * 100_000})


@pytest.mark.parametrize(
    "change", [{"origin": "https://evil.test"}, {"rp_id": "evil.test"}, {"verifies_user": False}], ids=str
)
def test_a_passkey_made_elsewhere_is_not_kept(agent: Agent, change: dict[str, Any]) -> None:
    web = agent.client()
    did = new_person(agent)
    with refused("WrongPasskey"):
        register(web, did, Authenticator(**change))
    assert web.custody(did).passkeys == []


def test_a_passkey_is_made_with_a_challenge_of_its_own(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, _ = person_with_passkey(agent)
    challenge = web.passkey_challenge(did, "sign-in")["challenge"]
    options = {**web.begin_passkey(did, "alice.test"), "challenge": challenge}
    with refused("WrongPasskey"):
        web.add_passkey(did, "A phone", Authenticator().create(options))
    made = Authenticator().create(web.begin_passkey(did, "alice.test"))
    web.add_passkey(did, "Once", made)
    with refused("WrongPasskey"):
        web.add_passkey(did, "Twice", made)
    with refused("WrongPasskey"):
        register(web, did, authenticator)


def test_a_restart_forgets_challenges_and_keeps_passkeys(own_agent: Agent) -> None:
    web = own_agent.client()
    did, authenticator, _ = person_with_passkey(own_agent)
    answer = _answer_of_same(web, did, authenticator)
    own_agent.kill()
    own_agent.start()
    with refused("WrongPasskey"):
        web.confirm_passkey(did, answer)
    web.confirm_passkey(did, _answer_of_same(web, did, authenticator))


def test_an_agent_that_does_not_know_the_pages_has_no_passkeys(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running_agent(tmp_path_factory.mktemp("pageless"), WAXWING_AGENT_WEB_ORIGIN="") as agent:
        web = agent.client()
        did = new_person(agent)
        assert not web.custody(did).passkeys_available
        with refused("PasskeysUnavailable"):
            web.begin_passkey(did, "alice.test")


def test_a_passkey_locks_an_account_and_opens_it(either_agent: Agent) -> None:
    web = either_agent.client()
    did, authenticator, passkey = person_with_passkey(either_agent)
    use = authenticator.use(web.passkey_challenge(did, "change-custody"))
    session = web.make_locked(did, use, lifetime_s=3600).session
    composed = web.unlocked(session.token).compose(did, [BOB], "Hello", created_at=WRITTEN_AT)
    web.lock_now(did, everywhere=True)
    with pytest.raises(AgentLocked):
        web.read(did, [composed.content])
    session = web.unlock(did, authenticator.use(web.passkey_challenge(did, "unlock")), lifetime_s=60)
    assert web.unlocked(session.token).read(did, [composed.content])[0].text == "Hello"
    (secret,) = web.custody(did).secrets
    assert (secret.kind, secret.passkey_id) == ("passkey", passkey.passkey_id)
    with refused("PasskeyInUse"):
        web.remove_passkey(did, passkey.passkey_id)


def test_a_passkey_without_its_secret_opens_no_lock(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, _ = person_with_passkey(agent)
    web.make_locked(did, authenticator.use(web.passkey_challenge(did, "change-custody")), lifetime_s=60)
    right = authenticator.use(web.passkey_challenge(did, "unlock"))
    with refused("WrongSecret"):
        web.unlock(did, replace(right, prf=None), lifetime_s=60)
    for prf in (bytes(32), os.urandom(32)):
        use = authenticator.use(web.passkey_challenge(did, "unlock"))
        with refused("WrongSecret"):
            web.unlock(did, replace(use, prf=prf), lifetime_s=60)
    # The secret alone, without a new answer of the passkey.
    with refused("WrongPasskey"):
        web.unlock(did, right, lifetime_s=60)
    # A passkey that is none of the lock's.
    other = Authenticator()
    register(web, did, other)
    with refused("WrongSecret"):
        web.unlock(did, other.use(web.passkey_challenge(did, "unlock")), lifetime_s=60)


def test_a_passkey_without_a_prf_cannot_lock(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, passkey = person_with_passkey(agent, Authenticator(has_prf=False))
    assert not passkey.prf
    options = web.passkey_challenge(did, "change-custody")
    assert "extensions" not in options
    with refused("PasskeyCannotLock"):
        web.make_locked(did, PasskeyUse(authenticator.get(options), os.urandom(32)), lifetime_s=60)


def test_wrong_passphrases_hold_up_no_passkey(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, _ = person_with_passkey(agent)
    web.make_locked(did, PASSPHRASE, lifetime_s=60)
    use = authenticator.use(web.passkey_challenge(did, "change-custody"))
    secret = web.add_lock_secret(did, PASSPHRASE, use)
    assert secret.kind == "passkey"
    for _ in range(5):
        with refused("WrongSecret"):
            web.unlock(did, Passphrase("not what it is at all"), lifetime_s=60)
    with refused("TooManyGuesses"):
        web.unlock(did, PASSPHRASE, lifetime_s=60)
    web.unlock(did, authenticator.use(web.passkey_challenge(did, "unlock")), lifetime_s=60)


def requiring_person(agent: Agent) -> tuple[str, Authenticator, str]:
    """A person whose account asks for the passkey, and their recovery code."""
    web = agent.client()
    did, authenticator, _ = person_with_passkey(agent)
    proof = PasskeyUse(authenticator.get(web.passkey_challenge(did, "require-passkey")))
    code = web.require_passkey(did, True, proof)
    assert code is not None
    return did, authenticator, code


def test_dangerous_steps_need_the_passkey_where_the_account_asks_for_it(either_agent: Agent) -> None:
    agent = either_agent
    web = agent.client()
    did, authenticator, _ = requiring_person(agent)
    (device,) = web.list_devices(did)
    # What is there already is no new device.
    assert web.create_device(did, "alice.test", "mail.test").fingerprint == device.fingerprint
    web.revoke_device(did, device.fingerprint)
    expires_at = datetime.now(UTC) + timedelta(days=1)
    (passkey,) = web.custody(did).passkeys
    made = Authenticator().create(web.begin_passkey(did, "alice.test"))
    steps = {
        "create-device": lambda **more: web.create_device(did, "alice.test", "mail.test", **more),
        "create-grant": lambda **more: web.create_grant(
            did, "An app", ["status"], expires_at=expires_at, hourly_limit=10, **more
        ),
        "change-custody": lambda **more: web.make_locked(did, PASSPHRASE, lifetime_s=60, **more),
        "remove-passkey": lambda **more: web.remove_passkey(did, passkey.passkey_id, **more),
    }
    for purpose, step in steps.items():
        with refused("StepUpRequired"):
            step()
        other = "create-grant" if purpose != "create-grant" else "create-device"
        with refused("WrongPasskey"):
            step(assertion=authenticator.get(web.passkey_challenge(did, other)))
    with refused("StepUpRequired"):
        web.add_passkey(did, "Somebody else's", made)
    for purpose in ("create-device", "create-grant", "change-custody"):
        steps[purpose](assertion=authenticator.get(web.passkey_challenge(did, purpose)))
    with refused("LastWayIn"):
        steps["remove-passkey"](assertion=authenticator.get(web.passkey_challenge(did, "remove-passkey")))


def test_the_requirement_goes_with_the_passkey_or_the_recovery_code_alone(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, code = requiring_person(agent)
    for proof, error in (
        (PasskeyUse({}), "WrongPasskey"),
        (PasskeyUse(authenticator.get(web.passkey_challenge(did, "sign-in"))), "WrongPasskey"),
        (RecoveryCode(code[:-1] + ("0" if code[-1] != "0" else "1")), "MistypedRecoveryCode"),
        (RecoveryCode(requiring_person(agent)[2]), "WrongSecret"),
    ):
        with refused(error):
            web.require_passkey(did, False, proof)
    assert web.custody(did).passkey_required
    web.require_passkey(did, False, RecoveryCode(code.lower().replace("-", " ")))
    custody = web.custody(did)
    assert (custody.passkey_required, custody.recovery_code_at) == (False, None)
    proof = PasskeyUse(authenticator.get(web.passkey_challenge(did, "require-passkey")))
    new_code = web.require_passkey(did, True, proof)
    assert new_code not in (None, code)
    with refused("WrongSecret"):
        web.require_passkey(did, False, RecoveryCode(code))
    web.require_passkey(
        did, False, PasskeyUse(authenticator.get(web.passkey_challenge(did, "require-passkey")))
    )


def test_a_recovery_code_begins_no_requirement(agent: Agent) -> None:
    web = agent.client()
    did, _, code = requiring_person(agent)
    with refused("InvalidRequest"):
        web.require_passkey(did, True, RecoveryCode(code))


def test_one_recovery_code_serves_the_lock_and_the_requirement(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, first = requiring_person(agent)
    use = authenticator.use(web.passkey_challenge(did, "change-custody"))
    code = web.make_locked(did, use, lifetime_s=60).recovery_code
    with refused("WrongSecret"):
        web.unlock(did, RecoveryCode(first), lifetime_s=60)
    web.unlock(did, RecoveryCode(code), lifetime_s=60)
    web.make_managed(did, authenticator.use(web.passkey_challenge(did, "change-custody")))
    assert web.custody(did).recovery_code_at is not None
    web.require_passkey(did, False, RecoveryCode(code))


def test_a_required_passkey_makes_a_new_code_of_a_managed_account(either_agent: Agent) -> None:
    web = either_agent.client()
    did, authenticator, first = requiring_person(either_agent)
    with refused("AccountNotLocked"):
        web.new_recovery_code(did, RecoveryCode(first))
    with refused("WrongPasskey"):
        web.new_recovery_code(did, PasskeyUse(authenticator.get(web.passkey_challenge(did, "sign-in"))))
    code = web.new_recovery_code(did, authenticator.use(web.passkey_challenge(did, "change-custody")))
    custody = web.custody(did)
    assert (custody.mode, custody.passkey_required, custody.secrets) == ("managed", True, [])
    with refused("WrongSecret"):
        web.require_passkey(did, False, RecoveryCode(first))
    web.require_passkey(did, False, RecoveryCode(code))
    # Without the requirement there is nothing that a code would be for.
    with refused("AccountNotLocked"):
        web.new_recovery_code(did, authenticator.use(web.passkey_challenge(did, "change-custody")))
    assert web.custody(did).recovery_code_at is None


def test_a_change_of_a_locked_account_needs_the_passkey_besides_the_passphrase(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, _ = requiring_person(agent)
    assertion = authenticator.get(web.passkey_challenge(did, "change-custody"))
    web.make_locked(did, PASSPHRASE, lifetime_s=60, assertion=assertion)
    for step in (
        lambda **more: web.change_passphrase(did, PASSPHRASE, PASSPHRASE, **more),
        lambda **more: web.new_recovery_code(did, PASSPHRASE, **more),
        lambda **more: web.make_managed(did, PASSPHRASE, **more),
    ):
        with refused("StepUpRequired"):
            step()
        step(assertion=authenticator.get(web.passkey_challenge(did, "change-custody")))


def test_the_worker_cannot_ask_for_passkeys(agent: Agent) -> None:
    did, _, _ = person_with_passkey(agent)
    with pytest.raises(AgentRefused) as refusal:
        agent.client("worker").passkey_challenge(did, "sign-in")
    assert refusal.value.code == "NotPermitted"
