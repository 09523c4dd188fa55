"""An export as plain text, as a stream: a zip archive of all conversations, made while it is downloaded.

What is opened passes through this process on its way to the person's browser. What has to wait meanwhile (a
file until all of it is checked, a conversation's messages until its files are known) waits in a Spool, which
is encrypted on disk under a key in memory.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, ParamSpec, TypeVar
from urllib.parse import urlsplit

from django.utils import timezone, translation

import outbound
from accounts.models import Account
from crypto_agent.client import AgentClient, SealedContent
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.fetching import MessageFile, plaintext_of
from webmail.blobs.spool import Spool
from webmail.models import Conversation
from webmail.ordinary import reading
from webmail.people import people_of
from webmail.readable_export import json_form, mbox, ordinary_mail, words
from webmail.readable_export.names import file_name, place_name
from webmail.readable_export.reading import (
    Reader,
    batches,
    content_of,
    conversations_of,
    written_conversation,
    written_message,
)
from webmail.readable_export.values import WrittenConversation, WrittenMessage
from webmail.readable_export.zip_stream import ZipStream

Form = Literal["mbox", "json"]
Given = ParamSpec("Given")
Made = TypeVar("Made")

README = "README.txt"
INDEX = "export.json"
ORDINARY = "ordinary-mail.mbox"
ORDINARY_LEFT = "ordinary-mail-missing.txt"
#: How long one waits while other files are fetched.
PATIENCE_S = 60.0
#: After so many silent answers a server is not asked for another file.
MOST_SILENT = 2
#: A file may take as long as a slow line needs. What it takes beyond that is lost, and so is all that is
#: spent on one that does not come. When so much is lost with one server, or with all, no more is fetched
#: there: an export has to come to its end.
SLOW_BYTES_A_SECOND = 100_000
MOST_LOST_WITH_ONE_S = 300.0
MOST_LOST_S = 1800.0


@dataclass
class ReadableExport:
    """An export that the agent permitted. Every call of the agent brings the unlock session of ``agent``."""

    account: Account
    host: str
    agent: AgentClient
    permit: bytes
    form: Form
    with_files: bool
    language: str
    made_at: datetime
    clock: Callable[[], float] = time.monotonic
    #: How often each server did not answer, and the seconds lost with each.
    _silent: Counter[str] = field(default_factory=Counter)
    _lost_s: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the downloaded file is called."""
        return f"{self.account.handle}-{self.made_at:%Y-%m-%d}-{self.form}.zip"

    def chunks(self) -> Iterator[bytes]:
        """The octets of the archive. Raises AgentError or SpoolFull in the middle; it then does not open."""
        archive = ZipStream(self.made_at)
        reader = Reader(self.account, self.agent, self.permit)
        yield from archive.entry(README, [self._in_words(self._readme)])
        listed = []
        keys = list(conversations_of(self.account).values_list("pk", flat=True))
        for number, key in enumerate(keys, 1):
            row = conversations_of(self.account).filter(pk=key).first()
            if row is None:
                # Declined, blocked or erased meanwhile.
                continue
            conversation = self._in_words(written_conversation, reader, row)
            place = f"conversations/{place_name(number, conversation.title)}"
            if self.form == "mbox":
                yield from archive.entry(f"{place}.mbox", self._mails(reader, row, conversation))
            else:
                yield from self._json(archive, place, reader, row, conversation)
                listed.append({"id": conversation.id, "title": conversation.title, "path": place})
        if self.form == "json":
            person = people_of([self.account.did])[self.account.did]
            index = json_form.index_json(person, self.host, self.made_at, listed)
            yield from archive.entry(INDEX, [_encoded(index, indent=1) + b"\n"])
        yield from self._ordinary(archive)
        yield archive.end()

    def _ordinary(self, archive: ZipStream) -> Iterator[bytes]:
        """Ordinary mail, in the one format that it has, and a text that says what of it is missing."""
        if not reading.keys(self.account):
            return
        left = ordinary_mail.Left()
        yield from archive.entry(ORDINARY, ordinary_mail.mails(self.account, left))
        if left:
            yield from archive.entry(ORDINARY_LEFT, [self._in_words(words.ordinary_left, left).encode()])

    def _mails(self, reader: Reader, row: Conversation, conversation: WrittenConversation) -> Iterator[bytes]:
        for message, sealed in self._messages(reader, row):
            multipart = bool(message.files)
            yield mbox.head(conversation, message, multipart=multipart)
            text = self._in_words(words.mail_text, message)
            yield mbox.text_part(message, text, multipart=multipart)
            for file in message.files:
                found = self._file(row, file, sealed)
                if isinstance(found, Spool):
                    with found:
                        yield from mbox.file_part(
                            message, file.name or "file", file.media_type, found.chunks()
                        )
                else:
                    missing = self._in_words(words.missing, file.name, found)
                    yield mbox.text_part(message, missing, multipart=True)
            yield mbox.end(message, multipart=multipart)

    def _json(
        self,
        archive: ZipStream,
        place: str,
        reader: Reader,
        row: Conversation,
        conversation: WrittenConversation,
    ) -> Iterator[bytes]:
        """The files of a conversation, and then its messages, which say where each file is."""
        number = 0
        with Spool() as kept:
            head = _encoded(json_form.conversation_json(conversation))
            kept.write(head[:-1] + b', "messages": [')
            separator = b"\n"
            for message, sealed in self._messages(reader, row):
                files = []
                for file in message.files:
                    found = self._file(row, file, sealed)
                    if isinstance(found, Spool):
                        number += 1
                        path = f"{place}/{file_name(number, file.name or 'file')}"
                        with found:
                            size = found.size
                            yield from archive.entry(path, found.chunks())
                        files.append(json_form.file_json(file.name, file.media_type, size, path=path))
                    else:
                        files.append(
                            json_form.file_json(file.name, file.media_type, file.size, missing=found)
                        )
                kept.write(separator + _encoded(json_form.message_json(message, files)))
                separator = b",\n"
            kept.write(b"\n]}\n")
            yield from archive.entry(f"{place}/messages.json", kept.chunks())

    def _messages(self, reader: Reader, row: Conversation) -> Iterator[tuple[WrittenMessage, SealedContent]]:
        """The messages, each with what the agent finds its files in."""
        for batch in batches(reader, row):
            for each in batch.rows:
                message = self._in_words(written_message, batch, each, self.account.did)
                yield message, content_of(row.conversation_id, batch.related.newest(each))

    def _file(self, row: Conversation, file: MessageFile, sealed: SealedContent) -> Spool | str:
        """The plaintext of a file, or the code that says why it is missing."""
        if not self.with_files:
            return "left-out"
        if row.standing != Conversation.Standing.ACCEPTED:
            return "not-accepted"
        # What is no address at all is not fetched either, and says so below.
        elsewhere = not file.is_here and outbound.is_web_address(file.url)
        host = urlsplit(file.url).netloc if elsewhere else ""
        if host and self._silent[host] >= MOST_SILENT:
            return "server-silent"
        if host and self._lost_too_much(host):
            return "too-slow"

        def decrypt(size: int, chunks: Iterable[bytes], sink: Callable[[bytes], object]) -> object:
            return self.agent.decrypt_file_for_export(
                self.account.did, self.permit, sealed, file.part, size, chunks, sink
            )

        begun, due = self.clock(), 0.0
        try:
            found = plaintext_of(self.account, file, decrypt, now=timezone.now(), patience=PATIENCE_S)
            due = file.size / SLOW_BYTES_A_SECOND
            return found
        except CannotFetch as error:
            self._silent[host] += error.code == "server-silent"
            return error.code
        finally:
            if host:
                self._lost_s[host] = self._lost_s.get(host, 0.0) + max(0.0, self.clock() - begun - due)

    def _lost_too_much(self, host: str) -> bool:
        with_one = self._lost_s.get(host, 0.0)
        return with_one >= MOST_LOST_WITH_ONE_S or sum(self._lost_s.values()) >= MOST_LOST_S

    def _readme(self) -> bytes:
        person = people_of([self.account.did])[self.account.did]
        return words.readme(person, self.host, self.made_at, self.form).encode()

    def _in_words(self, made: Callable[Given, Made], *given: Given.args, **more: Given.kwargs) -> Made:
        """In the language of whoever asked, whatever else this thread says meanwhile."""
        with translation.override(self.language):
            return made(*given, **more)


def begin(
    account: Account,
    host: str,
    agent: AgentClient,
    form: Form,
    *,
    with_files: bool,
    language: str,
    now: datetime,
    assertion: dict[str, Any] | None = None,
) -> ReadableExport:
    """An export that the agent permits and has on record. ``assertion`` is the passkey's answer, where the
    account requires it. Raises AgentError: AgentLocked, AgentLimited, AgentRefused ``StepUpRequired``."""
    permit = agent.begin_readable_export(account.did, assertion=assertion)
    return ReadableExport(account, host, agent, permit, form, with_files, language, now)


def _encoded(value: json_form.Json, *, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=indent).encode()
