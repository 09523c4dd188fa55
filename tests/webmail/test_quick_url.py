"""Addresses in templates are the ones that Django itself makes."""

from __future__ import annotations

import pytest
from django.template import Context, Template
from django.urls import NoReverseMatch, get_resolver, reverse

ID = "0a" * 32
NAMES = sorted(name for name in get_resolver().reverse_dict if isinstance(name, str))


def _written(template: str, argument: object) -> str:
    return Template(template).render(Context({"id": argument}, autoescape=False))


def _of_django(name: str, argument: object) -> str | None:
    try:
        return reverse(name, args=[argument])
    except NoReverseMatch:
        return None


@pytest.mark.parametrize("argument", [ID, "01" + ID, "ab", 7, "did:plc:a", '"<>'])
def test_every_address_is_the_one_that_django_makes(argument: object) -> None:
    compared = 0
    for name in NAMES:
        address = _of_django(name, argument)
        if address is not None:
            compared += 1
            assert _written(f"{{% url '{name}' id %}}", argument) == address
            assert _written(f"{{% url '{name}' id as it %}}-{{{{ it }}}}", argument) == f"-{address}"
    assert compared or argument == '"<>'


def test_an_address_that_is_not_there_is_an_error() -> None:
    for argument in (ID, "x"):
        with pytest.raises(NoReverseMatch):
            _written("{% url 'inbox' id %}", argument)
