"""The index over the mailbox: conversations, messages, what is on its way, what was kept aside.

Everything here but messages still being sent can be rebuilt from the mailbox (see rebuild.py).
Message text is present only as `sealed`, which the crypto agent alone can open.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Account


class Conversation(models.Model):
    """The messages between one set of people, as one account sees them (protocol §6)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="conversations")
    #: Hex of the 33-byte conversation id.
    conversation_id = models.CharField(max_length=66)
    #: DIDs of everybody in it, the account's own included, sorted.
    participants = models.JSONField()
    last_message = models.ForeignKey(
        "Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    last_activity = models.DateTimeField(default=timezone.now)
    unread_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-last_activity", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "conversation_id"], name="conversation_once"),
        ]
        indexes = [models.Index(fields=["account", "-last_activity", "-id"], name="conversation_list")]

    def __str__(self) -> str:
        return self.conversation_id[:12]


class Message(models.Model):
    """One message of a conversation, sent or received."""

    class Direction(models.TextChoices):
        IN = "in", "received"
        OUT = "out", "sent"

    class State(models.TextChoices):
        """How far our own part is. Received messages are PLACED at once."""

        COMPOSED = "composed", "waiting to be sealed"
        SEALED = "sealed", "sealed"
        PLACED = "placed", "placed"

    class Trust(models.TextChoices):
        OWN = "own", "signed here"
        SIGNED = "signed", "signature checked with the signer's own server"
        UNCHECKED = "unchecked", "signer's server not reached yet"
        REFUSED = "refused", "signer's server does not vouch for the key"

    #: With any other trust nothing of a message is shown, nor called signed.
    VOUCHED_FOR = (Trust.OWN, Trust.SIGNED)

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="messages")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    #: Hex of the 32-byte message id (protocol §6).
    message_id = models.CharField(max_length=64)
    direction = models.CharField(max_length=3, choices=Direction.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PLACED)
    sender_did = models.CharField(max_length=2048)
    sender_fingerprint = models.CharField(max_length=64, blank=True)
    sender_certificate_pem = models.TextField(blank=True)
    trust = models.CharField(max_length=9, choices=Trust.choices)
    #: Why the signer could not be trusted, a stable code; empty when nothing is wrong.
    trust_code = models.CharField(max_length=40, blank=True)
    trust_checked_at = models.DateTimeField(null=True, blank=True)
    #: What the signer says.
    created_at = models.DateTimeField()
    #: When it reached us, or when we sent it; the order of the conversation.
    placed_at = models.DateTimeField()
    #: False for what changes state without a bubble of its own (reactions, receipts, …).
    shown = models.BooleanField(default=True)
    unread = models.BooleanField(default=False)
    in_reply_to = models.CharField(max_length=64, blank=True)
    replaces = models.CharField(max_length=64, blank=True)
    #: Content and, once signed, the signed data, under the account's content key.
    sealed = models.BinaryField()
    #: Made by the page that sent it, so that sending twice is sending once.
    token = models.CharField(max_length=36, null=True, blank=True)  # noqa: DJ001 (unique when present)
    archived_at = models.DateTimeField(null=True, blank=True)
    #: The next try at checking an UNCHECKED signer.
    next_check_at = models.DateTimeField(null=True, blank=True)
    check_attempts = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["placed_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "message_id"], name="message_once"),
            models.UniqueConstraint(fields=["account", "token"], name="message_sent_once"),
        ]
        indexes = [
            models.Index(fields=["conversation", "placed_at", "id"], name="message_thread"),
            models.Index(fields=["state"], name="message_to_seal", condition=models.Q(state="composed")),
            models.Index(
                fields=["account"], name="message_to_archive", condition=models.Q(archived_at__isnull=True)
            ),
            models.Index(
                fields=["next_check_at"], name="message_to_check", condition=models.Q(trust="unchecked")
            ),
        ]

    def __str__(self) -> str:
        return self.message_id[:12]


class Delivery(models.Model):
    """The way of one sent message to one recipient, the sender's own other devices included."""

    class State(models.TextChoices):
        QUEUED = "queued", "waiting to be sealed"
        SEALED = "sealed", "sealed, on its way"
        HANDED_OVER = "handed-over", "handed to a mail server on the way"
        ACCEPTED = "accepted", "the recipient's server has it"
        FAILED = "failed", "not delivered"

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="deliveries")
    recipient_did = models.CharField(max_length=2048)
    state = models.CharField(max_length=11, choices=State.choices, default=State.QUEUED)
    #: The route last tried, and why it was chosen (protocol §8).
    route_kind = models.CharField(max_length=8, blank=True)
    route_target = models.TextField(blank=True)
    route_source = models.CharField(max_length=16, blank=True)
    route_reason = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    #: Stable code and the server's own words of the last try that did not succeed.
    failure_code = models.CharField(max_length=40, blank=True)
    failure_reply = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

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
        ]

    def __str__(self) -> str:
        return f"{self.message_id} to {self.recipient_did}"


class DeliveryCopy(models.Model):
    """The envelope for one device of a recipient. Its bytes are kept until a server has it."""

    class Form(models.TextChoices):
        SEALED = "sealed", "sealed, sender hidden"
        CMS = "cms", "sealed, sender visible"

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="copies")
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


class MailboxCursor(models.Model):
    """How far the INBOX of an account was read."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="mailbox_cursor")
    uid_validity = models.BigIntegerField(default=0)
    last_uid = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.account_id}: {self.uid_validity}/{self.last_uid}"


class Arrival(models.Model):
    """A mail that arrived in the mailbox, until what it carries rests in the archive."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting to be opened"
        OPENED = "opened", "opened, not archived yet"
        DONE = "done", "archived"
        KEPT_ASIDE = "kept-aside", "kept aside"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="arrivals")
    #: Hex SHA-256 of the envelope; of the whole mail where it carries none.
    envelope_id = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    folder = models.CharField(max_length=20, default="INBOX")
    uid_validity = models.BigIntegerField()
    uid = models.BigIntegerField()
    size = models.PositiveIntegerField()
    arrived_at = models.DateTimeField()
    message = models.ForeignKey(
        Message, on_delete=models.SET_NULL, null=True, blank=True, related_name="arrivals"
    )
    #: Why it is kept aside: a stable code.
    reason = models.CharField(max_length=40, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-arrived_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "envelope_id"], name="arrival_once"),
        ]
        indexes = [
            models.Index(
                fields=["account", "state"],
                name="arrival_unfinished",
                condition=models.Q(state__in=["waiting", "opened"]),
            ),
        ]

    def __str__(self) -> str:
        return self.envelope_id[:12]
