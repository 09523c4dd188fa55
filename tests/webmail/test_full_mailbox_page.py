"""What the inbox says of a mailbox that has no room left."""

from __future__ import annotations

import pytest

from accounts.models import Account
from tests.webmail.installation import browser_of
from webmail.models import MailboxCursor

pytestmark = pytest.mark.django_db

GIB = 1 << 30


@pytest.mark.parametrize(
    ("held", "words"),
    [(8 * GIB, None), (95 * GIB // 10, "Your mailbox is nearly full."), (10 * GIB, "Your mailbox is full.")],
)
def test_the_inbox_says_that_the_mailbox_has_no_room(alice: Account, held: int, words: str | None) -> None:
    MailboxCursor.objects.update_or_create(
        account=alice, defaults={"held_octets": held, "most_octets": 10 * GIB}
    )
    page = browser_of(alice).get("/list/").content.decode()
    said = page.partition('aria-label="Room in your mailbox"')[2].partition("</section>")[0]
    if words is None:
        assert said == ""
        return
    assert words in said
    assert "of 10.0" in said
    assert '/devices/export/"' in said
