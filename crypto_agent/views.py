"""The XRPC service: who calls, may they, is the call well formed; answer it, and put it on record."""

import logging
import os
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.http.request import UnreadablePostError
from django.utils import timezone

from crypto_agent import app_calls, audit, data_key_renewal, limits, public_identity, unlock_sessions
from crypto_agent.app_methods import APP_METHODS
from crypto_agent.body_deadline import body_within
from crypto_agent.calls import Answering, Call, InTwoSteps
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
from crypto_agent.framed import FramedAnswer, FramedBody, framed_response
from crypto_agent.key_store import operator_key_source
from crypto_agent.lexicons import Lexicons, Method
from crypto_agent.methods import METHODS
from crypto_agent.operator_keys.sources import is_present
from crypto_agent.packed import PACKED, PACKED_METHODS, pack, unpack
from crypto_agent.plain_json import MOST_WIDE_BYTES, plain, read_plain
from crypto_agent.tokens import Caller, check_permitted, verify_token
from crypto_agent.unlock_sessions import Asker
from crypto_agent.write_turns import writing

log = logging.getLogger(__name__)

VERSION = "0.1.0"
#: For how long an alarm stands in the agent's status.
ALARMS_SHOWN = timedelta(days=1)
NAMESPACE = "dev.waxwing.agent."
#: For how long an app may send the body of one call, 16 MiB at most.
APP_BODY_S = 15.0
#: Brings the token of an unlock session.
UNLOCK_HEADER = "Waxwing-Unlock"
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
        return JsonResponse(_status(timezone.now()))
    except DatabaseError:
        return JsonResponse({"state": "no-database"}, status=503)


def did_document(_request: HttpRequest) -> HttpResponse:
    """Who the agent is to apps and their users' PDSes; 404 where it serves none."""
    if not settings.PUBLIC_URL:
        return _error("NotFound", "there is nothing here", 404)
    return JsonResponse(public_identity.did_document(settings.PUBLIC_DID, settings.PUBLIC_URL))


def xrpc(request: HttpRequest, nsid: str) -> HttpResponseBase:
    """One XRPC call; every refusal is an XRPC error with a stable name."""
    try:
        answer = _answered(request, nsid)
        return framed_response(answer) if isinstance(answer, FramedAnswer) else _response(request, answer)
    except AgentProblem as problem:
        log.info("%s refused: %s", nsid, problem.name)
        return _error(problem.name, str(problem), problem.status, problem.retry_after_s)
    except DatabaseError as error:
        log.error("%s failed: %s", nsid, type(error).__name__)
        return _error(DatabaseUnavailable.name, "the database does not answer", DatabaseUnavailable.status)
    except Exception as error:
        # An error's text or traceback could quote a key or a message: only its kind and place are logged.
        log.error("%s failed: %s at %s", nsid, type(error).__name__, _place(error))
        return _error(AgentProblem.name, "the agent failed", AgentProblem.status)


def _response(request: HttpRequest, answer: Json) -> HttpResponse:
    """The answer in the form that the call came in."""
    if request.content_type == PACKED:
        return HttpResponse(pack(answer), content_type=PACKED)
    return HttpResponse(plain(answer), content_type="application/json")


