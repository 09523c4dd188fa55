"""Reading DID documents: pure functions over the parsed JSON, whatever its origin.

The document of did:plc comes in two dialects: keys as "Multikey", or as
"EcdsaSecp256k1VerificationKey2019" and "EcdsaSecp256r1VerificationKey2019" with an uncompressed point.
Both are read. Service endpoints are returned as they are written, because an SMTP one is no http URL.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from accounts import handles

if TYPE_CHECKING:
    from atproto_core.did_doc import DidDocument

MAX_ENDPOINT_LENGTH = 512
#: A did:key of a kind that atproto uses has about 60.
MAX_KEY_LENGTH = 256
MAX_SERVICES = 50


class DocumentError(ValueError):
    """A DID document that cannot be used."""

    code = "did-document-broken"


def parse(raw: Any, did: str) -> "DidDocument":
    """A DID document as the atproto SDK's model.

    Raises DocumentError unless it is well-formed, of a bearable size, and about ``did``.
    """
    from atproto_core.did_doc import DidDocument
    from pydantic import ValidationError

    if not isinstance(raw, Mapping):
        raise DocumentError("the DID document is not an object")
    try:
        document = DidDocument.from_dict(dict(raw))
    except (ValidationError, TypeError) as error:
        raise DocumentError("the DID document is malformed") from error
    if document.id != did:
        raise DocumentError("the DID document is about another DID")
    if len(document.service or []) > MAX_SERVICES:
        raise DocumentError("the DID document has too many services")
    return document


def service_endpoint(raw: Mapping[str, Any], fragment: str, type_: str) -> str | None:
    """The endpoint of the service with this id ("#name") and type, of any scheme; None without one."""
    document = parse(raw, str(raw.get("id")))
    for service in document.service or []:
        endpoint = service.service_endpoint
        named = service.id in (fragment, f"{document.id}{fragment}")
        if (
            named
            and service.type == type_
            and isinstance(endpoint, str)
            and len(endpoint) <= MAX_ENDPOINT_LENGTH
            and endpoint.isprintable()
        ):
            return endpoint
    return None


def claimed_handles(raw: Mapping[str, Any], *, development: bool = False) -> list[str]:
    """The handles that the document claims, most important first; each is only a claim."""
    document = parse(raw, str(raw.get("id")))
    names = [name[5:].lower() for name in document.also_known_as or [] if name.startswith("at://")]
    return [name for name in names if handles.is_handle(name, development=development)]


def signing_key(raw: Mapping[str, Any]) -> str | None:
    """The repository's signing key as a did:key, from either dialect; None without one of a known kind.

    Raises DocumentError for one that is malformed, or longer than MAX_KEY_LENGTH.
    """
    from atproto_core.exceptions import AtProtocolError

    try:
        key: str | None = parse(raw, str(raw.get("id"))).get_did_key()
    except (AtProtocolError, ValueError) as error:
        raise DocumentError("the signing key in the DID document is malformed") from error
    if key is not None and (len(key) > MAX_KEY_LENGTH or not key.isprintable()):
        raise DocumentError("the signing key in the DID document is malformed")
    return key


def signing_key_as_written(raw: Mapping[str, Any]) -> str:
    """The signing key in the letters of the document, whether or not it is one, as ASCII with all else
    escaped; at most MAX_KEY_LENGTH of them are looked at. Empty without one."""
    key = parse(raw, str(raw.get("id"))).get_signing_key()
    return ascii(key.public_key_multibase[:MAX_KEY_LENGTH])[1:-1] if key else ""
