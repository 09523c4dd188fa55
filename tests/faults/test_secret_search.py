"""A search that finds nothing would let every test that looks for secrets pass: it finds them as they are
written in logs."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest

from tests.faults.canaries import canary
from tests.faults.secret_search import distinct, found

TEXT = canary("what was typed: ünïcode &")
LOGGED = {
    "plainly": TEXT.encode(),
    "as a form": urlencode({"csrfmiddlewaretoken": "x", "text": TEXT, "do": "send"}).encode(),
    "in an address": f"GET /search/?q={quote(TEXT)} HTTP/1.1".encode(),
    "in JSON": json.dumps({"text": TEXT}).encode(),
    "in a Python repr": repr({"text": TEXT.encode()}).encode(),
    "in hex": TEXT.encode().hex().encode(),
    "in base64": base64.b64encode(TEXT.encode()),
    "in base64 with one octet before": base64.b64encode(b"." + TEXT.encode()),
    "in base64 with two octets before": base64.b64encode(b".." + TEXT.encode()),
    "in lines of base64": base64.encodebytes(TEXT.encode()),
    "in base64 in a form": urlencode({"text": base64.b64encode(TEXT.encode()).decode()}).encode(),
}


@pytest.mark.parametrize("form", LOGGED)
def test_what_was_typed_is_found(form: str) -> None:
    line = b"web | " + LOGGED[form] + b" | 200"
    assert found({"the text": distinct(TEXT)}, [("a log", line)]) == ["the text in a log"]
    assert found({"the text": distinct(canary("another"))}, [("a log", line)]) == []


@pytest.mark.parametrize("written", [quote, quote_plus])
def test_so_are_octets(written: Callable[[bytes], str]) -> None:
    secret = bytes(range(120, 152)) + b" +/%&"
    assert found({"a key": secret}, [("a log", written(secret).encode())]) == ["a key in a log"]
