"""Reports to the operator of this installation."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from accounts.models import Account


class Report(models.Model):
    """What an account told the operator of somebody, with the messages that it chose to disclose.

    It belongs to the operator, so that no export carries it and no mailbox restores it; it goes with the
    account that made it.
    """

    class Reason(models.TextChoices):
        SPAM = "spam", gettext_lazy("Unwanted advertising")
        HARASSMENT = "harassment", gettext_lazy("Insults, threats or harassment")
        IMITATION = "imitation", gettext_lazy("Pretends to be somebody else")
        ILLEGAL = "illegal", gettext_lazy("Something against the law")
        OTHER = "other", gettext_lazy("Something else")

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="reports", verbose_name="reported by", db_index=False
    )
    did = models.CharField("DID", max_length=2048)
    #: The handle that they had then.
    handle = models.CharField(max_length=253, blank=True, default="")
    reason = models.CharField(max_length=10, choices=Reason.choices)
    #: Words and messages as webmail/reporting.py writes them, under the installation's token keys.
    sealed = models.BinaryField()
    #: How many messages were disclosed.
    messages = models.PositiveIntegerField()
    #: Of the page that it was made on, so that it is made once.
    token = models.CharField(max_length=36, null=True, blank=True)  # noqa: DJ001 (unique when present)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["created_at"], name="report_age")]
        constraints = [models.UniqueConstraint(fields=["account", "token"], name="report_made_once")]

    def __str__(self) -> str:
        return f"{self.reason}: {self.handle or self.did}"


class _WithoutBytes(models.Manager["ReportFile"]):
    """Leaves the files themselves in the database until one is asked for: lists and deletions need none."""

    def get_queryset(self) -> models.QuerySet[ReportFile]:
        return super().get_queryset().defer("encrypted", "sealed_key")


class ReportFile(models.Model):
    """A file that was disclosed with a report, as webmail/disclosed_files.py keeps it.

    It goes with its report, which says what it is called and of what type.
    """

    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="files", db_index=False)
    #: Its number among the disclosed files of the report, in the report's order.
    place = models.PositiveSmallIntegerField()
    #: The key of this file alone, under the installation's token keys.
    sealed_key = models.BinaryField()
    encrypted = models.BinaryField()
    #: Octets of what is encrypted.
    size = models.PositiveIntegerField()

    objects = _WithoutBytes()

    class Meta:
        ordering = ["report", "place"]
        base_manager_name = "objects"
        constraints = [models.UniqueConstraint(fields=["report", "place"], name="report_file_place")]

    def __str__(self) -> str:
        return f"file {self.place + 1}, {self.size} octets"
