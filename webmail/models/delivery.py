"""The ways of sent messages to those they are for."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone

from accounts.loaded_rows import LoadedRows
from webmail.models.message import Message


class DeliveryRows(models.QuerySet["Delivery"]):
    """Deliveries, and what is done with several at once."""

    def begin_again(self, now: datetime, **also: datetime) -> int:
        """Have them sealed and carried as if nothing had been tried; how many they are."""
        return self.update(
            state=Delivery.State.QUEUED,
            attempts=0,
            next_attempt_at=now,
            created_at=now,
            failure_code="",
            failure_reply="",
            finished_at=None,
            **also,
        )


class Delivery(LoadedRows):
    """The way of one sent message to one recipient, the sender's own other devices included."""

    class State(models.TextChoices):
        QUEUED = "queued", "waiting to be sealed"
        HELD = "held", "waiting for its sender to look"
        SEALED = "sealed", "sealed, on its way"
        HANDED_OVER = "handed-over", "handed to a mail server on the way"
        ACCEPTED = "accepted", "the recipient's server has it"
        FAILED = "failed", "not delivered"
        WITHDRAWN = "withdrawn", "stopped by its sender before any server said that it has it"

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    recipient_did = models.CharField(max_length=2048)
    state = models.CharField(max_length=11, choices=State.choices, default=State.QUEUED)
    #: The route last tried, and why it was chosen (protocol §8).
    route_kind = models.CharField(max_length=8, blank=True)
    route_target = models.TextField(blank=True)
    route_source = models.CharField(max_length=16, blank=True)
    route_reason = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(default=0)
    #: Tries after which their server may have it though it did not say so: one under way, or broken off.
    open_tries = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    #: Stable code and the server's own words of the last try that did not succeed.
    failure_code = models.CharField(max_length=40, blank=True)
    failure_reply = models.TextField(blank=True)
    #: When it was sealed for the recipient's devices, and when it ended: accepted, handed over or failed.
    sealed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    #: When the recipient last asked for another copy, and was given one.
    asked_again_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = DeliveryRows.as_manager()

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["message", "recipient_did"], name="delivery_once"),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="delivery_due",
                condition=models.Q(state__in=["queued", "sealed"]),
            ),
            models.Index(fields=["message"], name="delivery_held", condition=models.Q(state="held")),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} to {self.recipient_did}"


class DeliveryCopy(models.Model):
    """The envelope for one device of a recipient. Its bytes are kept until a server has it."""

    class Form(models.TextChoices):
        SEALED = "sealed", "sealed, sender hidden"
        CMS = "cms", "sealed, sender visible"

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="copies", db_index=False)
    fingerprint = models.CharField(max_length=64)
    form = models.CharField(max_length=6, choices=Form.choices)
    #: Hex SHA-256 of the envelope.
    envelope_id = models.CharField(max_length=64)
    envelope = models.BinaryField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "delivery copies"
        constraints = [
            models.UniqueConstraint(fields=["delivery", "fingerprint"], name="copy_once"),
        ]

    def __str__(self) -> str:
        return f"{self.envelope_id[:12]} for {self.fingerprint[:12]}"
