"""What pages show, and what they must not let through."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from webmail import read_marks
from webmail.models import Arrival, Delivery, Message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """The parts of a page that decide whether something could run in it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.forms: list[dict[str, object]] = []
        self.text: list[str] = []
        self._script = False
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "form":
            self.forms.append({"method": attributes.get("method"), "fields": set()})
        if tag == "input" and self.forms:
            fields = self.forms[-1]["fields"]
            assert isinstance(fields, set)
            fields.add(attributes.get("name"))
        if tag == "script":
            self._script = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = False

    def handle_data(self, data: str) -> None:
        (self.inline if self._script else self.text).append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def assert_nothing_inline(html: str) -> Page:
    """No script, style or handler that the policy would have to allow; every posting form has its token."""
    page = Page(html)
    assert not "".join(page.inline).strip()
    for tag, attributes in page.tags:
        assert tag != "style"
        assert not [name for name in attributes if name.startswith(("on", "hx-on"))]
        assert "style" not in attributes
        for name in ("src", "href", "action", "formaction"):
            assert not (attributes.get(name) or "").strip().lower().startswith(("javascript:", "data:"))
    for form in page.forms:
        fields = form["fields"]
        assert isinstance(fields, set)
        assert form["method"] != "post" or "csrfmiddlewaretoken" in fields
    return page


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")


def html_of(client: Client, address: str, **headers: str) -> str:
    response = client.get(address, headers=headers or None)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def test_pages_without_a_person_lead_to_sign_in() -> None:
    client = Client()
    for name in ("inbox", "new-conversation", "kept-aside", "devices"):
        assert client.get(reverse(name)).headers["Location"].startswith(reverse("sign-in"))
    part = client.get(reverse("conversation-list"), headers={"HX-Request": "true"})
    assert part.status_code == 401
    assert part.headers["HX-Redirect"] == reverse("sign-in")
    assert_nothing_inline(html_of(client, reverse("sign-in")))


def test_an_empty_inbox_says_so(at_alices: Client) -> None:
    page = assert_nothing_inline(html_of(at_alices, reverse("inbox")))
    assert "No conversations yet" in page.words
    assert "All read" in Page(html_of(at_alices, reverse("inbox") + "?filter=unread")).words


def test_no_browser_keeps_a_part_that_has_the_address_of_a_whole_page(
    alice: Account, at_alices: Client
) -> None:
    message = received(alice, peer("bob").did, "here")
    page = reverse("conversation", args=[message.conversation.conversation_id])
    for target in ("pane", "side"):
        part = at_alices.get(page, headers={"HX-Request": "true", "HX-Target": target})
        assert "<html" not in part.content.decode()
        assert "no-store" in part.headers["Cache-Control"]


def test_hostile_names_and_texts_stay_text(alice: Account, at_alices: Client) -> None:
    mallory = peer("mallory", display_name=HOSTILE)
    message = received(alice, mallory.did, f'{HOSTILE} javascript:alert(3)\nhttps://a.example/?"><b>')
    conversation = message.conversation.conversation_id
    for address in (
        reverse("inbox"),
        reverse("conversation", args=[conversation]),
        reverse("message", args=[message.message_id]),
        reverse("conversation-list"),
    ):
        page = assert_nothing_inline(html_of(at_alices, address))
        assert "<script>alert(1)</script>" in page.words
        assert not [tag for tag, attributes in page.tags if tag == "img" or attributes.get("src") == "x"]


def test_links_open_apart_and_tell_nothing(alice: Account, at_alices: Client) -> None:
    message = received(alice, peer("bob").did, "read https://a.example/x?y=1&z=2\n\nsoon")
    html = html_of(at_alices, reverse("conversation", args=[message.conversation.conversation_id]))
    links = [attributes for tag, attributes in Page(html).tags if tag == "a" and attributes.get("target")]
    assert links == [
        {"href": "https://a.example/x?y=1&z=2", "target": "_blank", "rel": "noopener noreferrer nofollow"}
    ]
    assert "</a>\n\nsoon</p>" in html


