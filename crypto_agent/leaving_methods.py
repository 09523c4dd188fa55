"""The XRPC methods of coming and going: an account's export, to move or to read, its import, its end."""

from collections.abc import Callable, Mapping

from crypto_agent import client_json, erasing, exporting, importing, readable_export, step_up
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.calls import Answering, Call, InTwoSteps, Json
from crypto_agent.framed import FramedAnswer
from crypto_agent.passkey_challenges import PasskeyPurpose


def export_account(call: Call) -> Json:
    step_up.check(call.fields["did"], PasskeyPurpose.EXPORT, call.fields.get("assertion"), call.now)
    export = exporting.export_account(call.fields["did"], call.fields["passphrase"], call.now, call.random)
    return {"keys": bytes_json(export.keys), "exportKey": bytes_json(export.export_key)}


def begin_readable_export(call: Call) -> Json:
    step_up.check(call.fields["did"], PasskeyPurpose.EXPORT, call.fields.get("assertion"), call.now)
    return {"permit": bytes_json(readable_export.begin(call.fields["did"], call.now, call.random))}


def read_for_export(call: Call) -> Json:
    items = [client_json.sealed_content_value(item) for item in call.fields["items"]]
    messages = readable_export.read(call.fields["did"], call.fields["permit"], items, call.now)
    return {"messages": [client_json.read_message_json(message) for message in messages]}


def decrypt_file_for_export(call: Call) -> FramedAnswer:
    fields = call.fields
    assert call.body is not None
    message = client_json.sealed_content_value(fields["message"])
    return readable_export.decrypt_file(
        fields["did"], fields["permit"], message, fields["part"], call.body, call.now
    )


def seal_export_part(call: Call) -> Json:
    fields = call.fields
    part = exporting.seal_state(
        fields["did"], fields["exportKey"], fields["name"], fields["state"], call.random
    )
    return {"part": bytes_json(part)}


def open_export_part(call: Call) -> Json:
    fields = call.fields
    state = exporting.open_state(fields["did"], fields["importKey"], fields["name"], fields["part"])
    return {"state": bytes_json(state)}


def seal_unsent(call: Call) -> Json:
    items = [client_json.sealed_content_value(item) for item in call.fields["items"]]
    parts = exporting.seal_unsent(call.fields["did"], call.fields["exportKey"], items, call.random)
    return {"parts": [bytes_json(part) for part in parts]}


def open_unsent(call: Call) -> Json:
    fields = call.fields
    messages = exporting.open_unsent(fields["did"], fields["importKey"], fields["parts"], call.random)
    return {"messages": [client_json.sealed_content_json(message) for message in messages]}


def import_account(call: Call) -> Callable[[], Json]:
    fields = call.fields
    did = fields["did"]
    # What is taken in signs, opens and archives from then on, as a new device would.
    step_up.check(did, PasskeyPurpose.IMPORT, fields.get("assertion"), call.now)
    secrets = importing.open_export(did, fields["keys"], fields["passphrase"])

    def finish() -> Json:
        taken = importing.import_account(did, secrets, fields["revoked"], call.now, call.random)
        return {
            "importKey": bytes_json(taken.import_key),
            "devices": [client_json.device_json(device) for device in taken.devices],
        }

    return finish


def erase_account(call: Call) -> Json:
    step_up.check(call.fields["did"], PasskeyPurpose.ERASE, call.fields.get("assertion"), call.now)
    return {"erased": erasing.erase_account(call.fields["did"])}


LEAVING_METHODS: Mapping[str, Answering | InTwoSteps] = {
    "exportAccount": Answering(export_account, outcome="keys exported"),
    "beginReadableExport": Answering(begin_readable_export, outcome="plain text exported"),
    "readForExport": Answering(read_for_export, counted="items"),
    "decryptFileForExport": Answering(decrypt_file_for_export),
    "sealExportPart": Answering(seal_export_part),
    "openExportPart": Answering(open_export_part),
    "sealUnsent": Answering(seal_unsent, counted="items"),
    "openUnsent": Answering(open_unsent, counted="parts"),
    "importAccount": InTwoSteps(import_account, outcome="keys imported"),
    "eraseAccount": Answering(erase_account, writes=True, outcome="data key destroyed"),
}
