"""Tables of administrators' second factor: passkeys, and recovery codes for when those are lost.

No challenge and no code is here in the clear, and no ``__str__`` shows anything of one.
"""

from django.conf import settings
from django.db import models
from django.utils import timezone

LONGEST_NAME = 64


class AdminPasskey(models.Model):
    """A passkey of an administrator, which they show after their password."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="admin_passkeys")
    #: What its owner calls it.
    name = models.CharField(max_length=LONGEST_NAME)
    credential_id = models.BinaryField()
    #: SHA-256 in hex, by which it is found.
    credential_hash = models.CharField(max_length=64, unique=True)
    #: Whom the authenticator takes its owner for: 32 octets that say nothing of them.
    user_handle = models.BinaryField()
    #: A COSE_Key.
    public_key = models.BinaryField()
    sign_count = models.PositiveBigIntegerField()
    transports = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("created_at", "pk")
        verbose_name = "administrator's passkey"

    def __str__(self) -> str:
        return self.name


class AdminRecoveryCode(models.Model):
    """A code that stands for the passkey once. Used ones stay, as what a session was opened with."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="admin_recovery_codes")
    #: SHA-256 in hex of its 160 random bits, which nobody guesses.
    code_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("pk",)
        verbose_name = "administrator's recovery code"

    def __str__(self) -> str:
        return f"recovery code {self.pk}"


class AdminPasskeyChallenge(models.Model):
    """What a passkey of an administrator is to sign: for one browser's session and one purpose, once."""

    class Purpose(models.TextChoices):
        CREATE = "create", "make a passkey"
        SHOW = "show", "show a passkey"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=8, choices=Purpose.choices)
    #: SHA-256 in hex, both.
    challenge_hash = models.CharField(max_length=64, unique=True)
    session_hash = models.CharField(max_length=64)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("expires_at",)
        indexes = (models.Index(fields=("expires_at",), name="admin_challenge_by_end"),)
        verbose_name = "challenge for an administrator's passkey"

    def __str__(self) -> str:
        return f"challenge {self.pk}"
