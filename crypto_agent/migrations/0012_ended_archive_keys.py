from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def end_those_from_before_a_lock(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """A copy of the database from before its account was locked holds such a key."""
    archive_keys = apps.get_model("crypto_agent", "ArchiveKey").objects
    locked = archive_keys.filter(account__custody__locked_at__gte=models.F("created_at"))
    for archive_key in locked.select_related("account__custody"):
        archive_key.ended_at = archive_key.account.custody.locked_at
        archive_key.save(update_fields=["ended_at"])


class Migration(migrations.Migration):
    dependencies = [("crypto_agent", "0011_search_segment_times")]

    operations = [
        migrations.AddField(
            model_name="archivekey", name="ended_at", field=models.DateTimeField(null=True)
        ),
        migrations.RunPython(end_those_from_before_a_lock, migrations.RunPython.noop),
    ]
