import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto_agent import app_messages
from crypto_agent.client_values import Composed
from crypto_agent.custody import AccountKeys
from crypto_agent.errors import CannotUnseal
from tests.crypto_agent.people import ALICE

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MESSAGE = Composed("01" * 33, "02" * 32, NOW - timedelta(milliseconds=1500), b"sealed")
KEYS = AccountKeys(ALICE, {1: AESGCM(bytes(32))})


def test_it_is_good_for_an_hour_for_its_grant() -> None:
    blob = app_messages.seal_for_app(KEYS, "ab" * 16, MESSAGE, NOW, os.urandom)
    last = NOW + app_messages.LIFETIME - timedelta(milliseconds=1)
    assert app_messages.unseal_for_app(KEYS, "ab" * 16, blob, last) == MESSAGE
    for grant_id, data, now in (
        ("ab" * 16, blob, NOW + app_messages.LIFETIME),
        ("cd" * 16, blob, NOW),
        ("ab" * 16, blob[:-1], NOW),
        ("ab" * 16, b"\x02" + blob[1:], NOW),
        ("ab" * 16, b"", NOW),
    ):
        with pytest.raises(CannotUnseal):
            app_messages.unseal_for_app(KEYS, grant_id, data, now)
