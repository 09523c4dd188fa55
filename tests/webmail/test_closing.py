"""An account is closed although somebody's server is away meanwhile: the real agent, the real PDS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import enrolment, oauth
from accounts.agent import agent, kept_client
from accounts.models import Account, OAuthSession
from accounts.records import CERTIFICATES, INBOX, PREKEYS
from accounts.repositories import RepositoryError
from crypto_agent.client import AgentUnavailable
from demo.local_network import LocalAccount, NetworkInfo
from demo.ports import free_port
from tests.accounts.conftest import begin, come_back
from tests.accounts.repository import Repository
from tests.services import sign_in as consent
from tests.services.agent import AgentProcess
from tests.services.newcomers import newcomer
from webmail import account_erasure, ingress, tasks

pytestmark = pytest.mark.django_db


@dataclass
class Leaver:
    """Somebody who signed in and published, with their browser and what their server shows of them."""

    browser: Client
    person: LocalAccount
    repository: Repository

    @property
    def account(self) -> Account:
        return Account.objects.get(did=self.person.did)

    def sign_in(self) -> None:
        handle, password = self.person.person.handle, self.person.person.password
        come_back(self.browser, consent.approve(begin(self.browser, handle), handle, password))

    def close(self, **fields: str) -> Any:
        return self.browser.post("/devices/erase/", fields or {"handle": self.person.person.handle})

    def server_goes_away(self) -> None:
        away = f"http://localhost:{free_port()}"
        Account.objects.filter(did=self.person.did).update(pds_url=away)

    def server_comes_back(self, network: NetworkInfo) -> None:
        Account.objects.filter(did=self.person.did).update(pds_url=network.pds_url)


@pytest.fixture
def leaver(
    local_network: NetworkInfo, agent_process: AgentProcess, settings: Settings, tmp_path: Path
) -> Iterator[Leaver]:
    settings.MAILBOX_URL = f"maildir://{tmp_path / 'mail'}"
    kept_client.cache_clear()
    cache.clear()
    person = newcomer(local_network, f"closer{uuid4().hex[:8]}", "Closer")
    someone = Leaver(Client(), person, Repository(local_network, person))
    someone.sign_in()
    enrolment.enrol(someone.account)
    Account.objects.filter(did=person.did).update(welcomed_at=timezone.now())
    yield someone
    kept_client.cache_clear()


def _refusal(did: str) -> tuple[str, str]:
    with pytest.raises(ingress.IngressRefusal) as refused:
        ingress.accept_mail(did, b"Subject: late\r\n\r\n", now=timezone.now())
    return refused.value.code, str(refused.value)


def test_what_their_server_could_not_be_told_is_told_when_it_is_back_and_nothing_comes_in_meanwhile(
    leaver: Leaver, local_network: NetworkInfo, settings: Settings
) -> None:
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()
    did = leaver.person.did
    (fingerprint,) = leaver.repository.records(CERTIFICATES)
    leaver.server_goes_away()
    assert ingress.has_mailbox(did)

    answer = leaver.close()

    assert (answer.status_code, answer["Location"]) == (302, "/devices/erase/")
    assert not ingress.has_mailbox(did)
    assert _refusal(did) == _refusal("did:plc:nobodyatall")
    page = leaver.browser.get("/devices/erase/").content.decode()
    assert "Your account is being closed" in page
    assert "Your own server could not be told yet" in page
    for path in ("/", "/welcome/", "/new/", "/devices/import/", "/devices/browsers/"):
        assert leaver.browser.get(path).headers.get("Location") == "/devices/erase/", path

    leaver.browser.post("/sign-out/")
    assert leaver.account.oauth_sessions.exists()

    settings.AGENT_CALLER = "worker"
    kept_client.cache_clear()
    tasks.close_account(leaver.account.pk)
    assert "revokedAt" not in leaver.repository.records(CERTIFICATES)[fingerprint]

    leaver.server_comes_back(local_network)
    tasks.close_account(leaver.account.pk)
    assert not Account.objects.filter(did=did).exists()
    assert "revokedAt" in leaver.repository.records(CERTIFICATES)[fingerprint]
    assert leaver.repository.records(PREKEYS) == leaver.repository.records(INBOX) == {}


def test_the_page_goes_on_when_asked_and_says_that_it_is_done_when_a_worker_was_first(
    leaver: Leaver, local_network: NetworkInfo, settings: Settings
) -> None:
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()
    leaver.server_goes_away()
    leaver.close()
    part = leaver.browser.get("/devices/erase/", headers={"HX-Request": "true"})
    assert b"<html" not in part.content
    assert leaver.close(anything="").headers["Location"] == "/devices/erase/"
    leaver.server_comes_back(local_network)
    settings.AGENT_CALLER = "worker"
    kept_client.cache_clear()
    tasks.close_account(leaver.account.pk)
    part = leaver.browser.get("/devices/erase/", headers={"HX-Request": "true"})
    assert part.headers["HX-Redirect"] == "/erased/"
    # Whoever comes back later is somebody who is not signed in.
    assert leaver.browser.get("/devices/erase/")["Location"].startswith("/sign-in/")


def test_a_server_that_never_comes_back_is_given_up_when_its_person_says_so(
    leaver: Leaver, settings: Settings
) -> None:
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()
    leaver.server_goes_away()
    leaver.close()
    assert leaver.close(anyway="on")["Location"] == "/erased/"
    assert not Account.objects.filter(did=leaver.person.did).exists()


def test_without_a_session_it_waits_for_its_person_to_sign_in(
    leaver: Leaver, local_network: NetworkInfo, settings: Settings
) -> None:
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()
    leaver.account.oauth_sessions.update(sealed_access_token=b"spoilt", sealed_dpop_key=b"spoilt")
    leaver.close()
    account = leaver.account
    assert account.closing_waits_for == Account.ClosingWaits.SIGN_IN
    # It is what helps, and so the main action.
    page = leaver.browser.get("/devices/erase/").content.decode()
    assert re.findall(r'<button class="btn btn--primary">([^<]+)', page) == ["Sign in again"]
    assert account.closing_tried_at is not None
    assert account_erasure.due(account.closing_tried_at) == []
    leaver.sign_in()
    assert account_erasure.due(account.closing_tried_at) == [account.pk]
    settings.AGENT_CALLER = "worker"
    kept_client.cache_clear()
    tasks.close_account(account.pk)
    assert not Account.objects.filter(pk=account.pk).exists()


def test_it_is_tried_at_gaps_that_grow_to_an_hour(leaver: Leaver, settings: Settings) -> None:
    settings.UNFINISHED_SECONDS = 10
    began = timezone.now()
    for waited, gap in ((0, 10), (10, 10), (300, 300), (86_400, 3600)):
        tried = began + timedelta(seconds=waited)
        Account.objects.filter(did=leaver.person.did).update(closing_since=began, closing_tried_at=tried)
        assert account_erasure.due(tried + timedelta(seconds=gap - 1)) == []
        assert account_erasure.due(tried + timedelta(seconds=gap)) == [leaver.account.pk]


class _Silent:
    """An agent of which no answer comes, whether or not it did what it was asked."""

    def __init__(self, does_it: bool) -> None:
        self._does_it = does_it

    def erase_account(self, did: str, *, assertion: object = None) -> bool:
        if self._does_it:
            agent().erase_account(did)
        raise AgentUnavailable("AgentUnavailable", "no answer in time")


@pytest.mark.parametrize("does_it", [True, False])
def test_where_the_agent_gave_no_answer_it_goes_on_only_if_the_keys_are_gone(
    leaver: Leaver, settings: Settings, does_it: bool
) -> None:
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()
    with pytest.raises(AgentUnavailable):
        account_erasure.erase(leaver.account, _Silent(does_it))  # type: ignore[arg-type]
    assert not ingress.has_mailbox(leaver.person.did)
    assert "does not answer just now" in leaver.browser.get("/devices/erase/").content.decode()
    settings.AGENT_CALLER = "worker"
    kept_client.cache_clear()
    tasks.close_account(leaver.account.pk)
    assert Account.objects.filter(did=leaver.person.did).exists() is not does_it
    assert ingress.has_mailbox(leaver.person.did) is not does_it


class _Slow:
    """An agent that takes so long that a worker looks whether the closing stopped on its way."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def erase_account(self, did: str, *, assertion: object = None) -> bool:
        tasks.close_account(self._account.pk)
        return agent().erase_account(did)


