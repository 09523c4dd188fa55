"""An HTTP proxy that hears what pages complain about, for a browser that tells it to nobody."""

from __future__ import annotations

import http.client
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.accounts.http_server import Server, reply

_SCRIPT = "/watching.js"
_SAID = "/watching/said"
#: The first script of each page.
_WATCH = f"""(() => {{
  let leaves = false;
  const say = (what) => leaves || navigator.sendBeacon("{_SAID}", `${{location.pathname}}: ${{what}}`);
  const told = ({{ message, target }}) => say(message ?? `no ${{target.src ?? target.href}}`);
  addEventListener("error", told, true);
  // What was still on its way then does not come any more.
  addEventListener("beforeunload", () => {{ leaves = true; }});
  addEventListener("pageshow", () => {{ leaves = false; }});
  addEventListener("unhandledrejection", ({{ reason }}) => say(`rejected: ${{reason?.stack ?? reason}}`));
  addEventListener("securitypolicyviolation", ({{ effectiveDirective, blockedURI }}) => {{
    say(`refused: ${{effectiveDirective}} ${{blockedURI}}`);
  }});
}})();"""
#: What is between two of them alone.
_OF_ONE_STEP = {"connection", "proxy-connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class WatchedPages:
    """Passes on what a browser asks for; pages of the installation at `url` get a script that tells here what
    fails in them. While it `is_down`, nobody gets an answer."""

    def __init__(self, url: str) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.is_down = False
        self._host = urlsplit(url).netloc
        self._server = Server(self._answer)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    def close(self) -> None:
        self._server.__exit__()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        asked = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if asked.path == _SCRIPT:
            return reply(handler, 200, _WATCH.encode(), Content_Type="text/javascript")
        if asked.path == _SAID:
            self.complaints.append(body.decode())
            return reply(handler, 200, b"")
        self.hosts.add(asked.netloc)
        if not self.is_down:
            self._pass_on(handler, body)

    def _pass_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked = urlsplit(handler.path)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _OF_ONE_STEP}
        # Only what is not compressed can be added to.
        headers["Accept-Encoding"] = "identity"
        connection = http.client.HTTPConnection(asked.netloc, timeout=60)
        try:
            connection.request(
                handler.command, asked._replace(scheme="", netloc="").geturl(), body or None, headers
            )
            self._hand_over(handler, connection.getresponse(), is_own=asked.netloc == self._host)
        finally:
            connection.close()

    def _hand_over(
        self, handler: BaseHTTPRequestHandler, answer: http.client.HTTPResponse, *, is_own: bool
    ) -> None:
        handler.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_ONE_STEP:
                handler.send_header(name, value)
        handler.send_header("Connection", "close")
        handler.end_headers()
        if is_own and answer.headers.get_content_type() == "text/html":
            page = answer.read()
            handler.wfile.write(
                page.replace(b"<head>", f'<head><script src="{_SCRIPT}"></script>'.encode(), 1)
            )
            return
        while not self.is_down and (part := answer.read1(65536)):
            handler.wfile.write(part)
