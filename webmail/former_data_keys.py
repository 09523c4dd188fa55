"""What rests here under former versions of data keys is encrypted under the newest one by the agent.

The agent keeps a former version for as long as something here needs it. So a round encrypts what there is
again, and one that finds nothing more says so to the agent, which then destroys what nothing needs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import BinaryField, Model, QuerySet
from django.db.models.functions import Substr

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import RestingItem
from webmail.blobs.attaching import file_id
from webmail.models import AccountImport, Blob, Draft, Message, PendingMessage

log = logging.getLogger(__name__)

#: One call to the agent.
BATCH = 100
#: So many calls before somebody else's work has its turn.
MOST_BATCHES = 20


class Place(NamedTuple):
    """How far a round has come: the holder that it looks at, and the last of its rows that it has seen."""

    holder: int
    row: int


BEGINNING = Place(0, 0)


@dataclass(frozen=True)
class _Holder:
    """A column of what the agent encrypted; the version of the data key has four octets from ``at`` on."""

    rows: Callable[[Account], QuerySet[Any]]
    column: str
    at: int
    #: The item for the agent of a row; None for what is not encrypted again, since it soon goes.
    item: Callable[[Any, bytes], RestingItem] | None

    def under_former(self, account: Account, newest: int) -> QuerySet[Any]:
        version = Substr(self.column, self.at, 4, output_field=BinaryField())
        rows: QuerySet[Any] = self.rows(account).annotate(key_version=version)
        former: QuerySet[Any] = rows.filter(key_version__gt=b"", key_version__lt=newest.to_bytes(4, "big"))
        return former.order_by("pk")


def _message(row: Message | PendingMessage, sealed: bytes) -> RestingItem:
    conversation = row.conversation.conversation_id
    return RestingItem("message", sealed, conversation_id=conversation, message_id=row.message_id)


def _draft(row: Draft | PendingMessage, sealed: bytes) -> RestingItem:
    return RestingItem("draft", sealed, draft_id=row.draft_id)


def _file(row: Blob, sealed: bytes) -> RestingItem:
    return RestingItem("file", sealed, file_id=file_id(row))


#: What moves on to another of them comes before it.
_HOLDERS = (
    _Holder(lambda account: Draft.objects.filter(account=account), "sealed", 2, _draft),
    _Holder(lambda account: Draft.objects.filter(account=account), "overtaken", 2, _draft),
    _Holder(lambda account: PendingMessage.objects.filter(account=account), "draft", 2, _draft),
    _Holder(
        lambda account: PendingMessage.objects.filter(account=account).select_related("conversation"),
        "sealed",
        3,
        _message,
    ),
    _Holder(
        lambda account: Message.objects.filter(account=account).select_related("conversation"),
        "sealed",
        3,
        _message,
    ),
    _Holder(lambda account: Blob.objects.filter(account=account), "sealed", 2, _file),
    _Holder(
        lambda account: AccountImport.objects.filter(account=account, state=AccountImport.State.RUNNING),
        "import_key",
        1,
        None,
    ),
)


def due() -> Iterator[tuple[int, int]]:
    """Keys of the accounts here that have former data keys, each with the number of its newest one.

    Raises crypto_agent.client.AgentError, perhaps after some.
    """
    cursor = None
    while True:
        page = agent().former_data_keys(cursor)
        newest = {account.did: account.newest for account in page.accounts}
        accounts = Account.objects.filter(did__in=newest).values_list("pk", "did")
        yield from [(pk, newest[did]) for pk, did in accounts]
        if page.cursor is None:
            return
        cursor = page.cursor


def let_go(account: Account, newest: int, place: Place = BEGINNING) -> Place | None:
    """Encrypts what is under versions before ``newest`` again; where to go on from, if there may be more.

    A round sees each row once, also those that can't be encrypted again and stay as they are. May run twice.
    Where one finds nothing, the agent is told to destroy what nothing needs. Raises
    crypto_agent.client.AgentError.
    """
    left, found = MOST_BATCHES, place != BEGINNING
    for number, holder in list(enumerate(_HOLDERS))[place.holder :]:
        last = place.row if number == place.holder else 0
        while batch := list(holder.under_former(account, newest).filter(pk__gt=last)[:BATCH]):
            found = True
            if holder.item is None:
                break
            if left == 0:
                return Place(number, last)
            _seal_again(account, holder, batch)
            left, last = left - 1, batch[-1].pk
    # A second look, since what is taken back moves the other way.
    if not found and not any(holder.under_former(account, newest).exists() for holder in _HOLDERS):
        agent().destroy_data_keys(account.did, newest)
    return None


def _seal_again(account: Account, holder: _Holder, rows: list[Any]) -> None:
    """The rows, but those that the agent can't encrypt again."""
    assert holder.item is not None
    former = [bytes(getattr(row, holder.column)) for row in rows]
    items = [holder.item(row, sealed) for row, sealed in zip(rows, former, strict=True)]
    refused = 0
    for row, before, sealed in zip(rows, former, agent().seal_again(account.did, items), strict=True):
        if sealed is None:
            refused += 1
            continue
        # Somebody may have written there meanwhile.
        model: type[Model] = type(row)
        model._default_manager.filter(pk=row.pk, **{holder.column: before}).update(**{holder.column: sealed})
    if refused:
        log.warning("%d things of account %s can't be encrypted again", refused, account.pk)
