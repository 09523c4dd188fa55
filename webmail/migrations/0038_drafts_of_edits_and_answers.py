import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('webmail', '0037_left_groups'),
    ]

    operations = [
        migrations.AddField(
            model_name='draft',
            name='edits',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='edit_draft', to='webmail.message'),
        ),
        migrations.AddField(
            model_name='draft',
            name='answers',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='answer_draft', to='webmail.arrival'),
        ),
    ]
