"""The Celery application of the worker and scheduler processes."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")

app = Celery("webmail")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["webmail", "accounts"])


@app.on_after_finalize.connect
def _set_schedule(sender: Celery, **_arguments: object) -> None:
    from django.conf import settings

    sender.conf.beat_schedule = {
        "reconcile": {"task": "webmail.tasks.reconcile", "schedule": settings.RECONCILE_SECONDS},
        "pull-all": {"task": "webmail.tasks.pull_all", "schedule": settings.PULL_SECONDS},
        "renew-prekeys": {"task": "accounts.tasks.renew_all_prekeys", "schedule": 3600.0},
        "forget-old": {"task": "accounts.tasks.forget_old", "schedule": 3600.0},
    }
