"""The agent's own tables. Every private key in them is encrypted under its account's data key."""

from django.db import models
from django.db.models import Q


class Account(models.Model):
    did = models.CharField(max_length=2048, unique=True)
    created_at = models.DateTimeField()
    #: The number of the newest search segment that there ever was.
    last_search_segment = models.PositiveBigIntegerField(default=0)

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
    #: Of a locked account: which lock key wraps it inside the operator's wrap.
    lock_id = models.CharField(max_length=16, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "version"], name="one_data_key_per_version")
        ]

    def __str__(self) -> str:
        return f"data key {self.version} of {self.account_id}"


class AccountCustody(models.Model):
    """How an account's keys are guarded beyond the operator's key; without a row: by nothing."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="custody")
    #: Names the lock key of a locked account; blank for a managed one.
    lock_id = models.CharField(max_length=16, blank=True, default="")
    locked_at = models.DateTimeField(null=True)
    #: Whether signing in and dangerous steps ask for a passkey.
    passkey_required = models.BooleanField(default=False)
    #: How authenticators know the account: random, so that it says nothing.
    user_handle = models.BinaryField(max_length=32)
    #: Passphrases tried since the last right one, and until when none is looked at.
    guesses = models.PositiveIntegerField(default=0)
    wait_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"custody of {self.account_id}"


class Passkey(models.Model):
    """A WebAuthn credential of the user: its public key, and the salt for its PRF."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="passkeys")
    passkey_id = models.CharField(max_length=16, unique=True)
    name = models.CharField(max_length=100)
    credential_id = models.BinaryField(max_length=1023)
    #: SHA-256 of the credential id in hex.
    credential_hash = models.CharField(max_length=64)
    #: COSE_Key.
    public_key = models.BinaryField()
    sign_count = models.PositiveBigIntegerField()
    #: A list of names of transports, as the browser gave them.
    transports = models.JSONField(default=list)
    #: Whether its authenticator has the PRF extension, so that it can open a lock.
    prf = models.BooleanField(default=False)
    prf_salt = models.BinaryField(max_length=32)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "credential_hash"], name="one_row_per_credential_of_an_account"
            )
        ]

    def __str__(self) -> str:
        return self.passkey_id


class LockSecret(models.Model):
    """The account's lock key, encrypted under one secret of the user's; the secret itself is nowhere."""

    class Kind(models.TextChoices):
        PASSPHRASE = "passphrase"  # noqa: S105 (the name of a kind)
        PASSKEY = "passkey"
        RECOVERY = "recovery"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="lock_secrets")
    secret_id = models.CharField(max_length=16, unique=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    passkey = models.OneToOneField(Passkey, on_delete=models.RESTRICT, null=True, related_name="lock_secret")
    #: Of Argon2id, for a passphrase.
    salt = models.BinaryField(max_length=16, null=True)
    memory_kib = models.PositiveIntegerField(null=True)
    iterations = models.PositiveIntegerField(null=True)
    lanes = models.PositiveIntegerField(null=True)
    wrapped = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind"],
                condition=~Q(kind="passkey"),
                name="one_passphrase_and_one_recovery_code_per_account",
            ),
            models.CheckConstraint(
                name="lock_secrets_have_what_their_kind_needs",
                condition=(
                    Q(kind="passphrase", salt__isnull=False, passkey__isnull=True)
                    | Q(kind="passkey", salt__isnull=True, passkey__isnull=False)
                    | Q(kind="recovery", salt__isnull=True, passkey__isnull=True)
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.secret_id}"


class DeviceKey(models.Model):
    """A device: its certificate stays for good, its private key until the device is revoked.

    A retired one came with an account from another installation and can't be the active one here.
    """

    class State(models.TextChoices):
        ACTIVE = "active"
        #: Revoked for everybody else; what was sealed to it before still opens, until its prekeys die.
        RETIRED = "retired"
        REVOKED = "revoked"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="devices")
    fingerprint = models.CharField(max_length=64, unique=True)
    certificate = models.BinaryField()
    #: The one before it was renewed: envelopes may still name it as the recipient's.
    former_certificate = models.BinaryField(null=True)
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
                name="private_key_only_until_revoked",
                condition=Q(
                    state="active", wrapped__isnull=False, key_version__isnull=False, revoked_at__isnull=True
                )
                | Q(
                    state="retired",
                    wrapped__isnull=False,
                    key_version__isnull=False,
                    revoked_at__isnull=False,
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
    """A key pair that an account's archived messages are sealed to, one generation after the other."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="archive_keys")
    generation = models.PositiveIntegerField()
    public_key = models.BinaryField()
    #: The raw X25519 private key, encrypted.
    wrapped = models.BinaryField()
    key_version = models.PositiveIntegerField(db_index=True)
    created_at = models.DateTimeField()
    #: From then on it only opens: the next one is made when something is to be archived.
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "generation"], name="one_archive_key_per_generation")
        ]

    def __str__(self) -> str:
        return f"archive key {self.generation} of {self.account_id}"


class SearchSegment(models.Model):
    """Some hundred messages' text, folded for searching, as one ciphertext under the account's data key."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="search_segments")
    #: Never given to another segment of the account again; authenticated with the ciphertext.
    number = models.PositiveBigIntegerField()
    messages = models.PositiveIntegerField()
    #: Between which times they were sent; null in segments from before this was kept.
    times = models.BinaryField(null=True)
    sealed = models.BinaryField()
    key_version = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "number"], name="one_search_segment_per_number")
        ]
        indexes = [
            # All that an overview reads: in the table, it would have to go through the long ciphertexts.
            models.Index(
                fields=["account", "number", "times", "key_version"], name="search_segments_overview"
            )
        ]

    def __str__(self) -> str:
        return f"search segment {self.number} of {self.account_id}"


