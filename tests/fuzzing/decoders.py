"""Which modules decode: found in the code, so that a new decoder without a target is noticed."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("accounts", "crypto_agent", "outbound", "webmail")
#: Calls that make something of bytes or text that may come from others.
CALLS = frozenset(
    {
        *("loads", "from_json", "extract_compact", "deserialize_compact", "from_dict"),
        *("a2b_base64", "b32decode", "b64decode", "urlsafe_b64decode", "decodestring", "fromhex"),
        *("load_der_x509_certificate", "load_pem_x509_certificate", "load_pem_private_key"),
        *("load_der_public_key", "load_pem_public_key", "load_der_private_key"),
        *("from_bytes", "from_encoded_point", "from_public_bytes", "unpack", "unpack_from", "iter_unpack"),
        *("message_from_bytes", "parsebytes", "parsedate_to_datetime", "getaddresses", "parseaddr"),
        *("decode_header", "getincrementaldecoder"),
        *("fromisoformat", "parse_datetime", "strptime", "urlsplit", "urlparse", "unquote", "parse_qs"),
    }
)
#: ``decode`` and ``json`` are many things; these are decoders of others' bytes.
DECODE_OF = frozenset({"cbor", "jwt", "msgpack"})
#: ``open`` as well: Pillow's.
OPEN_OF = frozenset({"Image"})
#: Modules that decode nothing of what others send, and why.
OWN = {
    "accounts.checks": "the operator's settings",
    "accounts.oauth_client": "the operator's settings",
    "accounts.sessions": "this installation's own sessions",
    "accounts.unlocking": "this installation's own sessions",
    "crypto_agent.client.errors": "answers of this installation's own agent",
    "crypto_agent.client.transport": "answers of this installation's own agent",
    "crypto_agent.attesting": "keys that the agent made",
    "crypto_agent.operator_keys.key_file": "the operator's own file",
    "crypto_agent.operator_keys.pkcs11_token": "the operator's settings and token",
    "crypto_agent.prepared_query": "times in rows of the agent's own database",
    "crypto_agent.public_identity": "the operator's settings",
    "crypto_agent.readable_export": "until when a permit is good: sealed by the agent alone, authenticated",
    "crypto_agent.search_segments": "what the agent alone seals, authenticated",
    "crypto_agent.settings": "the operator's settings",
    "crypto_agent.stored_segments": "times of segments: what the agent alone seals, authenticated",
    "crypto_agent.use_json": "answers of this installation's own agent",
    "crypto_agent.unsealing": "the kernel's answer, and the operator's own command",
    "crypto_agent.key_store": "keys that the agent made, decrypted and authenticated",
    "webmail.push.vapid": "the operator's key, and addresses that were held to their form when they came",
    "webmail.disclosed_files": "a key that this installation made and sealed, authenticated",
    "webmail.dns_check.installation": "the operator's settings",
    "webmail.dns_check.questions": "the operator's own command",
    "webmail.events": "what this installation's processes tell each other",
    "webmail.forwarded_notice": "what this installation signed",
    "webmail.ordinary.frame": "the operator's settings",
    "webmail.ordinary.unsent": "what this installation sealed, authenticated",
    "webmail.own_addresses": "the operator's settings",
    "webmail.readable_export.export": "addresses that outbound takes for those of the web",
    "webmail.reportable": "an address of a file, to name its host, which is none where it can't be read",
    "webmail.reporting": "what this installation sealed, authenticated",
    "webmail.ingress_server": "the operator's settings",
    "webmail.mailbox": "the operator's settings",
    "webmail.views.files": "a name in percent-encoding, which is read whatever it is",
    "webmail.settings": "the operator's settings",
}


def decoding_modules() -> set[str]:
    """The modules of the packages that call a decoder, by name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "migrations" not in path.parts and any(_decodes(path))
    }


def _decodes(path: Path) -> Iterator[bool]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield _is_decoder(node)


def _is_decoder(call: ast.Call) -> bool:
    called = call.func
    if isinstance(called, ast.Name):
        return called.id in CALLS
    if not isinstance(called, ast.Attribute):
        return False
    if called.attr == "decode":
        return isinstance(called.value, ast.Name) and called.value.id in DECODE_OF
    if called.attr == "open":
        return isinstance(called.value, ast.Name) and called.value.id in OPEN_OF
    if called.attr == "json":
        return not call.args and not call.keywords
    return called.attr in CALLS
