"""Conversations as JSON: the objects of docs/readable-export.schema.json."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from webmail.people import Person
from webmail.readable_export.values import WrittenConversation, WrittenMessage

FORMAT = "waxwing-readable-export"
VERSION = 1

Json = dict[str, Any]


def conversation_json(conversation: WrittenConversation) -> Json:
    """What stands of a conversation before its messages."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "id": conversation.id,
        "title": conversation.title,
        "people": [_person(person) for person in conversation.people.values()],
        "startedBy": conversation.started_by or None,
        "accepted": conversation.accepted,
    }


def message_json(message: WrittenMessage, files: list[Json]) -> Json:
    """One message; ``files`` as ``file_json`` gives them."""
    known: Json = {
        "id": message.id,
        "from": message.by.did,
        "own": message.own,
        "createdAt": moment_json(message.created_at),
        "placedAt": moment_json(message.placed_at),
        "signatureChecked": message.checked,
        "state": message.state,
    }
    optional: Json = {
        "reason": message.reason,
        "inReplyTo": message.in_reply_to,
        "topic": message.topic,
        "editedAt": moment_json(message.edited_at) if message.edited_at else None,
        "event": message.event,
        "groupName": message.group_name,
        "text": message.text,
        "facets": [
            {"start": facet.start, "end": facet.end, "type": facet.type, "value": facet.value}
            for facet in message.facets
        ],
        "preview": _preview(message),
        "files": files,
        "reactions": [
            {"emoji": each.emoji, "from": each.by.did, "at": moment_json(each.at)}
            for each in message.reactions
        ],
        "deliveries": [
            {
                "to": way.to,
                "state": way.state,
                **({"openedAt": moment_json(way.opened_at)} if way.opened_at else {}),
                **({"readAt": moment_json(way.read_at)} if way.read_at else {}),
            }
            for way in message.ways
        ],
    }
    return known | {name: value for name, value in optional.items() if value not in ("", None, [])}


def file_json(name: str, media_type: str, size: int, *, path: str = "", missing: str = "") -> Json:
    """A file of a message: where it is in the archive, or the code that says why it is not."""
    place = {"path": path} if path else {"missing": missing}
    return {"name": name, "mediaType": media_type, "size": size, **place}


def index_json(person: Person, host: str, made_at: datetime, conversations: list[Json]) -> Json:
    """What the archive holds; it comes last in it."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "account": _person(person),
        "exportedFrom": host,
        "exportedAt": moment_json(made_at),
        "conversations": conversations,
    }


def moment_json(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _person(person: Person) -> Mapping[str, str | None]:
    known = person.handle if person.handle != person.did else None
    return {"did": person.did, "handle": known, "name": person.name}


def _preview(message: WrittenMessage) -> Json | None:
    if message.preview is None:
        return None
    preview = message.preview
    words = {"url": preview.url, "title": preview.title, "description": preview.description}
    return {name: value for name, value in words.items() if value}
