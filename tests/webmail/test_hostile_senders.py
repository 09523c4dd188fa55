"""Messages made to stop whoever takes them in: none holds up another, or a page."""

from __future__ import annotations

import pytest

from accounts.models import Account
from crypto_agent.atsms.content import text_part
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.other_client import OtherClient
from tests.webmail.test_journey import texts
from webmail import kept_aside

pytestmark = pytest.mark.django_db


def test_a_signer_with_an_address_that_cannot_be_read_holds_up_nobody(
    alice: Account, bob: Account, write: Write
) -> None:
    stranger = OtherClient.of(Account(did="did:web:1.2.3.999", handle="stranger.test"))
    good = seal(write(alice, [bob], "behind it"))[bob.did]
    hand_over(bob, [*stranger.write([bob], [text_part("stop here")]), *good])
    assert texts(bob) == [["behind it"]]
    assert [each.code for each in kept_aside.kept_aside(bob)] == ["signer-not-published"]