def test_a_conversation_is_read_once_somebody_looks_at_it(alice: Account, at_alices: Client) -> None:
    bob = peer("bob", display_name="Bob")
    message = received(alice, bob.did, "hello")
    assert "unread: 1" in Page(html_of(at_alices, reverse("inbox"))).words
    page = reverse("conversation", args=[message.conversation.conversation_id])
    news = reverse("conversation-news", args=[message.conversation.conversation_id])
    # A page that is loaded ahead, and a link that is looked into, have nobody who looks at them.
    for address in (
        page,
        f"{page}?around={message.message_id}",
        reverse("message", args=[message.message_id]),
    ):
        at_alices.get(address, headers={"Sec-Purpose": "prefetch;prerender", "Purpose": "prefetch"})
        assert 'id="unread"' in html_of(at_alices, address)
    at_alices.get(news, {"seen": "1"})
    at_alices.get(news, {"seen": ""}, headers={"HX-Request": "true"})
    assert Message.objects.filter(unread=True).count() == 1

    at_alices.get(news, {"seen": "1"}, headers={"HX-Request": "true"})
    assert "unread:" not in Page(html_of(at_alices, reverse("inbox"))).words
    assert not Message.objects.filter(unread=True).exists()


def test_without_script_one_says_that_one_has_read(alice: Account, at_alices: Client) -> None:
    message = received(alice, peer("bob").did, "hello")
    page = html_of(at_alices, reverse("conversation", args=[message.conversation.conversation_id]))
    seen = reverse("conversation-seen", args=[message.conversation.conversation_id])
    assert f'action="{seen}"' in page
    assert at_alices.get(seen).status_code == 405
    at_alices.post(seen)
    assert not Message.objects.filter(unread=True).exists()
    assert seen not in html_of(
        at_alices, reverse("conversation", args=[message.conversation.conversation_id])
    )


