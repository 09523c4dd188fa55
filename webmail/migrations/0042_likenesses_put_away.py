from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webmail", "0041_draft_first_revision")]
    operations = [
        migrations.AlterField(
            model_name="contact",
            name="likeness_put_away",
            field=models.TextField(blank=True, default=""),
        ),
    ]
