"""Recovery codes: 160 random bits as a person writes them down, with a check against typing mistakes.

``XXXX-…`` in nine groups of four characters of Crockford's base 32 (no I, L, O, U): 32 characters of the
code, and 4 of a check, the first 20 bits of SHA-256 over it.
"""

import hashlib
from collections.abc import Callable

from crypto_agent.errors import MistypedRecoveryCode

CODE_BYTES = 20
GROUP = 4
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_CHARACTERS = CODE_BYTES * 8 // 5
_CHECK_CHARACTERS = 4
#: What people read wrongly, and what they put between groups.
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", **dict.fromkeys("- \t\r\n")})
_MOST_TYPED = 200


def new_code(random: Callable[[int], bytes]) -> bytes:
    """The 20 bytes of a new code."""
    return random(CODE_BYTES)


def written(code: bytes) -> str:
    """The code as it is shown to its owner."""
    characters = _characters(int.from_bytes(code, "big"), _CODE_CHARACTERS) + _check(code)
    return "-".join(characters[start : start + GROUP] for start in range(0, len(characters), GROUP))


def read(typed: str) -> bytes:
    """The 20 bytes of a code as somebody typed it; raises MistypedRecoveryCode."""
    characters = typed[:_MOST_TYPED].upper().translate(_READ_AS)
    if len(characters) != _CODE_CHARACTERS + _CHECK_CHARACTERS or not set(characters) <= set(_ALPHABET):
        raise MistypedRecoveryCode("this is not a whole recovery code")
    number = 0
    for character in characters[:_CODE_CHARACTERS]:
        number = number * 32 + _ALPHABET.index(character)
    code = number.to_bytes(CODE_BYTES, "big")
    if characters[_CODE_CHARACTERS:] != _check(code):
        raise MistypedRecoveryCode("a character of the recovery code is wrong")
    return code


def _check(code: bytes) -> str:
    digest = hashlib.sha256(b"waxwing-recovery-code" + code).digest()
    return _characters(int.from_bytes(digest[:3], "big") >> 4, _CHECK_CHARACTERS)


def _characters(number: int, count: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(count)))
