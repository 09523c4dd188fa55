"""Text in a charset that a stranger names."""

import encodings
import pkgutil
import time

import pytest

from webmail.mail_charsets import decoded

ALL_CODECS = [module.name for module in pkgutil.iter_modules(encodings.__path__)]
MOST = 400_000


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("ISO-8859-15", "iso8859-15"),
        ("latin1", "latin-1"),
        ("windows-1251", "cp1251"),
        ("KOI8-U", "koi8-u"),
        ("UTF-7", "utf-7"),
        ("utf-16le", "utf-16-le"),
        ("iso-2022-jp", "iso2022-jp"),
        ("EUC-KR", "euc-kr"),
        ("ks_c_5601-1987", "euc-kr"),
        ("Big5", "big5"),
        ("GB2312", "gb2312"),
        (" gb18030 ", "gb18030"),
        ("Shift_JIS", "shift-jis"),
    ],
)
def test_charsets_of_mail_are_known_by_their_labels(label: str, codec: str) -> None:
    for text in ("Grüße", "привет", "こんにちは", "안녕", "你好"):
        try:
            octets = text.encode(codec)
        except UnicodeEncodeError:
            continue
        assert decoded(octets, label, MOST) == text


@pytest.mark.parametrize("label", [*ALL_CODECS, "", "\0", "a\0b", "\udc80", "utf-8" * 1000, "no.such"])
@pytest.mark.parametrize("octets", [b"plain", b"\xff\xfe\xd8", b"+2AA-", b"\\ud800 \\N{no}", b"a-\x80", b""])
def test_any_octets_are_text_that_can_be_encoded_again(label: str, octets: bytes) -> None:
    decoded(octets, label, MOST).encode()


@pytest.mark.parametrize("label", ALL_CODECS)
def test_no_charset_takes_long(label: str) -> None:
    started = time.process_time()
    assert len(decoded(b"ab" * 250_000, label, MOST)) <= MOST
    # A bound against growth by powers, far above what half a megabyte takes.
    assert time.process_time() - started < 2


def test_what_is_cut_within_a_letter_stays_text_of_its_charset() -> None:
    assert decoded("日本".encode() * 10, "", 3) == "日本日"
    assert decoded("é".encode("utf-16-le") + "😀".encode("utf-16-le") * 5, "utf-16le", 2) == "é😀"
    assert decoded(b"x" + "é".encode() * 10, "utf-8", 4) == "xééé"
