from django.db import migrations

import accounts.named


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_signed_in_browsers")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="name_words",
            field=accounts.named.WordsField(blank=True, default="", editable=False, of="display_name"),
        ),
        migrations.AddField(
            model_name="account",
            name="handle_words",
            field=accounts.named.WordsField(blank=True, default="", editable=False, of="handle"),
        ),
        migrations.AddField(
            model_name="peer",
            name="name_words",
            field=accounts.named.WordsField(blank=True, default="", editable=False, of="display_name"),
        ),
        migrations.AddField(
            model_name="peer",
            name="handle_words",
            field=accounts.named.WordsField(blank=True, default="", editable=False, of="handle"),
        ),
    ]
