"""Nothing is sealed for other keys than those that were compared, whichever way a message came here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

from django.db import transaction

from accounts.models import Account
from webmail import comparisons, held_messages
from webmail.delivery_codes import KEYS_CHANGED
from webmail.models import Delivery, Message


def held_back(
    message: Message, queued: Sequence[Delivery], devices: Mapping[str, Collection[str]]
) -> set[int]:
    """Holds what may not be sealed yet; the keys of those among ``queued`` that stay where they are.

    ``devices``: the fingerprints by DID for which the message would be sealed. Of a message of which nothing
    is sealed, everything waits, or nothing; what was sealed before can't be called back.
    """
    newest = comparisons.newest_of(message.account, devices)
    changed = {did for did, found in devices.items() if comparisons.is_held(newest.get(did), found)}
    unsealed = message.state == Message.State.COMPOSED
    if not changed and not (unsealed and held_messages.is_held(message)):
        return set()
    if unsealed:
        held_messages.hold(message, changed)
        return {delivery.pk for delivery in queued}
    held_messages.hold_some(message, changed)
    return {delivery.pk for delivery in queued if delivery.recipient_did in changed}


def release_settled(*, limit: int = 500) -> None:
    """What waits for keys that are in order again goes on: another device may have come and gone.

    Of ``limit`` accounts, others each time: there may be more of which everything goes on waiting.
    """
    rows = Delivery.objects.filter(state=Delivery.State.HELD, failure_code=KEYS_CHANGED)
    accounts = Account.objects.filter(pk__in=rows.values("message__account_id")).order_by("?")
    rows = rows.filter(message__account__in=list(accounts.values_list("pk", flat=True)[:limit]))
    waiting = rows.order_by("message__account_id").values_list("message__account_id", "recipient_did")
    for account_pk, found in groupby(waiting.distinct(), key=lambda row: row[0]):
        account = Account.objects.get(pk=account_pk)
        states = comparisons.states_of(account, [did for _account, did in found])
        for did, state in states.items():
            if not state.standing.holds:
                with transaction.atomic():
                    held_messages.release(account, did)
