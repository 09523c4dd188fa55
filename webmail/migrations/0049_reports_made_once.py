from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webmail", "0048_kept_aside_by_time")]

    operations = [
        migrations.AddField(
            model_name="report",
            name="token",
            field=models.CharField(blank=True, max_length=36, null=True),
        ),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.UniqueConstraint(fields=("account", "token"), name="report_made_once"),
        ),
    ]
