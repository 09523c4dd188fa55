import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0013_read_names_anew"),
        ("webmail", "0046_read_and_never_begun"),
    ]

    operations = [
        migrations.AlterField(
            model_name="message",
            name=name,
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="messages",
                to=to,
            ),
        )
        for name, to in (("account", "accounts.account"), ("conversation", "webmail.conversation"))
    ]
