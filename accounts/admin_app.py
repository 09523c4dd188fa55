"""Django's admin, with the site of ours that asks for the second factor."""

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    default_site = "accounts.admin_site.SecondFactorSite"
