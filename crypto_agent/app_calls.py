"""Calls of apps, as the user's PDS passes them on: whose, by which grant, on record, and then answered."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from crypto_agent import audit, grants, limits
from crypto_agent.app_methods import APP_METHODS, AppCall
from crypto_agent.client_json import Json
from crypto_agent.errors import (
    AgentBusy,
    AgentProblem,
    AuditUnavailable,
    MethodNotImplemented,
    NoSuchAccount,
)
from crypto_agent.key_store import operator_key_source
from crypto_agent.lexicons import Lexicons, Method
from crypto_agent.models import Account, AuditEntry, Grant
from crypto_agent.public_identity import service_reference
from crypto_agent.service_auth import Keys, UserToken, verify_user_token
from crypto_agent.user_keys import UserKeys

#: The caller's name in the audit log, where no grant could be found: whoever signs as the user.
UNKNOWN_APP = "unknown app"
#: Calls of one user's apps that are refused for one reason and put on record in an hour. Anybody who can sign
#: as the user can make any number of them, and the log keeps everything for good.
REFUSALS_ON_RECORD = 100
HOUR = timedelta(hours=1)
#: Calls whose token is checked or whose body is read. Apps send as slowly as they like, and half of the
#: agent's threads have to be left for the pages and the worker.
MOST_ARRIVING = 8

_arriving = threading.BoundedSemaphore(MOST_ARRIVING)

user_keys = UserKeys(settings.PLC_URL, loopback=settings.NETWORK == "loopback")


def answered(
    lexicons: Lexicons, method: Method, name: str, authorization: str, body: Callable[[], Any], now: datetime
) -> Json:
    """The answer to ``name`` (``app.…``), whose arguments ``body`` reads once the token holds.

    Raises MethodNotImplemented where the agent has no public address, AgentBusy while ``MOST_ARRIVING``
    others arrive, and every AgentProblem.
    """
    if not settings.PUBLIC_URL:
        raise MethodNotImplemented("this agent serves no apps")
    audiences = (settings.PUBLIC_DID, service_reference(settings.PUBLIC_DID))
    keys = Keys(
        partial(_key_of_user, user_keys.key, now_s=now.timestamp()),
        partial(_key_of_user, user_keys.fresh_key, now_s=now.timestamp()),
    )
    with _one_arriving():
        user = verify_user_token(authorization, method.nsid, audiences, keys, now.timestamp())
        audit.check_unused(user.token_id)
        use = audit.Use(now, UNKNOWN_APP, user.did, name, 0, "ok", user.token_id)
        try:
            fields = lexicons.input(method, body())
        except AgentProblem as error:
            _put_refusal_on_record(use, error)
            raise
    return _granted(name, fields, user, replace(use, count=APP_METHODS[name].count(fields)))


@contextmanager
def _one_arriving() -> Iterator[None]:
    if not _arriving.acquire(blocking=False):
        raise AgentBusy("many apps are calling at once: try again in a moment")
    try:
        yield
    finally:
        _arriving.release()


def _key_of_user(
    find: Callable[[str, float], ec.EllipticCurvePublicKey], did: str, now_s: float
) -> ec.EllipticCurvePublicKey:
    """Only users' documents are asked for, so that no stranger can have this agent ask anybody."""
    if not Account.objects.filter(did=did).exists():
        raise NoSuchAccount("this account has no keys here")
    return find(did, now_s)


def _granted(name: str, fields: dict[str, Any], user: UserToken, use: audit.Use) -> Json:
    method = APP_METHODS[name]
    counted = limits.counted(user.did, "app", name.removeprefix("app."), use.count)
    caller = UNKNOWN_APP
    try:
        grant = grants.find_grant(user.did, fields["grant"])
        caller = _label(grant)
        grants.admit(grant, method.purpose, use.count, use.at)
        limits.check(counted, use.at)
        operator_key_source.key()
        answer = method.answer(AppCall(user.did, fields, grant, use.at, os.urandom))
        limits.put_on_record(replace(use, caller=caller), counted)
    except AuditUnavailable:
        raise
    except Exception as error:
        _put_refusal_on_record(replace(use, caller=caller), error)
        raise
    return answer


def _put_refusal_on_record(use: audit.Use, error: Exception) -> None:
    outcome = error.name if isinstance(error, AgentProblem) else AgentProblem.name
    if _refusals(use.did, outcome, use.at) < REFUSALS_ON_RECORD:
        audit.append(replace(use, outcome=outcome))


def _label(grant: Grant) -> str:
    return f"grant {grant.grant_id}"


def _refusals(did: str, outcome: str, now: datetime) -> int:
    recent = AuditEntry.objects.filter(did=did, outcome=outcome, at__gt=now - HOUR)
    return recent.filter(purpose__startswith="app.").count()
