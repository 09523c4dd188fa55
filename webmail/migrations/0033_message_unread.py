from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webmail", "0032_push_subscription_signed_out_since")]

    operations = [
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                fields=["conversation", "placed_at", "id"],
                name="message_unread",
                condition=models.Q(unread=True),
            ),
        ),
    ]
