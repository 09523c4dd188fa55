from datetime import timedelta

from django.db import migrations
from django.utils import timezone


def begin(apps, schema_editor):
    """What was put away when it came, and shown as read later, never began to disappear: it does so now."""
    message = apps.get_model("webmail", "Message")
    rows = message.objects.filter(
        direction="in",
        shown=True,
        unread=False,
        replaces="",
        expires_after__gt=0,
        expires_at=None,
        forgotten_at=None,
    )
    now, begun = timezone.now(), []
    for row in rows.only("pk", "expires_after").iterator(chunk_size=500):
        try:
            row.expires_at = now + timedelta(seconds=row.expires_after)
        except OverflowError:
            # After the year 9999.
            continue
        begun.append(row)
    message.objects.bulk_update(begun, ["expires_at"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [
        ("webmail", "0045_disclosed_files"),
    ]

    operations = [
        migrations.RunPython(begin, migrations.RunPython.noop, elidable=True),
    ]
