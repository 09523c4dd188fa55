"""Drafts, and messages that wait for their time, as an account's export carries them: both as drafts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils import timezone

from accounts.agent import agent
from accounts.models import Account
from webmail import drafts, pending
from webmail.drafts import DraftContent
from webmail.exported_values import conversation_id_in, participants_in
from webmail.message_state import State
from webmail.models import Conversation, Draft, PendingMessage

KIND = "draft"
#: Drafts of new conversations that an account has after an import; the oldest beyond that stay out.
MOST_NEW = drafts.MOST_NEW + pending.MOST_SCHEDULED

log = logging.getLogger(__name__)


def drafts_json(account: Account) -> Iterator[State]:
    """All of them, without their files, which stay here. Raises AgentError."""
    rows = Draft.objects.filter(account=account).select_related("conversation")
    waiting = PendingMessage.objects.filter(account=account).select_related("conversation")
    found = [(row.draft_id, bytes(row.sealed), row.conversation) for row in rows]
    found += [(row.draft_id, bytes(row.draft), row.conversation) for row in waiting]
    opened = agent().open_drafts(account.did, [(draft_id, sealed) for draft_id, sealed, _in in found])
    for (draft_id, _sealed, conversation), data in zip(found, opened, strict=True):
        content = drafts.content_of(data)
        if content is None or not content.text.strip():
            continue
        people = [did for did in conversation.participants if did != account.did] if conversation else ()
        yield {
            "kind": KIND,
            "id": draft_id,
            "conversation": conversation.conversation_id if conversation else "",
            "text": content.text,
            "topic": content.topic,
            "people": list(people or content.people),
        }


def take_drafts(account: Account, found: Iterable[Mapping[str, Any]]) -> None:
    """Takes in drafts, those of conversations that have one already as new ones. May run twice.

    What is here under the same id stays as it is. Raises KeyError or ValueError for what are none, and
    AgentError.
    """
    now, left_out = timezone.now(), 0
    for each in found:
        draft_id, conversation, content = _draft_in(account, each)
        if _is_here(account, draft_id):
            continue
        if conversation is None and _new_ones(account) >= MOST_NEW:
            left_out += 1
            continue
        encoded = content.encoded()
        if len(encoded) > drafts.MOST_BYTES:
            raise ValueError("too long for a draft")
        sealed = agent().seal_draft(account.did, draft_id, encoded)
        Draft.objects.create(
            account=account,
            conversation=conversation,
            draft_id=draft_id,
            sealed=sealed,
            created_at=now,
            updated_at=now,
        )
    if left_out:
        log.warning("%d drafts of an import found no room beside %d others", left_out, MOST_NEW)


def _draft_in(account: Account, each: Mapping[str, Any]) -> tuple[str, Conversation | None, DraftContent]:
    """The id, the conversation that has room for it, and what it says. Raises KeyError or ValueError."""
    draft_id = str(each["id"])
    if not drafts.DRAFT_ID.fullmatch(draft_id):
        raise ValueError("no id of a draft")
    people = participants_in(each["people"])
    conversation = _with_room(account, each["conversation"])
    if conversation is None:
        return draft_id, None, DraftContent(str(each["text"]), people=people)
    return draft_id, conversation, DraftContent(str(each["text"]), topic=str(each.get("topic", ""))[:64])


def _with_room(account: Account, conversation_id: object) -> Conversation | None:
    """The conversation, where it is here and has no draft. Raises ValueError."""
    if not conversation_id:
        return None
    rows = Conversation.objects.filter(account=account, conversation_id=conversation_id_in(conversation_id))
    return rows.filter(draft=None).first()


def _is_here(account: Account, draft_id: str) -> bool:
    """Whether the account has it: as a draft, or as a message that would become one again."""
    return any(
        model.objects.filter(account=account, draft_id=draft_id).exists() for model in (Draft, PendingMessage)
    )


def _new_ones(account: Account) -> int:
    return Draft.objects.filter(account=account, conversation=None).count()
