"""What stands above the messages of a conversation: what was done just now, and who there is new."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts.models import Account
from webmail import consent, forwarded_notice
from webmail.conversations import others_in
from webmail.identity_facts import IdentityFacts, facts_of
from webmail.known_people import not_put_away
from webmail.likeness import Likeness
from webmail.models import Conversation
from webmail.people import Person, people_of
from webmail.views.page_request import PageRequest


def notices_of(request: PageRequest, conversation: Conversation) -> dict[str, Any]:
    """What webmail/_conversation_notices.html and the notices beside it show."""
    account, forwarded = request.account, request.GET.get("forwarded", "")
    return {
        "never_sent": "never-sent" in request.GET,
        "forwarded": forwarded_notice.notice(account, forwarded, now=timezone.now()),
        "strangers": _strangers(account, conversation),
        "let_in": _let_in(account, conversation),
        "likenesses": _likenesses(account, conversation),
    }


def _strangers(account: Account, conversation: Conversation) -> list[Person]:
    dids = consent.strangers_in(account, conversation)
    return list(people_of(dids).values()) if dids else []


def _let_in(account: Account, conversation: Conversation) -> IdentityFacts | None:
    """Who began it, if the account's choice alone let them in."""
    did = consent.let_in(account, conversation)
    return facts_of(account, [did], beside=conversation)[did] if did else None


def _likenesses(account: Account, conversation: Conversation) -> list[tuple[Person, Likeness]]:
    """Who in a conversation reads like somebody else, unless the account knows of it."""
    found = not_put_away(account, others_in(account, conversation))
    people = people_of(found) if found else {}
    return [(people[did], like) for did, like in found.items()]
