"""Files: taken in before their message is sent, given to the people who read it, and to anybody encrypted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail.blobs import attaching, store
from webmail.blobs.attaching import CannotAttach
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.fetching import download
from webmail.blobs.names import OTHER_TYPE, safe_name
from webmail.blobs.spool import CHUNK_BYTES
from webmail.images import showing as images
from webmail.images.preparing import Prepared
from webmail.only_to_save import ONLY_TO_SAVE
from webmail.uploads import attach_prepared, kept_note
from webmail.views.page_request import PageRequest
from webmail.views.signed_out import told_to_script

#: Opened in a tab of its own it is shown by the browser's own page, whose styles fit it to the window.
_PICTURE_ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@require_POST
@signed_in(when_signed_out=told_to_script)
def upload(request: PageRequest) -> HttpResponse:
    """The body is the file, `X-File-Name` its name in percent-encoded UTF-8, `X-File-Type` its type.

    Answers `{id, name, size, note}`, or `{error}` with a sentence.
    """
    size = request.headers.get("Content-Length", "")
    if not size.isdecimal() or request.content_type != OTHER_TYPE:
        return JsonResponse({"error": _("This page is too old. Reload it and try again.")}, status=400)
    name = safe_name(unquote(request.headers.get("X-File-Name", "")))
    try:
        blob, file, name = attach_prepared(
            request.account,
            name,
            request.headers.get("X-File-Type", ""),
            int(size),
            iter(lambda: request.read(CHUNK_BYTES), b""),
        )
    except CannotAttach as error:
        status = 503 if error.code in ("agent-unavailable", "agent-sealed", "busy", "locked") else 422
        return JsonResponse({"error": error.sentence, "code": error.code}, status=status)
    told = {"id": blob.pk, "name": name, "size": filesizeformat(file.size), "note": _note(file)}
    return JsonResponse(told)


def _note(file: Prepared) -> str:
    """What the sender is told of what the file says of itself."""
    if file.cleaned:
        return _("place and camera data removed")
    return kept_note(file.keeps)


@require_POST
@signed_in
def remove(request: PageRequest, blob_pk: int) -> HttpResponse:
    """Take a file away again that is in no message yet."""
    attaching.detach(request.account, blob_pk)
    return HttpResponse(status=204)


@require_safe
@signed_in(when_signed_out=told_to_script)
def file(request: PageRequest, message_id: str, part: int) -> HttpResponseBase:
    """A file of a message, once all of it was checked; as JSON for script, what went wrong else as a page."""
    try:
        found, plaintext = download(request.account, message_id, part, now=timezone.now())
    except CannotFetch as error:
        if request.headers.get("Accept") == "application/json":
            answer: HttpResponse = JsonResponse({"error": error.sentence, "code": error.code})
        else:
            back = "" if error.code == "no-such-file" else message_id
            context = {"sentence": error.sentence, "message_id": back}
            answer = render(request, "webmail/file_error.html", context)
        answer.status_code = error.status
        # Browsers would keep some of these, and show the one in place of the other.
        answer.headers["Cache-Control"] = "no-store"
        return answer
    return _answer(request, found.name or "file", plaintext.size, plaintext.read, plaintext.close)


@require_safe
@signed_in
def image(request: PageRequest, message_id: str, part: int) -> HttpResponseBase:
    """An image of a message, for an ``<img>``: only what was decoded, as what it was decoded as."""
    try:
        found, plaintext = images.shown(request.account, message_id, part, now=timezone.now())
    except CannotFetch as error:
        headers = {"Cache-Control": "no-store"}
        return HttpResponse(status=error.status, content_type="text/plain", headers=headers)
    return _answer(request, "", plaintext.size, plaintext.read, plaintext.close, media_type=found.media_type)


@csrf_exempt
@require_safe
def blob(request: HttpRequest, content_hash: str, secret: str) -> HttpResponseBase:
    """The encrypted bytes of a file, for whoever knows its address. Nobody is asked who they are."""
    try:
        found, size = store.open_file(content_hash, secret, timezone.now())
    except store.NotThere:
        return HttpResponse(
            _("There is no such file.") + "\n", status=404, content_type="text/plain; charset=utf-8"
        )
    answer = _answer(request, content_hash, size, found.read, found.close)
    # Other people's clients run in pages of other origins, and the bytes tell nothing without the key.
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer


def _answer(
    request: HttpRequest,
    name: str,
    size: int,
    read: Callable[[int], bytes],
    close: Callable[[], None],
    *,
    media_type: str = OTHER_TYPE,
) -> HttpResponseBase:
    headers = {
        **ONLY_TO_SAVE,
        "Content-Length": str(size),
        "Content-Disposition": (content_disposition_header(True, name) or "attachment") if name else "inline",
    }
    if media_type != OTHER_TYPE:
        headers["Content-Security-Policy"] = _PICTURE_ALONE
    if request.method == "HEAD":
        close()
        return HttpResponse(content_type=media_type, headers=headers)
    return StreamingHttpResponse(_Reading(read, close), content_type=media_type, headers=headers)


class _Reading:
    """Chunks for Django's streaming, which closes this when the reader has them or went away."""

    def __init__(self, read: Callable[[int], bytes], close: Callable[[], None]) -> None:
        self._read = read
        self.close = close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await asyncio.to_thread(self._read, CHUNK_BYTES):
            yield chunk
