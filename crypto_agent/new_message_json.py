"""Messages that are to be composed, as the JSON of ``compose`` and back."""

from collections.abc import Mapping
from typing import Any

from crypto_agent.client_json import attachment_json, sealed_content_json, sealed_content_value, time_value
from crypto_agent.client_values import Attachment
from crypto_agent.message_json import (
    expires_json,
    expires_value,
    facet_json,
    facet_value,
    receipt_json,
    receipt_value,
)
from crypto_agent.new_message import CarriedFile, NewGroupUpdate, NewMessage, NewPreview

Json = dict[str, Any]
Fields = Mapping[str, Any]


def new_message_json(message: NewMessage) -> Json:
    """The fields of ``compose`` for the message; those that say nothing are left out."""
    preview, update = message.preview, message.group_update
    fields: Json = {
        "text": message.text or None,
        "facets": [facet_json(facet) for facet in message.facets] or None,
        "attachments": [attachment_json(one) for one in message.attachments] or None,
        "carried": [_carried_json(one) for one in message.carried] or None,
        "preview": _described_json(preview, "image", preview.image, {"url": preview.url})
        if preview
        else None,
        "reaction": message.reaction,
        "receipt": receipt_json(message.receipt) if message.receipt else None,
        "groupUpdate": _described_json(update, "avatar", update.avatar, {}) if update else None,
        "copiesWanted": list(message.copies_wanted) or None,
        "takesBack": True if message.takes_back else None,
        "replaces": message.replaces,
        "inReplyTo": message.in_reply_to,
        "topicId": message.topic_id,
        "expires": expires_json(message.expires) if message.expires else None,
        "fallback": message.fallback or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def new_message_value(fields: Fields) -> NewMessage:
    """The message that the checked fields of a call describe; bytes in them are ``bytes``."""
    return NewMessage(
        text=fields.get("text", ""),
        facets=tuple(facet_value(facet) for facet in fields.get("facets", ())),
        attachments=tuple(_attachment(one) for one in fields.get("attachments", ())),
        carried=tuple(_carried(one) for one in fields.get("carried", ())),
        preview=_preview(fields["preview"]) if "preview" in fields else None,
        reaction=fields.get("reaction"),
        receipt=receipt_value(fields["receipt"]) if "receipt" in fields else None,
        group_update=_group_update(fields["groupUpdate"]) if "groupUpdate" in fields else None,
        copies_wanted=tuple(fields.get("copiesWanted", ())),
        takes_back=fields.get("takesBack", False),
        replaces=fields.get("replaces"),
        in_reply_to=fields.get("inReplyTo"),
        topic_id=fields.get("topicId"),
        expires=expires_value(fields["expires"]) if "expires" in fields else None,
        fallback=fields.get("fallback", ""),
    )


def _described_json(
    part: NewPreview | NewGroupUpdate, file_name: str, file: Attachment | None, more: Json
) -> Json:
    words = {"title": part.title, "description": part.description}
    described = {**words, file_name: attachment_json(file) if file else None}
    return {**more, **{name: value for name, value in described.items() if value is not None}}


def _preview(fields: Fields) -> NewPreview:
    image = _attachment(fields["image"]) if "image" in fields else None
    return NewPreview(fields["url"], fields.get("title"), fields.get("description"), image)


def _group_update(fields: Fields) -> NewGroupUpdate:
    avatar = _attachment(fields["avatar"]) if "avatar" in fields else None
    return NewGroupUpdate(fields.get("title"), fields.get("description"), avatar)


def _attachment(fields: Fields) -> Attachment:
    return Attachment(fields["fileId"], fields["sealed"], fields["url"], time_value(fields["expiresAt"]))


def _carried_json(carried: CarriedFile) -> Json:
    return {"message": sealed_content_json(carried.message), "part": carried.part}


def _carried(fields: Fields) -> CarriedFile:
    return CarriedFile(sealed_content_value(fields["message"]), fields["part"])
