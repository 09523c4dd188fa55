"""What people found when they compared keys."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Account


class Verification(models.Model):
    """What an account's owner said of somebody's keys; the newest row of a contact holds.

    Nothing in the mailbox says so: the account's export carries the newest of each contact.
    """

    class Outcome(models.TextChoices):
        MATCHED = "matched", "compared: they match"
        DIFFERED = "differed", "compared: they differ"
        ACCEPTED = "accepted", "used without comparing"

    class How(models.TextChoices):
        NUMBER = "number", "by number"
        CODE = "code", "by code"
        NONE = "", "not compared"

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="verifications", db_index=False
    )
    did = models.CharField("DID", max_length=2048)
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    how = models.CharField(max_length=6, choices=How.choices, blank=True, default=How.NONE)
    #: Of the contact's devices and of the account's own, sorted, as they were then.
    fingerprints = models.JSONField(default=list)
    own_fingerprints = models.JSONField(default=list)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["account", "did", "-at"], name="verification_of_contact")]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.did} {self.outcome}"
