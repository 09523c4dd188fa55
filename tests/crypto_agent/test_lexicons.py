"""The Lexicon documents, and the checks that are made from them."""

import json
from pathlib import Path
from typing import Any

import pytest
from atproto_lexicon.parser import lexicon_parse_file

from crypto_agent.app_methods import APP_METHODS
from crypto_agent.atsms.json_bytes import to_json
from crypto_agent.client import NAMESPACE
from crypto_agent.errors import InvalidRequest
from crypto_agent.lexicons import Lexicons
from crypto_agent.methods import METHODS
from tests.crypto_agent.running_agent import LEXICONS, ROOT

DOCUMENTS = sorted((ROOT / "lexicons").rglob("*.json"))
VECTORS = json.loads((ROOT / "tests" / "vectors" / "prekey-record.json").read_text())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_the_documents_are_lexicons_to_the_atproto_sdk(path: Path) -> None:
    parsed = lexicon_parse_file(path, soft_fail=False)
    assert parsed is not None
    assert parsed.id == ".".join(path.relative_to(ROOT / "lexicons").with_suffix("").parts)


def test_every_method_of_the_service_has_its_lexicon_and_the_other_way_round() -> None:
    assert {nsid.removeprefix(f"{NAMESPACE}.") for nsid in LEXICONS.methods} == {
        *METHODS,
        *APP_METHODS,
        "getStatus",
    }


def test_every_method_counts_a_field_that_it_has() -> None:
    for name, answering in {**METHODS, **APP_METHODS}.items():
        schema = LEXICONS.methods[f"{NAMESPACE}.{name}"].input
        assert not answering.counted or schema["properties"][answering.counted]["type"] == "array"


def test_every_method_but_the_status_may_answer_that_the_hour_is_used_up() -> None:
    limited = {nsid for nsid, method in LEXICONS.methods.items() if "LimitReached" in method.errors}
    assert limited == {*LEXICONS.methods} - {f"{NAMESPACE}.getStatus"}


def test_the_records_of_the_protocol_fit() -> None:
    endpoints = [{"uri": uri} for uri in VECTORS["inbox"]["endpoints"]]
    LEXICONS.record("at.atsms.inbox", {"endpoints": endpoints})
    prekey = {name: VECTORS["prekey"][name] for name in ("createdAt", "expiresAt")} | {
        name: to_json(bytes.fromhex(VECTORS["prekey"][f"{name}Hex"]))
        for name in ("signedPrekey", "signingPk", "bundleSig")
    }
    LEXICONS.record("at.atsms.prekey", prekey)
    x509 = {"certificate": "-----BEGIN", "serialNumber": "01", "createdAt": "2026-11-20T12:00:00.000Z"}
    LEXICONS.record("at.atsms.x509", x509)
    LEXICONS.record("at.atsms.x509", {**x509, "revokedAt": "2026-11-20T12:00:00.000Z"})


@pytest.mark.parametrize(
    ("nsid", "record", "fault"),
    [
        ("at.atsms.inbox", {"endpoints": []}, "endpoints: fewer than 1 items"),
        ("at.atsms.inbox", {"endpoints": [{"uri": "nowhere"}]}, "endpoints[0].uri: not a uri"),
        ("at.atsms.prekey", {"signedPrekey": {"$bytes": "AQ"}}, "signingPk: missing"),
        ("at.atsms.x509", {"certificate": ""}, "serialNumber: missing"),
    ],
)
def test_other_records_do_not(nsid: str, record: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        LEXICONS.record(nsid, record)
    assert str(refused.value) == fault


def _document(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {"test.one": {"defs": {"thing": schema}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "union", "refs": []},
        {"type": "blob"},
        {"type": "string", "format": "tid"},
        {"type": "ref", "ref": "#nowhere"},
        {"type": "ref", "ref": "test.two#thing"},
        {"type": "array", "items": {"type": "cid-link"}},
        {"type": "object", "properties": {"x": {"type": "float"}}},
    ],
)
def test_a_document_with_something_else_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"test\.one#thing"):
        Lexicons(_document(schema))


def test_references_in_a_circle_end() -> None:
    lexicons = Lexicons(
        {
            "test.one": {
                "defs": {
                    "main": {
                        "type": "procedure",
                        "input": {"schema": {"type": "ref", "ref": "#thing"}},
                        "output": {"schema": {"type": "object", "properties": {}}},
                    },
                    "thing": {"type": "ref", "ref": "#thing"},
                }
            }
        }
    )
    with pytest.raises(InvalidRequest, match="too deep"):
        lexicons.input(lexicons.methods["test.one"], {})


def test_a_document_in_the_wrong_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"lexicon": 1, "id": "test.one", "defs": {}}')
    with pytest.raises(ValueError, match=r"other\.json"):
        Lexicons.load(tmp_path)
