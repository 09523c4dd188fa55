"""What the last page of a first visit says of what holds for an account from now on."""

from django import template

from accounts.models import Account
from webmail import consent
from webmail.models import WhoMayWrite
from webmail.push import vapid

register = template.Library()


@register.simple_tag
def who_may_write(account: Account) -> str:
    """Who may begin a conversation with the account, in words."""
    return str(WhoMayWrite(consent.who_may_write(account)).label)


@register.simple_tag
def offers_notifications() -> bool:
    """Whether this installation wakes browsers."""
    return vapid.key() is not None
