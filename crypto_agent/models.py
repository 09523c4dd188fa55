"""The agent's own tables. Every private key in them is encrypted under its account's data key."""

from django.db import models
from django.db.models import Q


class Account(models.Model):
    did = models.CharField(max_length=2048, unique=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.did


class OperatorKeyVersion(models.Model):
    """A version of the operator's key that wrapped something here once; a retired one never does again."""

    version = models.PositiveIntegerField(unique=True)
    retired_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"operator key {self.version}"


class PassphraseKey(models.Model):
    """A version of the operator's key, encrypted under the operator's passphrase by Argon2id."""

    version = models.PositiveIntegerField(unique=True)
    salt = models.BinaryField(max_length=16)
    memory_kib = models.PositiveIntegerField()
    iterations = models.PositiveIntegerField()
    lanes = models.PositiveIntegerField()
    wrapped = models.BinaryField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"operator key {self.version} behind a passphrase"


class DataKey(models.Model):
    """One version of an account's data key, wrapped by the operator's key."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="data_keys")
    version = models.PositiveIntegerField()
    wrapped = models.BinaryField()
    #: The version of the operator's key that wraps it.
    key_version = models.PositiveIntegerField(db_index=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "version"], name="one_data_key_per_version")
        ]

    def __str__(self) -> str:
        return f"data key {self.version} of {self.account_id}"


class DeviceKey(models.Model):
    """A device: its certificate stays for good, its private key until the device is revoked."""

    class State(models.TextChoices):
        ACTIVE = "active"
        REVOKED = "revoked"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="devices")
    fingerprint = models.CharField(max_length=64, unique=True)
    certificate = models.BinaryField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    #: PKCS#8 DER, encrypted.
    wrapped = models.BinaryField(null=True)
    key_version = models.PositiveIntegerField(null=True, db_index=True)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account"], condition=Q(state="active"), name="one_active_device_per_account"
            ),
            models.CheckConstraint(
                name="private_key_only_while_active",
                condition=Q(
                    state="active", wrapped__isnull=False, key_version__isnull=False, revoked_at__isnull=True
                )
                | Q(
                    state="revoked", wrapped__isnull=True, key_version__isnull=True, revoked_at__isnull=False
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.fingerprint


class PrekeySecret(models.Model):
    """One generation of a device's prekey; the row goes when its secrets have to die."""

    device = models.ForeignKey(DeviceKey, on_delete=models.CASCADE, related_name="prekeys")
    generation = models.PositiveIntegerField()
    signed_prekey = models.BinaryField()
    signing_pk = models.BinaryField()
    bundle_sig = models.BinaryField()
    #: The raw X25519 private key, encrypted.
    wrapped_secret = models.BinaryField()
    #: The raw Ed25519 private key, encrypted.
    wrapped_signing_key = models.BinaryField()
    key_version = models.PositiveIntegerField(db_index=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    destroy_after = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["device", "generation"], name="one_prekey_per_generation")
        ]

    def __str__(self) -> str:
        return f"prekey {self.generation} of {self.device_id}"


class ArchiveKey(models.Model):
    """The key pair that an account's archived messages are sealed to."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="archive_keys")
    generation = models.PositiveIntegerField()
    public_key = models.BinaryField()
    #: The raw X25519 private key, encrypted.
    wrapped = models.BinaryField()
    key_version = models.PositiveIntegerField(db_index=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "generation"], name="one_archive_key_per_generation")
        ]

    def __str__(self) -> str:
        return f"archive key {self.generation} of {self.account_id}"


class AttestationKey(models.Model):
    """The P-256 key that an account attests records with; it signs nothing else."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="attestation_key")
    #: did:key of the public key.
    did_key = models.CharField(max_length=128)
    #: PKCS#8 DER, encrypted.
    wrapped = models.BinaryField()
    key_version = models.PositiveIntegerField(db_index=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.did_key


class Grant(models.Model):
    """What a user allows one app to have done with their keys; only the hash of its token is kept."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="grants")
    grant_id = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=100)
    #: A list of names of grants.GrantedPurpose.
    purposes = models.JSONField()
    #: SHA-256 of the token in hex.
    token_hash = models.CharField(max_length=64, unique=True)
    #: How many things may be asked for in an hour, and what was asked for in the hour that runs.
    hourly_limit = models.PositiveIntegerField()
    hour_began_at = models.DateTimeField(null=True)
    used_in_hour = models.PositiveIntegerField(default=0)
    uses = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.grant_id


class AuditEntry(models.Model):
    """One answered request. Rows are only ever added: triggers in the database refuse everything else."""

    sequence = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    caller = models.CharField(max_length=64)
    did = models.CharField(max_length=2048, blank=True, db_index=True)
    purpose = models.CharField(max_length=64)
    count = models.PositiveIntegerField()
    outcome = models.CharField(max_length=64)
    #: The id of the token that the request came with; unique, so that no token is accepted twice.
    token_id = models.CharField(max_length=128, null=True, unique=True)  # noqa: DJ001 (null is "none" for unique)
    previous_hash = models.BinaryField(max_length=32)
    entry_hash = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"{self.sequence} {self.caller} {self.purpose} {self.outcome}"


class AuditHead(models.Model):
    """The one row that names the newest audit entry; whoever adds an entry holds its lock."""

    sequence = models.BigIntegerField()
    entry_hash = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"audit head {self.sequence}"
