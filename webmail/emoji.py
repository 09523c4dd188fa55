"""What counts as one emoji: one picture, however many code points it takes (Unicode TR 51)."""

import re

#: Shown first where somebody reacts.
USUAL = ("👍", "❤️", "😂", "😮", "😢", "🙏")
#: The longest that Unicode recommends have ten code points or so; subdivision flags a few more.
MOST_CODE_POINTS = 16

_PICTURE = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f"
    "\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff]"
)
_SKIN, _TAGS = "[\U0001f3fb-\U0001f3ff]", "[\U000e0020-\U000e007e]+\U000e007f"
_ELEMENT = f"{_PICTURE}(?:\ufe0f|{_SKIN})?(?:{_TAGS})?"
_FLAG = "[\U0001f1e6-\U0001f1ff]{2}"
_KEYCAP = "[0-9#*]\ufe0f?\u20e3"
_EMOJI = re.compile(f"(?:{_KEYCAP}|{_FLAG}|{_ELEMENT}(?:\u200d{_ELEMENT})*)")


def is_one_emoji(text: str) -> bool:
    """Whether ``text`` is one emoji and nothing else."""
    return len(text) <= MOST_CODE_POINTS and _EMOJI.fullmatch(text) is not None
