"""What pages say of ordinary mail."""

from django import template

from accounts.models import Account
from webmail.ordinary import marks

register = template.Library()


@register.simple_tag
def unread_mail(account: Account) -> int:
    """How much ordinary mail nobody has read, for the menu."""
    return marks.count_waiting(account)
