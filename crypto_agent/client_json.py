"""The agent's values as the JSON of its lexicons, and back; ``bytes`` may stand in it."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from crypto_agent.atsms import json_bytes
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.atsms.prekeys import Prekey
from crypto_agent.client_values import (
    ArchivedMessage,
    ArchiveItem,
    Attachment,
    Copy,
    Device,
    Grant,
    IndexItem,
    KeyStatus,
    KeyVersion,
    OpenedEnvelope,
    OpenedMessage,
    ReadMessage,
    RefusedTarget,
    SealedContent,
    SearchFilters,
    Target,
)
from crypto_agent.message_json import (
    expires_json,
    expires_value,
    facet_json,
    facet_value,
    group_update_json,
    group_update_value,
    preview_json,
    preview_value,
    receipt_json,
    receipt_value,
)

Json = dict[str, Any]

#: More than any value of the agent's answers has.
_MOST_BYTES = 1 << 20


def bytes_value(value: Any) -> bytes:
    """The bytes of ``{"$bytes": …}``, or bytes as they are; raises ValueError for anything else."""
    return value if isinstance(value, bytes) else json_bytes.from_json(value, _MOST_BYTES)


def time_json(value: datetime) -> str:
    """An aware datetime as ISO 8601 in UTC with milliseconds; raises ValueError for a naive one."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone")
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_value(value: str) -> datetime:
    """An ISO 8601 text with its zone as an aware datetime in UTC; raises ValueError otherwise."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC)


def plain_value(value: Any) -> Any:
    """JSON with every bytes value in it replaced by ``bytes``; what only looks like one stays."""
    if isinstance(value, dict):
        if "$bytes" in value:
            with suppress(ValueError):
                return bytes_value(value)
        return {name: plain_value(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain_value(member) for member in value]
    return value


def prekey_json(prekey: Prekey) -> Json:
    return {
        "signedPrekey": prekey.signed_prekey,
        "signingPk": prekey.signing_pk,
        "createdAt": prekey.created_at,
        "expiresAt": prekey.expires_at,
        "bundleSig": prekey.bundle_sig,
    }


def prekey_value(json: Json) -> Prekey:
    return Prekey(
        signed_prekey=bytes_value(json["signedPrekey"]),
        signing_pk=bytes_value(json["signingPk"]),
        created_at=json["createdAt"],
        expires_at=json["expiresAt"],
        bundle_sig=bytes_value(json["bundleSig"]),
    )


def device_json(device: Device) -> Json:
    return without_none(
        {
            "did": device.did,
            "fingerprint": device.fingerprint,
            "certificatePem": device.certificate_pem,
            "serialNumber": device.serial_hex,
            "createdAt": time_json(device.created_at),
            "validUntil": time_json(device.valid_until),
            "revokedAt": time_json(device.revoked_at) if device.revoked_at else None,
            "prekey": prekey_json(device.prekey) if device.prekey else None,
        }
    )


def device_value(json: Json) -> Device:
    return Device(
        did=json["did"],
        fingerprint=json["fingerprint"],
        certificate_pem=json["certificatePem"],
        serial_hex=json["serialNumber"],
        created_at=time_value(json["createdAt"]),
        valid_until=time_value(json["validUntil"]),
        revoked_at=time_value(json["revokedAt"]) if "revokedAt" in json else None,
        prekey=prekey_value(json["prekey"]) if "prekey" in json else None,
    )


def sealed_content_json(content: SealedContent) -> Json:
    return {
        "conversationId": content.conversation_id,
        "messageId": content.message_id,
        "sealed": content.sealed,
    }


def sealed_content_value(json: Json) -> SealedContent:
    return SealedContent(json["conversationId"], json["messageId"], bytes_value(json["sealed"]))


def attachment_json(attachment: Attachment) -> Json:
    return {
        "fileId": attachment.file_id,
        "sealed": bytes_json(attachment.sealed),
        "url": attachment.url,
        "expiresAt": time_json(attachment.expires_at),
    }


def target_json(target: Target) -> Json:
    json: Json = {
        "did": target.did,
        "fingerprint": target.fingerprint,
        "certificatePem": target.certificate_pem,
    }
    if target.prekey is not None:
        json["prekey"] = prekey_json(target.prekey)
    return json


def copy_json(copy: Copy) -> Json:
    return without_none(
        {
            "did": copy.did,
            "fingerprint": copy.fingerprint,
            "form": copy.form,
            "envelopeId": copy.envelope_id,
            "envelope": copy.envelope,
            "prekeyError": copy.prekey_error,
        }
    )


def copy_value(json: Json) -> Copy:
    return Copy(
        did=json["did"],
        fingerprint=json["fingerprint"],
        form=json["form"],
        envelope_id=json["envelopeId"],
        envelope=bytes_value(json["envelope"]),
        prekey_error=json.get("prekeyError"),
    )


def refused_target_json(refused: RefusedTarget) -> Json:
    return {"did": refused.did, "fingerprint": refused.fingerprint, "code": refused.code}


def refused_target_value(json: Json) -> RefusedTarget:
    return RefusedTarget(did=json["did"], fingerprint=json["fingerprint"], code=json["code"])


def opened_message_json(message: OpenedMessage) -> Json:
    return without_none(
        {
            "conversationId": message.conversation_id,
            "messageId": message.message_id,
            "senderDid": message.sender_did,
            "senderFingerprint": message.sender_fingerprint,
            "senderCertificatePem": message.sender_certificate_pem,
            "createdAt": time_json(message.created_at),
            "recipients": message.recipients,
            "replaces": message.replaces,
            "inReplyTo": message.in_reply_to,
            "ephemeral": message.ephemeral,
            "renderKinds": message.render_kinds,
            "applyKinds": message.apply_kinds,
            "degraded": message.degraded,
            "tombstone": message.tombstone,
            "expires": expires_json(message.expires) if message.expires else None,
            "sealed": message.sealed,
            "topicId": message.topic_id,
            "mentionsAccount": message.mentions_account or None,
            "reactions": list(message.reactions) or None,
            "receipt": receipt_json(message.receipt) if message.receipt else None,
            "copiesWanted": list(message.copies_wanted) or None,
            "groupUpdate": group_update_json(message.group_update) if message.group_update else None,
        }
    )


def opened_message_value(json: Json) -> OpenedMessage:
    return OpenedMessage(
        conversation_id=json["conversationId"],
        message_id=json["messageId"],
        sender_did=json["senderDid"],
        sender_fingerprint=json["senderFingerprint"],
        sender_certificate_pem=json["senderCertificatePem"],
        created_at=time_value(json["createdAt"]),
        recipients=json["recipients"],
        replaces=json.get("replaces"),
        in_reply_to=json.get("inReplyTo"),
        ephemeral=json["ephemeral"],
        render_kinds=json["renderKinds"],
        apply_kinds=json["applyKinds"],
        degraded=json.get("degraded"),
        tombstone=json["tombstone"],
        expires=expires_value(json["expires"]) if "expires" in json else None,
        sealed=bytes_value(json["sealed"]),
        topic_id=json.get("topicId"),
        mentions_account=json.get("mentionsAccount", False),
        reactions=tuple(json.get("reactions", ())),
        receipt=receipt_value(json["receipt"]) if "receipt" in json else None,
        copies_wanted=tuple(json.get("copiesWanted", ())),
        group_update=group_update_value(json["groupUpdate"]) if "groupUpdate" in json else None,
    )


def opened_envelope_json(opened: OpenedEnvelope) -> Json:
    message = opened.message
    return without_none(
        {
            "envelopeId": opened.envelope_id,
            "message": opened_message_json(message) if message else None,
            "error": opened.error,
        }
    )


def opened_envelope_value(json: Json) -> OpenedEnvelope:
    message = json.get("message")
    return OpenedEnvelope(
        envelope_id=json["envelopeId"],
        message=opened_message_value(message) if message is not None else None,
        error=json.get("error"),
    )


def read_message_json(read: ReadMessage) -> Json:
    if read.error is not None:
        return {"messageId": read.message_id, "error": read.error}
    return without_none(
        {
            "messageId": read.message_id,
            "text": read.text,
            "facets": [facet_json(facet) for facet in read.facets],
            "parts": list(read.parts),
            "fallback": read.fallback,
            "degraded": read.degraded,
            "tombstone": read.tombstone,
            "reactions": list(read.reactions) or None,
            "receipt": receipt_json(read.receipt) if read.receipt else None,
            "groupUpdate": group_update_json(read.group_update) if read.group_update else None,
            "preview": preview_json(read.preview) if read.preview else None,
            "inReplyTo": read.in_reply_to,
            "topicId": read.topic_id,
            "expires": expires_json(read.expires) if read.expires else None,
            "copiesWanted": list(read.copies_wanted) or None,
        }
    )


def read_message_value(json: Json) -> ReadMessage:
    if "error" in json:
        return ReadMessage(json["messageId"], error=json["error"])
    return ReadMessage(
        message_id=json["messageId"],
        text=json.get("text"),
        facets=tuple(facet_value(facet) for facet in json["facets"]),
        parts=tuple(plain_value(part) for part in json["parts"]),
        fallback=json["fallback"],
        degraded=json.get("degraded"),
        tombstone=json["tombstone"],
        reactions=tuple(json.get("reactions", ())),
        receipt=receipt_value(json["receipt"]) if "receipt" in json else None,
        group_update=group_update_value(json["groupUpdate"]) if "groupUpdate" in json else None,
        preview=preview_value(json["preview"]) if "preview" in json else None,
        in_reply_to=json.get("inReplyTo"),
        topic_id=json.get("topicId"),
        expires=expires_value(json["expires"]) if "expires" in json else None,
        copies_wanted=tuple(json.get("copiesWanted", ())),
    )


def archive_item_json(item: ArchiveItem) -> Json:
    return without_none(
        {
            "conversationId": item.conversation_id,
            "messageId": item.message_id,
            "sealed": item.sealed,
            "receivedAt": time_json(item.received_at),
            "verifiedAt": time_json(item.verified_at) if item.verified_at else None,
            "direction": item.direction,
            "envelopeId": item.envelope_id,
            "deliveredTo": list(item.delivered_to),
        }
    )


def index_item_json(item: IndexItem) -> Json:
    return {
        **sealed_content_json(item.content),
        "senderDid": item.sender_did,
        "at": time_json(item.at),
    }


def index_item_value(fields: Mapping[str, Any]) -> IndexItem:
    content = SealedContent(fields["conversationId"], fields["messageId"], fields["sealed"])
    return IndexItem(content, fields["senderDid"], time_value(fields["at"]))


def search_filters_json(filters: SearchFilters) -> Json:
    return without_none(
        {
            "conversationIds": list(filters.conversation_ids) or None,
            "senderDids": list(filters.sender_dids) or None,
            "after": time_json(filters.after) if filters.after else None,
            "before": time_json(filters.before) if filters.before else None,
            "has": list(filters.has) or None,
        }
    )


def search_filters_value(fields: Mapping[str, Any]) -> SearchFilters:
    return SearchFilters(
        conversation_ids=tuple(fields.get("conversationIds", ())),
        sender_dids=tuple(fields.get("senderDids", ())),
        after=time_value(fields["after"]) if "after" in fields else None,
        before=time_value(fields["before"]) if "before" in fields else None,
        has=tuple(fields.get("has", ())),
    )


def archived_message_json(archived: ArchivedMessage) -> Json:
    if archived.message is None or archived.received_at is None:
        return {"error": archived.error}
    return without_none(
        {
            "message": opened_message_json(archived.message),
            "receivedAt": time_json(archived.received_at),
            "verifiedAt": time_json(archived.verified_at) if archived.verified_at else None,
            "direction": archived.direction,
            "envelopeId": archived.envelope_id,
            "deliveredTo": list(archived.delivered_to),
        }
    )


def archived_message_value(json: Json) -> ArchivedMessage:
    if "error" in json:
        return ArchivedMessage(error=json["error"])
    return ArchivedMessage(
        message=opened_message_value(json["message"]),
        received_at=time_value(json["receivedAt"]),
        verified_at=time_value(json["verifiedAt"]) if "verifiedAt" in json else None,
        direction=json["direction"],
        envelope_id=json.get("envelopeId"),
        delivered_to=tuple(json["deliveredTo"]),
    )


def grant_json(grant: Grant) -> Json:
    return without_none(
        {
            "grantId": grant.grant_id,
            "name": grant.name,
            "purposes": list(grant.purposes),
            "hourlyLimit": grant.hourly_limit,
            "uses": grant.uses,
            "createdAt": time_json(grant.created_at),
            "expiresAt": time_json(grant.expires_at),
            "lastUsedAt": time_json(grant.last_used_at) if grant.last_used_at else None,
            "revokedAt": time_json(grant.revoked_at) if grant.revoked_at else None,
            "attestationKeys": list(grant.attestation_keys),
        }
    )


def grant_value(json: Json) -> Grant:
    return Grant(
        grant_id=json["grantId"],
        name=json["name"],
        purposes=tuple(json["purposes"]),
        hourly_limit=json["hourlyLimit"],
        uses=json["uses"],
        created_at=time_value(json["createdAt"]),
        expires_at=time_value(json["expiresAt"]),
        last_used_at=time_value(json["lastUsedAt"]) if "lastUsedAt" in json else None,
        revoked_at=time_value(json["revokedAt"]) if "revokedAt" in json else None,
        attestation_keys=tuple(json["attestationKeys"]),
    )


def optional_time(json: Json, name: str) -> datetime | None:
    """The time of a field that may be left out."""
    return time_value(json[name]) if name in json else None


def without_none(json: Json) -> Json:
    """An object without the fields that have no value."""
    return {name: value for name, value in json.items() if value is not None}


def key_status_json(status: KeyStatus) -> Json:
    return {
        "versions": [
            {
                "version": each.version,
                "dataKeys": each.data_keys,
                "present": each.present,
                "newest": each.newest,
                **({"retiredAt": time_json(each.retired_at)} if each.retired_at else {}),
            }
            for each in status.versions
        ],
        "latePrekeys": status.late_prekeys,
        "lateFormerDataKeys": status.late_former_data_keys,
        **({"lateFilesSince": time_json(status.late_files_since)} if status.late_files_since else {}),
    }


def key_status_value(json: Json) -> KeyStatus:
    versions = [
        KeyVersion(
            each["version"],
            each["dataKeys"],
            each["present"],
            each["newest"],
            time_value(each["retiredAt"]) if "retiredAt" in each else None,
        )
        for each in json["versions"]
    ]
    return KeyStatus(
        versions,
        late_prekeys=json["latePrekeys"],
        late_former_data_keys=json["lateFormerDataKeys"],
        late_files_since=time_value(json["lateFilesSince"]) if "lateFilesSince" in json else None,
    )
