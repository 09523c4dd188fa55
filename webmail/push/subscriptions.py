"""Which browsers of an account want to be woken."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from accounts import browsers
from accounts.models import Account, OAuthSession
from outbound import is_web_address
from webmail.models import PushSubscription

#: Browsers of one account; the oldest gives way to one more.
AT_MOST = 10
MAX_ENDPOINT = 1000
#: A browser that could not be woken so often in a row is woken no more. That it was to be stays known: its
#: pages ask for another address.
GIVE_UP_AFTER = 20
#: How long a browser in which nobody is signed in stays known.
KEPT_SIGNED_OUT = timedelta(weeks=4)


class BadEndpoint(Exception):
    """What a browser gave is no address of a push service that would be called."""


def add(account: Account, endpoint: str, session: OAuthSession) -> PushSubscription:
    """Remembers a browser's address, and by which sign-in it is there, in place of the one that was there by
    it before. May be called again with the same. Raises BadEndpoint."""
    if len(endpoint) > MAX_ENDPOINT or not endpoint.isascii() or not is_web_address(endpoint):
        raise BadEndpoint
    row, _created = PushSubscription.objects.update_or_create(
        account=account, endpoint=endpoint, defaults={"failures": 0, "session": session}
    )
    account.push_subscriptions.filter(session=session).exclude(pk=row.pk).delete()
    kept = account.push_subscriptions.order_by("-created_at", "-pk").values_list("pk", flat=True)[:AT_MOST]
    account.push_subscriptions.exclude(pk__in=[*kept, row.pk]).delete()
    return row


def confirm(account: Account, endpoint: str, session: OAuthSession) -> None:
    """The browser with this address, if it is remembered, is there by this sign-in now."""
    account.push_subscriptions.filter(endpoint=endpoint).exclude(session=session).update(session=session)


def is_chosen(account: Account, session: OAuthSession) -> bool:
    """Whether the browser of this sign-in is to be woken, be it by an address that is none any more."""
    return account.push_subscriptions.filter(session=session).exists()


def known(account: Account) -> QuerySet[PushSubscription]:
    """The account's browsers whose addresses are not given up."""
    return account.push_subscriptions.filter(failures__lt=GIVE_UP_AFTER)


def signed_in(account_pk: int) -> QuerySet[PushSubscription]:
    """The account's browsers that may be woken: of the others it is not known whose they are by now."""
    alive = browsers.alive(OAuthSession.objects.filter(account=account_pk))
    rows = PushSubscription.objects.filter(account=account_pk, failures__lt=GIVE_UP_AFTER)
    return rows.filter(session__in=alive)


def remove(account: Account, endpoint: str, session: OAuthSession) -> None:
    """Forgets one browser, by its address and by its sign-in."""
    account.push_subscriptions.filter(Q(endpoint=endpoint) | Q(session=session)).delete()


def remove_all(account: Account) -> None:
    """Forgets all browsers of an account."""
    account.push_subscriptions.all().delete()


def prune(now: datetime) -> int:
    """Forgets browsers in which nobody was signed in for long, and notes of the others since when nobody is;
    how many were forgotten."""
    alive = browsers.alive(OAuthSession.objects.all()).values("pk")
    PushSubscription.objects.filter(session__in=alive, signed_out_since__isnull=False).update(
        signed_out_since=None
    )
    signed_out = PushSubscription.objects.exclude(session__in=alive)
    signed_out.filter(signed_out_since__isnull=True).update(signed_out_since=now)
    forgotten, _each = signed_out.filter(signed_out_since__lt=now - KEPT_SIGNED_OUT).delete()
    return forgotten


def on_signed_out(*, session: OAuthSession, **_: object) -> None:
    """A browser that is signed out is woken no more."""
    PushSubscription.objects.filter(session=session).delete()


def on_signed_out_everywhere(*, account: Account, **_: object) -> None:
    """Nor is any."""
    remove_all(account)


def on_signed_in_again(*, former: OAuthSession, session: OAuthSession, **_: object) -> None:
    """Who signs in to the same account again keeps what they chose in this browser."""
    rows = PushSubscription.objects.filter(session=former)
    rows.filter(account=session.account_id).update(session=session)
    PushSubscription.objects.filter(session=former).delete()
