"""Prepared queries give the rows that Django's own do, for whatever they are asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, OAuthSession
from accounts.prepared_rows import MOST_ARGUMENTS, SIZES, PreparedRows, PreparedValues
from webmail.models import Conversation, Message

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def with_handles(*handles: str) -> QuerySet[Account]:
    return Account.objects.filter(handle__in=handles).exclude(pds_url="nowhere").order_by("handle")


def account(name: str, **more: object) -> Account:
    did = f"did:plc:{name:a<24}"
    return Account.objects.create(did=did, handle=f"{name}.test", pds_url="http://localhost:1", **more)


def columns(rows: Iterable[Account]) -> list[list[object]]:
    return [[getattr(row, field.attname) for field in Account._meta.concrete_fields] for row in rows]


def test_rows_are_those_of_the_query_itself_for_every_number_of_arguments() -> None:
    account("alice", enrolled_at=NOON, passkey_required=True)
    account("bob")
    prepared = PreparedRows(with_handles)
    names = ["alice.test", "bob.test", "carol.test", *(f"x{number}.test" for number in range(MOST_ARGUMENTS))]
    for handles in (names[:1], names[1:3], names[:2], names, names[2:3], names):
        assert columns(prepared.rows(*handles)) == columns(with_handles(*handles))
    assert all(len(kinds) <= MOST_ARGUMENTS for kinds in prepared._kept)


def test_what_belongs_to_a_row_comes_with_it_and_a_row_can_be_changed() -> None:
    alice = account("alice", enrolled_at=NOON)
    made = OAuthSession.objects.create(account=alice, issuer="http://x.test", access_expires_at=NOON)
    prepared = PreparedRows(lambda pk: OAuthSession.objects.select_related("account").filter(pk=pk))
    with CaptureQueriesContext(connection) as asked:
        found = prepared.one(made.pk)
        assert found == made
        assert found.account.enrolled_at == NOON
    assert len(asked) == 1
    assert prepared.one(made.pk + 1) is None
    found.account.handle = "alice2.test"
    found.account.save()
    again = prepared.one(made.pk)
    assert again is not None
    assert again.account.handle == "alice2.test"


def test_columns_that_are_left_out_are_read_when_they_are_needed() -> None:
    alice = account("alice")
    prepared = PreparedRows(lambda handle: Account.objects.filter(handle=handle).only("did"))
    found = prepared.one(alice.handle)
    assert found is not None
    assert found.get_deferred_fields() > {"pds_url", "handle"}
    assert found.pds_url == alice.pds_url


def test_what_rows_are_annotated_with_comes_along() -> None:
    alice = account("alice")
    session = OAuthSession.objects.create(account=alice, issuer="http://x.test", access_expires_at=NOON)
    prepared = PreparedRows(
        lambda pk: (
            OAuthSession.objects.annotate(
                of_alice=Exists(Account.objects.filter(pk=OuterRef("account"), handle="alice.test"))
            )
            .select_related("account")
            .filter(pk=pk)
        )
    )
    found = prepared.one(session.pk)
    assert found is not None
    assert vars(found)["of_alice"] is True
    assert found.account == alice


def test_an_argument_that_the_query_does_not_ask_for_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no parameter"):
        PreparedRows(lambda did, _other: Account.objects.filter(did=did)).rows("did:plc:x", "y")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, SIZES[-1], SIZES[-1] + 1])
def test_one_of_several_values_is_looked_for_however_many_there_are(count: int) -> None:
    accounts = [account(f"a{number}", enrolled_at=NOON) for number in range(4)]
    account("other")
    prepared = PreparedRows(
        lambda server, keys, handles: Account.objects.filter(
            pds_url=server, pk__in=keys, handle__in=handles
        ).order_by("handle")
    )
    keys = [*(each.pk for each in accounts), *(10_000 + number for number in range(SIZES[-1]))][:count]
    handles = [each.handle for each in accounts][:count]
    found = prepared.rows("http://localhost:1", keys, handles)
    assert [each.handle for each in found] == handles[:4]
    assert prepared.rows("http://localhost:1", keys, ["carol.test"]) == []
    assert all(size <= SIZES[-1] for kinds in prepared._kept for _kind, size in kinds)


def test_times_are_compared_as_exactly_as_by_django() -> None:
    alice = account("alice", enrolled_at=NOON)
    prepared = PreparedRows(
        lambda at, pk: Account.objects.filter(enrolled_at__lte=at).exclude(pk__lt=pk, enrolled_at=at)
    )
    assert prepared.rows(NOON, alice.pk) == [alice]
    assert prepared.rows(NOON, alice.pk + 1) == []
    assert prepared.rows(NOON + timedelta(microseconds=1), alice.pk + 1) == [alice]
    assert prepared.rows(NOON - timedelta(microseconds=1), alice.pk) == []


def test_values_are_those_of_the_query_itself() -> None:
    alice = account("alice", enrolled_at=NOON)
    account("bob")

    def values(handles: object) -> QuerySet[Account, tuple[object, ...]]:
        known = Exists(Account.objects.filter(pk=OuterRef("pk"), handle="alice.test"))
        rows = Account.objects.filter(handle__in=handles).order_by("handle")
        return rows.values_list("handle", "enrolled_at", known, "pk")

    prepared = PreparedValues(values)
    asked = ["alice.test", "bob.test", "carol.test"]
    assert prepared.rows(asked) == list(values(asked))
    assert prepared.rows(asked)[0] == ("alice.test", NOON, True, alice.pk)
    assert prepared.rows([]) == []


def test_bytes_lists_and_times_are_what_django_makes_of_them() -> None:
    alice = account("alice", enrolled_at=NOON)
    session = OAuthSession.objects.create(
        account=alice, issuer="http://x.test", access_expires_at=NOON, sealed_access_token=b"\x00\xff"
    )
    conversation = Conversation.objects.create(
        account=alice, conversation_id="00", participants=["did:plc:ü", alice.did], last_activity=NOON
    )
    found = PreparedRows(lambda pk: OAuthSession.objects.filter(pk=pk)).one(session.pk)
    listed = PreparedRows(lambda pk: Conversation.objects.filter(pk=pk)).one(conversation.pk)
    assert found is not None
    assert listed is not None
    assert bytes(found.sealed_access_token) == b"\x00\xff"
    assert (found.access_expires_at, found.access_expires_at.utcoffset()) == (NOON, timedelta())
    assert listed.participants == ["did:plc:ü", alice.did]


def test_a_query_for_one_value_is_not_asked_for_several() -> None:
    with pytest.raises((ValueError, TypeError)):
        PreparedRows(lambda handle: Account.objects.filter(handle=handle)).rows(["a.test", "b.test"])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite plans for itself")
def test_one_statement_serves_any_number_of_values_and_has_its_constants_in_it() -> None:
    rows = PreparedRows(
        lambda conversations, replaced: Message.objects.exclude(replaces="").filter(
            conversation__in=conversations, replaces__in=replaced
        )
    )
    for count in range(1, 12):
        assert rows.rows([1], [f"{number:02x}" for number in range(count)]) == []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT statement FROM pg_prepared_statements WHERE statement LIKE %s",
            ['%"replaces" = ANY ($2)%'],
        )
        ((statement,),) = cursor.fetchall()
    assert "\"replaces\" = ''" in statement


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite plans for itself")
def test_the_server_keeps_the_plan_of_what_is_asked_again_and_again() -> None:
    rows = PreparedRows(lambda handle: Account.objects.filter(handle=handle))
    for _ in range(10):
        assert rows.rows("nobody.test") == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        kept = [statement for (statement,) in cursor.fetchall()]
    assert [statement for statement in kept if '"handle" = $1' in statement]