class AttestationKey(models.Model):
    """A key that an account attests records with, one for each curve; it signs nothing else."""

    class Curve(models.TextChoices):
        P256 = "P-256"
        K256 = "K-256"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="attestation_keys")
    curve = models.CharField(max_length=8, choices=Curve.choices, default=Curve.P256)
    #: did:key of the public key.
    did_key = models.CharField(max_length=128)
    #: PKCS#8 DER, encrypted.
    wrapped = models.BinaryField()
    key_version = models.PositiveIntegerField(db_index=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "curve"], name="one_attestation_key_per_curve")
        ]

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

    class Meta:
        # For the newest uses of one account: all, those of apps, those that were refused.
        indexes = [
            models.Index(fields=["did", "sequence"], name="audit_did_sequence"),
            models.Index(fields=["did", "purpose", "sequence"], name="audit_did_purpose"),
            models.Index(fields=["did", "outcome", "sequence"], name="audit_did_outcome"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.caller} {self.purpose} {self.outcome}"


class UseCount(models.Model):
    """What was done for one account, caller and purpose in the hour that began at ``began_at``.

    Rows without a caller count all opening: of one account, or under no DID of all together.
    """

    did = models.CharField(max_length=2048, blank=True)
    caller = models.CharField(max_length=16, blank=True)
    purpose = models.CharField(max_length=64)
    began_at = models.DateTimeField()
    used = models.PositiveBigIntegerField(default=0)
    #: Whether the alarm of this hour was raised.
    alarmed = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["did", "caller", "purpose"], name="one_count_per_use")]

    def __str__(self) -> str:
        return f"{self.caller} {self.purpose} {self.used}"


class Alarm(models.Model):
    """An alarm on bulk opening, to be found quickly; the audit entry that it names is the proof of it."""

    #: The sequence of the audit entry.
    entry = models.BigIntegerField(unique=True)
    #: Empty for all accounts together.
    did = models.CharField(max_length=2048, blank=True, db_index=True)
    at = models.DateTimeField(db_index=True)
    hour_began_at = models.DateTimeField()
    #: What had been opened in the hour when it was raised.
    things = models.PositiveBigIntegerField()

    def __str__(self) -> str:
        return f"alarm of entry {self.entry}"


class ClearedFiles(models.Model):
    """The one row that says what was destroyed until when: of that, nothing is in the database's files."""

    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"cleared {self.at}"


class AuditHead(models.Model):
    """The one row that names the newest audit entry; whoever adds an entry holds its lock."""

    sequence = models.BigIntegerField()
    entry_hash = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"audit head {self.sequence}"
