"""What was done with an account's keys, alarms about it, and the state of the operator's key."""

from crypto_agent import client_json as js
from crypto_agent.client.transport import Transport
from crypto_agent.client_values import KeyStatus
from crypto_agent.use_json import alarm_value, use_group_value
from crypto_agent.use_values import Alarm, KeyUses, Shown, Use, UseGroups, Uses


class UseCalls(Transport):
    """What was done with an account's keys, and alarms about it."""

    def list_uses(
        self,
        did: str,
        *,
        show: Shown = "all",
        cursor: str | None = None,
        limit: int = 40,
        time_zone: str = "UTC",
    ) -> KeyUses:
        """Who had what done with the keys of ``did``, by day and newest first, and the month's alarms."""
        parameters = {"did": did, "show": show, "limit": str(limit), "timeZone": time_zone}
        if cursor is not None:
            parameters["cursor"] = cursor
        answer = self._query("listUses", parameters)
        page = UseGroups([use_group_value(group) for group in answer["groups"]], answer.get("cursor"))
        return KeyUses(page, [alarm_value(alarm) for alarm in answer["alarms"]])

    def list_use_entries(
        self, did: str, *, caller: str, purpose: str, outcome: str, oldest: int, newest: int, limit: int = 100
    ) -> Uses:
        """The audit entries behind one group of ``list_uses``, newest first."""
        parameters = {
            "did": did,
            "caller": caller,
            "purpose": purpose,
            "outcome": outcome,
            "oldest": str(oldest),
            "newest": str(newest),
            "limit": str(limit),
        }
        answer = self._query("listUseEntries", parameters)
        uses = [Use(use["sequence"], js.time_value(use["at"]), use["count"]) for use in answer["uses"]]
        return Uses(uses, answer.get("nextNewest"))

    def list_alarms(self) -> list[Alarm]:
        """The newest alarms on bulk opening, of all accounts, newest first."""
        return [alarm_value(alarm) for alarm in self._query("listAlarms", {})["alarms"]]

    def key_status(self) -> KeyStatus:
        """What each version of the operator's key wraps, and what of the agent's own work is late."""
        return js.key_status_value(self._query("getKeyStatus", {}))
