"""Icons stand in templates by their names."""

from __future__ import annotations

from unittest.mock import patch

from django.template import Context, Template
from django.template.library import SimpleNode


def test_an_icon_that_a_template_names_is_put_together_once() -> None:
    template = Template('{% load icons %}{% icon "lock" "icon icon--s" %}{% icon name %}')
    with patch.object(SimpleNode, "render", autospec=True, side_effect=SimpleNode.render) as put_together:
        shown = [template.render(Context({"name": name})) for name in ("key", "alert", '"<key>')]
    assert put_together.call_count == 1 + len(shown)
    assert all(html.startswith('<svg class="icon icon--s" aria-hidden="true"><use href="') for html in shown)
    assert all("#lock" in html and "<key>" not in html for html in shown)
    assert "#key" in shown[0]
    assert "#alert" in shown[1]


def test_an_icon_can_be_kept_under_a_name() -> None:
    template = Template('{% load icons %}{% icon "lock" as kept %}{{ kept }}{{ kept }}')
    assert template.render(Context()).count("#lock") == 2
