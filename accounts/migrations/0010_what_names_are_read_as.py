from django.db import migrations, models

from accounts.models import skeletons_of

AT_ONCE = 500


def read_names(apps, schema_editor):
    peers = apps.get_model("accounts", "Peer")
    several = []
    for peer in peers.objects.only("handle", "display_name").iterator(chunk_size=AT_ONCE):
        peer.handle_skeleton, peer.name_skeleton = skeletons_of(peer.handle, peer.display_name)
        several.append(peer)
        if len(several) == AT_ONCE:
            peers.objects.bulk_update(several, ["handle_skeleton", "name_skeleton"])
            several = []
    peers.objects.bulk_update(several, ["handle_skeleton", "name_skeleton"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_enter_sends")]
    operations = [
        migrations.AddField(
            model_name="peer",
            name="handle_skeleton",
            field=models.CharField(blank=True, default="", editable=False, max_length=253),
        ),
        migrations.AddField(
            model_name="peer",
            name="name_skeleton",
            field=models.CharField(blank=True, default="", editable=False, max_length=253),
        ),
        migrations.RunPython(read_names, migrations.RunPython.noop, elidable=True),
        migrations.AddIndex(
            model_name="peer",
            index=models.Index(fields=["handle_skeleton"], name="peer_by_handle_skeleton"),
        ),
        migrations.AddIndex(
            model_name="peer", index=models.Index(fields=["name_skeleton"], name="peer_by_name_skeleton")
        ),
    ]
