from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_tombstone_removed_at")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="custody",
            field=models.CharField(
                choices=[("managed", "managed"), ("locked", "locked")], default="managed", max_length=16
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="passkey_required",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="account",
            name="custody_checked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="waits_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="unlocked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
