from django.db import migrations
from django.db.models import Q
from django.db.models.functions import Least


def name_anew(apps, schema_editor):
    """A group that went by a name, or picture, that was let go of goes by the one from before."""
    message = apps.get_model("webmail", "Message")
    rows = apps.get_model("webmail", "Conversation").objects.filter(
        Q(named_by__forgotten_at__isnull=False) | Q(pictured_by__forgotten_at__isnull=False)
    )
    for conversation in rows.iterator(chunk_size=500):
        updates = message.objects.filter(
            conversation=conversation, trust__in=["own", "signed"], aside="", forgotten_at=None
        ).order_by(Least("created_at", "placed_at").desc(), "-message_id")
        conversation.named_by = updates.filter(changes_group__in=["name", "both"]).first()
        conversation.pictured_by = updates.filter(changes_group__in=["picture", "both"]).first()
        conversation.save(update_fields=["named_by", "pictured_by"])


class Migration(migrations.Migration):
    dependencies = [
        ("webmail", "0050_without_indexes_within_others"),
    ]

    operations = [
        migrations.RunPython(name_anew, migrations.RunPython.noop, elidable=True),
    ]
