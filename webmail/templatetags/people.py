"""People as avatars and names."""

from typing import Protocol

from django import template

from webmail.people import Person, person

register = template.Library()


class Named(Protocol):
    """An account, or somebody who was looked up."""

    did: str
    handle: str
    display_name: str


@register.filter
def as_person(someone: Named) -> Person:
    """How pages show an account or somebody who was looked up."""
    has_avatar = bool(getattr(someone, "has_avatar", False))
    return person(someone.did, someone.handle, someone.display_name, has_avatar)
