"""The Celery application of the worker and scheduler processes."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
# Celery would have Django's checks made, which load all pages, and pass over what they say.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

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
        "remove-abandoned-uploads": {
            "task": "webmail.tasks.remove_abandoned_uploads",
            "schedule": 3600.0,
        },
        "audit-accounts": {"task": "accounts.tasks.audit_all", "schedule": 3600.0},
        "read-plc-logs": {"task": "accounts.tasks.read_plc_logs", "schedule": 3600.0},
        "sweep-files": {"task": "webmail.tasks.sweep_files", "schedule": 3600.0},
        "read-graphs": {"task": "webmail.tasks.read_graphs", "schedule": 600.0},
        "prune-set-aside": {"task": "webmail.tasks.prune_set_aside", "schedule": 3600.0},
        "prune-kept-aside": {"task": "webmail.tasks.prune_kept_aside", "schedule": 3600.0},
        "prune-deleted-mail": {"task": "webmail.tasks.prune_deleted_mail", "schedule": 3600.0},
        "prune-subscriptions": {"task": "webmail.tasks.prune_subscriptions", "schedule": 3600.0},
        "prune-reports": {"task": "webmail.tasks.prune_reports", "schedule": 3600.0},
        "forget-pictures": {"task": "webmail.tasks.forget_pictures", "schedule": 3600.0},
        "leave-former-data-keys": {
            "task": "webmail.tasks.leave_all_former_data_keys",
            "schedule": 3600.0,
        },
        "forget-old": {"task": "accounts.tasks.forget_old", "schedule": 3600.0},
    }
