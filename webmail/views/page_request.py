"""What a view behind `signed_in` may rely on."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.models import Account


class PageRequest(HttpRequest):
    """A request of a signed-in, enrolled person."""

    account: Account
    htmx: HtmxDetails
