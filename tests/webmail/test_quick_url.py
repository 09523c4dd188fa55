"""Addresses in templates are the ones that Django itself makes."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.template import Context, Template
from django.urls import NoReverseMatch, get_resolver, reverse, set_script_prefix

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


def test_an_address_without_arguments_is_the_one_that_django_makes() -> None:
    compared = 0
    for name in [*NAMES, "admin:index"]:
        try:
            address = reverse(name)
        except NoReverseMatch:
            with pytest.raises(NoReverseMatch):
                _written(f"{{% url '{name}' %}}", None)
            assert _written(f"{{% url '{name}' as it %}}{{{{ it }}}}", None) == ""
            continue
        compared += 1
        set_script_prefix("/under/")
        try:
            assert _written(f"{{% url '{name}' %}}", None) == f"/under{address}"
        finally:
            set_script_prefix("/")
        assert _written(f"{{% url '{name}' %}}", None) == address
        assert _written(f"{{% url '{name}' as it %}}-{{{{ it }}}}", None) == f"-{address}"
    assert compared > 20


def test_an_address_without_arguments_is_looked_up_once() -> None:
    _written("{% url 'inbox' %}", None)
    with patch("webmail.templatetags.quick_url.reverse") as looked_up:
        assert _written("{% url 'inbox' %}", None) == "/"
    assert not looked_up.called


def test_an_address_that_is_not_there_is_an_error() -> None:
    for argument in (ID, "x"):
        with pytest.raises(NoReverseMatch):
            _written("{% url 'inbox' id %}", argument)
