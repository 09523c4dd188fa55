"""Looking for somebody to write to: among those whom the account knows, and by a whole handle or DID."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.utils import timezone

from accounts import identity_age, rate_limits
from accounts import people as directory
from accounts.models import Account
from webmail.finding_people import Suggestion, suggested

#: How long a page may wait for what the servers of those who are chosen say.
CHOSEN_SECONDS = 8.0


def is_whole(typed: str) -> bool:
    """Whether it is typed as handles and DIDs are, and not as a name."""
    return ("." in typed or ":" in typed) and not any(character.isspace() for character in typed)


def as_handle(typed: str) -> str:
    """A handle as it is kept."""
    return typed.removeprefix("@").lower()


def begins_known(typed: str, handles: Collection[str]) -> bool:
    """Whether it is the beginning of one of these handles, and none of them, so that nobody need be asked for
    it yet."""
    handle = as_handle(typed)
    return handle not in handles and any(each.startswith(handle) for each in handles)


def known_people(account: Account, typed: str, leaving_out: Collection[str]) -> list[Suggestion]:
    """Those whom the account knows and who may be meant. Raises TooOften."""
    if not typed:
        return []
    rate_limits.take_suggestion(account.pk)
    return suggested(account, typed, leaving_out=leaving_out)


def answering_to(account: Account, text: str) -> directory.Person:
    """Who answers to a handle or DID. Raises TooOften, accounts.identities.IdentityError."""
    rate_limits.take_searches(account.pk, 1)
    found = directory.look_up(text)
    identity_age.learn(found.did, now=timezone.now())
    return found


def look_up_again(account: Account, dids: Iterable[str]) -> list[directory.Person]:
    """The people behind DIDs that were chosen. Raises TooOften where too many of them are not known here."""
    wanted = list(dids)
    if unknown := sum(not directory.is_known(did) for did in wanted):
        rate_limits.take_searches(account.pk, unknown)
    return directory.look_up_all(wanted, seconds=CHOSEN_SECONDS)
