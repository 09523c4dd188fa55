"""For how long an account may take back what it has just sent."""

from __future__ import annotations

from django.db import models

from accounts.models import Account


class UndoChoice(models.Model):
    """A setting, which the account's export carries. Without a row the installation's time holds."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="undo_choice")
    #: 0: what is sent goes out at once.
    seconds = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"{self.account_id}: {self.seconds}"
