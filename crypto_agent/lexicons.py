"""Checks JSON against the Lexicon documents of this repository, and turns its bytes values into ``bytes``.

It knows the types that those documents use and refuses documents that use another. Stricter than
Lexicon asks: a field that the document does not name is refused too, since a misspelt optional field
would otherwise pass unseen.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from crypto_agent.atsms import json_bytes
from crypto_agent.atsms.errors import NotCanonical
from crypto_agent.atsms.ids import is_did
from crypto_agent.errors import InvalidRequest

Schema = Mapping[str, Any]

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


class Lexicons:
    """The methods and definitions of a folder of Lexicon documents."""

    def __init__(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        self._definitions = {
            f"{nsid}#{name}": definition
            for nsid, document in documents.items()
            for name, definition in document["defs"].items()
        }
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
        checked: dict[str, Any] = self._value(method.input, value, "", method.nsid, 0)
        return checked

    def output(self, method: Method, value: Any) -> dict[str, Any]:
        """The same for an answer."""
        checked: dict[str, Any] = self._value(method.output, value, "", method.nsid, 0)
        return checked

    def record(self, nsid: str, value: Any) -> dict[str, Any]:
        """The same for a record without its ``$type``."""
        schema = self._definitions[f"{nsid}#main"]["record"]
        checked: dict[str, Any] = self._value(schema, value, "", nsid, 0)
        return checked

    def _value(self, schema: Schema, value: Any, path: str, nsid: str, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise InvalidRequest(f"{path}: nested too deep")
        kind = schema["type"]
        if kind == "ref":
            name = _absolute(schema["ref"], nsid)
            return self._value(self._definitions[name], value, path, name.split("#")[0], depth + 1)
        if kind in ("object", "params"):
            return self._object(schema, value, path, nsid, depth)
        if kind == "array":
            if not isinstance(value, list):
                raise InvalidRequest(f"{path}: not an array")
            _check_length(schema, len(value), path, "items")
            return [
                self._value(schema["items"], item, f"{path}[{index}]", nsid, depth + 1)
                for index, item in enumerate(value)
            ]
        return _SCALARS[kind](schema, value, path)

    def _object(self, schema: Schema, value: Any, path: str, nsid: str, depth: int) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InvalidRequest(f"{path or 'the body'}: not an object")
        properties = schema["properties"]
        for name in schema.get("required", ()):
            if name not in value:
                raise InvalidRequest(f"{_join(path, name)}: missing")
        for name in value:
            if name not in properties:
                raise InvalidRequest(f"{_join(path, _printable(name))}: unknown field")
        return {
            name: self._value(properties[name], member, _join(path, name), nsid, depth + 1)
            for name, member in value.items()
        }

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
    )


def _absolute(reference: str, nsid: str) -> str:
    return f"{nsid}{reference}" if reference.startswith("#") else reference


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _printable(name: str) -> str:
    return name[:40].encode("ascii", "backslashreplace").decode()


def _check_length(schema: Schema, length: int, path: str, unit: str) -> None:
    if length < schema.get("minLength", 0):
        raise InvalidRequest(f"{path}: fewer than {schema['minLength']} {unit}")
    if length > schema.get("maxLength", length):
        raise InvalidRequest(f"{path}: more than {schema['maxLength']} {unit}")


def _string(schema: Schema, value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{path}: not a string")
    try:
        _check_length(schema, len(value.encode()), path, "bytes")
    except UnicodeEncodeError:
        raise InvalidRequest(f"{path}: not Unicode text") from None
    if "enum" in schema and value not in schema["enum"]:
        raise InvalidRequest(f"{path}: not one of {', '.join(schema['enum'])}")
    if "format" in schema and not _FORMATS[schema["format"]](value):
        raise InvalidRequest(f"{path}: not a {schema['format']}")
    return value


def _integer(schema: Schema, value: Any, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRequest(f"{path}: not an integer")
    if not schema.get("minimum", -_LARGEST_INTEGER) <= value <= schema.get("maximum", _LARGEST_INTEGER):
        raise InvalidRequest(f"{path}: out of range")
    return value


def _boolean(_schema: Schema, value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"{path}: not true or false")
    return value


def _bytes(schema: Schema, value: Any, path: str) -> bytes:
    try:
        data = json_bytes.from_json(value, schema.get("maxLength", _MOST_BYTES))
    except NotCanonical as error:
        raise InvalidRequest(f"{path}: {error}") from None
    _check_length(schema, len(data), path, "bytes")
    return data


def _unknown(_schema: Schema, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{path}: not an object")
    return value


def _is_datetime(value: str) -> bool:
    if _DATETIME.fullmatch(value) is None or len(value) > 64:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_did(value: str) -> bool:
    return len(value) <= LONGEST_DID and is_did(value)


def _is_handle(value: str) -> bool:
    return len(value) <= 253 and _HANDLE.fullmatch(value) is not None


def _is_uri(value: str) -> bool:
    return re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*:\S+", value) is not None


_SCALARS: Mapping[str, Callable[[Schema, Any, str], Any]] = {
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