def not_found(_request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error("NotFound", "there is nothing here", 404)


def server_error(_request: HttpRequest) -> HttpResponse:
    return _error(AgentProblem.name, "the agent failed", AgentProblem.status)


def _answered(request: HttpRequest, nsid: str) -> Json | FramedAnswer:
    method = LEXICONS.methods.get(nsid)
    if method is None or not nsid.startswith(NAMESPACE):
        raise MethodNotImplemented("there is no such method")
    now = timezone.now()
    name = nsid.removeprefix(NAMESPACE)
    authorization = request.headers.get("Authorization", "")
    if name in APP_METHODS:
        arrives = partial(_arguments_of_app, request, method)
        return app_calls.answered(LEXICONS, method, name, authorization, arrives, now)
    caller = verify_token(authorization, settings.TOKEN_SECRETS, nsid, now.timestamp())
    if name == "getStatus":
        # It uses no key and says nothing of any account, so it is not put on record.
        check_permitted(caller.name, name)
        return {**_status(now), "lateDataKeys": data_key_renewal.late(now)}
    record = _Record()
    body = None
    try:
        audit.check_unused(caller.token_id)
        check_permitted(caller.name, name)
        body = FramedBody(request) if method.carries_file else None
        arguments = _json(body.json()) if body else _arguments(request, method)
        fields = LEXICONS.input(method, arguments)
        record.did, record.count = fields.get("did", ""), METHODS[name].count(fields)
        limits.check(limits.counted(record.did, caller.name, name, record.count), now)
        operator_key_source.key()
        answering = METHODS[name]
        use = _use(caller, name, now, record, answering.outcome)
        with unlock_sessions.asking(_asker(caller, request)):
            return _on_record(answering, Call(fields, now, os.urandom, body), use)
    except AuditUnavailable:
        raise
    except Exception as error:
        outcome = error.name if isinstance(error, AgentProblem) else AgentProblem.name
        use = _use(caller, name, now, record, outcome)
        audit.append(replace(use, token_id=None) if isinstance(error, ReplayedToken) else use)
        if body is not None:
            with suppress(AgentProblem):
                body.skip()
        raise


def _asker(caller: Caller, request: HttpRequest) -> Asker:
    """The web asks for whoever is at the browser, which has to be unlocked itself."""
    if caller.name == "web":
        return Asker(request.headers.get(UNLOCK_HEADER, ""))
    return Asker(any_session=True)


def _on_record(answering: Answering | InTwoSteps, call: Call, use: audit.Use) -> Json | FramedAnswer:
    """The answer, given only once its audit entry is durable; what a method writes goes with the entry."""
    counted = limits.counted(use.did, use.caller, use.purpose, use.count)
    finish = answering.prepared(call)
    if answering.writes:
        with writing():
            answer = finish()
            limits.put_on_record(use, counted)
        return answer
    answer = finish()
    try:
        limits.put_on_record(use, counted)
    except BaseException:
        if isinstance(answer, FramedAnswer):
            answer.close()
        raise
    return answer


def _use(caller: Caller, name: str, now: datetime, record: _Record, outcome: str) -> audit.Use:
    return audit.Use(now, caller.name, record.did, name, record.count, outcome, caller.token_id)


def _arguments_of_app(request: HttpRequest, method: Method) -> Any:
    with body_within(request, APP_BODY_S):
        return _arguments(request, method)


def _arguments(request: HttpRequest, method: Method) -> Any:
    if method.is_query:
        if request.method != "GET":
            raise InvalidRequest("the method is a query: use GET")
        for name, values in request.GET.lists():
            if len(values) != 1:
                raise InvalidRequest(f"{name[:40]}: given more than once")
        return _typed(request.GET.dict(), method)
    packed = request.content_type == PACKED and method.nsid.removeprefix(NAMESPACE) in PACKED_METHODS
    if request.method != "POST" or not (packed or request.content_type == "application/json"):
        raise InvalidRequest("the method is a procedure: use POST with application/json")
    try:
        body = request.body
    except RequestDataTooBig:
        raise PayloadTooLarge("the body is too large") from None
    except UnreadablePostError:
        raise InvalidRequest("the body ended early") from None
    return _packed(body) if packed else _json(body)


def _packed(body: bytes) -> Any:
    try:
        return unpack(body, MOST_WIDE_BYTES)
    except ValueError:
        raise InvalidRequest("the body is not packed, or has too many values or too much text") from None


def _json(body: bytes) -> Any:
    try:
        return read_plain(body)
    except ValueError:
        raise InvalidRequest("the body is not JSON, or has too many values or too much text") from None


def _typed(parameters: dict[str, Any], method: Method) -> dict[str, Any]:
    """A query's parameters are text; those that the lexicon has as integers become such."""
    properties = method.input["properties"]
    return {
        name: int(value)
        if properties.get(name, {}).get("type") == "integer" and value.isascii() and value.isdecimal()
        else value
        for name, value in parameters.items()
    }


def _state() -> str:
    return "open" if is_present(operator_key_source) else "sealed"


def _status(now: datetime) -> Json:
    return {"state": _state(), "version": VERSION, "alarms": limits.alarms_since(now - ALARMS_SHOWN)}


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _error(name: str, message: str, status: int, retry_after_s: int | None = None) -> HttpResponse:
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return JsonResponse({"error": name, "message": message}, status=status, headers=headers)
