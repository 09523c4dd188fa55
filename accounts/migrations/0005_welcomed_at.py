from django.db import migrations, models
from django.db.models import F


def who_is_here_is_welcome(apps, _schema_editor):
    """Whoever has published already has found their way without the steps."""
    accounts = apps.get_model("accounts", "Account")
    accounts.objects.filter(enrolled_at__isnull=False).update(welcomed_at=F("enrolled_at"))


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_what_changed")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="welcomed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(who_is_here_is_welcome, migrations.RunPython.noop),
    ]
