from django.db import migrations


def know_who_was_written_to(apps, schema_editor):
    """Every conversation there is was accepted; whoever was written to is a contact that was accepted."""
    Contact = apps.get_model("webmail", "Contact")
    Conversation = apps.get_model("webmail", "Conversation")
    Message = apps.get_model("webmail", "Message")
    for conversation in Conversation.objects.select_related("account").iterator():
        messages = Message.objects.filter(conversation=conversation)
        first = messages.order_by("placed_at", "pk").first()
        if first is not None:
            Conversation.objects.filter(pk=conversation.pk).update(started_by=first.sender_did)
        wrote = messages.filter(direction="out").exists()
        for did in conversation.participants:
            if did == conversation.account.did:
                continue
            contact, _created = Contact.objects.get_or_create(
                account=conversation.account,
                did=did,
                defaults={"first_seen_at": conversation.created_at},
            )
            if wrote and contact.standing == "none":
                Contact.objects.filter(pk=contact.pk).update(standing="accepted")


class Migration(migrations.Migration):

    dependencies = [
        ('webmail', '0012_consent'),
    ]

    operations = [
        migrations.RunPython(know_who_was_written_to, migrations.RunPython.noop),
    ]
