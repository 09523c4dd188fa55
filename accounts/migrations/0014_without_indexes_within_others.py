import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0013_read_names_anew"),
    ]

    operations = [
        migrations.AlterField(
            model_name="peercertificate",
            name="peer",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="certificates",
                to="accounts.peer",
            ),
        ),
        migrations.AlterField(
            model_name="peerevent",
            name="peer",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="events",
                to="accounts.peer",
            ),
        ),
        migrations.AlterField(
            model_name="plcoperation",
            name="peer",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="plc_operations",
                to="accounts.peer",
            ),
        ),
        migrations.AlterField(
            model_name="publishedentry",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="published_entries",
                to="accounts.account",
            ),
        ),
    ]
