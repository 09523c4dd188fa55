"""The XRPC methods: from the checked fields of a call to its answer, one short function each."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from crypto_agent import (
    archiving,
    attesting,
    client_json,
    composing,
    devices,
    grants,
    opening,
    reading,
    sealing,
)
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.atsms.prekeys import Prekey
from crypto_agent.client_values import ArchiveItem, SealedContent, Target
from crypto_agent.custody import Random
from crypto_agent.errors import InvalidRequest
from crypto_agent.public_identity import service_reference

Fields = Mapping[str, Any]
Json = dict[str, Any]

_HEX = re.compile(r"([0-9a-f]{2})+")


@dataclass(frozen=True)
class Call:
    """One checked call: its fields by name with bytes as ``bytes``, its time and its randomness."""

    fields: Fields
    now: datetime
    random: Random


@dataclass(frozen=True)
class Answering:
    """How a method is answered: ``writes`` runs it and its audit entry in one transaction.

    ``counted`` names the field whose length the audit log gives as the number of things asked for.
    """

    answer: Callable[[Call], Json]
    writes: bool = False
    counted: str = ""

    def count(self, fields: Fields) -> int:
        return len(fields[self.counted]) if self.counted else 1


def create_device(call: Call) -> Json:
    fields = call.fields
    device = devices.create_device(
        fields["did"], fields["handle"], fields["mailDomain"], call.now, call.random
    )
    return {"device": client_json.device_json(device)}


def list_devices(call: Call) -> Json:
    found = devices.list_devices(call.fields["did"])
    return {"devices": [client_json.device_json(device) for device in found]}


def revoke_device(call: Call) -> Json:
    device = devices.revoke_device(call.fields["did"], call.fields["fingerprint"], call.now)
    return {"device": client_json.device_json(device)}


def rotate_prekey(call: Call) -> Json:
    fields = call.fields
    device = devices.rotate_prekey(
        fields["did"], fields["fingerprint"], call.now, call.random, force=fields.get("force", False)
    )
    return {"device": client_json.device_json(device)}


def compose(call: Call) -> Json:
    fields = call.fields
    composed = composing.compose(
        fields["did"],
        fields["recipients"],
        fields["text"],
        client_json.time_value(fields["createdAt"]),
        hex_value(fields["inReplyTo"], "inReplyTo") if "inReplyTo" in fields else None,
        call.random,
    )
    return {
        "conversationId": composed.conversation_id,
        "messageId": composed.message_id,
        "createdAt": client_json.time_json(composed.created_at),
        "sealed": bytes_json(composed.sealed),
    }


def seal(call: Call) -> Json:
    sealed = sealing.seal(
        call.fields["did"],
        _sealed_content(call.fields["message"]),
        [target_value(target) for target in call.fields["targets"]],
        call.now,
        call.random,
    )
    return {
        "sealed": bytes_json(sealed.sealed),
        "copies": [client_json.copy_json(copy) for copy in sealed.copies],
        "refused": [client_json.refused_target_json(refused) for refused in sealed.refused],
    }


def open_envelopes(call: Call) -> Json:
    opened = opening.open_envelopes(call.fields["did"], call.fields["envelopes"], call.now, call.random)
    return {"opened": [client_json.opened_envelope_json(item) for item in opened]}


def read(call: Call) -> Json:
    messages = reading.read(call.fields["did"], [_sealed_content(item) for item in call.fields["items"]])
    return {"messages": [client_json.read_message_json(message) for message in messages]}


def archive(call: Call) -> Json:
    items = [_archive_item(item, f"items[{index}]") for index, item in enumerate(call.fields["items"])]
    archived = archiving.archive(call.fields["did"], items)
    return {"archived": [bytes_json(item) for item in archived]}


def read_archive(call: Call) -> Json:
    messages = archiving.read_archive(call.fields["did"], call.fields["items"], call.random)
    return {"messages": [client_json.archived_message_json(message) for message in messages]}


def create_grant(call: Call) -> Json:
    fields = call.fields
    made = grants.create_grant(
        fields["did"],
        fields["name"],
        fields["purposes"],
        client_json.time_value(fields["expiresAt"]),
        fields["hourlyLimit"],
        call.now,
        call.random,
    )
    return {"grant": client_json.grant_json(made.grant), "token": made.token}


def list_grants(call: Call) -> Json:
    found = [client_json.grant_json(grant) for grant in grants.list_grants(call.fields["did"])]
    if not settings.PUBLIC_URL:
        return {"grants": found}
    return {"grants": found, "service": service_reference(settings.PUBLIC_DID)}


def revoke_grant(call: Call) -> Json:
    grant = grants.revoke_grant(call.fields["did"], call.fields["grantId"], call.now)
    return {"grant": client_json.grant_json(grant)}


def check_attestations(call: Call) -> Json:
    fields = call.fields
    held = attesting.check_attestations(
        fields["record"],
        fields["repository"],
        {trusted["name"]: trusted["didKey"] for trusted in fields["trustedKeys"]},
        {trusted["uri"]: trusted["value"] for trusted in fields["trustedProofs"]},
    )
    return {"attestations": [{"index": one.index, "by": one.by} for one in held]}


METHODS: Mapping[str, Answering] = {
    "createDevice": Answering(create_device, writes=True),
    "listDevices": Answering(list_devices),
    "revokeDevice": Answering(revoke_device, writes=True),
    "rotatePrekey": Answering(rotate_prekey, writes=True),
    "compose": Answering(compose),
    "seal": Answering(seal, counted="targets"),
    "open": Answering(open_envelopes, counted="envelopes"),
    "read": Answering(read, counted="items"),
    "archive": Answering(archive, counted="items"),
    "readArchive": Answering(read_archive, counted="items"),
    "createGrant": Answering(create_grant, writes=True),
    "listGrants": Answering(list_grants),
    "revokeGrant": Answering(revoke_grant, writes=True),
    "checkAttestations": Answering(check_attestations),
}


def _sealed_content(fields: Fields) -> SealedContent:
    return SealedContent(fields["conversationId"], fields["messageId"], fields["sealed"])


def target_value(fields: Fields) -> Target:
    prekey = fields.get("prekey")
    return Target(
        did=fields["did"],
        fingerprint=fields["fingerprint"],
        certificate_pem=fields["certificatePem"],
        prekey=Prekey(
            signed_prekey=prekey["signedPrekey"],
            signing_pk=prekey["signingPk"],
            created_at=prekey["createdAt"],
            expires_at=prekey["expiresAt"],
            bundle_sig=prekey["bundleSig"],
        )
        if prekey is not None
        else None,
    )


def _archive_item(fields: Fields, path: str) -> ArchiveItem:
    for name in ("conversationId", "messageId", "envelopeId"):
        if name in fields:
            hex_value(fields[name], f"{path}.{name}")
    return ArchiveItem(
        conversation_id=fields["conversationId"],
        message_id=fields["messageId"],
        sealed=fields["sealed"],
        received_at=client_json.time_value(fields["receivedAt"]),
        verified_at=client_json.time_value(fields["verifiedAt"]) if "verifiedAt" in fields else None,
        direction=fields["direction"],
        envelope_id=fields.get("envelopeId"),
        delivered_to=fields["deliveredTo"],
    )


def hex_value(text: str, path: str) -> bytes:
    if _HEX.fullmatch(text) is None:
        raise InvalidRequest(f"{path}: not lowercase hex")
    return bytes.fromhex(text)
