"""How much somebody may send in one request, and the files in a form."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from accounts.sessions import account_behind
from crypto_agent.atsms.external import TAG_BYTES
from webmail.blobs import attaching
from webmail.blobs.attaching import CannotAttach
from webmail.blobs.names import safe_name
from webmail.blobs.spool import CHUNK_BYTES, SpoolFull
from webmail.idle_connections import let_go_of_database
from webmail.images import decoding
from webmail.images.decoding import NotDecoded
from webmail.images.preparing import Keeps, Prepared, is_film, prepared
from webmail.models import Blob

#: Where files may come in.
_PATHS = re.compile(r"/files/|/new/|/c/[0-9a-f]{2,128}/send/")
#: Where the picture of a group comes in.
_PICTURE_PATHS = re.compile(r"/c/[0-9a-f]{2,128}/people/picture/")
#: Where an account's export comes in.
IMPORT_PATH = "/devices/import/"
#: For the form around a file.
_ROOM = 1024 * 1024


@dataclass(frozen=True)
class ChosenFile:
    """A file of a form as its page shows it again."""

    id: int
    name: str
    size: int

    @property
    def note(self) -> str:
        """What its sender is told of it; only its name is known by now."""
        return kept_note("film" if is_film(self.name) else "")


@dataclass
class Files:
    """The files of a form, and why one of them was not taken."""

    blobs: list[Blob] = field(default_factory=list)
    shown: list[ChosenFile] = field(default_factory=list)
    problem: CannotAttach | None = None

    def add(self, blob: Blob, *, name: str) -> None:
        self.blobs.append(blob)
        self.shown.append(ChosenFile(blob.pk, safe_name(name) or _("A file"), blob.size - TAG_BYTES))

    def checked(self) -> list[Blob]:
        """The files if all were taken. Raises CannotAttach."""
        if self.problem is not None:
            raise self.problem
        return self.blobs


def longest_at(path: str) -> int:
    """How long a body may be at a path where files come in, in octets; 0 at all others."""
    if path == IMPORT_PATH:
        return int(settings.IMPORT_MAX_BYTES)
    if _PICTURE_PATHS.fullmatch(path):
        return decoding.MOST_BYTES + _ROOM
    return int(settings.BLOB_MAX_BYTES) + _ROOM if _PATHS.fullmatch(path) else 0


def _signed_in(cookies: str) -> int | None:
    """The key of the account. Its thread keeps no connection: it could be lost until it is needed again."""
    try:
        return account_behind(cookies)
    finally:
        let_go_of_database()


def said_length(scope: Mapping[str, Any]) -> int:
    """How long a body says that it is, in octets; -1 where it does not, or not clearly.

    The server of the web process holds every sender to it.
    """
    said = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(said[0][:20]) if len(said) == 1 and said[0].isdigit() else -1


async def largest_body(scope: Mapping[str, Any], usual: int) -> tuple[int, int | None]:
    """How long a body may be where files come in, and which account sends it; 0 where nobody is signed in,
    and where the body says that it is no longer than `usual`, so that nobody need be looked up."""
    most = longest_at(scope["path"])
    if not most or scope["method"] != "POST":
        return 0, None
    if 0 <= said_length(scope) <= usual:
        return 0, None
    cookies = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    account_pk = await asyncio.to_thread(_signed_in, "; ".join(cookies))
    return (most, account_pk) if account_pk is not None else (0, None)


def needs_sign_in(scope: Mapping[str, Any], most: int) -> bool:
    """Whether a body that is longer than ``most`` may be sent by those who are signed in."""
    return scope["method"] == "POST" and most < said_length(scope) <= longest_at(scope["path"])


def attach_all(request: HttpRequest, account: Account) -> Files:
    """The files of a form: those chosen before, and those that came along, which are kept from now on.

    One that could not be taken is left out, and ``problem`` says why; the others are not lost by it.
    """
    pks = [int(pk) for pk in request.POST.getlist("file") if pk.isdecimal() and len(pk) < 19]
    files = Files()
    for pk in dict.fromkeys(pks):
        try:
            files.add(*attaching.chosen(account, [pk]), name=request.POST.get(f"name-{pk}", ""))
        except CannotAttach as error:
            files.problem = error
    for upload in request.FILES.getlist("files"):
        try:
            if len(files.blobs) >= attaching.MAX_FILES:
                raise attaching.too_many()
            blob, name = attach_upload(account, upload)
            files.add(blob, name=name)
        except CannotAttach as error:
            files.problem = error
    if len(files.blobs) > attaching.MAX_FILES:
        files.problem = attaching.too_many()
    return files


def files_of(account: Account, named: Iterable[tuple[int, str]]) -> list[ChosenFile]:
    """The files of a draft, by key and name, that are still there."""
    names = dict(named)
    found = Blob.objects.filter(account=account, pk__in=names, message_id="", removed_at=None)
    sizes = dict(found.exclude(content_hash="").values_list("pk", "size"))
    return [
        ChosenFile(pk, safe_name(name) or _("A file"), sizes[pk] - TAG_BYTES)
        for pk, name in names.items()
        if pk in sizes
    ]


def kept_note(keeps: Keeps) -> str:
    """What the sender of a file is told of what it still says of where it was taken."""
    if keeps == "film":
        return _("a video may say where it was taken, and that stays in it")
    return _("goes as it is, with any place in it") if keeps else ""


def attach_upload(account: Account, upload: UploadedFile[Any]) -> tuple[Blob, str]:
    """A file of a form, and what it is called now. Raises CannotAttach."""
    chunks = upload.chunks(CHUNK_BYTES)
    blob, _file, name = attach_prepared(
        account, upload.name or "", upload.content_type or "", upload.size or 0, chunks
    )
    return blob, name


def attach_prepared(
    account: Account, name: str, media_type: str, size: int, chunks: Iterable[bytes]
) -> tuple[Blob, Prepared, str]:
    """A file that somebody chose, an image without what its camera wrote into it; and what it is called now.

    Raises CannotAttach.
    """
    if size > settings.BLOB_MAX_BYTES:
        raise attaching.too_large(name)
    try:
        with prepared(media_type, size, chunks) as file:
            named = file.named(name)
            blob = attaching.attach(
                account,
                named,
                file.media_type,
                file.size,
                file.chunks,
                now=timezone.now(),
                pixels=file.pixels,
            )
    except (NotDecoded, SpoolFull) as error:
        sentence = _("This server is busy with other files. Try again in a moment.")
        raise CannotAttach("busy", sentence) from error
    return blob, file, named
