from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webmail", "0046_read_and_never_begun")]

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
