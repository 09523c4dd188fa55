"""Checks JSON against the Lexicon documents of this repository, and turns its bytes values into ``bytes``.

It knows the types that those documents use and refuses documents that use another. Stricter than
Lexicon asks: a field that the document does not name is refused too, since a misspelt optional field
would otherwise pass unseen.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NoReturn

from crypto_agent.atsms import json_bytes
from crypto_agent.atsms.errors import NotCanonical
from crypto_agent.atsms.ids import is_did
from crypto_agent.errors import InvalidRequest
from crypto_agent.framed_json import STREAM

Schema = Mapping[str, Any]
#: The checked value, with ``bytes`` in it; raises _Wrong.
Check = Callable[[Any], Any]

_HANDLE = re.compile(
    r"([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
)
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,20})?(Z|[+-]\d\d:\d\d)")
LONGEST_DID = 2048
#: For byte strings whose schema names no length.
_MOST_BYTES = 1 << 20
_LARGEST_INTEGER = 2**53 - 1
#: Schemas nest by name only, so this stops a document whose references form a circle.
_MAX_DEPTH = 16


@dataclass(frozen=True)
class Method:
    """One XRPC method: its input, or for a query its parameters, and its output."""

    nsid: str
    is_query: bool
    input: Schema
    output: Schema
    errors: frozenset[str]
    #: Whether a file follows the JSON, in the call and in the answer.
    carries_file: bool = False


class Lexicons:
    """The methods and definitions of a folder of Lexicon documents."""

    def __init__(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        self._definitions = {
            f"{nsid}#{name}": definition
            for nsid, document in documents.items()
            for name, definition in document["defs"].items()
        }
        self._checks: dict[int, tuple[Schema, Check]] = {}
        self.methods = {
            nsid: _method(nsid, document["defs"]["main"])
            for nsid, document in documents.items()
            if document["defs"].get("main", {}).get("type") in ("query", "procedure")
        }
        for name, definition in self._definitions.items():
            self._check_schema(definition, name)

    @classmethod
    def load(cls, folder: Path) -> "Lexicons":
        """Reads every ``*.json`` below ``folder``; raises ValueError for what is not spoken here."""
        documents = {}
        for path in sorted(folder.rglob("*.json")):
            document = json.loads(path.read_bytes())
            if document.get("lexicon") != 1 or document["id"] != ".".join(
                path.relative_to(folder).with_suffix("").parts
            ):
                raise ValueError(f"{path.name} is not the lexicon that its place says")
            documents[document["id"]] = document
        return cls(documents)

    def input(self, method: Method, value: Any) -> dict[str, Any]:
        """``value`` with ``bytes`` in it; raises InvalidRequest with the path of the first wrong field."""
        return self._checked(method.nsid, method.input, value)

    def output(self, method: Method, value: Any) -> dict[str, Any]:
        """The same for an answer."""
        return self._checked(method.nsid, method.output, value)

    def record(self, nsid: str, value: Any) -> dict[str, Any]:
        """The same for a record without its ``$type``."""
        return self._checked(nsid, self._definitions[f"{nsid}#main"]["record"], value)

    def _checked(self, nsid: str, schema: Schema, value: Any) -> dict[str, Any]:
        kept = self._checks.get(id(schema))
        if kept is None:
            # The schema is kept with its check, so that no other one can have its id.
            kept = self._checks[id(schema)] = (schema, self._check_of(schema, nsid, 0))
        try:
            checked: dict[str, Any] = kept[1](value)
        except _Wrong as wrong:
            raise InvalidRequest(wrong.text()) from None
        return checked

    def _check_of(self, schema: Schema, nsid: str, depth: int) -> Check:
        """A function that checks one value, made once for each place of a document."""
        kind = schema["type"]
        if depth > _MAX_DEPTH:
            return _too_deep
        if kind == "ref":
            name = _absolute(schema["ref"], nsid)
            return self._check_of(self._definitions[name], name.split("#")[0], depth + 1)
        if kind in ("object", "params"):
            members = {
                name: self._check_of(member, nsid, depth + 1) for name, member in schema["properties"].items()
            }
            return _object(members, tuple(schema.get("required", ())))
        if kind == "array":
            return partial(_array, schema, self._check_of(schema["items"], nsid, depth + 1))
        return _SCALARS[kind](schema)

    def _check_schema(self, schema: Schema, name: str) -> None:
        nsid = name.split("#")[0]
        kind = schema["type"]
        if kind in ("query", "procedure", "record"):
            for inner in (schema.get("record"), schema.get("parameters")):
                if inner is not None:
                    self._check_schema(inner, name)
            for body in (schema.get("input"), schema.get("output")):
                if body is not None:
                    self._check_schema(body["schema"], name)
        elif kind == "ref":
            if _absolute(schema["ref"], nsid) not in self._definitions:
                raise ValueError(f"{name} refers to {schema['ref']}, which is not there")
        elif kind in ("object", "params"):
            for field, member in schema["properties"].items():
                self._check_schema(member, f"{name}.{field}")
        elif kind == "array":
            self._check_schema(schema["items"], name)
        elif kind not in _SCALARS or schema.get("format", "did") not in _FORMATS:
            raise ValueError(f"{name} has a type or format that is not spoken here")


def _method(nsid: str, definition: Mapping[str, Any]) -> Method:
    is_query = definition["type"] == "query"
    nothing: Schema = {"type": "params", "properties": {}}
    return Method(
        nsid=nsid,
        is_query=is_query,
        input=definition.get("parameters", nothing) if is_query else definition["input"]["schema"],
        output=definition["output"]["schema"],
        errors=frozenset(error["name"] for error in definition.get("errors", ())),
        carries_file=definition.get("input", {}).get("encoding") == STREAM,
    )


def _absolute(reference: str, nsid: str) -> str:
    return f"{nsid}{reference}" if reference.startswith("#") else reference


def _printable(name: object) -> str:
    return str(name)[:40].encode("ascii", "backslashreplace").decode()


class _Wrong(Exception):
    """A value that its schema does not allow; the steps that lead to it are added on the way out."""

    def __init__(self, reason: str, *steps: str) -> None:
        self.reason = reason
        self.steps = list(steps)

    def text(self) -> str:
        path = "".join(reversed(self.steps)).removeprefix(".")
        return f"{path or 'the body'}: {self.reason}"


def _too_deep(_value: Any) -> NoReturn:
    raise _Wrong("nested too deep")


def _object(members: Mapping[str, Check], required: Sequence[str]) -> Check:
    needed = frozenset(required)

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _Wrong("not an object")
        if not needed <= value.keys():
            raise _Wrong("missing", f".{next(name for name in required if name not in value)}")
        if not value.keys() <= members.keys():
            name = next(name for name in value if name not in members)
            raise _Wrong("unknown field", f".{_printable(name)}")
        checked = {}
        name = ""
        try:
            for name, member in value.items():
                checked[name] = members[name](member)
        except _Wrong as wrong:
            wrong.steps.append(f".{name}")
            raise
        return checked

    return check


def _array(schema: Schema, check: Check, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Wrong("not an array")
    _check_length(schema.get("minLength", 0), schema.get("maxLength"), len(value), "items")
    checked = []
    for index, item in enumerate(value):
        try:
            checked.append(check(item))
        except _Wrong as wrong:
            wrong.steps.append(f"[{index}]")
            raise
    return checked


def _check_length(least: int, most: int | None, length: int, unit: str) -> None:
    if length < least:
        raise _Wrong(f"fewer than {least} {unit}")
    if most is not None and length > most:
        raise _Wrong(f"more than {most} {unit}")


def _string(schema: Schema) -> Check:
    least, most, choices = schema.get("minLength", 0), schema.get("maxLength"), schema.get("enum")
    kind = schema.get("format")
    has_format = _FORMATS[kind] if kind is not None else None

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise _Wrong("not a string")
        try:
            length = len(value) if value.isascii() else len(value.encode())
        except UnicodeEncodeError:
            raise _Wrong("not Unicode text") from None
        if length < least or (most is not None and length > most):
            _check_length(least, most, length, "bytes")
        if choices is not None and value not in choices:
            raise _Wrong(f"not one of {', '.join(choices)}")
        if has_format is not None and not has_format(value):
            raise _Wrong(f"not a {kind}")
        return value

    return check


def _integer(schema: Schema) -> Check:
    least, most = schema.get("minimum", -_LARGEST_INTEGER), schema.get("maximum", _LARGEST_INTEGER)

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _Wrong("not an integer")
        if not least <= value <= most:
            raise _Wrong("out of range")
        return value

    return check


def _boolean(_schema: Schema) -> Check:
    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise _Wrong("not true or false")
        return value

    return check


def _bytes(schema: Schema) -> Check:
    least, most = schema.get("minLength", 0), schema.get("maxLength", _MOST_BYTES)

    def check(value: Any) -> bytes:
        try:
            data = value if isinstance(value, bytes) else json_bytes.from_json(value, most)
        except NotCanonical as error:
            raise _Wrong(str(error)) from None
        if not least <= len(data) <= most:
            _check_length(least, most, len(data), "bytes")
        return data

    return check


def _unknown(_schema: Schema) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Wrong("not an object")
        return value

    return check


# Devices' prekeys bring the same times with every message.
@lru_cache(maxsize=1024)
def _is_datetime(value: str) -> bool:
    if _DATETIME.fullmatch(value) is None or len(value) > 64:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _is_did(value: str) -> bool:
    return len(value) <= LONGEST_DID and is_did(value)


def _is_handle(value: str) -> bool:
    return len(value) <= 253 and _HANDLE.fullmatch(value) is not None


def _is_uri(value: str) -> bool:
    return re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*:\S+", value) is not None


_SCALARS: Mapping[str, Callable[[Schema], Check]] = {
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "bytes": _bytes,
    "unknown": _unknown,
}
_FORMATS: Mapping[str, Callable[[str], bool]] = {
    "did": _is_did,
    "handle": _is_handle,
    "datetime": _is_datetime,
    "uri": _is_uri,
}
