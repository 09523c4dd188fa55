"""How far the agent's own work is: which version of the operator's key wraps what, and what is late."""

from datetime import datetime

from crypto_agent import former_data_keys, prekey_destruction
from crypto_agent.client_values import KeyStatus, KeyVersion
from crypto_agent.key_store import operator_key_source
from crypto_agent.models import DataKey
from crypto_agent.operator_keys import rotation


def key_status(now: datetime) -> KeyStatus:
    """The versions of the operator's key, oldest first, and what should be gone by ``now``."""
    used = set(DataKey.objects.values_list("key_version", flat=True).distinct())
    present = rotation.key_with(operator_key_source, used).versions
    versions = [
        KeyVersion(each.version, each.rows, each.present, each.version == max(present), each.retired_at)
        for each in rotation.status(present)
    ]
    return KeyStatus(
        versions,
        late_prekeys=prekey_destruction.late(now),
        late_former_data_keys=former_data_keys.late(now),
        late_files_since=prekey_destruction.files_late_since(now),
    )
