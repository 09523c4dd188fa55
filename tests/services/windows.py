"""A person's browser window without script: it follows the pages' own links and forms over HTTP."""

import re
from dataclasses import dataclass
from html import unescape
from uuid import uuid4

import httpx

from demo.local_network import LocalAccount
from tests.services import sign_in as consent


@dataclass(frozen=True)
class Shown:
    """A message as a thread shows it; `state` is the line beneath it."""

    id: str
    own: bool
    author: str
    text: str
    shut: str
    state: str


class Window:
    """One person at one installation."""

    def __init__(self, url: str, account: LocalAccount) -> None:
        self.account = account
        self.client = httpx.Client(base_url=url, timeout=60)

    @property
    def did(self) -> str:
        return self.account.did

    def sign_in(self) -> None:
        """By the person's own server, which is asked for its consent without its pages."""
        page = self.post("/sign-in/", {"handle": self.account.person.handle}, form_at="/sign-in/")
        there = re.search(r'id="continue" href="([^"]+)"', page.text)
        assert there, words(page.text)
        person = self.account.person
        back = consent.approve(unescape(there[1]), person.handle, person.password)
        answer = self.client.get("/oauth/callback", params=consent.callback_parameters(back))
        assert answer.status_code == 302, words(answer.text)
        # The token of a page from before is nobody's.
        self.client.cookies.delete("csrf")

    def enrol(self) -> None:
        """Publishes what the welcome page shows, and locks nothing."""
        assert "What will be published" in self.words("/welcome/")
        there = self.post("/welcome/", {}).headers["Location"]
        if there == "/welcome/lock/":
            there = self.post(there, {"later": "yes"}).headers["Location"]
        assert there.partition("?")[0] == "/welcome/done/"

    def get(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.headers.get('Location')}"
        return answer.text

    def words(self, path: str) -> str:
        return words(self.get(path))

    def post(
        self, path: str, fields: dict[str, str | list[str]], *, form_at: str | None = None
    ) -> httpx.Response:
        """Submits the form that is at `path`, or on the page `form_at`."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(form_at or path))
        assert token, path
        return self.client.post(path, data={"csrfmiddlewaretoken": token[1], **fields})

    def write(self, recipients: list[str], text: str, *, token: str | None = None) -> str:
        """A message in a new conversation with these DIDs; the path of the conversation."""
        fields: dict[str, str | list[str]] = {"to": recipients, "text": text, "do": "send"}
        answer = self.post("/new/", {**fields, "token": token or str(uuid4())})
        assert answer.status_code == 302, words(answer.text)
        return answer.headers["Location"].partition("#")[0]

    def reply(self, conversation: str, text: str, *, token: str | None = None, topic: str = "") -> str:
        """A message in a conversation, or in a topic of it, that is there; its id."""
        fields = {"text": text, "token": token or str(uuid4()), "topic": topic}
        answer = self.client.post(f"{conversation}send/", data={**self._token(conversation), **fields})
        assert answer.status_code == 302, words(answer.text)
        return answer.headers["Location"].rpartition("#m")[2]

    def attach(self, conversation: str, text: str, *files: tuple[str, bytes, str]) -> str:
        """A message with files, each its name, bytes and media type; its id."""
        answer = self.client.post(
            f"{conversation}send/",
            data={**self._token(conversation), "text": text, "token": str(uuid4())},
            files=[("files", file) for file in files],
        )
        assert answer.status_code == 302, words(answer.text)
        return answer.headers["Location"].rpartition("#m")[2]

    def _token(self, conversation: str) -> dict[str, str]:
        """What the form of a conversation that is open sends along; only the first has to be asked for."""
        if "csrf" not in self.client.cookies:
            self.get(conversation)
        return {"csrfmiddlewaretoken": self.client.cookies["csrf"]}

    def thread(self, conversation: str) -> list[Shown]:
        """Every message of a conversation, the oldest first; they count as read."""
        path: str | None = f"{conversation}?newest=1"
        found: list[Shown] = []
        while path:
            page = self.get(path)
            if not found and (token := re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)):
                self.client.post(f"{conversation}seen/", data={"csrfmiddlewaretoken": token[1]})
            found = [*shown_in(page), *found]
            older = re.search(r'<a href="([^"]+)" data-older', page)
            path = unescape(older[1]) if older else None
        return found

    def texts(self, conversation: str) -> list[str]:
        return [message.text for message in self.thread(conversation)]

    def rows(self) -> dict[str, str]:
        """The list of conversations: the words of each row by the conversation's path."""
        found = re.findall(r'<a class="row[^>]*? href="(/c/[^"]+)"[^>]*>(.*?)</a>', self.get("/"), re.DOTALL)
        return {path: words(row) for path, row in found}

    def everything(self) -> dict[str, list[Shown]]:
        """All conversations of the list, newest first, and their messages."""
        return {path: self.thread(path) for path in self.rows()}

    def revoke_device(self) -> None:
        """The one device, by its page and the question before it."""
        page = self.get("/devices/")
        paths = re.findall(r'href="(/devices/[0-9a-f]{64}/revoke/)"', page)
        assert len(set(paths)) == 1
        assert self.post(paths[0], {}).headers["Location"] == "/devices/"
        assert "your server says so" in self.words("/devices/")


def shown_in(page: str) -> list[Shown]:
    """The messages on a conversation page."""
    return [_shown(item) for item in re.findall(r'<li class="msg.*?</li>', page, re.DOTALL)]


def words(html: str) -> str:
    """The text of a page or a part of one."""
    without_isolation = re.sub(r"</?bdi[^>]*>", "", html)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", without_isolation)).split())


def _shown(item: str) -> Shown:
    def part(pattern: str) -> str:
        found = re.search(pattern, item, re.DOTALL)
        return found[1] if found else ""

    return Shown(
        id=part(r'id="m([0-9a-f]{64})"'),
        own="msg--own" in item,
        author=words(part(r'<p class="msg__author[^>]*>(.*?)</p>')),
        text=unescape(re.sub(r"<[^>]*>", "", part(r'<p class="text">(.*?)</p>'))),
        shut=words(
            part(r'<div class="bubble bubble--shut"([^>]*>.*?)<div class="msg__meta').partition(">")[2]
        ),
        state=words(part(r'<div class="msg__meta[^>]*>(.*)</div>')),
    )
