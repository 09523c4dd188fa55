"""Refreshing a session: once, however many ask, because a replayed refresh token ends the session."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import oauth, oauth_tokens, token_encryption
from accounts.models import Account, OAuthSession
from accounts.oauth_tokens import SignInAgain
from accounts.pds import PdsClient, PdsError
from tests.accounts.conftest import SignIn

pytestmark = pytest.mark.django_db

THREADS = 6


def expire(session: OAuthSession) -> None:
    session.access_expires_at = timezone.now()
    session.save()


@pytest.mark.django_db(transaction=True)
def test_many_at_once_refresh_once(client: Client, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    session = sign_in(client, "alice").oauth_sessions.get()
    expire(session)
    real_refresh, refreshes = oauth.refresh, []

    def counted(*arguments: object) -> oauth.Tokens:
        refreshes.append(arguments)
        return real_refresh(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(oauth, "refresh", counted)
    together = threading.Barrier(THREADS)

    def ask() -> str:
        try:
            together.wait(timeout=10)
            return oauth_tokens.access_token(session)[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        tokens = {future.result(timeout=30) for future in [pool.submit(ask) for _ in range(THREADS)]}
    assert len(tokens) == 1
    assert len(refreshes) == 1
    # The session is alive at the server: its newest token writes, and its newest refresh token refreshes.
    session.refresh_from_db()
    expire(session)
    assert PdsClient(session.account).put_record("at.atsms.inbox", "self", {"endpoints": []})
    assert len(refreshes) == 2


@pytest.mark.django_db(transaction=True)
def test_others_write_while_a_server_takes_its_time(
    client: Client, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = sign_in(client, "alice")
    session = account.oauth_sessions.get()
    expire(session)
    real_refresh = oauth.refresh

    def write() -> int:
        try:
            return Account.objects.filter(did="did:plc:another").update(display_name="Another")
        finally:
            connection.close()

    def slowly(*arguments: object) -> oauth.Tokens:
        assert not connection.in_atomic_block
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(write).result(timeout=10) == 1
        return real_refresh(*arguments)  # type: ignore[arg-type]

    Account.objects.create(did="did:plc:another", handle="another.test", pds_url=account.pds_url)
    monkeypatch.setattr(oauth, "refresh", slowly)
    assert oauth_tokens.access_token(session)[0]
    session.refresh_from_db()
    assert session.refreshed_at is not None


def test_a_refresh_that_was_killed_holds_up_the_next_for_a_while_only(
    client: Client, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = sign_in(client, "alice").oauth_sessions.get()
    expire(session)
    OAuthSession.objects.update(refreshing_until=timezone.now() + timedelta(hours=1))
    looks = []

    def later(seconds: float) -> None:
        looks.append(seconds)
        OAuthSession.objects.update(refreshing_until=timezone.now())

    monkeypatch.setattr(oauth_tokens, "time", SimpleNamespace(sleep=later))
    assert oauth_tokens.access_token(session)[0]
    assert looks == [oauth_tokens.LOOK_SECONDS]
    session.refresh_from_db()
    assert session.refreshed_at is not None
    assert session.refreshing_until is None


def test_a_refresh_that_took_too_long_lets_go_of_its_own_claim_alone(
    client: Client, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = sign_in(client, "alice").oauth_sessions.get()
    expire(session)
    real_refresh, others = oauth.refresh, timezone.now() + timedelta(hours=1)

    def meanwhile(*arguments: object) -> oauth.Tokens:
        OAuthSession.objects.update(refreshing_until=others)
        return real_refresh(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(oauth, "refresh", meanwhile)
    assert oauth_tokens.access_token(session)[0]
    session.refresh_from_db()
    assert session.refreshing_until == others


def test_who_signs_out_during_a_refresh_is_signed_out(
    client: Client, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = sign_in(client, "alice").oauth_sessions.get()
    expire(session)
    real_refresh, told = oauth.refresh, []

    def meanwhile(*arguments: object) -> oauth.Tokens:
        OAuthSession.objects.all().delete()
        return real_refresh(*arguments)  # type: ignore[arg-type]

    def tell(ended: OAuthSession) -> bool:
        told.append(real_tell(ended))
        return told[-1]

    real_tell = oauth.tell_ended
    monkeypatch.setattr(oauth, "refresh", meanwhile)
    monkeypatch.setattr(oauth, "tell_ended", tell)
    with pytest.raises(SignInAgain):
        oauth_tokens.access_token(session)
    assert told == [True]
    assert not OAuthSession.objects.exists()


def test_a_refused_token_is_replaced(client: Client, sign_in: SignIn) -> None:
    session = sign_in(client, "alice").oauth_sessions.get()
    token, _ = oauth_tokens.access_token(session)
    assert oauth_tokens.access_token(session)[0] == token
    assert oauth_tokens.access_token(session, refused="another")[0] == token
    assert oauth_tokens.access_token(session, refused=token)[0] != token


def test_a_wrong_access_token_heals_by_itself(client: Client, sign_in: SignIn) -> None:
    account = sign_in(client, "alice")
    session = account.oauth_sessions.get()
    session.sealed_access_token = token_encryption.seal("not-a-token")
    session.save()
    assert PdsClient(account).put_record("at.atsms.inbox", "self", {"endpoints": []})


def test_a_session_that_the_server_ended_asks_to_sign_in_again(client: Client, sign_in: SignIn) -> None:
    account = sign_in(client, "alice")
    session = account.oauth_sessions.get()
    spent = bytes(session.sealed_refresh_token)
    oauth_tokens.access_token(session, refused=oauth_tokens.access_token(session)[0])
    session.refresh_from_db()
    session.sealed_refresh_token = spent
    expire(session)
    with pytest.raises(SignInAgain):
        PdsClient(account).put_record("at.atsms.inbox", "self", {"endpoints": []})
    assert not OAuthSession.objects.exists()
    assert client.get("/devices/").headers["location"].startswith("/sign-in/")


def test_another_session_of_the_account_is_used_when_the_newest_is_dead(
    client: Client, sign_in: SignIn
) -> None:
    account = sign_in(client, "alice")
    sign_in(Client(), "alice")
    newest = account.oauth_sessions.first()
    assert newest is not None
    newest.sealed_refresh_token = token_encryption.seal("dead")
    expire(newest)
    assert PdsClient(account).put_record("at.atsms.inbox", "self", {"endpoints": []})
    assert account.oauth_sessions.count() == 1


def test_a_server_that_is_away_costs_no_session(client: Client, sign_in: SignIn) -> None:
    account = sign_in(client, "alice")
    session = account.oauth_sessions.get()
    session.issuer = "http://localhost:9"
    expire(session)
    with pytest.raises(PdsError) as raised:
        PdsClient(account).put_record("at.atsms.inbox", "self", {"endpoints": []})
    assert raised.value.code == "pds-unreachable"
    assert OAuthSession.objects.get().refreshing_until is None


def test_a_lost_encryption_key_asks_to_sign_in_again(
    client: Client, sign_in: SignIn, settings: Settings
) -> None:
    account = sign_in(client, "alice")
    session = account.oauth_sessions.get()
    new_key = "bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleS0="
    settings.TOKEN_KEYS = [new_key, *settings.TOKEN_KEYS]
    assert oauth_tokens.access_token(session)[0]
    oauth_tokens.access_token(session, refused=oauth_tokens.access_token(session)[0])
    # What was refreshed is under the new key now, so the old one may go.
    settings.TOKEN_KEYS = [new_key]
    session.refresh_from_db()
    assert token_encryption.unseal(session.sealed_access_token)
    settings.TOKEN_KEYS = ["b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXktb3Q="]
    with pytest.raises(SignInAgain):
        oauth_tokens.access_token(session)


def test_a_refresh_never_happens_inside_a_transaction(client: Client, sign_in: SignIn) -> None:
    from django.db import transaction

    session = sign_in(client, "alice").oauth_sessions.get()
    expire(session)
    with transaction.atomic(), pytest.raises(RuntimeError):
        oauth_tokens.access_token(session)
