"""The pages in other languages: nothing is missing, nothing is broken, and a person can choose."""

from __future__ import annotations

import re
import shutil
import string
from datetime import UTC, datetime
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation

from tests.services.programs import need
from webmail.catalogues import ROOT, compile_all, update
from webmail.templatetags import times

CATALOGUES = sorted((ROOT / "locale").glob("*/LC_MESSAGES/django.po"))
#: What a translation has to keep: values to be put in, and elements.
_KEPT = re.compile(r"%\(\w+\)[sd]|%%|</?[a-z]+[^>]*>")


def language_of(path: Path) -> str:
    return path.parent.parent.name


def test_each_language_but_the_codes_own_has_a_catalogue() -> None:
    assert {language_of(path) for path in CATALOGUES} == {code for code, _name in settings.LANGUAGES} - {"en"}


def test_every_sentence_is_translated_and_none_is_left_over(tmp_path: Path) -> None:
    need("gettext")
    for folder in ("accounts", "webmail", "outbound", "templates", "locale"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.mo", "__pycache__")
        )
    update(tmp_path)
    for path in CATALOGUES:
        wanted = polib.pofile(str(tmp_path / path.relative_to(ROOT)))
        there = polib.pofile(str(path))
        missing = [entry.msgid for entry in wanted if not entry.translated()]
        assert missing == [], f"{language_of(path)}: make words, then translate these"
        assert {entry.msgid for entry in there} == {entry.msgid for entry in wanted}


@pytest.mark.parametrize("path", CATALOGUES, ids=language_of)
def test_translations_keep_values_and_elements(path: Path) -> None:
    for entry in polib.pofile(str(path)):
        forms = entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]
        wanted = [sorted(_KEPT.findall(text)) for text in (entry.msgid, entry.msgid_plural) if text]
        for form in forms:
            assert sorted(_KEPT.findall(form)) in wanted, (entry.msgid, form)
            assert form.strip(string.whitespace) != ""
            assert form[:1].isspace() == entry.msgid[:1].isspace(), (entry.msgid, form)


def test_a_catalogue_is_compiled_once_and_again_when_it_changed(tmp_path: Path) -> None:
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    source = folder / "django.po"
    source.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "a"\nmsgstr "b"\n'
    )
    assert compile_all(tmp_path) == [folder / "django.mo"]
    assert compile_all(tmp_path) == []
    assert [entry.msgstr for entry in polib.mofile(str(folder / "django.mo"))] == ["b"]


def test_no_sentence_that_has_a_plural_is_asked_for_without_one() -> None:
    """Python 3.11 finds such a sentence under its plural alone, and the page would stay English there."""
    code = [
        path.read_text()
        for folder, ending in (("templates", "html"), ("webmail", "py"), ("accounts", "py"))
        for path in (ROOT / folder).rglob(f"*.{ending}")
    ]
    plurals = [entry.msgid for entry in polib.pofile(str(CATALOGUES[0])) if entry.msgid_plural]
    assert plurals
    asked = r"(?:translate|\b_\(|(?<!n)gettext\()\s*[\"']{}[\"']"
    alone = [
        sentence
        for sentence in plurals
        if any(re.search(asked.format(re.escape(sentence)), text) for text in code)
    ]
    assert alone == []


@pytest.mark.django_db
def test_pages_speak_the_browsers_language_until_a_person_chooses() -> None:
    client = Client(headers={"accept-language": "pt-BR,pt;q=0.9,en;q=0.5"})
    page = client.get("/sign-in/").content.decode()
    assert '<html lang="pt"' in page
    assert "Sign in with your handle" not in page
    chosen = client.post("/language/choose/", {"language": "ja", "next": "/sign-in/"})
    assert chosen["Location"] == "/sign-in/"
    assert '<html lang="ja"' in client.get("/sign-in/").content.decode()
    listed = client.get("/language/?next=https://elsewhere.example/").content.decode()
    assert "elsewhere.example" not in listed
    assert all(name in listed for _code, name in settings.LANGUAGES)


@pytest.mark.django_db
def test_a_language_without_a_catalogue_gets_english() -> None:
    page = Client(headers={"accept-language": "fr"}).get("/sign-in/").content.decode()
    assert '<html lang="en"' in page
    assert "Sign in with your handle" in page


@pytest.mark.parametrize(
    ("language", "whole", "in_list"),
    [
        ("en", "8 November 2025, 14:02", "Nov 2025"),
        ("de", "8. November 2025, 14:02", "Nov 2025"),
        ("pt", "8 de novembro de 2025, 14:02", "Nov 2025"),
        ("ja", "2025年11月8日 14:02", "2025年11月"),
    ],
)
def test_days_are_written_as_the_language_writes_them(language: str, whole: str, in_list: str) -> None:
    then = datetime(2025, 11, 8, 14, 2, tzinfo=UTC)
    with translation.override(language):
        assert (times.moment(then), times.in_list(then)) == (whole, in_list)
