"""The XRPC methods: from the checked fields of a call to its answer, one short function each."""

from collections.abc import Mapping

from django.conf import settings

from crypto_agent import (
    archiving,
    attesting,
    client_json,
    composing,
    devices,
    drafts,
    files,
    grants,
    limits,
    message_json,
    new_message_json,
    opening,
    reading,
    sealing,
    searching,
    step_up,
    use_json,
    uses,
)
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.calls import Answering, Call, Fields, InTwoSteps, Json, number_cursor
from crypto_agent.client_values import ArchiveItem, Target
from crypto_agent.custody_methods import CUSTODY_METHODS
from crypto_agent.errors import InvalidRequest
from crypto_agent.framed import FramedAnswer
from crypto_agent.hex_fields import check_hex_fields, hex_value
from crypto_agent.key_status import key_status
from crypto_agent.leaving_methods import LEAVING_METHODS
from crypto_agent.new_message import NewMessage
from crypto_agent.passkey_challenges import PasskeyPurpose
from crypto_agent.public_identity import service_reference


def create_device(call: Call) -> Json:
    fields = call.fields
    device = devices.create_device(
        fields["did"],
        fields["handle"],
        fields["mailDomain"],
        call.now,
        call.random,
        assertion=fields.get("assertion"),
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


def renew_certificate(call: Call) -> Json:
    fields = call.fields
    device = devices.renew_certificate(
        fields["did"],
        fields["fingerprint"],
        fields["handle"],
        fields["mailDomain"],
        call.now,
        call.random,
    )
    return {"device": client_json.device_json(device)}


def compose(call: Call) -> Json:
    fields = call.fields
    draft = fields.get("draft")
    if draft is not None:
        hex_value(draft["draftId"], "draft.draftId")
    composed = composing.compose(
        fields["did"],
        fields["recipients"],
        new_message_json.new_message_value(fields),
        client_json.time_value(fields["createdAt"]),
        call.random,
    )
    answer: Json = {
        "conversationId": composed.conversation_id,
        "messageId": composed.message_id,
        "createdAt": client_json.time_json(composed.created_at),
        "sealed": bytes_json(composed.sealed),
        "inline": list(composed.inline),
    }
    if draft is not None:
        sealed = drafts.seal_draft(fields["did"], draft["draftId"], draft["draft"], call.random)
        answer["sealedDraft"] = bytes_json(sealed)
    return answer


def compose_receipt(call: Call) -> Json:
    fields = call.fields
    composed = composing.compose(
        fields["did"],
        fields["recipients"],
        NewMessage(receipt=message_json.receipt_value(fields["receipt"])),
        client_json.time_value(fields["createdAt"]),
        call.random,
    )
    return {
        "conversationId": composed.conversation_id,
        "messageId": composed.message_id,
        "createdAt": client_json.time_json(composed.created_at),
        "sealed": bytes_json(composed.sealed),
    }


def encrypt_file(call: Call) -> FramedAnswer:
    fields = call.fields
    assert call.body is not None
    if ("width" in fields) != ("height" in fields):
        raise InvalidRequest("width: not without height")
    return files.encrypt_file(
        fields["did"],
        fields["fileId"],
        fields["name"],
        fields["mediaType"],
        fields["size"],
        call.body,
        call.random,
        (fields["width"], fields["height"]) if "width" in fields else None,
    )


def decrypt_file(call: Call) -> FramedAnswer:
    fields = call.fields
    assert call.body is not None
    return files.decrypt_file(
        fields["did"], client_json.sealed_content_value(fields["message"]), fields["part"], call.body
    )


def seal_draft(call: Call) -> Json:
    fields = call.fields
    hex_value(fields["draftId"], "draftId")
    return {
        "sealed": bytes_json(
            drafts.seal_draft(fields["did"], fields["draftId"], fields["draft"], call.random)
        )
    }


def open_drafts(call: Call) -> Json:
    items = call.fields["items"]
    for index, item in enumerate(items):
        hex_value(item["draftId"], f"items[{index}].draftId")
    opened = drafts.open_drafts(call.fields["did"], [(item["draftId"], item["sealed"]) for item in items])
    return {"drafts": [{} if draft is None else {"draft": bytes_json(draft)} for draft in opened]}


def seal(call: Call) -> Json:
    sealed = sealing.seal(
        call.fields["did"],
        client_json.sealed_content_value(call.fields["message"]),
        [target_value(target) for target in call.fields["targets"]],
        call.now,
        call.random,
    )
    return {
        "sealed": sealed.sealed,
        "copies": [client_json.copy_json(copy) for copy in sealed.copies],
        "refused": [client_json.refused_target_json(refused) for refused in sealed.refused],
    }


def open_envelopes(call: Call) -> Json:
    opened = opening.open_envelopes(call.fields["did"], call.fields["envelopes"], call.now, call.random)
    return {"opened": [client_json.opened_envelope_json(item) for item in opened]}


def read(call: Call) -> Json:
    messages = reading.read(
        call.fields["did"], [client_json.sealed_content_value(item) for item in call.fields["items"]]
    )
    return {"messages": [client_json.read_message_json(message) for message in messages]}


def archive(call: Call) -> Json:
    items = [_archive_item(item, f"items[{index}]") for index, item in enumerate(call.fields["items"])]
    archived = archiving.archive(call.fields["did"], items, call.now, call.random)
    return {"archived": archived}


def read_archive(call: Call) -> Json:
    messages = archiving.read_archive(call.fields["did"], call.fields["items"], call.random)
    return {"messages": [client_json.archived_message_json(message) for message in messages]}


def index_messages(call: Call) -> Json:
    items = [client_json.index_item_value(item) for item in call.fields["items"]]
    for index, item in enumerate(items):
        hex_value(item.content.conversation_id, f"items[{index}].conversationId")
        hex_value(item.content.message_id, f"items[{index}].messageId")
    return {"unreadable": searching.index_messages(call.fields["did"], items, call.now, call.random)}


def forget_messages(call: Call) -> Json:
    ids = call.fields["messageIds"]
    return {"forgotten": searching.forget_messages(call.fields["did"], ids, call.now, call.random)}


def empty_index(call: Call) -> Json:
    return {"segments": searching.empty_index(call.fields["did"])}


def search(call: Call) -> Json:
    fields = call.fields
    if "conversationId" in fields:
        hex_value(fields["conversationId"], "conversationId")
    filters = client_json.search_filters_value(fields)
    results = searching.search(fields["did"], fields["query"], filters, fields["limit"], fields.get("cursor"))
    found = [{"conversationId": one.conversation_id, "messageId": one.message_id} for one in results.found]
    return {"found": found, **({"cursor": results.cursor} if results.cursor else {})}


def create_grant(call: Call) -> Json:
    fields = call.fields
    step_up.check(fields["did"], PasskeyPurpose.CREATE_GRANT, fields.get("assertion"), call.now)
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


def list_alarms(_call: Call) -> Json:
    return {"alarms": [use_json.alarm_json(alarm) for alarm in limits.newest_alarms()]}


def get_key_status(call: Call) -> Json:
    return client_json.key_status_json(key_status(call.now))


def list_uses(call: Call) -> Json:
    fields = call.fields
    page = uses.list_uses(
        fields["did"],
        show=fields.get("show", "all"),
        before=number_cursor(fields),
        limit=fields.get("limit", 40),
        time_zone=fields.get("timeZone", "UTC"),
    )
    alarms = limits.newest_alarms(fields["did"], since=call.now - limits.MONTH)
    return {
        "groups": [use_json.use_group_json(group) for group in page.groups],
        "alarms": [use_json.alarm_json(alarm) for alarm in alarms],
        **({} if page.cursor is None else {"cursor": page.cursor}),
    }


def list_use_entries(call: Call) -> Json:
    fields = call.fields
    found = uses.list_entries(
        fields["did"],
        caller=fields["caller"],
        purpose=fields["purpose"],
        outcome=fields["outcome"],
        oldest=fields["oldest"],
        newest=fields["newest"],
        limit=fields.get("limit", 100),
    )
    return {
        "uses": [
            {"sequence": use.sequence, "at": client_json.time_json(use.at), "count": use.count}
            for use in found.uses
        ],
        **({} if found.next_newest is None else {"nextNewest": found.next_newest}),
    }


METHODS: Mapping[str, Answering | InTwoSteps] = {
    "createDevice": Answering(create_device, writes=True),
    "listDevices": Answering(list_devices),
    "revokeDevice": Answering(revoke_device, writes=True),
    "rotatePrekey": Answering(rotate_prekey, writes=True),
    "renewCertificate": Answering(renew_certificate, writes=True),
    "compose": Answering(compose),
    "composeReceipt": Answering(compose_receipt),
    "encryptFile": Answering(encrypt_file),
    "decryptFile": Answering(decrypt_file),
    "sealDraft": Answering(seal_draft),
    "openDrafts": Answering(open_drafts, counted="items"),
    "seal": Answering(seal, counted="targets"),
    "open": Answering(open_envelopes, counted="envelopes"),
    "read": Answering(read, counted="items"),
    "archive": Answering(archive, counted="items"),
    "readArchive": Answering(read_archive, counted="items"),
    "indexMessages": Answering(index_messages, writes=True, counted="items"),
    "forgetMessages": Answering(forget_messages, writes=True, counted="messageIds"),
    "emptyIndex": Answering(empty_index, writes=True),
    "search": Answering(search),
    "createGrant": Answering(create_grant, writes=True),
    "listGrants": Answering(list_grants),
    "revokeGrant": Answering(revoke_grant, writes=True),
    "checkAttestations": Answering(check_attestations),
    "listAlarms": Answering(list_alarms),
    "getKeyStatus": Answering(get_key_status),
    "listUses": Answering(list_uses),
    "listUseEntries": Answering(list_use_entries),
    **CUSTODY_METHODS,
    **LEAVING_METHODS,
}


def target_value(fields: Fields) -> Target:
    """A device to seal for, of the fields of a call."""
    prekey = fields.get("prekey")
    return Target(
        did=fields["did"],
        fingerprint=fields["fingerprint"],
        certificate_pem=fields["certificatePem"],
        prekey=client_json.prekey_value(prekey) if prekey is not None else None,
    )


def _archive_item(fields: Fields, path: str) -> ArchiveItem:
    check_hex_fields(fields, ("conversationId", "messageId", "envelopeId"), path)
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
