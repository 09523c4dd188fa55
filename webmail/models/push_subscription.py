"""Browsers that asked to be woken when something new is there."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Account, OAuthSession


class PushSubscription(models.Model):
    """One browser's address at its maker's push service (RFC 8030). In no export: browsers ask anew."""

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="push_subscriptions", db_index=False
    )
    #: The sign-in of the browser, with whose end by a sign-out this ends. Where the sign-in ended by itself,
    #: or is not known, the browser is not woken until one of its pages says that it is signed in.
    session = models.ForeignKey(
        OAuthSession, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    #: Whoever knows it can wake the browser, so nobody is shown it.
    endpoint = models.CharField(max_length=1000)
    created_at = models.DateTimeField(default=timezone.now)
    #: Since when it is known that nobody is signed in there by that sign-in.
    signed_out_since = models.DateTimeField(null=True, blank=True)
    #: How often in a row the push service did not take a notice; one that is gone counts as the most.
    failures = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "endpoint"], name="push_subscription_once"),
        ]

    def __str__(self) -> str:
        return f"a browser of account {self.account_id}"
