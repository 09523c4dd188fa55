from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and their devices"

    def ready(self) -> None:
        from accounts import checks  # noqa: F401
