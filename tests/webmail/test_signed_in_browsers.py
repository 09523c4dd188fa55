"""The list of browsers in which somebody is signed in, and what ends when one is signed out from another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone
from redis.asyncio.client import PubSub

from accounts import browsers, tasks, unlocking
from accounts.agent import kept_client
from accounts.models import Account, OAuthSession
from accounts.sessions import sign_in_browser
from crypto_agent.client import AgentLocked, Passphrase
from tests.webmail.installation import browser_of, new_account
from webmail import events
from webmail.models import PushSubscription

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]

WORDS = "correct horse battery staple"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604.1"
)


@pytest.fixture
def alice() -> Account:
    return new_account("alice")


def browser(account: Account, user_agent: str = FIREFOX) -> Client:
    """A browser in which somebody has signed in and looked at a page."""
    made = browser_of(account)
    made.defaults["HTTP_USER_AGENT"] = user_agent
    OAuthSession.objects.filter(pk=session_of(made).pk).update(session_key="", seen_at=None)
    assert made.get("/devices/browsers/").status_code == 200
    return made


def session_of(client: Client) -> OAuthSession:
    return OAuthSession.objects.get(pk=client.session["oauth_session"])


def is_signed_in(client: Client) -> bool:
    return client.get("/devices/browsers/").status_code == 200


def listed(client: Client) -> list[str]:
    html = client.get("/devices/browsers/").content.decode()
    return [
        " ".join(re.sub("<[^>]*>", " ", each).split()) for each in re.findall(r"<li .*?</li>", html, re.S)
    ]


def in_thread(do: Callable[[], object]) -> None:
    """Without leaving its connection behind."""
    try:
        do()
    finally:
        connection.close()


def sign_out(here: Client, other: Client) -> None:
    there = session_of(other).pk
    assert here.post(f"/devices/browsers/{there}/sign-out/").status_code == 302


def test_each_browser_is_listed_in_plain_words_and_this_one_is_marked(alice: Account) -> None:
    here, _phone, _unknown = browser(alice), browser(alice, PHONE), browser(alice, "curl/8")
    found = listed(here)
    assert len(found) == 3
    assert found[0].startswith("Firefox on Linux Signed in")
    assert "This one" in found[0]
    assert sorted(each.partition(" Signed in")[0] for each in found[1:]) == [
        "Another browser",
        "Safari on iPhone",
    ]
    assert all("This one" not in each and "last used" in each for each in found[1:])
    # Nothing else of what a browser says of itself is kept.
    row = OAuthSession.objects.filter(browser="Firefox").values().get()
    assert "128" not in f"{row['browser']} {row['system']}"
    assert "127.0.0.1" not in str(row)


def test_one_that_is_signed_out_from_another_is_out_at_once_and_the_others_stay(alice: Account) -> None:
    here, other, third = browser(alice), browser(alice), browser(alice)
    key = other.session.session_key
    sign_out(here, other)
    assert [is_signed_in(each) for each in (here, other, third)] == [True, False, True]
    assert not Session.objects.filter(session_key=key).exists()
    assert len(listed(here)) == 2


def test_signing_out_this_one_leads_to_the_sign_in_page(alice: Account) -> None:
    here = browser(alice)
    answer = here.post(f"/devices/browsers/{session_of(here).pk}/sign-out/")
    assert answer.headers["Location"] == "/sign-in/"
    assert not is_signed_in(here)


def test_nobody_signs_out_somebody_else_or_by_following_a_link(alice: Account) -> None:
    here, mallory = browser(alice), browser(new_account("mallory"))
    there = f"/devices/browsers/{session_of(here).pk}/sign-out/"
    assert mallory.post(there).status_code == 404
    assert len(listed(mallory)) == 1
    for address in (there, "/devices/browsers/sign-out/"):
        assert here.get(address).status_code == 405
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = here.cookies
        assert strict.post(address).status_code == 403
    assert is_signed_in(here)


def test_what_it_had_unlocked_is_locked_there_and_stays_open_elsewhere(alice: Account) -> None:
    kept_client().make_locked(alice.did, Passphrase(WORDS), lifetime_s=600)
    kept_client().lock_now(alice.did, everywhere=True)
    Account.objects.filter(pk=alice.pk).update(custody=Account.Custody.LOCKED)
    here, other = browser(alice), browser(alice)
    tokens = []
    for each in (here, other):
        each.post("/unlock/", {"way": "passphrase", "passphrase": WORDS, "lifetime_s": "3600"})
        kept = unlocking._in_session(each.session, alice, timezone.now())
        assert kept is not None
        tokens.append(kept.token)

    def opens(token: str) -> bool:
        try:
            kept_client().unlocked(token).compose(alice.did, [alice.did], "x", created_at=timezone.now())
        except AgentLocked:
            return False
        return True

    assert [opens(token) for token in tokens] == [True, True]
    sign_out(here, other)
    assert [opens(token) for token in tokens] == [True, False]
    here.post("/devices/browsers/sign-out/")
    assert not opens(tokens[0])


def test_signing_out_everywhere_ends_all_of_them_and_all_notifications(alice: Account) -> None:
    here, other = browser(alice), browser(alice)
    bystander = browser(new_account("bob"))
    for each in (here, other, bystander):
        each.post("/notifications/on/", {"endpoint": f"https://push.example/{id(each)}"})
    PushSubscription.objects.create(account=alice, endpoint="https://push.example/from-before")
    answer = here.post("/devices/browsers/sign-out/")
    assert answer.headers["Location"] == "/sign-in/"
    assert [is_signed_in(each) for each in (here, other, bystander)] == [False, False, True]
    assert PushSubscription.objects.exclude(account=alice).count() == PushSubscription.objects.count() == 1
    assert not alice.oauth_sessions.exists()


@pytest.mark.parametrize("own", [True, False])
def test_a_browser_that_is_signed_out_is_woken_no_more(alice: Account, own: bool) -> None:
    here, other = browser(alice), browser(alice)
    for name, each in (("here", here), ("other", other)):
        each.post("/notifications/on/", {"endpoint": f"https://push.example/{name}"})
    if own:
        other.post("/sign-out/")
    else:
        sign_out(here, other)
    assert [row.endpoint for row in PushSubscription.objects.all()] == ["https://push.example/here"]


def test_who_signs_in_again_in_a_browser_keeps_its_notifications(alice: Account) -> None:
    here = browser(alice)
    here.post("/notifications/on/", {"endpoint": "https://push.example/here"})
    former, again = session_of(here), session_of(browser(alice))
    browsers.signed_in_again.send(sender=OAuthSession, former=former, session=again)
    former.delete()
    assert PushSubscription.objects.get().session == again
    elses = session_of(browser(new_account("bob")))
    browsers.signed_in_again.send(sender=OAuthSession, former=again, session=elses)
    assert not PushSubscription.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_its_stream_of_events_ends_and_says_so(alice: Account) -> None:
    here, other = browser(alice), browser(alice)
    there = session_of(other).pk

    async def look() -> tuple[list[bytes], list[bytes]]:
        its, ours = (events.stream(alice.pk, session_id=key) for key in (there, session_of_pk))
        seen = [await anext(its)], [await anext(ours)]
        await asyncio.to_thread(in_thread, lambda: sign_out(here, other))
        async with asyncio.timeout(3):
            async for event in its:
                seen[0].append(event)
        events.publish(alice.pk, "settings")
        async with asyncio.timeout(3):
            async for event in ours:
                seen[1].append(event)
                if event.startswith(b"event: settings"):
                    return seen
        return seen

    session_of_pk = session_of(here).pk

    its, ours = asyncio.run(look())
    assert its[-1].startswith(b"event: signed-out\n")
    # The other one goes on.
    assert any(b"event: settings" in each for each in ours)
    assert not any(b"signed-out" in each for each in ours)


def test_an_administrator_stays_one(alice: Account) -> None:
    here, other = browser(alice), browser(alice)
    User.objects.create_superuser("root", password="x")
    other.post("/admin/login/", {"username": "root", "password": "x"})
    assert is_signed_in(other)
    sign_out(here, other)
    assert not is_signed_in(other)
    assert other.get("/admin/").status_code == 200


def test_a_browser_whose_session_gets_another_key_is_still_found(alice: Account) -> None:
    here, other = browser(alice), browser(alice)
    request = type("Request", (), {"session": other.session})()
    sign_in_browser(request, session_of(other))
    request.session.save()
    other.cookies["session"] = request.session.session_key
    assert is_signed_in(other)
    sign_out(here, other)
    assert not is_signed_in(other)


def test_browsers_whose_sessions_ended_are_listed_no_more_and_forgotten(alice: Account) -> None:
    here, other = browser(alice), browser(alice)
    gone = session_of(other)
    Session.objects.filter(pk=other.session.session_key).update(
        expire_date=timezone.now() - timedelta(hours=1)
    )
    assert len(listed(here)) == 1
    tasks.forget_old()
    gone.refresh_from_db()
    assert gone.session_key == ""
    assert session_of(here).session_key == here.session.session_key
    # What the workers publish with stays.
    assert alice.oauth_sessions.count() == 2


def test_asking_again_on_the_same_day_writes_nothing(alice: Account) -> None:
    here = browser(alice)
    row = session_of(here)
    here.get("/devices/browsers/")
    assert session_of(here).seen_at == row.seen_at
    OAuthSession.objects.filter(pk=row.pk).update(seen_at=timezone.now() - browsers.TO_THE_DAY)
    here.get("/devices/browsers/")
    assert timezone.now() - session_of(here).seen_at < timedelta(minutes=1)  # type: ignore[operator]


@pytest.mark.django_db(transaction=True)
def test_the_streams_of_a_browser_in_which_the_same_person_signs_in_again_go_on(alice: Account) -> None:
    former, again = session_of(browser(alice)), session_of(browser(alice))

    def replace() -> None:
        browsers.signed_in_again.send(sender=OAuthSession, former=former, session=again)
        former.delete()
        events.publish(alice.pk, "settings")
        again.delete()

    async def look() -> list[bytes]:
        stream = events.stream(alice.pk, session_id=former.pk)
        seen = [await anext(stream)]
        await asyncio.to_thread(in_thread, replace)
        async with asyncio.timeout(3):
            return seen + [event async for event in stream]

    seen = asyncio.run(look())
    told = [event for event in seen if b"event: settings" in event or b"event: signed-out" in event]
    assert [event.partition(b"\n")[0] for event in told] == [b"event: settings", b"event: signed-out"]


def test_an_answer_to_a_former_key_does_not_take_the_cookie_away(alice: Account) -> None:
    here = browser(alice)
    Session.objects.filter(pk=here.session.session_key).delete()
    assert "session" not in here.get("/").cookies
    other = browser(alice)
    assert other.post("/sign-out/").cookies["session"]["max-age"] == 0


@pytest.mark.django_db(transaction=True)
def test_a_stream_that_is_opened_while_its_browser_is_signed_out_ends(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = session_of(browser(alice))
    subscribe = PubSub.subscribe

    async def late(pubsub: PubSub, *channels: str) -> None:
        await asyncio.to_thread(in_thread, there.delete)
        await subscribe(pubsub, *channels)

    monkeypatch.setattr(PubSub, "subscribe", late)

    async def look() -> list[bytes]:
        async with asyncio.timeout(3):
            return [event async for event in events.stream(alice.pk, session_id=there.pk)]

    assert asyncio.run(look()) == [b"event: signed-out\ndata: {}\n\n"]
