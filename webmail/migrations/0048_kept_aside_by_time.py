from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webmail", "0047_message_without_bare_indexes")]

    operations = [
        migrations.AddIndex(
            model_name="arrival",
            index=models.Index(
                condition=models.Q(("state", "kept-aside")),
                fields=["updated_at"],
                name="arrival_kept_aside",
            ),
        ),
    ]
