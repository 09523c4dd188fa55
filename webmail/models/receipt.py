"""Receipts: what others said of sent messages, what is to be said of received ones, and what may be said."""

from __future__ import annotations

from django.db import models

from accounts.models import Account
from webmail.models.message import Message


class Receipt(models.Model):
    """What one device of a recipient said of a sent message. Derived from the receipts in the archive."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="receipts", db_index=False)
    recipient_did = models.CharField(max_length=2048)
    #: Of the device that signed it.
    fingerprint = models.CharField(max_length=64)
    opened_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["opened_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["message", "recipient_did", "fingerprint"], name="receipt_once"),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} at {self.fingerprint[:12]}"


class Acknowledgement(models.Model):
    """A received message whose sender is still to be told. A send in flight: lost with the database, it
    costs its sender the word, and nothing else."""

    class Status(models.TextChoices):
        DELIVERED = "delivered", "opened"
        READ = "read", "read"

    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="acknowledgements", db_index=False
    )
    status = models.CharField(max_length=9, choices=Status.choices)
    due_at = models.DateTimeField()
    #: The token of the receipt that it was put into; empty before.
    batch = models.CharField(max_length=36, blank=True, default="")

    class Meta:
        ordering = ["due_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["message", "status"], name="acknowledgement_once"),
        ]
        indexes = [models.Index(fields=["due_at"], name="acknowledgement_due")]

    def __str__(self) -> str:
        return f"{self.message_id}: {self.status}"


class ReceiptChoice(models.Model):
    """Whether an account tells others that it opened or read their messages. A setting, which the account's
    export carries."""

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="receipt_choices", db_index=False
    )
    #: Hex; empty for what holds wherever nothing else was chosen.
    conversation_id = models.CharField(max_length=66, blank=True, default="")
    status = models.CharField(max_length=9, choices=Acknowledgement.Status.choices)
    tells = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "conversation_id", "status"], name="receipt_choice_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.status}"
