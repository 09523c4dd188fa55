"""Uses of an account's keys and alarms about them as the JSON of the lexicons, and back."""

from datetime import date

from crypto_agent.client_json import Json, time_json, time_value, without_none
from crypto_agent.use_values import Alarm, UseGroup


def alarm_json(alarm: Alarm) -> Json:
    return without_none(
        {
            "entry": alarm.entry,
            "did": alarm.did,
            "at": time_json(alarm.at),
            "hourBeganAt": time_json(alarm.hour_began_at),
            "things": alarm.things,
        }
    )


def alarm_value(json: Json) -> Alarm:
    return Alarm(
        entry=json["entry"],
        did=json.get("did"),
        at=time_value(json["at"]),
        hour_began_at=time_value(json["hourBeganAt"]),
        things=json["things"],
    )


def use_group_json(group: UseGroup) -> Json:
    return without_none(
        {
            "day": group.day.isoformat(),
            "caller": group.caller,
            "appName": group.app_name,
            "purpose": group.purpose,
            "outcome": group.outcome,
            "calls": group.calls,
            "things": group.things,
            "firstAt": time_json(group.first_at),
            "lastAt": time_json(group.last_at),
            "oldest": group.oldest,
            "newest": group.newest,
        }
    )


def use_group_value(json: Json) -> UseGroup:
    return UseGroup(
        day=date.fromisoformat(json["day"]),
        caller=json["caller"],
        app_name=json.get("appName"),
        purpose=json["purpose"],
        outcome=json["outcome"],
        calls=json["calls"],
        things=json["things"],
        first_at=time_value(json["firstAt"]),
        last_at=time_value(json["lastAt"]),
        oldest=json["oldest"],
        newest=json["newest"],
    )