def test_a_conversation_is_marked_unread_by_its_last_received_message(
    alice: Account, at_alices: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(read_marks.events, "publish", lambda _account, *names, **_: told.append(names))
    first, last = (received(alice, "did:plc:bobbobbob", text) for text in ("one", "two"))
    at_alices.post(reverse("conversation-seen", args=[first.conversation.conversation_id]))
    unseen = reverse("conversation-unseen", args=[first.conversation.conversation_id])
    for _time in range(2):
        assert at_alices.post(unseen).headers["Location"] == reverse("inbox")
    assert [message.message_id for message in Message.objects.filter(unread=True)] == [last.message_id]
    assert "unread: 1" in Page(html_of(at_alices, reverse("inbox"))).words
    # The lists of all open pages hear of both; an open thread does not, which would read it again.
    assert told == [("conversations",), ("conversations",)]


def test_a_message_whose_signer_is_not_checked_shows_no_text(alice: Account, at_alices: Client) -> None:
    message = received(
        alice,
        peer("bob").did,
        "from whom, really",
        trust=Message.Trust.UNCHECKED,
        trust_code="signer-unreachable",
    )
    page = Page(html_of(at_alices, reverse("conversation", args=[message.conversation.conversation_id])))
    assert "from whom, really" not in page.words
    assert "This message is not shown yet" in page.words
    assert "Try again" in page.words


def test_a_message_that_was_opened_and_is_not_trusted_is_not_said_to_be_shut(
    alice: Account, at_alices: Client
) -> None:
    message = received(
        alice,
        peer("bob").did,
        "from whom, really",
        trust=Message.Trust.REFUSED,
        trust_code="signer-not-published",
    )
    page = Page(html_of(at_alices, reverse("conversation", args=[message.conversation.conversation_id])))
    assert "from whom, really" not in page.words
    assert "This message cannot be trusted" in page.words
    assert "This message could not be opened" not in page.words


@pytest.mark.parametrize(
    ("trust", "words"),
    [(Message.Trust.UNCHECKED, "Signature not checked"), (Message.Trust.REFUSED, "Signature not valid")],
)
def test_what_somebody_else_signed_in_ones_own_name_is_not_called_ones_own(
    alice: Account, at_alices: Client, trust: Message.Trust, words: str
) -> None:
    message = received(alice, peer("bob").did, "not by Alice", trust=trust, trust_code="signer-not-published")
    Message.objects.update(direction=Message.Direction.OUT, sender_did=alice.did, archived_at=timezone.now())
    page = Page(html_of(at_alices, reverse("conversation", args=[message.conversation.conversation_id])))
    # The composer says of the next message how it will be signed.
    assert "Signed by you" not in page.words.replace("Signed by you, sealed", "")
    assert words in page.words
    about = Page(html_of(at_alices, reverse("message", args=[message.message_id])))
    assert "Signed by your own device" not in about.words


def test_other_peoples_pages_do_not_exist(alice: Account) -> None:
    message = received(alice, peer("bob").did, "for Alice alone")
    at_carols = browser_of(new_account("carol"))
    conversation = message.conversation.conversation_id
    for address in (
        reverse("conversation", args=[conversation]),
        reverse("conversation-older", args=[conversation]),
        reverse("conversation-news", args=[conversation]),
        reverse("message", args=[message.message_id]),
    ):
        assert at_carols.get(address).status_code == 404
    for address in (
        reverse("conversation-send", args=[conversation]),
        reverse("message-retry", args=[message.message_id]),
        reverse("message-check", args=[message.message_id]),
    ):
        assert at_carols.post(address, {"text": "x"}).status_code == 404


def test_without_script_sending_shows_the_message(alice: Account, at_alices: Client) -> None:
    first = received(alice, peer("bob").did, "hello")
    address = reverse("conversation", args=[first.conversation.conversation_id])
    token = re.search(r'name="token" value="([^"]+)"', html_of(at_alices, address))
    assert token
    form = {"text": "line one\nline two", "token": token[1]}
    answers = [at_alices.post(f"{address}send/", form) for _again in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert html_of(at_alices, address).count("line one\nline two</p>") == 1


def test_what_cannot_be_sent_keeps_its_text(alice: Account, at_alices: Client) -> None:
    first = received(alice, peer("bob").did, "hello")
    address = reverse("conversation-send", args=[first.conversation.conversation_id])
    form = {"text": "x" * 60_000, "token": "b8e6b3f2-0d5c-4b63-9a4c-3f1f7e6b9f10"}
    answer = at_alices.post(address, form)
    assert answer.status_code == 422
    page = assert_nothing_inline(answer.content.decode())
    assert "Send it in parts" in page.words
    assert "x" * 60_000 in page.words
    part = at_alices.post(address, form, headers={"HX-Request": "true"})
    assert part.status_code == 422
    assert "Send it in parts" in Page(part.content.decode()).words


def test_an_agent_that_does_not_answer_loses_nothing(
    alice: Account, at_alices: Client, agent_process: AgentProcess
) -> None:
    message = received(alice, peer("bob").did, "hello")
    address = reverse("conversation", args=[message.conversation.conversation_id])
    agent_process.stop()
    try:
        listed, shown = (Page(html_of(at_alices, each)).words for each in (reverse("inbox"), address))
        for words in (listed, shown):
            assert "The key agent does not answer just now. Nothing is lost" in words
            assert "could not be opened" not in words
        assert "Not open just now" in listed
        assert "This message is not shown yet" in shown
        form = {"text": "kept", "token": "b8e6b3f2-0d5c-4b63-9a4c-3f1f7e6b9f11"}
        answer = at_alices.post(f"{address}send/", form)
    finally:
        agent_process.start()
    assert answer.status_code == 422
    assert "kept" in Page(answer.content.decode()).words
    after = Page(html_of(at_alices, address)).words
    assert "hello" in after
    assert "The key agent" not in after


def test_a_failed_delivery_says_why_and_offers_a_retry(alice: Account, at_alices: Client) -> None:
    bob = peer("bob", display_name="Bob")
    first = received(alice, bob.did, "hello")
    address = reverse("conversation", args=[first.conversation.conversation_id])
    at_alices.post(f"{address}send/", {"text": "on its way", "token": "b8e6b3f2-0d5c-4b63-9a4c-3f1f7e6b9f12"})
    sent = Message.objects.get(direction=Message.Direction.OUT)
    sent.deliveries.update(state=Delivery.State.FAILED, failure_code="no-device")
    page = Page(html_of(at_alices, address))
    assert "Not delivered to Bob: they have no device yet" in page.words
    assert "Not delivered : on its way" in Page(html_of(at_alices, reverse("inbox"))).words
    assert "Not delivered" in Page(html_of(at_alices, reverse("message", args=[sent.message_id]))).words
    answer = at_alices.post(reverse("message-retry", args=[sent.message_id]), headers={"HX-Request": "true"})
    assert "Not delivered" not in Page(answer.content.decode()).words
    assert sent.deliveries.get().state != Delivery.State.FAILED


def test_what_was_kept_aside_has_its_reason(alice: Account, at_alices: Client) -> None:
    now = timezone.now()
    for number, reason in enumerate(("bad-signature", "ordinary-mail")):
        Arrival.objects.create(
            account=alice,
            envelope_id=f"{number:064x}",
            state=Arrival.State.KEPT_ASIDE,
            uid_validity=1,
            uid=number + 1,
            size=2000,
            arrived_at=now,
            reason=reason,
        )
    page = assert_nothing_inline(html_of(at_alices, reverse("kept-aside")))
    assert "The signature does not fit" in page.words
    assert "Ordinary mail, not sealed" in page.words
    assert page.words.count("Try again") == 1
    assert "1 message kept aside" in Page(html_of(at_alices, reverse("inbox"))).words


def test_older_messages_come_in_pages(alice: Account, at_alices: Client) -> None:
    bob = peer("bob")
    start = timezone.now() - timedelta(hours=3)
    messages = [received(alice, bob.did, f"n{n:03}.", at=start + timedelta(minutes=n)) for n in range(60)]
    address = reverse("conversation", args=[messages[0].conversation.conversation_id])
    read_marks.mark_read(alice, messages[0].conversation)
    newest = html_of(at_alices, address)
    assert "n059." in newest
    assert "n009." not in newest
    older = re.search(r'hx-get="([^"]+/older/[^"]+)"', newest)
    assert older
    part = html_of(at_alices, older[1], **{"HX-Request": "true"})
    assert "n009." in part
    assert "n000." in part
    assert "n010." not in part
    assert "Earlier messages" not in part


def test_the_number_of_queries_does_not_grow(
    alice: Account, at_alices: Client, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    for number in range(12):
        bob = peer(f"bob{number}")
        for _each in range(3):
            message = received(alice, bob.did, "hello")
    address = reverse("conversation", args=[message.conversation.conversation_id])
    html_of(at_alices, address)
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        html_of(at_alices, reverse("inbox"))
    with django_assert_max_num_queries(21):  # type: ignore[operator]
        html_of(at_alices, address)


def test_forms_without_their_token_are_refused_with_a_page(alice: Account) -> None:
    strict = browser_of(alice)
    strict.handler.enforce_csrf_checks = True
    answer = strict.post(reverse("new-conversation"), {"do": "add", "q": "bob.test"})
    assert answer.status_code == 403
    assert "This page is too old" in assert_nothing_inline(answer.content.decode()).words


@override_settings(DEBUG=False)
def test_addresses_that_lead_nowhere_have_a_page(at_alices: Client) -> None:
    answer = at_alices.get("/nowhere/")
    assert answer.status_code == 404
    assert "Nothing here" in assert_nothing_inline(answer.content.decode()).words


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "\x00", "soon"])
def test_a_list_before_a_time_that_is_none_begins_at_the_newest(at_alices: Client, time: str) -> None:
    assert at_alices.get(reverse("inbox"), {"older_than": time}).status_code == 200


def test_what_is_no_id_is_not_looked_for(alice: Account, at_alices: Client) -> None:
    message = received(alice, peer("bob").did, "here")
    page = reverse("conversation", args=[message.conversation.conversation_id])
    for address in ("/m/%00/", "/c/%00/", "/m/..%2f/", f"{page}?before=%00", f"{page}older/?before=%00"):
        assert at_alices.get(address).status_code == 404


def test_the_theme_is_kept_and_leads_back() -> None:
    client = Client()
    answer = client.post(reverse("theme"), {"theme": "dark", "next": "/sign-in/?next=/new/"})
    assert answer.headers["Location"] == "/sign-in/?next=/new/"
    assert 'data-theme="dark"' in html_of(client, reverse("sign-in"))
    astray = client.post(reverse("theme"), {"theme": "<b>", "next": "//evil.example/"})
    assert astray.headers["Location"] == "/"
    assert 'data-theme="dark"' in html_of(client, reverse("sign-in"))
    client.post(reverse("theme"), {"theme": "system"})
    assert "data-theme=" not in html_of(client, reverse("sign-in"))


def test_times_are_those_of_the_browser(alice: Account, at_alices: Client) -> None:
    at = timezone.now().replace(year=2025, month=1, day=15, hour=23, minute=30)
    message = received(alice, peer("bob").did, "hello", at=at)
    address = reverse("conversation", args=[message.conversation.conversation_id])
    assert "23:30" in html_of(at_alices, address)
    at_alices.cookies["zone"] = "Asia%2FTokyo"
    there = html_of(at_alices, address)
    assert "08:30" in there
    assert "16 January 2025" in there
    at_alices.cookies["zone"] = "../../etc/passwd"
    assert "23:30" in html_of(at_alices, address)


def test_every_answer_carries_the_policy(at_alices: Client) -> None:
    for address in (reverse("inbox"), reverse("sign-in"), "/admin/login/", "/nowhere/"):
        policy = at_alices.get(address).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert settings.CSRF_COOKIE_HTTPONLY
