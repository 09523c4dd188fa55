"""Drafts, and messages that wait for their time, as an account's export carries them: both as drafts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.agent import agent
from accounts.models import Account
from webmail import drafts, keeping_back
from webmail.draft_content import DraftContent, content_of
from webmail.draft_places import DraftPlace
from webmail.exported_values import conversation_id_in, fitting, participants_in, topic_in
from webmail.groups import LONGEST_NAME
from webmail.message_state import State
from webmail.models import Conversation, Draft, PendingMessage

KIND = "draft"
#: Drafts of new conversations that an account has after an import; the oldest beyond that stay out.
MOST_NEW = drafts.MOST_NEW + keeping_back.MOST_SCHEDULED

log = logging.getLogger(__name__)


def drafts_json(account: Account) -> Iterator[State]:
    """Those of conversations, without their files, which stay here. Raises AgentError."""
    rows = Draft.objects.filter(account=account, edits=None, answers=None).select_related("conversation")
    waiting = PendingMessage.objects.filter(account=account, goes_with=None).select_related("conversation")
    found = [(row.draft_id, bytes(row.sealed), row.conversation) for row in rows]
    found += [(row.draft_id, bytes(row.draft), row.conversation) for row in waiting]
    opened = agent().open_drafts(account.did, [(draft_id, sealed) for draft_id, sealed, _in in found])
    for (draft_id, _sealed, conversation), data in zip(found, opened, strict=True):
        content = content_of(data)
        if content is None or not content.text.strip():
            continue
        if content.name:
            # Only the page of a new conversation has a place for the name of the group.
            conversation = None
        people = [did for did in conversation.participants if did != account.did] if conversation else ()
        yield {
            "kind": KIND,
            "id": draft_id,
            "conversation": conversation.conversation_id if conversation else "",
            "text": content.text,
            "topic": content.topic,
            "people": list(people or content.people),
            "name": content.name,
        }


@dataclass(frozen=True)
class _Given:
    """A draft as an export has it; without a `conversation` it is of a new one."""

    draft_id: str
    conversation: str
    text: str
    topic: str
    people: tuple[str, ...]
    name: str


def rows_of(account: Account, found: Iterable[Mapping[str, Any]]) -> tuple[list[Draft], int]:
    """Rows, not stored yet, of drafts in their order; of conversations that have one already as new ones.
    With them how many are none, or too long, and so left out.

    None of what is here under the same id. Call outside of transactions, since the agent is asked for each.
    Raises AgentError.
    """
    given, unfit = fitting(found, _given_in)
    here = _ids_here(account, [each.draft_id for each in given])
    with_room = _without_draft(account, [each.conversation for each in given if each.conversation])
    room = MOST_NEW - DraftPlace().of_its_kind(account).count()
    now, rows, left_out = timezone.now(), list[Draft](), 0
    for position, each in enumerate(given):
        if each.draft_id in here:
            continue
        here.add(each.draft_id)
        conversation = with_room.pop(each.conversation, None)
        if conversation is None and room <= 0:
            left_out += 1
            continue
        encoded = _encoded(each, conversation)
        if len(encoded) > drafts.MOST_BYTES:
            unfit += 1
            continue
        room -= conversation is None
        # The first of them is the newest, as in the list that they came from.
        at = now - timedelta(microseconds=position)
        rows.append(
            Draft(
                account=account,
                conversation=conversation,
                draft_id=each.draft_id,
                sealed=agent().seal_draft(account.did, each.draft_id, encoded),
                created_at=at,
                updated_at=at,
            )
        )
    if left_out:
        log.warning("%d drafts of an import found no room beside %d others", left_out, MOST_NEW)
    return rows, unfit


def keep(rows: Sequence[Draft]) -> None:
    """Store them; where a page has kept a draft meanwhile, that one stays."""
    Draft.objects.bulk_create(rows, ignore_conflicts=True)


def _given_in(each: Mapping[str, Any]) -> _Given:
    """Raises KeyError or ValueError."""
    draft_id = str(each["id"])
    if not drafts.DRAFT_ID.fullmatch(draft_id):
        raise ValueError("no id of a draft")
    return _Given(
        draft_id,
        conversation_id_in(each["conversation"]) if each["conversation"] else "",
        str(each["text"]),
        topic_in(each.get("topic") or ""),
        participants_in(each["people"]),
        str(each.get("name") or "")[:LONGEST_NAME],
    )


def _encoded(each: _Given, conversation: Conversation | None) -> bytes:
    if conversation is None:
        return DraftContent(each.text, people=each.people, name=each.name).encoded()
    return DraftContent(each.text, topic=each.topic).encoded()


def _ids_here(account: Account, draft_ids: Sequence[str]) -> set[str]:
    """Those that the account has: as a draft, or as a message that would become one again."""
    return {
        draft_id
        for model in (Draft, PendingMessage)
        for draft_id in model.objects.filter(account=account, draft_id__in=draft_ids).values_list(
            "draft_id", flat=True
        )
    }


def _without_draft(account: Account, conversation_ids: Sequence[str]) -> dict[str, Conversation]:
    rows = Conversation.objects.filter(account=account, conversation_id__in=conversation_ids, draft=None)
    return {row.conversation_id: row for row in rows}
