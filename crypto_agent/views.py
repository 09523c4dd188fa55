"""The XRPC service: who calls, may they, is the call well formed; answer it, and put it on record."""

import json
import logging
import os
import traceback
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.utils import timezone

from crypto_agent import app_calls, audit, public_identity
from crypto_agent.app_methods import APP_METHODS
from crypto_agent.client_json import Json
from crypto_agent.errors import (
    AgentProblem,
    AuditUnavailable,
    DatabaseUnavailable,
    InvalidRequest,
    MethodNotImplemented,
    PayloadTooLarge,
    ReplayedToken,
)
from crypto_agent.key_store import operator_key_source
from crypto_agent.lexicons import Lexicons, Method
from crypto_agent.methods import METHODS, Answering, Call
from crypto_agent.operator_keys.sources import is_present
from crypto_agent.tokens import Caller, check_permitted, verify_token

log = logging.getLogger(__name__)

VERSION = "0.1.0"
NAMESPACE = "dev.waxwing.agent."
LEXICONS = Lexicons.load(Path(settings.BASE_DIR) / "lexicons")


@dataclass
class _Record:
    """What the audit entry says of the call so far."""

    did: str = ""
    count: int = 0


def healthz(_request: HttpRequest) -> HttpResponse:
    """200 while the process and its database answer; the body says whether the agent is sealed."""
    try:
        audit.head_sequence()
    except DatabaseError:
        return JsonResponse({"state": "no-database"}, status=503)
    return JsonResponse({"state": _state(), "version": VERSION})


def did_document(_request: HttpRequest) -> HttpResponse:
    """Who the agent is to apps and their users' PDSes; 404 where it serves none."""
    if not settings.PUBLIC_URL:
        return _error("NotFound", "there is nothing here", 404)
    return JsonResponse(public_identity.did_document(settings.PUBLIC_DID, settings.PUBLIC_URL))


def xrpc(request: HttpRequest, nsid: str) -> HttpResponse:
    """One XRPC call; every refusal is an XRPC error with a stable name."""
    try:
        return JsonResponse(_answered(request, nsid))
    except AgentProblem as problem:
        log.info("%s refused: %s", nsid, problem.name)
        return _error(problem.name, str(problem), problem.status)
    except DatabaseError as error:
        log.error("%s failed: %s", nsid, type(error).__name__)
        return _error(DatabaseUnavailable.name, "the database does not answer", DatabaseUnavailable.status)
    except Exception as error:
        # An error's text or traceback could quote a key or a message: only its kind and place are logged.
        log.error("%s failed: %s at %s", nsid, type(error).__name__, _place(error))
        return _error(AgentProblem.name, "the agent failed", AgentProblem.status)


def not_found(_request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error("NotFound", "there is nothing here", 404)


def server_error(_request: HttpRequest) -> HttpResponse:
    return _error(AgentProblem.name, "the agent failed", AgentProblem.status)


def _answered(request: HttpRequest, nsid: str) -> Json:
    method = LEXICONS.methods.get(nsid)
    if method is None or not nsid.startswith(NAMESPACE):
        raise MethodNotImplemented("there is no such method")
    now = timezone.now()
    name = nsid.removeprefix(NAMESPACE)
    authorization = request.headers.get("Authorization", "")
    if name in APP_METHODS:
        return app_calls.answered(
            LEXICONS, method, name, authorization, partial(_arguments, request, method), now
        )
    caller = verify_token(authorization, settings.TOKEN_SECRETS, nsid, now.timestamp())
    if name == "getStatus":
        # It uses no key and says nothing of any account, so it is not put on record.
        check_permitted(caller.name, name)
        return {"state": _state(), "version": VERSION}
    record = _Record()
    try:
        audit.check_unused(caller.token_id)
        check_permitted(caller.name, name)
        fields = LEXICONS.input(method, _arguments(request, method))
        record.did, record.count = fields["did"], METHODS[name].count(fields)
        operator_key_source.key()
        return _on_record(METHODS[name], Call(fields, now, os.urandom), _use(caller, name, now, record, "ok"))
    except AuditUnavailable:
        raise
    except Exception as error:
        outcome = error.name if isinstance(error, AgentProblem) else AgentProblem.name
        use = _use(caller, name, now, record, outcome)
        audit.append(replace(use, token_id=None) if isinstance(error, ReplayedToken) else use)
        raise


def _on_record(answering: Answering, call: Call, use: audit.Use) -> Json:
    """The answer, given only once its audit entry is durable; what a method writes goes with the entry."""
    if answering.writes:
        with transaction.atomic():
            answer = answering.answer(call)
            audit.append(use)
        return answer
    answer = answering.answer(call)
    audit.append(use)
    return answer


def _use(caller: Caller, name: str, now: datetime, record: _Record, outcome: str) -> audit.Use:
    return audit.Use(now, caller.name, record.did, name, record.count, outcome, caller.token_id)


def _arguments(request: HttpRequest, method: Method) -> Any:
    if method.is_query:
        if request.method != "GET":
            raise InvalidRequest("the method is a query: use GET")
        for name, values in request.GET.lists():
            if len(values) != 1:
                raise InvalidRequest(f"{name[:40]}: given more than once")
        return request.GET.dict()
    if request.method != "POST" or request.content_type != "application/json":
        raise InvalidRequest("the method is a procedure: use POST with application/json")
    try:
        return json.loads(request.body, object_pairs_hook=_object, parse_constant=_no_constant)
    except RequestDataTooBig:
        raise PayloadTooLarge("the body is too large") from None
    except UnreadablePostError:
        raise InvalidRequest("the body ended early") from None
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is not JSON") from None


def _object(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name twice in one object")
    return members


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and infinities are not JSON")


def _state() -> str:
    return "open" if is_present(operator_key_source) else "sealed"


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _error(name: str, message: str, status: int) -> HttpResponse:
    return JsonResponse({"error": name, "message": message}, status=status)
