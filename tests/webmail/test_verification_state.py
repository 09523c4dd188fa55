"""What was said of people's keys, on its way from one installation to another."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account
from tests.webmail.installation import new_account
from webmail import comparisons, exported_settings, verification_state
from webmail.comparisons import Standing
from webmail.message_state import packed
from webmail.models import Verification

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

BOB, CAROL = "did:plc:" + "b" * 24, "did:plc:" + "c" * 24


@pytest.fixture
def alice(agent_process: object) -> Account:
    return new_account("alice")


def say(account: Account, did: str, outcome: str = "matched", *, days_ago: int = 0) -> Verification:
    return Verification.objects.create(
        account=account,
        did=did,
        outcome=outcome,
        how="number" if outcome != "accepted" else "",
        fingerprints=["ab" * 32],
        own_fingerprints=["cd" * 32],
        at=timezone.now() - timedelta(days=days_ago),
    )


def test_the_newest_of_each_contact_is_carried(alice: Account) -> None:
    say(alice, BOB, "differed", days_ago=2)
    say(alice, BOB)
    say(alice, CAROL, "accepted", days_ago=1)
    exported = verification_state.exported(alice)
    assert [(entry["did"], entry["outcome"]) for entry in exported] == [(BOB, "matched"), (CAROL, "accepted")]
    elsewhere = new_account("alice")
    verification_state.take_in(elsewhere, exported)
    verification_state.take_in(elsewhere, exported)
    assert verification_state.exported(elsewhere) == exported
    assert Verification.objects.filter(account=elsewhere).count() == 2
    assert comparisons.state_of(elsewhere, BOB).standing is Standing.COMPARED


def test_what_was_said_later_stays(alice: Account) -> None:
    say(alice, BOB, days_ago=1)
    exported = verification_state.exported(alice)
    elsewhere = new_account("alice")
    say(elsewhere, BOB, "differed")
    verification_state.take_in(elsewhere, exported)
    assert comparisons.state_of(elsewhere, BOB).standing is Standing.DIFFERED


def test_they_are_settings_of_the_export(alice: Account) -> None:
    say(alice, BOB)
    (part,) = packed(exported_settings.settings_of(alice))
    elsewhere = new_account("alice")
    exported_settings.take_settings(elsewhere, part)
    assert not Verification.objects.filter(account=elsewhere).exists()
    exported_settings.take_first(elsewhere, part)
    assert verification_state.exported(elsewhere) == verification_state.exported(alice)
    for wrong in (b"{}", b"[7]", b"nonsense"):
        with pytest.raises(ValueError, match=r"settings|value"):
            exported_settings.take_first(elsewhere, wrong)


GOOD: dict[str, Any] = {
    "did": BOB,
    "outcome": "matched",
    "how": "code",
    "fingerprints": ["ab" * 32],
    "ownFingerprints": [],
    "at": "2026-11-20T12:00:00+00:00",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"did": "bob"},
        {"outcome": "trusted"},
        {"how": "guess"},
        {"fingerprints": "ab"},
        {"fingerprints": ["AB" * 32]},
        {"fingerprints": ["ab" * 32] * 201},
        {"ownFingerprints": [7]},
        {"at": "2026-11-20T12:00:00"},
    ],
)
def test_what_is_none_of_it_is_left_out(alice: Account, wrong: dict[str, Any]) -> None:
    assert verification_state.take_in(alice, [GOOD, {**GOOD, **wrong}]) == 1
    assert Verification.objects.get().did == BOB
