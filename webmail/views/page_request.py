"""What a view behind `signed_in` may rely on."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.models import Account, OAuthSession


class PageRequest(HttpRequest):
    """A request of a signed-in, enrolled person."""

    account: Account
    oauth_session: OAuthSession
    htmx: HtmxDetails
