from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('webmail', '0034_forwarded_and_going_on'),
    ]

    operations = [
        migrations.AddField(
            model_name='draft',
            name='overtaken_writer',
            field=models.CharField(blank=True, default='', max_length=36),
        ),
    ]
