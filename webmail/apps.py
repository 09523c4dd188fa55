import gc

from django.apps import AppConfig


class WebmailConfig(AppConfig):
    name = "webmail"

    def ready(self) -> None:
        from django.db.models.signals import post_delete

        from accounts.browsers import signed_in_again, signed_out, signed_out_everywhere
        from accounts.models import OAuthSession
        from accounts.unlocking import account_locked, account_unlocked
        from webmail import events, waiting
        from webmail.push import subscriptions

        account_unlocked.connect(waiting.on_unlocked, dispatch_uid="webmail")
        account_locked.connect(waiting.on_locked, dispatch_uid="webmail")
        signed_out.connect(subscriptions.on_signed_out, dispatch_uid="webmail")
        signed_out_everywhere.connect(subscriptions.on_signed_out_everywhere, dispatch_uid="webmail")
        signed_in_again.connect(subscriptions.on_signed_in_again, dispatch_uid="webmail")
        signed_in_again.connect(events.on_signed_in_again, dispatch_uid="webmail-events")
        post_delete.connect(events.on_session_ended, sender=OAuthSession, dispatch_uid="webmail")
        # What is loaded by now stays. Python would look through all of it again and again while the rest of
        # a process starts, which takes a third of the start, and in processes that others are made from,
        # each would get a copy of its own.
        gc.freeze()
