"""The settings of an account that only the database has, as its export carries them.

Each is a JSON object that names its kind. A reader leaves out kinds that it does not know.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.db import transaction

from accounts.models import Account
from webmail import (
    consent_export,
    conversation_settings,
    draft_export,
    enter_choices,
    receipt_choices,
    undo_choices,
    verification_state,
)
from webmail.message_state import State
from webmail.previews import choices as preview_choices


def settings_of(account: Account) -> Iterator[State]:
    """All settings of an account."""
    for each in conversation_settings.settings_json(account):
        yield {"kind": "conversation", **each}
    yield from consent_export.answers_json(account)
    for each in verification_state.exported(account):
        yield {"kind": "compared-keys", **each}
    yield from draft_export.drafts_json(account)
    for each in receipt_choices.settings_json(account):
        yield {"kind": "receipts", **each}
    for each in preview_choices.settings_json(account):
        yield {"kind": "link-previews", **each}
    for each in undo_choices.settings_json(account):
        yield {"kind": "undo-send", **each}
    for each in enter_choices.settings_json(account):
        yield {"kind": "enter-key", **each}


def take_settings(account: Account, data: bytes) -> None:
    """Takes in one part's settings of conversations. May run twice.

    Call outside of transactions. Raises ValueError or KeyError for what are none, and AgentError.
    """
    by_kind: dict[object, list[State]] = defaultdict(list)
    for each in _settings_in(data):
        by_kind[each.get("kind")].append(each)
    written = draft_export.rows_of(account, by_kind[draft_export.KIND])
    with transaction.atomic():
        draft_export.keep(written)
        conversation_settings.take_settings(account, by_kind["conversation"])
        receipt_choices.take_settings(account, by_kind["receipts"])
        preview_choices.take_settings(account, by_kind["link-previews"])
        undo_choices.take_settings(account, by_kind["undo-send"])
        enter_choices.take_settings(account, by_kind["enter-key"])


def take_first(account: Account, data: bytes) -> None:
    """Takes in what one part says of consent and of compared keys, which holds for the messages that follow.

    May run twice. Raises ValueError, TypeError or KeyError for what is none of it.
    """
    found = _settings_in(data)
    with transaction.atomic():
        consent_export.take_answers(account, consent_export.answers_in(found))
        verification_state.take_in(account, [each for each in found if each.get("kind") == "compared-keys"])


def _settings_in(data: bytes) -> list[dict[str, Any]]:
    found: Any = json.loads(data)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ValueError("not a list of settings")
    return found
