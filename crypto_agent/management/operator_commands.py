"""What the operator's commands have in common."""

from django.core.management.base import BaseCommand


class OperatorCommand(BaseCommand):
    """A command of the agent, made without Django's checks: they load the whole service, of which it uses
    little."""

    requires_system_checks = ()
