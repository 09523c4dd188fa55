from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("webmail", "0051_groups_without_erased_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="blob",
            name="passed_on",
            field=models.BooleanField(default=False),
        ),
    ]
