from django.db import migrations, models

import webmail.models.draft


class Migration(migrations.Migration):
    dependencies = [
        ("webmail", "0040_mentions"),
    ]

    operations = [
        migrations.AlterField(
            model_name="draft",
            name="revision",
            field=models.PositiveIntegerField(default=webmail.models.draft.first_revision),
        ),
    ]
