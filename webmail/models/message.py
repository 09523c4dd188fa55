"""Messages, sent and received, their text sealed."""

from __future__ import annotations

from django.db import models

from accounts.loaded_rows import LoadedRows
from accounts.models import Account
from webmail.models.conversation import Conversation


class Message(LoadedRows):
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

    class GroupChange(models.TextChoices):
        """What of its group a message changes; what to is content, and sealed."""

        NONE = "", "nothing"
        NAME = "name", "its name"
        PICTURE = "picture", "its picture"
        BOTH = "both", "its name and picture"

    class Aside(models.TextChoices):
        """Why a message that would be shown, or count, does not: see blocking.py and left_groups.py."""

        NO = "", "shown"
        BEFORE = "before", "written before its sender was blocked"
        BLOCKED = "blocked", "written while its sender was blocked"
        LEFT = "left", "written after the account left the group"
        QUIET = "quiet", "as one of these, and never shown by itself: a reaction, a group's name"

    #: Why a message is not shown that has a place of its own.
    WOULD_BE_SHOWN = (Aside.BEFORE, Aside.BLOCKED, Aside.LEFT)
    #: With any other trust nothing of a message is shown, nor called signed.
    VOUCHED_FOR = (Trust.OWN, Trust.SIGNED)

    # Without indexes of their own: others begin with them. PostgreSQL would take the bare one for a page of a
    # conversation, and read every message of it to show fifty.
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="messages", db_index=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
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
    #: A message that is set aside has `shown` unset as well; derived from contacts and conversations.
    aside = models.CharField(max_length=7, choices=Aside.choices, default=Aside.NO, blank=True)
    unread = models.BooleanField(default=False)
    #: Whether somebody did not get it, or its newest version, which the account has not seen yet.
    undelivered = models.BooleanField(default=False)
    changes_group = models.CharField(
        max_length=7, choices=GroupChange.choices, default=GroupChange.NONE, blank=True
    )
    #: Whether its text names the account as somebody mentioned. Of one version by itself: see mentions.py.
    mentions_account = models.BooleanField(default=False)
    in_reply_to = models.CharField(max_length=64, blank=True)
    replaces = models.CharField(max_length=64, blank=True)
    #: Whether it takes back what it replaces, of what the account wrote: of others the content alone says it,
    #: but of what was erased while something waited that passes on what it replaces.
    takes_back = models.BooleanField(default=False)
    #: The topic that it belongs to, or that began with it: see webmail/topics.py.
    topic = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 (so its index has few rows)
    #: Content and, once signed, the signed data, under the account's content key.
    sealed = models.BinaryField()
    #: Made by the page that sent it, so that sending twice is sending once.
    token = models.CharField(max_length=36, null=True, blank=True)  # noqa: DJ001 (unique when present)
    archived_at = models.DateTimeField(null=True, blank=True)
    #: When a worker began to archive it; until it is done, or until what several were at has one copy.
    #: When it was erased, until no copy can come any more of a worker that was at it.
    archiving_since = models.DateTimeField(null=True, blank=True)
    #: When the agent took it into its search index; not before its signature was checked.
    indexed_at = models.DateTimeField(null=True, blank=True)
    #: When the account saved it, to find it again. A setting of the account, which its export carries.
    saved_at = models.DateTimeField(null=True, blank=True)
    #: When this account let go of it: it is shown no more, and its row is what keeps it from coming back.
    forgotten_at = models.DateTimeField(null=True, blank=True)
    #: When the archive, the search index and this row had nothing of it any more.
    erased_at = models.DateTimeField(null=True, blank=True)
    #: When it disappears here; None for one that stays, or that was not read yet.
    expires_at = models.DateTimeField(null=True, blank=True)
    #: Seconds after reading at which it disappears; 0 for one that stays, or that names a time.
    expires_after = models.PositiveBigIntegerField(default=0)
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
            models.Index(
                fields=["conversation", "placed_at", "id"],
                name="message_unread",
                condition=models.Q(unread=True),
            ),
            models.Index(
                fields=["conversation"], name="message_undelivered", condition=models.Q(undelivered=True)
            ),
            models.Index(fields=["state"], name="message_to_seal", condition=models.Q(state="composed")),
            models.Index(
                fields=["account"], name="message_to_archive", condition=models.Q(archived_at__isnull=True)
            ),
            models.Index(
                fields=["archiving_since"],
                name="message_archiving",
                condition=models.Q(archiving_since__isnull=False),
            ),
            models.Index(
                fields=["account"], name="message_to_index", condition=models.Q(indexed_at__isnull=True)
            ),
            models.Index(
                fields=["conversation"],
                name="message_changes_group",
                condition=~models.Q(changes_group=""),
            ),
            models.Index(
                fields=["conversation"],
                name="message_mentions",
                condition=models.Q(mentions_account=True),
            ),
            models.Index(
                fields=["account"],
                name="message_to_erase",
                condition=models.Q(forgotten_at__isnull=False, erased_at__isnull=True),
            ),
            models.Index(
                fields=["account", "-saved_at"],
                name="message_saved",
                condition=models.Q(saved_at__isnull=False),
            ),
            models.Index(
                fields=["expires_at"],
                name="message_to_expire",
                condition=models.Q(expires_at__isnull=False, forgotten_at__isnull=True),
            ),
            models.Index(
                fields=["conversation", "in_reply_to"],
                name="message_answers",
                condition=~models.Q(in_reply_to=""),
            ),
            models.Index(
                fields=["conversation", "topic", "placed_at", "id"],
                name="message_topic",
                condition=models.Q(topic__isnull=False),
            ),
            models.Index(
                fields=["conversation", "replaces"],
                name="message_versions",
                condition=~models.Q(replaces=""),
            ),
            models.Index(
                fields=["next_check_at"], name="message_to_check", condition=models.Q(trust="unchecked")
            ),
        ]

    def __str__(self) -> str:
        return self.message_id[:12]

    @property
    def way_shows(self) -> bool:
        """Whether pages show how far it came on its way, if only beside what it replaces."""
        return self.shown or bool(self.changes_group) or bool(self.replaces)
