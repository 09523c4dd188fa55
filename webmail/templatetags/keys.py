"""Fingerprints and DIDs for reading by eye."""

from django import template

register = template.Library()


@register.filter
def grouped(fingerprint: str) -> str:
    """Hex in groups of four, as people compare it."""
    return " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))


@register.filter
def shortened(identifier: str) -> str:
    """A DID or id with its middle left out."""
    return identifier if len(identifier) <= 24 else f"{identifier[:12]}…{identifier[-8:]}"
