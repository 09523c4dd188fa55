"""What an account answered to strangers goes along when it moves."""

import json

import pytest
from django.utils import timezone

from accounts.models import Account
from tests.webmail.conftest import Write
from tests.webmail.strangers import arrives, titles
from webmail import (
    blocking,
    consent,
    consent_export,
    conversation_settings,
    exported_settings,
    rebuild,
    requests,
)
from webmail.models import (
    ConsentChoice,
    Contact,
    Conversation,
    Message,
    WhoMayWrite,
)
from webmail.placing import conversation_for

ANSWER = {
    "kind": "answer",
    "conversation": "ab" * 33,
    "participants": ["did:plc:x"],
    "startedBy": "",
    "standing": "accepted",
}


def test_an_export_carries_the_answers_that_were_given(
    alice: Account, bob: Account, carol: Account, write: Write
) -> None:
    consent.choose(alice, WhoMayWrite.NOBODY)
    accepted = arrives(write, carol, [alice], "Hello Alice").conversation
    declined = arrives(write, bob, [alice], "Buy this").conversation
    consent.accept(alice, accepted, timezone.now())
    consent.decline(alice, declined)
    blocking.block(alice, bob.did, timezone.now())
    data = json.dumps(list(exported_settings.settings_of(alice))).encode()

    for model in (Message, Conversation, Contact, ConsentChoice):
        model.objects.filter(account=alice).delete()
    for _twice in range(2):
        exported_settings.take_first(alice, data)
    rebuild.rebuild(alice)
    assert consent.who_may_write(alice) == WhoMayWrite.NOBODY
    assert titles(alice) == ["Hello Alice"]
    assert requests.count(alice) == 0
    assert [each.person.handle for each in blocking.blocked_people(alice)] == ["bob.test"]
    blocking.unblock(alice, bob.did)
    assert requests.list_requests(alice).declined == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "consent", "whoMayWrite": "robots"},
        {"kind": "person", "did": "alice.test", "standing": "blocked", "since": "2026-01-01T00:00:00+00:00"},
        {"kind": "person", "did": "did:plc:x", "standing": "friend", "since": "2026-01-01T00:00:00+00:00"},
        {"kind": "person", "did": "did:plc:x", "standing": "blocked", "since": "2026-01-01T00:00:00"},
        {**ANSWER, "conversation": "12"},
        {**ANSWER, "participants": ["x"]},
        {"kind": "answer", "conversation": "ab" * 33},
    ],
)
def test_answers_that_are_none_are_left_out_and_counted(broken: dict[str, object]) -> None:
    answers = consent_export.answers_in([broken, ANSWER])
    assert [each.id for each in answers.conversations] == [ANSWER["conversation"]]
    assert (answers.choice, answers.people, answers.left_out) == ("", [], 1)


def test_whatever_a_stranger_named_does_not_keep_an_account_from_moving(alice: Account, bob: Account) -> None:
    """The request was declined before anything limited whom it names."""
    many = [alice.did, bob.did, *(f"did:plc:{n:024}" for n in range(148))]
    long = [alice.did, "did:web:" + "x" * 2040]
    for number, participants in enumerate((many, long)):
        declined = conversation_for(
            alice, f"02{number:064}", participants, timezone.now(), written_by=bob.did
        )
        consent.decline(alice, declined)
        conversation_settings.change(alice, declined, "mute", now=timezone.now())
    data = json.dumps(list(exported_settings.settings_of(alice))).encode()

    Conversation.objects.all().delete()
    assert exported_settings.take_first(alice, data) == 0
    assert exported_settings.take_settings(alice, data) == 0
    rows = Conversation.objects.filter(account=alice, standing="declined", muted=True).order_by(
        "conversation_id"
    )
    assert [set(row.participants) for row in rows] == [set(many), set(long)]
