"""What a message says, as the JSON of the lexicons and back."""

from collections.abc import Mapping
from typing import Any

from crypto_agent.message_values import Expires, Facet, GroupUpdate, LinkPreview, Receipt, RemoteFile

Json = dict[str, Any]


def facet_json(facet: Facet) -> Json:
    return {"start": facet.start, "end": facet.end, "type": facet.type, "value": facet.value}


def facet_value(json: Mapping[str, Any]) -> Facet:
    return Facet(json["start"], json["end"], json["type"], json["value"])


def expires_json(expires: Expires) -> Json:
    return {"relative": expires.relative, "time": expires.time}


def expires_value(json: Mapping[str, Any]) -> Expires:
    return Expires(json["relative"], json["time"])


def receipt_json(receipt: Receipt) -> Json:
    return {"status": receipt.status, "ids": list(receipt.ids)}


def receipt_value(json: Mapping[str, Any]) -> Receipt:
    return Receipt(json["status"], json["ids"])


def group_update_json(update: GroupUpdate) -> Json:
    words = {"title": update.title, "description": update.description}
    return _present({**words, "avatar": _optional_file_json(update.avatar)})


def group_update_value(json: Mapping[str, Any]) -> GroupUpdate:
    return GroupUpdate(json.get("title"), json.get("description"), _optional_file(json.get("avatar")))


def preview_json(preview: LinkPreview) -> Json:
    words = {"url": preview.url, "title": preview.title, "description": preview.description}
    return _present({**words, "image": _optional_file_json(preview.image)})


def preview_value(json: Mapping[str, Any]) -> LinkPreview:
    image = _optional_file(json.get("image"))
    return LinkPreview(json["url"], json.get("title"), json.get("description"), image)


def _optional_file_json(file: RemoteFile | None) -> Json | None:
    if file is None:
        return None
    return {
        "mediaType": file.media_type,
        "url": file.url,
        "size": file.size,
        "contentHash": file.content_hash,
    }


def _optional_file(json: Mapping[str, Any] | None) -> RemoteFile | None:
    if json is None:
        return None
    return RemoteFile(json["mediaType"], json["url"], json["size"], json["contentHash"])


def _present(json: Json) -> Json:
    return {name: value for name, value in json.items() if value is not None}
