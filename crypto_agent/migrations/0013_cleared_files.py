from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone


def begin_now(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Where the files are never cleared, that is to be late, too."""
    apps.get_model("crypto_agent", "ClearedFiles").objects.create(pk=1, at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [("crypto_agent", "0012_ended_archive_keys")]

    operations = [
        migrations.CreateModel(
            name="ClearedFiles",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.RunPython(begin_now, migrations.RunPython.noop),
    ]
