from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_closing_account")]
    operations = [
        migrations.AddIndex(
            model_name="peerevent",
            index=models.Index(fields=["former"], name="peer_event_by_former"),
        ),
    ]
