"""docs/account-export.md names what the code writes into an export."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = (ROOT / "docs" / "account-export.md").read_text()


def test_every_kind_of_setting_is_described() -> None:
    sources = [
        "exported_settings.py",
        "consent_export.py",
        "draft_export.py",
    ]
    code = "".join((ROOT / "webmail" / name).read_text() for name in sources)
    kinds = set(re.findall(r'(?:"kind": |^KIND = )"([a-z-]+)"', code, re.M))
    assert {"conversation", "consent", "draft", "undo-send"} <= kinds
    for kind in kinds:
        assert f'- `"{kind}"`' in DOCUMENT, kind


def test_every_value_of_a_messages_state_is_described() -> None:
    code = (ROOT / "webmail" / "message_state.py").read_text()
    names = set(re.findall(r'^ {8}"(\w+)": ', code, re.M))
    assert {"id", "unread", "savedAt", "topic"} <= names
    for name in names:
        assert f"`{name}`" in DOCUMENT, name
