from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("webmail", "0042_likenesses_put_away"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                fields=["account", "unread_count"],
                name="conversation_news",
                condition=models.Q(
                    ("archived_at", None),
                    ("blocked", False),
                    ("muted", False),
                    ("standing", "accepted"),
                    ("unread_count__gt", 0),
                ),
            ),
        ),
    ]
