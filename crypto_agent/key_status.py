"""How far the agent's own work is: which version of the operator's key wraps what, and what is late."""

from datetime import datetime

from crypto_agent import prekey_destruction
from crypto_agent.client_values import KeyStatus, KeyVersion
from crypto_agent.key_store import operator_key_source
from crypto_agent.models import DataKey
from crypto_agent.operator_keys import rotation


def key_status(now: datetime) -> KeyStatus:
    """The versions of the operator's key, oldest first, and how many prekeys should be gone by ``now``."""
    used = set(DataKey.objects.values_list("key_version", flat=True).distinct())
    present = rotation.key_with(operator_key_source, used).versions
    versions = [
        KeyVersion(each.version, each.rows, each.present, each.version == max(present), each.retired_at)
        for each in rotation.status(present)
    ]
    return KeyStatus(versions, prekey_destruction.late(now))
