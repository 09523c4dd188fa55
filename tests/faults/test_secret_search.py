"""A search that finds nothing would let every test that looks for secrets pass: it finds them as they are
written in logs."""

import base64
import json
import random
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest

from tests.faults.canaries import canary
from tests.faults.secret_search import LONGEST, PAGE, distinct, forms_of, found, not_seen

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


@pytest.mark.parametrize("at", [0, 1, PAGE - 1, PAGE - LONGEST, 2 * PAGE - LONGEST // 2, 3 * PAGE - 3])
def test_in_a_forked_memory_that_is_new_is_found_wherever_it_lies(at: int) -> None:
    memory = random.Random(at).randbytes(6 * PAGE + 100)
    secret = bytes(range(1, 256)) * 2
    forked = memory[:at] + secret + memory[at + len(secret) :]
    seen: set[bytes] = set()
    assert not_seen(memory, seen) == memory
    assert not_seen(memory, seen) == b""
    new = not_seen(forked, seen)
    assert secret in new
    assert len(new) <= 4 * PAGE
    assert not_seen(forked, seen) == b""


def test_two_pages_that_were_seen_apart_are_new_beside_each_other() -> None:
    chance = random.Random(7)
    one, two, other = (chance.randbytes(PAGE) for _each in range(3))
    seen: set[bytes] = set()
    not_seen(one + other + two, seen)
    across = (one + two)[PAGE - 16 : PAGE + 16]
    assert across in not_seen(one + two, seen)


def test_no_form_of_a_key_is_longer_than_what_pages_overlap() -> None:
    assert max(map(len, forms_of(bytes([0xFE]) * 64))) <= LONGEST
