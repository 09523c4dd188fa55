import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Account',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('did', models.CharField(max_length=2048, unique=True, verbose_name='DID')),
                ('handle', models.CharField(max_length=253)),
                ('display_name', models.CharField(blank=True, default='', max_length=640)),
                ('pds_url', models.CharField(max_length=512, verbose_name='PDS')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('signed_in_at', models.DateTimeField(blank=True, null=True)),
                ('enrolled_at', models.DateTimeField(blank=True, null=True)),
                ('published_endpoints', models.JSONField(blank=True, default=list)),
            ],
            options={
                'ordering': ('handle', 'did'),
            },
        ),
        migrations.CreateModel(
            name='Peer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('did', models.CharField(max_length=2048, unique=True, verbose_name='DID')),
                ('handle', models.CharField(blank=True, default='', max_length=253)),
                ('display_name', models.CharField(blank=True, default='', max_length=640)),
                ('avatar', models.CharField(blank=True, default='', max_length=128)),
                ('pds_url', models.CharField(blank=True, default='', max_length=512, verbose_name='PDS')),
                ('smtp_endpoint', models.CharField(blank=True, default='', max_length=512)),
                ('inbox_endpoints', models.JSONField(blank=True, default=list)),
                ('problems', models.JSONField(blank=True, default=list)),
                ('profile_checked_at', models.DateTimeField(blank=True, null=True)),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ('handle', 'did'),
            },
        ),
        migrations.CreateModel(
            name='OAuthRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state_hash', models.CharField(max_length=64, unique=True)),
                ('issuer', models.CharField(max_length=512)),
                ('did', models.CharField(blank=True, default='', max_length=2048)),
                ('scope', models.TextField()),
                ('sealed_verifier', models.BinaryField()),
                ('sealed_dpop_key', models.BinaryField()),
                ('next_path', models.CharField(blank=True, default='', max_length=512)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'verbose_name': 'OAuth request',
                'ordering': ('-created_at',),
                'indexes': [models.Index(fields=['created_at'], name='accounts_oa_created_6212c5_idx')],
            },
        ),
        migrations.CreateModel(
            name='OAuthSession',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('issuer', models.CharField(max_length=512)),
                ('scope', models.TextField()),
                ('sealed_access_token', models.BinaryField()),
                ('sealed_refresh_token', models.BinaryField()),
                ('sealed_dpop_key', models.BinaryField()),
                ('access_expires_at', models.DateTimeField()),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('refreshed_at', models.DateTimeField(blank=True, null=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='oauth_sessions', to='accounts.account')),
            ],
            options={
                'verbose_name': 'OAuth session',
                'ordering': ('-created_at', '-pk'),
            },
        ),
        migrations.CreateModel(
            name='Device',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fingerprint', models.CharField(max_length=64, unique=True)),
                ('certificate_pem', models.TextField(verbose_name='certificate')),
                ('serial', models.CharField(max_length=40)),
                ('not_before', models.DateTimeField()),
                ('not_after', models.DateTimeField()),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('published_at', models.DateTimeField(blank=True, null=True)),
                ('prekey_published_at', models.DateTimeField(blank=True, null=True)),
                ('prekey_expires_at', models.DateTimeField(blank=True, null=True)),
                ('inbox_published_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('withdrawn_at', models.DateTimeField(blank=True, null=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='devices', to='accounts.account')),
            ],
            options={
                'ordering': ('-created_at', '-pk'),
                'constraints': [models.CheckConstraint(condition=models.Q(('withdrawn_at__isnull', True), ('revoked_at__isnull', False), _connector='OR'), name='device_withdrawn_only_when_revoked')],
            },
        ),
        migrations.CreateModel(
            name='PeerCertificate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fingerprint', models.CharField(max_length=64)),
                ('certificate_pem', models.TextField(verbose_name='certificate')),
                ('not_before', models.DateTimeField(blank=True, null=True)),
                ('not_after', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('prekey', models.JSONField(blank=True, null=True)),
                ('prekey_problem', models.CharField(blank=True, default='', max_length=64)),
                ('problem', models.CharField(blank=True, default='', max_length=64)),
                ('present', models.BooleanField(default=True)),
                ('first_seen_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
                ('peer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='certificates', to='accounts.peer')),
            ],
            options={
                'ordering': ('peer', 'fingerprint'),
                'constraints': [models.UniqueConstraint(fields=('peer', 'fingerprint'), name='peer_certificate_unique')],
            },
        ),
    ]
