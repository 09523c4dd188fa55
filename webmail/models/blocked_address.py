"""Addresses of mail programs whose mail an account does not want to hear of."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Account

#: As many letters as of any field of a mail's header are read.
MAX_ADDRESS = 500


class BlockedAddress(models.Model):
    """An address whose ordinary mail is spam. Nothing vouches that such mail is from whom it says."""

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="blocked_addresses", db_index=False
    )
    #: In lower case.
    address = models.CharField(max_length=MAX_ADDRESS)
    blocked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["address"]
        verbose_name_plural = "blocked addresses"
        constraints = [
            models.UniqueConstraint(fields=["account", "address"], name="blocked_address_once"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.address}"
