"""Fingerprints and DIDs for reading by eye."""

from typing import Any

from django import template

from accounts import own_entries
from webmail import person_keys
from webmail.comparisons import Standing, state_of

register = template.Library()


@register.filter
def grouped(fingerprint: str) -> str:
    """Hex in groups of four, as people compare it."""
    return " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))


@register.filter
def shortened(identifier: str) -> str:
    """A DID or id with its middle left out."""
    return identifier if len(identifier) <= 24 else f"{identifier[:12]}…{identifier[-8:]}"


@register.simple_tag(takes_context=True)
def keys_of_person(context: Any, did: str) -> person_keys.PersonKeysShown:
    """What the signed-in account knows of somebody's keys, from where `changes` and `records` in the address
    say."""
    request = context["request"]
    return person_keys.keys_of(
        request.account,
        did,
        lines_from=_place(request.GET.get("changes", "")),
        rows_from=_place(request.GET.get("records", "")),
    )


def _place(value: str) -> int:
    is_number = value.isascii() and value.isdecimal() and len(value) < 9
    return min(int(value), person_keys.FARTHEST) if is_number else 0


@register.simple_tag(takes_context=True)
def key_standing(context: Any, did: str) -> Standing:
    """How sure the signed-in account can be of somebody's keys."""
    return state_of(context["request"].account, did).standing


@register.simple_tag
def published_troubles() -> int:
    """How many things are published of accounts here of which nobody knows, or are missing."""
    return len(own_entries.all_troubles())
