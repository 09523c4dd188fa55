from django.apps import AppConfig


class WebmailConfig(AppConfig):
    name = "webmail"

    def ready(self) -> None:
        from accounts.unlocking import account_locked, account_unlocked
        from webmail import waiting

        account_unlocked.connect(waiting.on_unlocked, dispatch_uid="webmail")
        account_locked.connect(waiting.on_locked, dispatch_uid="webmail")
