from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webmail", "0043_counted_news")]

    operations = [
        migrations.AddField(
            model_name="accountimport",
            name="left_out",
            field=models.PositiveIntegerField(default=0),
        ),
    ]