def test_no_worker_closes_an_account_while_the_page_is_at_it(
    leaver: Leaver, local_network: NetworkInfo, settings: Settings
) -> None:
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()
    leaver.server_goes_away()
    account = leaver.account
    with pytest.raises(RepositoryError):
        account_erasure.erase(account, _Slow(account))  # type: ignore[arg-type]
    # What is still to be said is not forgotten.
    assert leaver.account.closing_since is not None
    leaver.server_comes_back(local_network)
    tasks.close_account(account.pk)
    assert not Account.objects.filter(pk=account.pk).exists()
    assert leaver.repository.records(PREKEYS) == leaver.repository.records(INBOX) == {}


def test_who_sends_the_page_again_while_it_closes_sees_that_it_does(
    leaver: Leaver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()
    tell, seen = account_erasure._tell_server, []

    def slowly(account: Account) -> None:
        seen.append(leaver.close(anything="")["Location"])
        tell(account)

    monkeypatch.setattr(account_erasure, "_tell_server", slowly)
    assert leaver.close()["Location"] == "/erased/"
    assert seen == ["/devices/erase/"]


def test_a_row_that_is_gone_meanwhile_is_what_closing_is_for(
    leaver: Leaver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()
    monkeypatch.setattr(
        account_erasure, "_tell_server", lambda account: Account.objects.filter(pk=account.pk).delete()
    )
    assert leaver.close()["Location"] == "/erased/"


def test_what_the_agent_refuses_closes_nothing(leaver: Leaver, settings: Settings) -> None:
    settings.AGENT_CALLER = "worker"
    kept_client.cache_clear()
    answer = leaver.close()
    assert answer.status_code == 503
    assert leaver.account.closing_since is None
    assert leaver.account.enrolled_at is not None
    assert ingress.has_mailbox(leaver.person.did)


def test_who_looks_on_is_signed_in_until_the_account_is_gone(
    leaver: Leaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the page that looks every five seconds would go to the sign-in in between."""
    seen: list[bool] = []

    def tell_slowly(session: OAuthSession) -> bool:
        looks_on = leaver.browser.get("/devices/erase/", headers={"HX-Request": "true"})
        seen.append(looks_on.status_code == 200 and "HX-Redirect" not in looks_on.headers)
        return tell_ended(session)

    tell_ended = oauth.tell_ended
    monkeypatch.setattr(oauth, "tell_ended", tell_slowly)
    assert leaver.close().headers["Location"] == "/erased/"
    assert seen == [True]
    assert not OAuthSession.objects.filter(account__did=leaver.person.did).exists()
