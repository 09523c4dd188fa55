"""The syntax of handles and DIDs, and what people paste for them."""

import pytest

from accounts.handles import cleaned, is_did, is_handle


@pytest.mark.parametrize(
    "text",
    ["alice.bsky.social", "a.co", "8.cn", "xn--bcher-kva.example-host.org", "a-b.c-d.net", "x" * 63 + ".org"],
)
def test_handles(text: str) -> None:
    assert is_handle(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        ".org",
        "alice.",
        "alice..org",
        "-alice.org",
        "alice-.org",
        "alice.1",
        "alice.0rg",
        "Alice.org",
        "al ice.org",
        "alice_.org",
        "bücher.org",
        "alice.org\n",
        "alice.local",
        "alice.localhost",
        "alice.invalid",
        "alice.example",
        "alice.internal",
        "alice.onion",
        "127.0.0.1",
        "x" * 64 + ".org",
        ".".join(["x" * 60] * 5),
    ],
)
def test_not_handles(text: str) -> None:
    assert not is_handle(text, development=True)


def test_names_under_test_are_for_development() -> None:
    assert not is_handle("alice.test")
    assert is_handle("alice.test", development=True)


@pytest.mark.parametrize(
    "text", ["did:plc:z72i7hdynmk6r22z27h6tvur", "did:web:example.org", "did:web:localhost%3A8700"]
)
def test_dids(text: str) -> None:
    assert is_did(text)


@pytest.mark.parametrize(
    "text",
    [
        "did:plc:z72i7hdynmk6r22z27h6tvu",
        "did:plc:z72i7hdynmk6r22z27h6tvur\n",
        "did:plc:Z72I7HDYNMK6R22Z27H6TVUR",
        "did:plc:../../etc",
        "did:web:example.org/path",
        "did:web:example.org:path",
        "did:web:user@example.org",
        "did:web:example.org?x",
        "did:web:",
        "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
        "plc:z72i7hdynmk6r22z27h6tvur",
    ],
)
def test_not_dids(text: str) -> None:
    assert not is_did(text)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("  @Alice.Test ", "alice.test"),
        ("at://alice.test", "alice.test"),
        ("alice.test/", "alice.test"),
        ("alice.test.", "alice.test"),
        ("\u202aalice.test\u202c", "alice.test"),
        ("alice\u200b.test", "alice.test"),
        ("bücher.org", "xn--bcher-kva.org"),
        # With a Cyrillic first letter, which is seen for what it is.
        ("\u0430lice.test", "xn--lice-43d.test"),
        ("did:plc:z72i7hdynmk6r22z27h6tvur", "did:plc:z72i7hdynmk6r22z27h6tvur"),
        ("https://pds.example.org", "https://pds.example.org"),
    ],
)
def test_what_is_typed_becomes_what_is_meant(typed: str, meant: str) -> None:
    assert cleaned(typed) == meant
