"""Who may begin a conversation with an account, and whom its own repository names."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from accounts.models import Account


class WhoMayWrite(models.TextChoices):
    EVERYONE = "everyone", gettext_lazy("Everyone")
    FOLLOWED = "followed", gettext_lazy("People I follow, and people I have written to")
    WRITTEN_TO = "written-to", gettext_lazy("People I have written to")
    NOBODY = "nobody", gettext_lazy("Nobody")


class ConsentChoice(models.Model):
    """What an account chose, a setting that its export carries; and when its repository was last read."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="consent")
    #: Empty while nothing was chosen: settings.WHO_MAY_WRITE holds then.
    who_may_write = models.CharField(max_length=10, choices=WhoMayWrite.choices, blank=True, default="")
    graph_read_at = models.DateTimeField(null=True, blank=True)
    graph_tried_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.account_id}: {self.who_may_write or 'not chosen'}"


class GraphEntry(models.Model):
    """Somebody whom the account follows or blocks by a public record of its own repository (a cache)."""

    class Kind(models.TextChoices):
        FOLLOW = "follow", "follows"
        BLOCK = "block", "blocks"

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="graph_entries", db_index=False
    )
    kind = models.CharField(max_length=6, choices=Kind.choices)
    did = models.CharField("DID", max_length=2048)
    #: When it was first seen there.
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "graph entries"
        constraints = [
            models.UniqueConstraint(fields=["account", "kind", "did"], name="graph_entry_once"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.kind} {self.did}"
