"""Answers to ordinary mail, on their way."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Account
from webmail.models.arrival import Arrival


class OutgoingMail(models.Model):
    """An answer to an ordinary mail. What it says lies in the mailbox's Sent folder, and here until it is
    there and with everybody's server."""

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="outgoing_mails", db_index=False
    )
    #: What it answers.
    arrival = models.ForeignKey(Arrival, on_delete=models.CASCADE, related_name="answers")
    #: Of the page that it was written on, so that submitting it twice sends it once.
    token = models.CharField(max_length=36)
    #: Hex, the left half of its Message-ID.
    name = models.CharField(max_length=64, unique=True)
    #: The mail itself, encrypted (see webmail.ordinary.in_transit); empty once it is nowhere needed.
    sealed = models.BinaryField(null=True, blank=True)
    #: When a worker last found that its key does not open it.
    unreadable_at = models.DateTimeField(null=True, blank=True)
    filed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "token"], name="outgoing_mail_once"),
        ]
        indexes = [
            models.Index(
                fields=["created_at"], name="outgoing_mail_held", condition=models.Q(sealed__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.name[:12]


class OutgoingMailRecipient(models.Model):
    """The way of one such mail to one address."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting to be sent"
        HANDED_OVER = "handed-over", "handed to our own mail server"
        ACCEPTED = "accepted", "their server has it"
        #: Their server had all of it, and nobody knows whether it took it.
        UNCERTAIN = "uncertain", "perhaps arrived"
        FAILED = "failed", "not delivered"

    #: What its writer may have sent again.
    RETRIED = (State.FAILED, State.UNCERTAIN)

    mail = models.ForeignKey(
        OutgoingMail, on_delete=models.CASCADE, related_name="recipients", db_index=False
    )
    address = models.CharField(max_length=320)
    state = models.CharField(max_length=11, choices=State.choices, default=State.WAITING)
    #: How often its writer had it sent. A report about a former time says nothing of this one.
    round = models.PositiveIntegerField(default=1)
    queued_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    #: Stable code and the server's own words of the last try that did not succeed.
    failure_code = models.CharField(max_length=40, blank=True)
    failure_reply = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["mail", "address"], name="outgoing_recipient_once"),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], name="outgoing_due", condition=models.Q(state="waiting")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mail_id} to one of its recipients"


class UnsentAnswer(models.Model):
    """What somebody wrote as an answer while the mailbox could not be reached. It is nowhere else."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    arrival = models.OneToOneField(Arrival, on_delete=models.CASCADE, related_name="+")
    #: Encrypted (see webmail.ordinary.unsent).
    sealed = models.BinaryField()
    written_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"to {self.arrival_id}"


class OutgoingMailRound(models.Model):
    """Each time that somebody had an answer sent to one address, for the limit of an hour.

    Removed after that when they send the next. It belongs to no mail, since a mail that goes away takes its
    answers with it.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    begun_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["account", "begun_at"], name="outgoing_round_of_hour")]

    def __str__(self) -> str:
        return f"{self.begun_at:%Y-%m-%d %H:%M}"
