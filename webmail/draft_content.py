"""What is in a draft: what somebody has written, and everything that is chosen for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from webmail.previews.card import Card, card_of


@dataclass(frozen=True)
class DraftContent:
    """What is in a draft. `files`: keys of Blob rows, and names. `people`: DIDs, of a new conversation.
    `preview`: of a link in the text, or that there is to be none of it."""

    text: str = ""
    files: tuple[tuple[int, str], ...] = ()
    in_reply_to: str = ""
    people: tuple[str, ...] = ()
    #: The key of the topic that it is written in.
    topic: str = ""
    preview: Card | None = None
    #: What the group that `people` are is to be called.
    name: str = ""
    #: The id of the conversation that goes on with `people`, and what is said there of it.
    former: str = ""
    told: str = ""
    #: The names of the files of a message that is passed on.
    passed_on: tuple[str, ...] = ()
    #: Of an answer to a mail: whether all get it, and whether it quotes the mail.
    to_all: bool = False
    with_quote: bool = False

    def __bool__(self) -> bool:
        return bool(self.text.strip() or self.files or self.people)

    def encoded(self) -> bytes:
        """For the agent to seal."""
        fields = {
            "text": self.text,
            "files": self.files,
            "inReplyTo": self.in_reply_to,
            "people": self.people,
            "topic": self.topic,
            "preview": self.preview.fields if self.preview else None,
            "name": self.name,
            "former": self.former,
            "told": self.told,
            "passedOn": self.passed_on,
            "toAll": self.to_all,
            "withQuote": self.with_quote,
        }
        return json.dumps(fields, ensure_ascii=False).encode(errors="replace")


def decoded(data: bytes) -> DraftContent:
    """What ``DraftContent.encoded`` gave. Raises ValueError, KeyError or TypeError."""
    fields: Mapping[str, Any] = json.loads(data)
    return DraftContent(
        text=str(fields["text"]),
        files=tuple((int(pk), str(name)) for pk, name in fields["files"]),
        in_reply_to=str(fields["inReplyTo"]),
        people=tuple(str(did) for did in fields["people"]),
        topic=str(fields.get("topic", "")),
        preview=card_of(fields.get("preview")),
        name=str(fields.get("name", "")),
        former=str(fields.get("former", "")),
        told=str(fields.get("told", "")),
        passed_on=tuple(str(name) for name in fields.get("passedOn", ())),
        to_all=bool(fields.get("toAll")),
        with_quote=bool(fields.get("withQuote")),
    )


def content_of(data: bytes | None) -> DraftContent | None:
    """What is in an opened draft; None for what is none."""
    try:
        return None if data is None else decoded(data)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def words(content: DraftContent | None) -> str:
    if content is None:
        return ""
    return " ".join(content.text.split())[:140] or ", ".join(name for _pk, name in content.files)


def joined(before: DraftContent, after: DraftContent) -> DraftContent:
    """One draft of two: their texts under each other, and all files."""
    return replace(
        after,
        text="\n".join(filter(None, (before.text, after.text))),
        files=tuple(dict((*before.files, *after.files)).items()),
        in_reply_to=before.in_reply_to or after.in_reply_to,
        people=tuple(dict.fromkeys((*before.people, *after.people))),
        name=after.name or before.name,
        topic=before.topic or after.topic,
        preview=before.preview or after.preview,
    )
