"""Whether an account wants previews of the links that it sends."""

from __future__ import annotations

from django.db import models

from accounts.models import Account


class PreviewChoice(models.Model):
    """A setting, which the account's export carries. Without a row they are offered."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="preview_choice")
    offered = models.BooleanField()

    def __str__(self) -> str:
        return f"{self.account_id}: {self.offered}"
