"""`POST /inbox/<did>`: an envelope arrives by HTTPS (protocol §7). Nobody is asked who they are."""

import base64
import binascii
import json
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import RawPostDataException
from django.views.decorators.csrf import csrf_exempt

from webmail.ingress import IngressRefusal, accept
from webmail.mailbox.envelope_mail import MAX_CMS

#: The largest body: the largest envelope in base64, and room for the JSON around it.
MAX_BODY = MAX_CMS * 4 // 3 + 8 * 1024

#: How each refusal of ingress.py is answered.
STATUS = {
    "unknown-recipient": 404,
    "too-large": 413,
    "not-an-envelope": 400,
    "over-quota": 429,
    "mailbox-full": 507,
    "mailbox-unavailable": 503,
}


@csrf_exempt
def inbox(request: HttpRequest, did: str) -> HttpResponse:
    """Store the envelope of a JSON body `{"envelope": base64}`. 200 only after it is durable.

    Answers 400, 404, 405, 413, 429, 503 and 507 with `{"error": code, "message": sentence}`.
    """
    if request.method != "POST":
        return _refusal("method-not-allowed", "post an envelope here", 405, {"Allow": "POST"})
    try:
        envelope = envelope_in_body(_body(request))
        accepted = accept(_canonical(did), envelope, now=datetime.now(UTC))
    except IngressRefusal as refusal:
        headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
        return _refusal(refusal.code, str(refusal), STATUS[refusal.code], headers)
    return JsonResponse({"envelopeId": accepted.envelope_id})


def envelope_in_body(body: bytes) -> bytes:
    """The decoded envelope of a JSON body; base64 as in RFC 4648 §4, with or without padding.
    Raises IngressRefusal."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise IngressRefusal("not-an-envelope", "the body is not JSON") from error
    text = document.get("envelope") if isinstance(document, dict) else None
    if not isinstance(text, str):
        raise IngressRefusal("not-an-envelope", 'the body has no text "envelope"')
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise IngressRefusal("not-an-envelope", "the envelope is not base64") from error


def _body(request: HttpRequest) -> bytes:
    size = request.headers.get("Content-Length", "")
    if size.isdecimal() and int(size) > MAX_BODY:
        raise IngressRefusal("too-large", f"a body has at most {MAX_BODY} octets")
    try:
        body: bytes = request.read(MAX_BODY + 1)
    except (OSError, RawPostDataException) as error:
        raise IngressRefusal("not-an-envelope", "the body can't be read") from error
    if len(body) > MAX_BODY:
        raise IngressRefusal("too-large", f"a body has at most {MAX_BODY} octets")
    return body


def _canonical(did: str) -> str:
    """did:web with a port, whose %3A the path's own decoding has turned into a colon."""
    method, _, rest = did.removeprefix("did:").partition(":")
    return f"did:web:{rest.replace(':', '%3A')}" if method == "web" else did


def _refusal(code: str, message: str, status: int, headers: dict[str, str]) -> HttpResponse:
    return JsonResponse({"error": code, "message": message}, status=status, headers=headers)
