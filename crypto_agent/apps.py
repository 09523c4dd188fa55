from django.apps import AppConfig


class CryptoAgentConfig(AppConfig):
    name = "crypto_agent"
    label = "crypto_agent"
    default_auto_field = "django.db.models.BigAutoField"
