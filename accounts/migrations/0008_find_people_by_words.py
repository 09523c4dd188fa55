from django.db import migrations, transaction

from accounts.folded_names import words_of

AT_ONCE = 500


def find_who_is_known(apps, schema_editor):
    """Writes the words of the names and handles that are there already."""
    for name in ("Account", "Peer"):
        model = apps.get_model("accounts", name)
        last = 0
        while last is not None:
            last = _write_after(model, last)


def _write_after(model, last):
    """Of the next rows after this key; the last one of theirs, or None where there are no more."""
    # What is written meanwhile has its words already: nothing older may be written over it.
    with transaction.atomic():
        rows = list(model.objects.select_for_update().filter(pk__gt=last).order_by("pk")[:AT_ONCE])
        for row in rows:
            row.name_words, row.handle_words = words_of(row.display_name), words_of(row.handle)
        model.objects.bulk_update(rows, ["name_words", "handle_words"])
    return rows[-1].pk if rows else None


class Migration(migrations.Migration):
    # Each batch is written by itself; begun anew after an interruption.
    atomic = False

    dependencies = [("accounts", "0007_words_of_names")]

    operations = [migrations.RunPython(find_who_is_known, migrations.RunPython.noop)]
