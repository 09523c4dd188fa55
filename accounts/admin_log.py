"""What administrators did about their second factor, in admin's own log, beside what they did to others.

Everybody finds their own under *Recent actions*; whoever may see users, a user's under *History*.
"""

import logging

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

logger = logging.getLogger(__name__)


def note(user: User, what: str) -> None:
    """Writes a sentence down about the administrator; it names no secret."""
    LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(user.pk),
        object_repr=str(user)[:200],
        action_flag=CHANGE,
        change_message=what,
    )
    logger.info("second factor of administrator %s: %s", user.pk, what)
