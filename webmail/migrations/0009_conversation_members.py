"""Fills in who the members of the conversations are that are there already."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

BATCH = 500


def add_members(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    conversation = apps.get_model("webmail", "Conversation")
    member = apps.get_model("webmail", "ConversationMember")
    rows = conversation.objects.order_by("pk").values_list("pk", "participants", "account__did")
    members = []
    for pk, participants, own in rows.iterator(chunk_size=BATCH):
        others = [did for did in participants if did != own] or [own]
        members += [member(conversation_id=pk, did=did) for did in others]
        if len(members) >= BATCH:
            member.objects.bulk_create(members, ignore_conflicts=True)
            members = []
    member.objects.bulk_create(members, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [
        ("webmail", "0008_conversation_settings"),
    ]

    operations = [
        migrations.RunPython(add_members, migrations.RunPython.noop),
    ]
