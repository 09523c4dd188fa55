"""The people an account knows."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Account


class Contact(models.Model):
    """Somebody whom an account wrote to or heard from, and how it stands to them.

    Who is accepted follows from the archive: whoever the account wrote to. Who is blocked is a setting of the
    account. What was seen of them begins anew where the index does.
    """

    class Standing(models.TextChoices):
        NONE = "none", "not decided"
        ACCEPTED = "accepted", "accepted"
        BLOCKED = "blocked", "blocked"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="contacts", db_index=False)
    did = models.CharField("DID", max_length=2048)
    standing = models.CharField(max_length=8, choices=Standing.choices, default=Standing.NONE)
    #: Since when they are blocked; empty while they are not.
    blocked_at = models.DateTimeField(null=True, blank=True)
    #: When the account first heard from them or wrote to them.
    first_seen_at = models.DateTimeField(default=timezone.now)
    #: The handle that the account last saw them with; empty before.
    handle_seen = models.CharField(max_length=253, blank=True, default="")
    #: When their identity was made, as the directory's log says, and when the directory was last asked.
    made_at = models.DateTimeField(null=True, blank=True)
    made_asked_at = models.DateTimeField(null=True, blank=True)
    #: The likenesses to others that the account has seen and put away: their keys (webmail/likeness.py) with
    #: a space between two.
    likeness_put_away = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-first_seen_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "did"], name="contact_once"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.did}"
