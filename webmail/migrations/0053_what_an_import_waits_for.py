from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webmail", "0052_blob_passed_on")]

    operations = [
        migrations.AddField(
            model_name="accountimport",
            name="waits_for",
            field=models.CharField(
                blank=True,
                choices=[
                    ("room", "room in the mailbox"),
                    ("mailbox", "the mailbox, which is away"),
                    ("keys", "the keys, which are locked"),
                    ("limit", "the next hour, since the keys were used as often as this one allows"),
                    ("agent", "the agent, which is away"),
                ],
                default="",
                max_length=8,
            ),
        ),
    ]
