"""The Django project and the mail itself: mailbox, carriers, conversations, deliveries, pages."""

from webmail.celery import app as celery_app

__all__ = ["celery_app"]
