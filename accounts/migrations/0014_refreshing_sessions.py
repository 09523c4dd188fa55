from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0013_read_names_anew")]
    operations = [
        migrations.AddField(
            model_name="oauthsession",
            name="refreshing_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
