from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0015_admin_second_factor")]
    operations = [
        migrations.AddField(
            model_name="oauthsession",
            name="refreshing_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
