import gc

from django.apps import AppConfig


class WebmailConfig(AppConfig):
    name = "webmail"

    def ready(self) -> None:
        from accounts.unlocking import account_locked, account_unlocked
        from webmail import waiting

        account_unlocked.connect(waiting.on_unlocked, dispatch_uid="webmail")
        account_locked.connect(waiting.on_locked, dispatch_uid="webmail")
        # What is loaded by now stays. Python would look through all of it again and again while the rest of
        # a process starts, which takes a third of the start, and in processes that others are made from,
        # each would get a copy of its own.
        gc.freeze()
