"""Waking browsers through a push service, and what they are told when they ask."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64decode
from pytest_django import Settings

from accounts import browsers
from accounts.models import Account, OAuthSession
from demo.secrets_file import keep_push_key
from tests.services.agent import AgentProcess
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import browser_of, new_account, peer, received
from webmail import queues, read_marks, tasks
from webmail.models import Conversation, PushSubscription
from webmail.push import notices, sending, subscriptions, vapid

pytestmark = pytest.mark.django_db

NOW_S = 1_790_000_000


@dataclass
class PushService:
    """Stands in for a browser maker's push service, which no test can reach."""

    url: str
    status: int = 201
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def push_service() -> Iterator[PushService]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.calls.append((self.path, headers, body))
            self.send_response(service.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service = PushService(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield service
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def push_key(settings: Settings, tmp_path: Path) -> None:
    keep_push_key(tmp_path / "push.pem")
    settings.PUSH_KEY_FILE = str(tmp_path / "push.pem")


def sign_in(account: Account) -> OAuthSession:
    """Of one more browser of the account."""
    browser_of(account)
    return account.oauth_sessions.latest("pk")


def end_of_browser(session: OAuthSession | None) -> None:
    """Its own session expires, while what its person's server granted lives on."""
    assert session is not None
    Session.objects.filter(session_key=session.session_key).update(
        expire_date=timezone.now() - timedelta(seconds=1)
    )


def wake(account: Account) -> int:
    """By push services that answer at once."""
    return sending.wake(account, NOW_S, lambda: 0.0)


@pytest.fixture
def alice_here(agent_process: AgentProcess) -> Account:
    return new_account("alice")


def test_a_push_service_learns_that_something_came_and_nothing_else(
    alice_here: Account, push_service: PushService
) -> None:
    subscriptions.add(alice_here, f"{push_service.url}/browser/1", sign_in(alice_here))
    received(alice_here, peer("bob", display_name="Bob").did, "the secret plan")

    assert wake(alice_here) == 1

    [(path, headers, body)] = push_service.calls
    assert (path, body, headers["content-length"]) == ("/browser/1", b"", "0")
    assert (headers["ttl"], headers["topic"]) == ("86400", "news")
    scheme, _space, parameters = headers["authorization"].partition(" ")
    assert scheme == "vapid"
    given = dict(part.strip().split("=", 1) for part in parameters.split(","))
    point = urlsafe_b64decode(given["k"].encode())
    assert (len(point), point[0]) == (65, 4)
    key = vapid.key()
    assert key is not None
    assert given["k"] == vapid.public_key(key)
    public = ECKey.import_key({**key.as_dict(private=False)})  # type: ignore[arg-type]
    claims = jwt.decode(given["t"], public, algorithms=["ES256"]).claims
    assert claims["aud"] == push_service.url
    assert NOW_S < int(claims["exp"]) <= NOW_S + 24 * 60 * 60
    assert str(claims["sub"]).startswith(("mailto:", "https:"))


@pytest.mark.parametrize("status", [404, 410])
def test_an_address_that_is_gone_is_given_up_and_its_browser_asked_for_another(
    status: int, alice_here: Account, push_service: PushService
) -> None:
    gone, anew = f"{push_service.url}/1", f"{push_service.url}/2"
    browser = browser_of(alice_here)

    def here(endpoint: str) -> object:
        answer = browser.post("/notifications/here/", {"endpoint": endpoint})
        return answer.json()["lost"] if answer.status_code == 200 else answer.status_code

    assert here(gone) == here("") == 204
    browser.post("/notifications/on/", {"endpoint": gone})
    assert here(gone) is False
    # As where its push service ended it by itself.
    assert here("") is True
    push_service.status = status
    assert wake(alice_here) == 0
    push_service.status = 201
    assert not notices.any_browser(alice_here.pk)
    assert wake(alice_here) == 0
    assert len(push_service.calls) == 1
    page = browser.get("/notifications/").content.decode()
    assert "data-chosen" in page
    assert gone not in page
    assert "On in" not in page
    assert here(gone) is here("") is True
    # Nobody else's browser is.
    assert browser_of(alice_here).post("/notifications/here/", {"endpoint": ""}).status_code == 204

    browser.post("/notifications/on/", {"endpoint": anew})
    assert here(anew) is False
    assert [row.endpoint for row in PushSubscription.objects.all()] == [anew]
    assert wake(alice_here) == 1


def test_a_browser_without_an_open_page_says_another_address_where_it_is_to_be_woken(
    alice_here: Account, push_service: PushService
) -> None:
    browser = browser_of(alice_here)
    browser.handler.enforce_csrf_checks = True
    page = browser.get("/notifications/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    asked = browser.get("/notifications/renewal/")
    assert (asked.status_code, asked.content) == (204, b"")
    of_page = {"endpoint": f"{push_service.url}/1", "csrfmiddlewaretoken": token[1]}
    assert browser.post("/notifications/on/", of_page).status_code == 204

    asked = browser.get("/notifications/renewal/")
    given, key = asked.json(), vapid.key()
    assert key is not None
    assert (given["key"], given["on"]) == (vapid.public_key(key), "/notifications/on/")
    assert asked["Cache-Control"] == "no-store"
    assert not [name for name in asked.headers if name.lower().startswith("access-control")]
    another = {"endpoint": f"{push_service.url}/2"}
    assert browser.post(given["on"], another).status_code == 403
    of_worker = another | {"csrfmiddlewaretoken": given["token"]}
    assert browser.post(given["on"], of_worker).status_code == 204
    assert [row.endpoint for row in PushSubscription.objects.all()] == [f"{push_service.url}/2"]

    assert browser_of(alice_here).get("/notifications/renewal/").status_code == 204
    assert Client().get("/notifications/renewal/").status_code == 204


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_browser_in_which_they_were_turned_off_is_asked_for_no_other_address(
    everywhere: bool, alice_here: Account, push_service: PushService
) -> None:
    browser = browser_of(alice_here)
    browser.post("/notifications/on/", {"endpoint": f"{push_service.url}/1"})
    push_service.status = 410
    wake(alice_here)
    # Its page, or that of another, may be from before that.
    browser.post("/notifications/off/", {} if everywhere else {"endpoint": f"{push_service.url}/2"})
    assert browser.post("/notifications/here/", {"endpoint": ""}).status_code == 204
    assert "data-chosen" not in browser.get("/notifications/").content.decode()


def test_a_push_service_in_trouble_is_asked_again_with_the_next_message_but_not_for_ever(
    alice_here: Account, push_service: PushService
) -> None:
    subscriptions.add(alice_here, f"{push_service.url}/1", sign_in(alice_here))
    push_service.status = 503
    wake(alice_here)
    assert PushSubscription.objects.get().failures == 1
    push_service.status = 201
    wake(alice_here)
    assert PushSubscription.objects.get().failures == 0
    push_service.status = 429
    for _notice in range(subscriptions.GIVE_UP_AFTER + 1):
        wake(alice_here)
    assert len(push_service.calls) == 2 + subscriptions.GIVE_UP_AFTER
    assert not notices.any_browser(alice_here.pk)


def test_slow_push_services_have_a_part_of_a_workers_time_and_those_that_fail_come_last(
    alice_here: Account, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    received(alice_here, peer("carol").did, "the secret plan")
    bob = new_account("bob")
    for name in ("failed", "slow", "slower"):
        subscriptions.add(alice_here, f"{push_service.url}/{name}", sign_in(alice_here))
    PushSubscription.objects.filter(endpoint__endswith="failed").update(failures=2)
    seconds = iter([0.0, 0.0, 9.0, 18.0, 18.0])
    assert sending.wake(alice_here, NOW_S, lambda: next(seconds)) == 2
    assert [path for path, *_ in push_service.calls] == ["/slow", "/slower"]

    given: list[tuple[str, int, float]] = []

    def give(task: str, key: int, *, after_s: float = 0) -> None:
        given.append((task, key, after_s))

    monkeypatch.setattr(queues, "give", give)
    # What comes meanwhile is said later, by one task whatever number comes.
    cache.delete(f"notice:{alice_here.pk}")
    tasks.wake(alice_here.pk)
    tasks.wake(alice_here.pk)
    assert given == [(queues.WAKE, alice_here.pk, notices.GATHER_SECONDS)]
    assert len(push_service.calls) == 2
    # Another account waits for nothing.
    subscriptions.add(bob, f"{push_service.url}/of-bob", sign_in(bob))
    assert wake(bob) == 1
    cache.delete(f"waking:{alice_here.pk}")
    assert wake(alice_here) == 3


def test_nobody_is_woken_without_a_key(
    alice_here: Account, push_service: PushService, settings: Settings
) -> None:
    settings.PUSH_KEY_FILE = ""
    subscriptions.add(alice_here, f"{push_service.url}/1", sign_in(alice_here))
    assert wake(alice_here) == 0
    assert push_service.calls == []
    page = browser_of(alice_here).get("/notifications/").content.decode()
    assert "has not set notifications up" in page


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "ftp://push.example/1",
        "/1",
        "javascript:alert(1)",
        "https://",
        "https://[",
        "https://push.example/" + "x" * 999,
    ],
)
def test_other_addresses_are_refused(endpoint: str, alice_here: Account) -> None:
    with pytest.raises(subscriptions.BadEndpoint):
        subscriptions.add(alice_here, endpoint, sign_in(alice_here))
    browser = browser_of(alice_here)
    assert browser.post("/notifications/on/", {"endpoint": endpoint}).status_code == 422


def test_the_page_turns_browsers_on_and_off(alice_here: Account) -> None:
    browser, other = browser_of(alice_here), browser_of(alice_here)
    for client, number in ((browser, 1), (browser, 1), (other, 2)):
        answer = client.post("/notifications/on/", {"endpoint": f"https://push.example/{number}"})
        assert answer.status_code == 204
    assert "On in 2 browsers" in browser.get("/notifications/").content.decode()
    browser.post("/notifications/off/", {"endpoint": "https://push.example/1"})
    assert [row.endpoint for row in PushSubscription.objects.all()] == ["https://push.example/2"]
    assert browser.post("/notifications/off/", {}).status_code == 302
    assert not PushSubscription.objects.exists()


def test_a_browser_that_lost_its_address_turns_itself_off_and_no_other(alice_here: Account) -> None:
    browser, other = browser_of(alice_here), browser_of(alice_here)
    for client, number in ((browser, 1), (other, 2)):
        client.post("/notifications/on/", {"endpoint": f"https://push.example/{number}"})
    assert browser.post("/notifications/off/", {"endpoint": ""}).status_code == 204
    assert [row.endpoint for row in PushSubscription.objects.all()] == ["https://push.example/2"]


def test_a_browser_of_which_no_sign_in_is_known_is_woken_once_its_page_says_that_it_is_there(
    alice_here: Account, push_service: PushService
) -> None:
    address = f"{push_service.url}/1"
    session = sign_in(alice_here)
    subscriptions.add(alice_here, address, session)
    # The person's own server ended it.
    session.delete()
    assert not notices.any_browser(alice_here.pk)
    assert wake(alice_here) == 0
    assert push_service.calls == []
    mallory = browser_of(new_account("mallory"))
    assert mallory.post("/notifications/here/", {"endpoint": address}).status_code == 204
    browser = browser_of(alice_here)
    assert browser.post("/notifications/here/", {"endpoint": f"{push_service.url}/2"}).status_code == 204
    assert not notices.any_browser(alice_here.pk)
    browser.post("/notifications/here/", {"endpoint": address})
    assert notices.any_browser(alice_here.pk)
    assert wake(alice_here) == 1
    browser.post("/sign-out/")
    # One that is not remembered is not turned on by that.
    again = browser_of(alice_here)
    again.post("/notifications/here/", {"endpoint": address})
    assert not PushSubscription.objects.exists()


def test_a_browser_whose_sign_in_expired_is_not_woken_whoever_is_there_now(
    alice_here: Account, push_service: PushService
) -> None:
    address = f"{push_service.url}/1"
    session = sign_in(alice_here)
    subscriptions.add(alice_here, address, session)
    assert wake(alice_here) == 1
    end_of_browser(session)
    assert not notices.any_browser(alice_here.pk)
    assert wake(alice_here) == 0
    browsers.forget_ended()
    assert wake(alice_here) == 0
    assert len(push_service.calls) == 1

    browser = browser_of(alice_here)
    subscriptions.add(alice_here, f"{push_service.url}/2", sign_in(alice_here))
    page = browser.get("/notifications/").content.decode()
    assert "On in 1 browser." in page
    # Its own address tells a page in which browser it is.
    assert f'value="{address}"' in page
    browser.post("/notifications/here/", {"endpoint": address})
    assert "On in 2 browsers." in browser.get("/notifications/").content.decode()
    assert wake(alice_here) == 2


def test_a_browser_in_which_nobody_signs_in_again_is_forgotten_after_some_weeks(alice_here: Account) -> None:
    alive, expired, ended, back = (sign_in(alice_here) for _ in range(4))
    for number, session in enumerate((alive, expired, ended, back)):
        subscriptions.add(alice_here, f"https://push.example/{number}", session)
    PushSubscription.objects.update(created_at=timezone.now() - timedelta(days=365))
    end_of_browser(expired)
    end_of_browser(back)
    ended.delete()
    began = timezone.now()
    later = began + subscriptions.KEPT_SIGNED_OUT + timedelta(hours=1)
    assert [subscriptions.prune(began), subscriptions.prune(began + timedelta(weeks=3))] == [0, 0]
    subscriptions.confirm(alice_here, "https://push.example/3", sign_in(alice_here))
    assert subscriptions.prune(later) == 2
    kept = [row.endpoint for row in PushSubscription.objects.all()]
    assert kept == ["https://push.example/0", "https://push.example/3"]
    # What comes to an end later has its own weeks.
    end_of_browser(PushSubscription.objects.get(endpoint=kept[1]).session)
    assert [subscriptions.prune(later), PushSubscription.objects.count()] == [0, 2]


def test_an_account_has_so_many_browsers_at_most(alice_here: Account) -> None:
    for number in range(subscriptions.AT_MOST + 3):
        subscriptions.add(alice_here, f"https://push.example/{number}", sign_in(alice_here))
    kept = {row.endpoint for row in alice_here.push_subscriptions.all()}
    assert len(kept) == subscriptions.AT_MOST
    assert "https://push.example/0" not in kept


def test_a_woken_browser_is_told_who_wrote_and_never_what(alice_here: Account) -> None:
    browser = browser_of(alice_here)
    assert browser.get("/notifications/notice/").status_code == 204
    bob = peer("bob", display_name="Bob")
    first = received(alice_here, bob.did, "the secret plan")
    said = json.loads(browser.get("/notifications/notice/").content)
    assert said == {
        "title": "Bob",
        "body": "1 new message",
        "path": f"/c/{first.conversation.conversation_id}/",
        "unread": 1,
    }
    second = received(alice_here, peer("carol").did, "another secret")
    said = json.loads(browser.get("/notifications/notice/").content)
    words = {"title": "carol.test", "body": "New messages in 2 conversations", "path": "/"}
    assert said == words | {"unread": 2}
    assert "secret" not in json.dumps(said)
    read_marks.mark_read(alice_here, first.conversation)
    assert json.loads(browser.get("/notifications/notice/").content)["body"] == "1 new message"
    Conversation.objects.filter(pk=second.conversation.pk).update(muted=True)
    assert browser.get("/notifications/notice/").status_code == 204


@pytest.mark.parametrize("read", ["before counting", "after it"])
def test_what_is_read_while_a_notice_is_made_is_in_it_or_not_and_fails_nothing(
    alice_here: Account, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    received(alice_here, peer("bob").did, "hello")
    count = QuerySet.count

    def counted(rows: QuerySet[Conversation]) -> int:
        found = count(rows)
        Conversation.objects.update(unread_count=0)
        return count(rows) if read == "before counting" else found

    with monkeypatch.context() as patch:
        patch.setattr(QuerySet, "count", counted)
        notice = notices._written(alice_here)
    assert notice is not None
    assert notice.body == "1 new message"
    assert notices._written(alice_here) is None


def test_a_browser_that_is_signed_out_is_told_nothing(alice_here: Account) -> None:
    browser = browser_of(alice_here)
    received(alice_here, peer("bob").did, "hello")
    browser.cookies.clear()
    assert browser.get("/notifications/notice/").status_code == 204


def test_what_comes_close_together_is_one_notice_and_what_was_read_is_none(
    alice: Account, bob: Account, write: Write, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, float]] = []

    def give(task: str, key: int, *, after_s: float = 0) -> None:
        if task == queues.WAKE:
            given.append((key, after_s))

    monkeypatch.setattr(queues, "give", give)
    texts = [seal(write(alice, [bob], text))[bob.did] for text in ("one", "two")]
    cache.clear()
    hand_over(bob, texts[0])
    assert given == []
    subscriptions.add(bob, f"{push_service.url}/1", sign_in(bob))
    third = seal(write(alice, [bob], "three"))[bob.did]
    hand_over(bob, [*texts[1], *third])
    assert given == [(bob.pk, notices.GATHER_SECONDS)]

    tasks.wake(bob.pk)
    assert len(push_service.calls) == 1
    read_marks.mark_read(bob, bob.conversations.get())
    tasks.wake(bob.pk)
    assert len(push_service.calls) == 1
