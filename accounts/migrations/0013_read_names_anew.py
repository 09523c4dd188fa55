from django.db import migrations, transaction

from accounts.models import skeletons_of

AT_ONCE = 500


def read_names_anew(apps, schema_editor):
    """Writes what the names and handles that are there already are read as by now."""
    peers = apps.get_model("accounts", "Peer").objects
    last = 0
    while last is not None:
        last = _read_after(peers, last)


def _read_after(peers, last):
    """Of the next rows after this key; the last one of theirs, or None where there are no more."""
    # What is written meanwhile is read anew already: nothing older may be written over it.
    with transaction.atomic():
        rows = list(peers.select_for_update().filter(pk__gt=last).order_by("pk")[:AT_ONCE])
        for row in rows:
            row.handle_skeleton, row.name_skeleton = skeletons_of(row.handle, row.display_name)
        peers.bulk_update(rows, ["handle_skeleton", "name_skeleton"])
    return rows[-1].pk if rows else None


class Migration(migrations.Migration):
    # Each batch is written by itself; begun anew after an interruption.
    atomic = False

    dependencies = [("accounts", "0012_former_handles")]

    operations = [migrations.RunPython(read_names_anew, migrations.RunPython.noop)]
