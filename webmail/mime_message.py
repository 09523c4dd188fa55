"""The standard library's message for mail of strangers: none of its parameters can fail or take long.

Its parser asks each part for a boundary, and whoever reads a mail asks for names and charsets. As the
standard library answers, a mail can make it raise (RFC 2231 lets a value name any codec of Python's, and
numbers its pieces), and can have it look at a long field as often as the field has octets.
"""

from __future__ import annotations

from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any

from webmail.mail_charsets import decoded

#: Letters of a field that are looked at for parameters; a name of 255 letters, all encoded, has fewer.
MAX_PARAMETERS = 4096


class MimeMessage(Message):
    """A message, or a part of one."""

    _payload: Any

    def get_param(
        self, param: str, failobj: Any = None, header: str = "content-type", unquote: bool = True
    ) -> Any:
        """As the standard library's; ``failobj`` also where the parameters can't be read. The charset of a
        value with one is always UTF-8."""
        if len(str(self.get(header, ""))) > MAX_PARAMETERS:
            return failobj
        try:
            value = super().get_param(param, failobj, header, unquote)
        except (ValueError, TypeError):
            # Pieces whose numbers have too many digits, or only some of which have one (RFC 2231 §3).
            return failobj
        if not isinstance(value, tuple):
            return value
        charset, language, octets = value
        text = decoded(octets.encode("latin-1", "replace"), charset or "", MAX_PARAMETERS)
        return "utf-8", language, text.encode().decode("latin-1")

    def get_payload(self, i: int | None = None, decode: bool = False) -> Any:
        """As the standard library's, except for text: what can't be decoded is given as it is, and where
        nothing is to be decoded, octets above 127 are surrogates as the parser made them, which the standard
        library decodes by any codec that the mail names."""
        if i is None and not decode:
            return self._payload
        try:
            return super().get_payload(i, decode)  # type: ignore[call-overload]
        except ValueError:
            # Of uuencoded text, in some versions of Python (binascii.Error).
            return self._payload.encode("utf-8", "surrogateescape")


def parsed(raw: bytes, *, only_header: bool = False) -> MimeMessage:
    """The message in these octets. Whoever calls bounds how deep it may nest."""
    message = BytesParser(MimeMessage, policy=compat32).parsebytes(raw, headersonly=only_header)
    assert isinstance(message, MimeMessage)
    return message
