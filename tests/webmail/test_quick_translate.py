"""What templates have in words of ours is looked up once, and in every language."""

from __future__ import annotations

from unittest.mock import patch

from django.template import Context, Template
from django.templatetags.i18n import TranslateNode
from django.utils import translation


def shown(template: Template, language: str, **given: object) -> str:
    with translation.override(language):
        return template.render(Context(given))


def test_a_sentence_is_looked_up_once_for_a_language() -> None:
    template = Template('{% load i18n %}{% translate "Earlier messages" %}')
    with patch.object(TranslateNode, "render", autospec=True, side_effect=TranslateNode.render) as looked_up:
        for _again in range(3):
            assert shown(template, "en") == "Earlier messages"
            assert shown(template, "de") == "Frühere Nachrichten"
    assert looked_up.call_count == 2


def test_what_is_no_sentence_is_as_it_was() -> None:
    template = Template(
        "{% load i18n %}{% translate words %} {% translate 'Send' as send %}{{ send }}"
        " {% translate 'Send' noop %}"
    )
    assert shown(template, "de", words="Reply") == "Antworten Senden Send"
    assert shown(template, "de", words="<b>") == "&lt;b&gt; Senden Send"
    assert shown(template, "de", words="Send") == "Senden Senden Send"
