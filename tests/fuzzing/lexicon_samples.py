"""Well-formed calls of the methods that lexicons describe, made from the descriptions alone."""

from collections.abc import Mapping
from typing import Any

from crypto_agent.atsms.json_bytes import to_json
from crypto_agent.lexicons import Lexicons, Method, Schema, _absolute

OF_FORMATS = {
    "datetime": "2026-11-20T12:00:00Z",
    "handle": "alice.test",
    "uri": "https://a.test/x",
}


class Samples:
    """``named`` are the values of fields that have to be right for a call to come far, by their names."""

    def __init__(self, lexicons: Lexicons, named: Mapping[str, Any]) -> None:
        self._definitions = lexicons._definitions
        self._named = named

    def of(self, method: Method) -> list[dict[str, Any]]:
        """The shortest call, and one with every field."""
        return [self._sample(method.input, method.nsid, whole) for whole in (False, True)]

    def _sample(self, schema: Schema, nsid: str, whole: bool) -> Any:
        match schema["type"]:
            case "ref":
                name = _absolute(schema["ref"], nsid)
                return self._sample(self._definitions[name], name.split("#")[0], whole)
            case "object" | "params":
                wanted = schema["properties"] if whole else schema.get("required", ())
                return {
                    name: self._named[name]
                    if name in self._named
                    else self._sample(schema["properties"][name], nsid, whole)
                    for name in wanted
                }
            case "array":
                return [self._sample(schema["items"], nsid, whole)] * max(1, schema.get("minLength", 0))
            case "string":
                return self._text(schema)
            case "integer":
                return max(1, schema.get("minimum", 1))
            case "boolean":
                return True
            case "bytes":
                return to_json(b"\x01" * max(3, schema.get("minLength", 0)))
            case _:
                return {"$type": "dev.test.record"}

    def _text(self, schema: Schema) -> str:
        if "enum" in schema:
            return str(schema["enum"][0])
        if "format" in schema:
            return str(self._named["did"] if schema["format"] == "did" else OF_FORMATS[schema["format"]])
        return "ab" * (max(2, schema.get("minLength", 0)) // 2)
