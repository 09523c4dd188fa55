"""The agent as a service that others call: its did:web, and the DID document that says where it is."""

from typing import Any
from urllib.parse import quote, urlsplit

SERVICE_FRAGMENT = "#waxwing_agent"
SERVICE_TYPE = "WaxwingCryptoAgent"


def did_web_of(url: str) -> str:
    """The did:web of a web origin, its port percent-encoded; "" for no URL."""
    return f"did:web:{quote(urlsplit(url).netloc.lower(), safe='')}" if url else ""


def service_reference(did: str) -> str:
    """What apps put into ``atproto-proxy``, and into the audience of ``rpc:`` scopes."""
    return f"{did}{SERVICE_FRAGMENT}"


def did_document(did: str, url: str) -> dict[str, Any]:
    """The document for ``/.well-known/did.json`` of the agent at ``url``."""
    return {
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "service": [{"id": SERVICE_FRAGMENT, "type": SERVICE_TYPE, "serviceEndpoint": url}],
    }
