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


def take_settings(account: Account, data: bytes) -> int:
    """Takes in one part's settings of conversations. May run twice.

    Says how many of them, and of drafts, fit nowhere and are left out. Call outside of transactions. Raises
    ValueError or KeyError for other settings that are none, and AgentError.
    """
    by_kind: dict[object, list[State]] = defaultdict(list)
    for each in _settings_in(data):
        by_kind[each.get("kind")].append(each)
    written, left_out = draft_export.rows_of(account, by_kind[draft_export.KIND])
    left_out += conversation_settings.take_settings(account, by_kind["conversation"])
    with transaction.atomic():
        draft_export.keep(written)
        receipt_choices.take_settings(account, by_kind["receipts"])
        preview_choices.take_settings(account, by_kind["link-previews"])
        undo_choices.take_settings(account, by_kind["undo-send"])
        enter_choices.take_settings(account, by_kind["enter-key"])
    return left_out


def take_first(account: Account, data: bytes) -> int:
    """Takes in what one part says of consent and of compared keys, which holds for the messages that follow.

    May run twice. Says how much of it fits nowhere and is left out. Raises ValueError for no settings.
    """
    found = _settings_in(data)
    compared = [each for each in found if each.get("kind") == "compared-keys"]
    answers = consent_export.answers_in(found)
    with transaction.atomic():
        consent_export.take_answers(account, answers)
        return answers.left_out + verification_state.take_in(account, compared)


def _settings_in(data: bytes) -> list[dict[str, Any]]:
    found: Any = json.loads(data)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ValueError("not a list of settings")
    return found
