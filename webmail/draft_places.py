"""Where drafts are written, and what a page that has one knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from accounts.models import Account
from webmail.models import Conversation, Draft, Message


@dataclass(frozen=True)
class DraftPlace:
    """Where something is written: in a conversation, over a message of one's own, as an answer to the mail
    with the key ``mail``, or else for a new conversation, whose draft ``draft_id`` names."""

    conversation: Conversation | None = None
    message: Message | None = None
    mail: int | None = None
    draft_id: str = ""

    @property
    def columns(self) -> dict[str, Any]:
        """What the row of a draft has of it."""
        return {"conversation": self.conversation, "edits": self.message, "answers_id": self.mail}

    @property
    def is_new(self) -> bool:
        """Whether it is for a new conversation."""
        return not any(self.columns.values())

    def rows(self, account: Account) -> QuerySet[Draft]:
        """The draft of the account there, if there is one."""
        rows = Draft.objects.filter(account=account, **self.columns)
        return rows.filter(draft_id=self.draft_id) if self.is_new else rows

    def of_its_kind(self, account: Account) -> QuerySet[Draft]:
        """The drafts of the account that are written in places of the same kind."""
        kinds = {f"{name}__isnull": value is None for name, value in self.columns.items()}
        return Draft.objects.filter(account=account, **kinds)


@dataclass(frozen=True)
class DraftOnPage:
    """A draft as a page has it: where it is written, the random name that the page gave itself, and the
    last revision that it has seen. `token` is the one by which the page sends it."""

    place: DraftPlace
    writer: str = ""
    revision: int = 0
    token: str = ""

    def has_seen(self, row: Draft) -> bool:
        """Whether the page knows what is in the row, or wrote it itself."""
        return row.revision == self.revision or bool(self.writer and row.writer == self.writer)
