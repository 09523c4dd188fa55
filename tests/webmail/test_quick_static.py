"""Where the files are that templates name is looked up once, as Django does it."""

from __future__ import annotations

from unittest.mock import patch

from django.template import Context, Template
from django.templatetags.static import StaticNode, static


def test_a_named_file_is_looked_up_once() -> None:
    template = Template("{% load static %}{% static 'list.js' %} {% static 'app.css' %}")
    with patch.object(StaticNode, "url", autospec=True, side_effect=StaticNode.url) as looked_up:
        for _again in range(3):
            assert template.render(Context()) == f"{static('list.js')} {static('app.css')}"
    assert looked_up.call_count == 2


def test_others_are_as_they_were() -> None:
    template = Template(
        "{% load static %}{% static name %} {% static ''|add:name %} {% static 'list.js' as it %}-{{ it }}"
        " {% get_static_prefix %}"
    )
    for name in ("app.css", "icons.svg"):
        written = template.render(Context({"name": name}))
        assert written == f"{static(name)} {static(name)} -{static('list.js')} {static('')}"
