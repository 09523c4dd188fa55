import gc

from django.apps import AppConfig


class CryptoAgentConfig(AppConfig):
    name = "crypto_agent"
    label = "crypto_agent"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # What is loaded by now stays: Python need not look through it again and again while the rest loads.
        gc.freeze()
