"""Signing in and consenting at a PDS without a browser.

Makes the calls that the PDS's own pages make, so everything behind them is real; it is a private interface of
the PDS, whose version the lock pins. The pages themselves are driven by the browser tests.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import httpx

_PAGE = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "cross-site"}
_CALL = {"sec-fetch-mode": "same-origin", "sec-fetch-dest": "empty", "sec-fetch-site": "same-origin"}


@dataclass
class ConsentPages:
    """One visit to the authorization pages, with the cookies that it is given."""

    authorization_url: str
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        parts = urlsplit(self.authorization_url)
        return f"{parts.scheme}://{parts.netloc}"

    def request(self, method: str, url: str, headers: dict[str, str], json: object = None) -> httpx.Response:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**headers, "cookie": cookies, "user-agent": "waxwing-tests"}
        response = httpx.request(method, url, headers=headers, json=json, timeout=20)
        for cookie in response.headers.get_list("set-cookie"):
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        return response

    def call(self, name: str, body: dict[str, object], token: str | None = None) -> dict[str, object]:
        headers = {
            **_CALL,
            "origin": self.origin,
            "referer": self.authorization_url,
            "x-csrf-token": self.cookies["csrf-token"],
        }
        if token:
            headers["authorization"] = f"Bearer {token}"
        response = self.request("POST", f"{self.origin}/@atproto/oauth-provider/~api/{name}", headers, body)
        response.raise_for_status()
        answer: dict[str, object] = response.json()
        return answer


def approve(authorization_url: str, identifier: str, password: str, *, scope: str | None = None) -> str:
    """Signs in and consents (to `scope` only, if given); returns the callback URL with its parameters."""
    return _answer(authorization_url, identifier, password, "consent", {"scope": scope} if scope else {})


def deny(authorization_url: str, identifier: str, password: str) -> str:
    """Signs in and denies access; returns the callback URL with its parameters."""
    return _answer(authorization_url, identifier, password, "reject", {})


def callback_parameters(callback_url: str) -> dict[str, str]:
    """The query of a callback URL: state, iss, and code or error."""
    return dict(parse_qsl(urlsplit(callback_url).query))


def _answer(
    authorization_url: str, identifier: str, password: str, answer: str, extra: dict[str, str]
) -> str:
    pages = ConsentPages(authorization_url)
    pages.request("GET", authorization_url, _PAGE).raise_for_status()
    session = pages.call(
        "sign-in", {"locale": "en", "username": identifier, "password": password, "remember": False}
    )
    account = session["account"]
    assert isinstance(account, dict)
    body: dict[str, object] = dict(extra)
    if answer == "consent":
        name = "did" if "did" in account else "sub"
        body[name] = account[name]
    token = session.get("ephemeralToken")
    outcome = pages.call(answer, body, str(token) if token else None)
    headers = {**_PAGE, "sec-fetch-site": "same-origin", "referer": authorization_url}
    response = pages.request("GET", str(outcome["url"]), headers)
    return response.headers["location"]
