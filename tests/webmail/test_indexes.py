"""No table has an index that another of its indexes begins with: each row that is written would cost both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import models

OURS = ("accounts", "webmail")


def columns_of_whole_indexes(model: type[models.Model]) -> Iterator[list[str]]:
    """The fields of each index that all rows of the model are in, but for those of single fields."""
    for index in model._meta.indexes:
        if index.condition is None and index.fields:
            yield [name.removeprefix("-") for name in index.fields]
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and constraint.condition is None:
            yield list(constraint.fields)


@pytest.mark.parametrize(
    "model", [model for app in OURS for model in apps.get_app_config(app).get_models()], ids=str
)
def test_no_field_has_an_index_that_another_index_begins_with(model: type[models.Model]) -> None:
    begin_others = {fields[0] for fields in columns_of_whole_indexes(model) if fields}
    indexed = {field.name for field in model._meta.local_fields if field.db_index and not field.unique}
    assert not indexed & begin_others
