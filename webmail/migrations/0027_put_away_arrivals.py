from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('webmail', '0026_undo_choice'),
    ]

    operations = [
        migrations.AddField(
            model_name='arrival',
            name='put_away_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
