"""The methods for apps that call through their user's PDS: what each does, and the purpose that it needs.

No field names an account: the caller is the user in whose name the PDS signed. Nothing takes bytes to sign or
decrypt: messages are composed here, envelopes opened as what they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crypto_agent import (
    app_messages,
    attesting,
    client_json,
    composing,
    custody_status,
    devices,
    opening,
    reading,
    sealing,
)
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.client_values import Composed, OpenedEnvelope, ReadMessage
from crypto_agent.custody import Random
from crypto_agent.errors import InvalidRequest
from crypto_agent.grants import GrantedPurpose
from crypto_agent.key_store import account_keys
from crypto_agent.methods import target_value
from crypto_agent.models import Grant
from crypto_agent.new_message import NewMessage

Json = dict[str, Any]


@dataclass(frozen=True)
class AppCall:
    """One checked and granted call: the user, the fields with bytes as ``bytes``, time and randomness."""

    did: str
    fields: Mapping[str, Any]
    grant: Grant
    now: datetime
    random: Random


@dataclass(frozen=True)
class AppMethod:
    """``counted`` names the field whose length is what the call counts for, against the grant's limit."""

    purpose: GrantedPurpose
    answer: Callable[[AppCall], Json]
    counted: str = ""

    def count(self, fields: Mapping[str, Any]) -> int:
        return max(1, len(fields[self.counted])) if self.counted else 1


def status(call: AppCall) -> Json:
    active = [device for device in devices.list_devices(call.did) if device.revoked_at is None]
    return {
        "did": call.did,
        "devices": [client_json.device_json(device) for device in active],
        "purposes": list(call.grant.purposes),
        "expiresAt": client_json.time_json(call.grant.expires_at),
        "locked": custody_status.is_locked(call.did),
        "attestationKeys": list(attesting.attestation_did_keys(call.did)),
    }


def sign(call: AppCall) -> Json:
    composed = _composed(call)
    return {**_ids(composed), "signedData": bytes_json(sealing.sign(call.did, composed.content))}


def seal(call: AppCall) -> Json:
    composed = _composed_or_again(call)
    targets = [target_value(target) for target in call.fields["targets"]]
    sealed = sealing.seal(call.did, composed.content, targets, call.now, call.random)
    return {
        **_ids(composed),
        "again": bytes_json(call.fields.get("again") or _for_again(call, composed)),
        "copies": [client_json.copy_json(copy) for copy in sealed.copies],
        "refused": [client_json.refused_target_json(refused) for refused in sealed.refused],
    }


def open_envelopes(call: AppCall) -> Json:
    opened = opening.open_envelopes(call.did, call.fields["envelopes"], call.now, call.random)
    messages = [item.message.content for item in opened if item.message is not None]
    contents = {content.message_id: content for content in reading.read(call.did, messages)}
    return {"opened": [_opened_json(item, contents) for item in opened]}


def attest(call: AppCall) -> Json:
    fields = call.fields
    record, metadata, repository = fields["record"], fields["metadata"], fields["repository"]
    if "proofKey" in fields:
        attested = attesting.attest_remotely(call.did, record, metadata, repository, fields["proofKey"])
        return {"record": attested.record, "proof": attested.proof, "proofUri": attested.proof_uri}
    curve = fields.get("curve", "P-256")
    attested = attesting.attest_inline(call.did, record, metadata, repository, curve)
    return {"record": attested.record, "key": attested.key}


APP_METHODS: Mapping[str, AppMethod] = {
    "app.status": AppMethod(GrantedPurpose.STATUS, status),
    "app.sign": AppMethod(GrantedPurpose.SIGN, sign),
    "app.attest": AppMethod(GrantedPurpose.ATTEST, attest),
    "app.seal": AppMethod(GrantedPurpose.SEAL, seal, counted="targets"),
    "app.open": AppMethod(GrantedPurpose.OPEN, open_envelopes, counted="envelopes"),
}


def _composed(call: AppCall) -> Composed:
    message = call.fields["message"]
    created_at = message.get("createdAt")
    return composing.compose(
        call.did,
        message["recipients"],
        NewMessage(message["text"], in_reply_to=message.get("inReplyTo")),
        client_json.time_value(created_at) if created_at is not None else call.now,
        call.random,
    )


def _composed_or_again(call: AppCall) -> Composed:
    fields = call.fields
    if ("message" in fields) == ("again" in fields):
        raise InvalidRequest("message: or again, one of both")
    if "message" in fields:
        return _composed(call)
    _, keys = account_keys(call.did)
    return app_messages.unseal_for_app(keys, call.grant.grant_id, fields["again"], call.now)


def _for_again(call: AppCall, composed: Composed) -> bytes:
    _, keys = account_keys(call.did)
    return app_messages.seal_for_app(keys, call.grant.grant_id, composed, call.now, call.random)


def _ids(composed: Composed) -> Json:
    return {
        "conversationId": composed.conversation_id,
        "messageId": composed.message_id,
        "createdAt": client_json.time_json(composed.created_at),
    }


def _opened_json(opened: OpenedEnvelope, contents: Mapping[str, ReadMessage]) -> Json:
    json = client_json.opened_envelope_json(opened)
    if opened.message is not None:
        # The form at rest is of use to this installation alone.
        del json["message"]["sealed"]
        json["content"] = client_json.read_message_json(contents[opened.message.message_id])
    return json
