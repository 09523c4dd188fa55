"""Rows that have a display name and a handle, and the words of both to find them by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import models
from django.db.models.base import ModelBase

from accounts.folded_names import folded, words_of

_Row = TypeVar("_Row", bound=models.Model)


class WordsField(models.TextField):  # type: ignore[type-arg]  # not at run time
    """The words of another column of its row (see words_of), made of it whenever the row is written."""

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        super().__init__(*args, **{"blank": True, "default": "", "editable": False, **kwargs})
        self.of = of

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        words = words_of(getattr(model_instance, self.of))
        setattr(model_instance, self.attname, words)
        return words


class NamedQuerySet(models.QuerySet[_Row]):
    """Writes the words of a name with the name."""

    def update(self, **kwargs: Any) -> int:
        """As Django's. Raises TypeError for a name that only the database knows: not so its words."""
        for field in _words_fields(self.model):
            if field.of not in kwargs:
                continue
            if not isinstance(kwargs[field.of], str):
                raise TypeError(f"{field.of} is written as text, and its words with it.")
            kwargs[field.name] = words_of(kwargs[field.of])
        return super().update(**kwargs)


class Named(models.Model):
    """A row with a `display_name` and a `handle`.

    Their words are columns of their own: the two are learned in different places, and who writes one of them
    may know an old one of the other.
    """

    name_words = WordsField(of="display_name")
    handle_words = WordsField(of="handle")

    class Meta:
        abstract = True

    def save(
        self,
        *,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        if update_fields is not None:
            written = set(update_fields)
            update_fields = written | {
                field.name for field in _words_fields(type(self)) if field.of in written
            }
        super().save(
            force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields
        )


def named(typed: str) -> models.Q:
    """Rows with every word of what somebody typed within their name or handle: accents and case do not count.

    Nobody for what is no word once it is folded.
    """
    words = typed_words(typed)
    found = models.Q() if words else models.Q(pk__in=[])
    for word in words:
        found &= with_part(word)
    return found


def named_exactly(typed: str) -> models.Q:
    """Rows that are called so, accents and case aside, or have the handle."""
    handle = typed.removeprefix("@")
    words = words_of(typed)
    return models.Q(handle__iexact=handle) | (models.Q(name_words=words) if words else models.Q(pk__in=[]))


def with_part(part: str) -> models.Q:
    """Rows with this, folded, somewhere in their words; behind a blank it begins one of them."""
    return models.Q(name_words__contains=part) | models.Q(handle_words__contains=part)


def typed_words(typed: str) -> list[str]:
    """The words of what somebody typed to find people by, folded; a handle may have its @."""
    return [word for each in folded(typed).split() if (word := each.removeprefix("@"))]


def _words_fields(model: type[models.Model]) -> list[WordsField]:
    return [field for field in model._meta.concrete_fields if isinstance(field, WordsField)]
