"""How a call to the agent fails."""

from http import HTTPStatus

from urllib3 import BaseHTTPResponse


class AgentError(Exception):
    """A call that failed; ``code`` is the agent's stable error name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class AgentUnavailable(AgentError):
    """The agent could not be reached, did not answer in time, or could not keep its audit log: try later."""


class AgentSealed(AgentUnavailable):
    """The agent runs, but its operator has not given it its key yet: try later."""


class AgentLimited(AgentUnavailable):
    """The account's keys were used as often as one hour allows: try again after ``retry_after_s`` seconds."""

    def __init__(self, code: str, message: str, retry_after_s: int) -> None:
        super().__init__(code, message)
        self.retry_after_s = retry_after_s


class AgentLocked(AgentUnavailable):
    """The user locked the account, and the call brings no unlock session that lives: try when one does."""


class AgentRefused(AgentError):
    """The agent understood the call and refuses it; the same call would be refused again."""


class TooManyGuesses(AgentRefused):
    """Wrong passphrases: none is looked at before ``retry_after_s`` seconds have passed."""

    def __init__(self, code: str, message: str, retry_after_s: int) -> None:
        super().__init__(code, message)
        self.retry_after_s = retry_after_s


def error_of(response: BaseHTTPResponse) -> AgentError:
    """The error that an answer other than 200 stands for."""
    try:
        body = response.json()
        code, message = str(body["error"]), str(body.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message = f"Http{response.status}", "the agent answered without an XRPC error"
    if code == "AgentSealed":
        return AgentSealed(code, message)
    if code == "LimitReached":
        seconds = response.headers.get("Retry-After", "")
        return AgentLimited(code, message, int(seconds) if seconds.isdecimal() else 60)
    if code == "AccountLocked":
        return AgentLocked(code, message)
    if code == "TooManyGuesses":
        return TooManyGuesses(code, message, _seconds(response.headers.get("Retry-After", "")))
    if response.status >= 500 and response.status != HTTPStatus.NOT_IMPLEMENTED:
        return AgentUnavailable(code, message)
    return AgentRefused(code, message)


def _seconds(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0
