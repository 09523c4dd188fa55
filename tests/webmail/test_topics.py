"""Topics as they travel, as the index keeps them, and as it gets them back."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from crypto_agent.atsms.content import text_part
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.oneshot import OpenedMessage
from crypto_agent.client import NewMessage
from tests.webmail.conftest import Publish, Write, hand_over, seal
from tests.webmail.installation import browser_of
from tests.webmail.other_client import OtherClient
from tests.webmail.test_conversation_list import explained
from webmail import archive, blocking, conversations, message_state, outgoing, rebuild, threads, topics, trust
from webmail.models import Conversation, Message
from webmail.thread_window import At, window
from webmail.topic_list import TopicList, cursor_in, topics_in

pytestmark = pytest.mark.django_db

NAME = "Where we go in June"


def listed(account: Account) -> list[tuple[str, int]]:
    found = topics_in(account, Conversation.objects.get(account=account)).topics
    return [(one.topic.name, one.count) for one in found]


def texts_of(account: Account, topic: str) -> list[str]:
    conversation = Conversation.objects.get(account=account)
    return [entry.text for entry in threads.thread(account, conversation, At(topic=topic)).entries]


def test_a_topic_arrives_and_is_named_by_its_first_message(
    alice: Account, bob: Account, write: Write
) -> None:
    first = write(alice, [bob], f"{NAME}\nThe sea, or the mountains?")
    hand_over(bob, seal(first)[bob.did])
    assert listed(alice) == listed(bob) == []
    answer = write(bob, [alice], "the sea", topic=first.message_id)
    hand_over(alice, seal(answer)[alice.did])
    hand_over(alice, seal(write(bob, [alice], "something else"))[alice.did])
    assert listed(alice) == listed(bob) == [(NAME, 2)]
    assert texts_of(alice, first.message_id)[1:] == ["the sea"]
    entries = threads.thread(alice, Conversation.objects.get(account=alice)).entries
    marks = [(one.topic.name, one.topic.begins) if one.topic else None for one in entries]
    assert marks == [(NAME, True), (NAME, False), None]


def test_an_answer_may_come_before_what_it_answers(alice: Account, bob: Account, write: Write) -> None:
    first = write(alice, [bob], NAME)
    answer = write(alice, [bob], "as I said", topic=first.message_id)
    hand_over(bob, seal(answer)[bob.did])
    assert listed(bob) == [("A topic without a name", 1)]
    hand_over(bob, seal(first)[bob.did])
    assert listed(bob) == [(NAME, 2)]


def test_a_rebuilt_index_has_the_topics(alice: Account, bob: Account, write: Write) -> None:
    first = write(alice, [bob], NAME)
    written = [first] + [write(alice, [bob], f"answer {number}", topic=first.message_id) for number in (1, 2)]
    for message in written:
        hand_over(bob, seal(message)[bob.did])
        archive.archive([message], now=timezone.now())
    before = listed(alice)
    assert before == listed(bob) == [(NAME, 3)]
    # As before the index knew of topics; then as it is once the database is lost.
    Message.objects.update(topic=None)
    for lose in (Message.objects.none, Message.objects.all):
        lose().delete()
        for account in (alice, bob):
            rebuild.rebuild(account)
            assert listed(account) == before
            assert texts_of(account, first.message_id) == [NAME, "answer 1", "answer 2"]


def test_the_name_follows_an_edit_and_goes_with_its_message(
    alice: Account, bob: Account, write: Write
) -> None:
    first = write(alice, [bob], NAME)
    write(alice, [bob], "the sea", topic=first.message_id)
    conversation = Conversation.objects.get(account=alice)
    answer = threads.thread(alice, conversation).entries[1]
    outgoing.send_message(alice, [bob.did], NewMessage("In July", replaces=first.message_id), str(uuid4()))
    assert listed(alice) == [("In July", 2)]
    later = threads.thread(alice, conversation).entries[1]
    assert (later.topic and later.topic.name) == "In July"
    assert later.version != answer.version
    taken_back = NewMessage(takes_back=True, replaces=first.message_id)
    outgoing.send_message(alice, [bob.did], taken_back, str(uuid4()))
    assert listed(alice) == [("A topic without a name", 2)]


def test_what_changes_messages_is_in_no_topic(alice: Account, bob: Account, write: Write) -> None:
    first = write(alice, [bob], NAME)
    answer = write(alice, [bob], "the sea", topic=first.message_id)
    edit = NewMessage("the lake", replaces=answer.message_id, topic_id=first.message_id)
    row = outgoing.send_message(alice, [bob.did], edit, str(uuid4()))
    assert row.topic is None
    assert listed(alice) == [(NAME, 2)]
    assert texts_of(alice, first.message_id) == [NAME, "the lake"]


def test_the_id_of_another_programs_topic_may_be_words(
    alice: Account, bob: Account, publish: Publish
) -> None:
    """It is read, and written in, and stands nowhere in the index."""
    words = b"surprise party"
    phone = publish(bob)
    hand_over(alice, phone.write([alice], [text_part("psst")], topic_id=words))
    message = Message.objects.get(account=alice)
    assert message.topic is not None
    assert message.topic == topics.key_of(message.conversation.conversation_id, words.hex())
    assert message.topic[:2] == "00"
    assert topics.id_of(alice, message.topic) == words.hex()
    assert listed(alice) == [("A topic without a name", 1)]
    answer = outgoing.send(alice, [bob.did], "yes?", str(uuid4()), topic=message.topic)
    assert answer.topic == message.topic
    read = {one.content.topic_id for each in seal(answer)[bob.did] for one in opened_by(phone, each)}
    assert read == {words}
    for table in connection.introspection.table_names():
        assert_not_in(table, "surprise", words.hex())


def opened_by(phone: OtherClient, envelope: bytes) -> list[OpenedMessage]:
    try:
        return [phone.open(envelope)]
    except AtsmsError:
        return []


def assert_not_in(table: str, *words: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 (a name of ours)
        rows = str([[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in cursor.fetchall()])
    assert not [word for word in words if word in rows]


def test_names_are_nowhere_in_the_database(alice: Account, bob: Account, write: Write) -> None:
    first = write(alice, [bob], "heliotrope\nmore")
    write(alice, [bob], "an answer", topic=first.message_id)
    conversations.list_conversations(alice)
    assert listed(alice) == [("heliotrope", 2)]
    for table in connection.introspection.table_names():
        assert_not_in(table, "heliotrope")


def test_an_export_has_the_topic_of_what_was_not_sealed_yet(
    alice: Account, bob: Account, write: Write
) -> None:
    first = write(alice, [bob], NAME)
    answer = write(alice, [bob], "the sea", topic=first.message_id)
    assert message_state.unsent_state_of(answer)["topic"] == first.message_id


def test_topics_are_listed_by_their_newest_message_page_by_page(
    alice: Account, bob: Account, write: Write
) -> None:
    begun = timezone.now() - timedelta(days=9)
    for number in range(5):
        first = write(alice, [bob], f"topic {number}")
        answer = write(alice, [bob], "answer", topic=first.message_id)
        # Two of one moment.
        at = begun + timedelta(days=number // 2)
        Message.objects.filter(pk__in=[first.pk, answer.pk]).update(placed_at=at)
    conversation = Conversation.objects.get(account=alice)
    names: list[str] = []
    after: str | None = ""
    sizes = []
    while after is not None:
        page: TopicList = topics_in(alice, conversation, after=after, limit=2)
        names += [one.topic.name for one in page.topics]
        sizes.append(len(page.topics))
        after = page.cursor
    assert sizes == [2, 2, 1]
    assert names[0] == "topic 4"
    assert sorted(names) == [f"topic {number}" for number in range(5)]
    for bad in ("x", "1-2", "9" * 18 + "-" + "ab" * 32 + "c"):
        assert cursor_in(bad) is None
        assert len(topics_in(alice, conversation, after=bad).topics) == 5


def test_a_thread_costs_the_same_with_topics_and_without(alice: Account, bob: Account, write: Write) -> None:
    firsts = [write(alice, [bob], f"number {number}") for number in range(4)]
    conversation = Conversation.objects.get(account=alice)
    threads.thread(alice, conversation)
    with CaptureQueriesContext(connection) as without:
        threads.thread(alice, conversation)
    for first in firsts:
        write(alice, [bob], "answer", topic=first.message_id)
    with CaptureQueriesContext(connection) as with_topics:
        assert len(threads.thread(alice, conversation).entries) == 8
    assert len(with_topics) == len(without)
    with CaptureQueriesContext(connection) as one:
        threads.thread(alice, conversation, At(topic=firsts[0].message_id))
    # Whether somebody wrote in it.
    assert len(one) <= len(without) + 1
    with CaptureQueriesContext(connection) as few:
        topics_in(alice, conversation, limit=1)
    with CaptureQueriesContext(connection) as many:
        assert len(topics_in(alice, conversation).topics) == 4
    assert len(few) == len(many) <= 4
    with CaptureQueriesContext(connection) as only_topic_pages:
        threads.thread(alice, conversation, limit=2)
    # What the answers' topics began with lies outside of the page: one query finds all of it.
    assert len(only_topic_pages) == len(without) + 1


def test_one_topic_of_a_long_conversation_is_read_from_an_index(
    alice: Account, bob: Account, write: Write
) -> None:
    first = write(alice, [bob], NAME)
    conversation = Conversation.objects.get(account=alice)
    answer = write(alice, [bob], "the sea", topic=first.message_id)
    made_up = []
    for number in range(3000):
        made_up.append(Message.objects.get(pk=answer.pk))
        made_up[-1].pk, made_up[-1].message_id, made_up[-1].token = None, f"{number:064x}", None
        made_up[-1].topic = first.message_id if number % 30 == 0 else None
    Message.objects.bulk_create(made_up)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as queries:
        found = window(conversation, At(topic=first.message_id))
    assert len(found.messages) == 50
    reading = [query["sql"] for query in queries.captured_queries if "LIMIT 51" in query["sql"]]
    assert [sql for sql in reading if "message_topic" in explained(sql)] == reading != []


def test_reading_a_topic_leaves_its_first_message_unread_where_it_stands_in_another(
    alice: Account, bob: Account, write: Write
) -> None:
    """The page of the topic does not show it."""
    first = write(bob, [alice], NAME)
    inside = write(bob, [alice], "in the first topic", topic=first.message_id)
    further = write(bob, [alice], "in a topic of its own", topic=inside.message_id)
    for each in (first, inside, further):
        hand_over(alice, seal(each)[alice.did])
    conversation = Conversation.objects.get(account=alice)
    at_alices = browser_of(alice)
    page = at_alices.get(reverse("topic", args=[conversation.conversation_id, inside.message_id]))
    shown = re.findall(r'name="shown" value="([0-9a-f]{16}:[^"]*)"', page.content.decode())
    news = reverse("conversation-news", args=[conversation.conversation_id])
    asked = {"shown": shown, "seen": "1", "topic": inside.message_id}
    at_alices.get(news, asked, headers={"HX-Request": "true"})
    unread = Message.objects.filter(account=alice, unread=True).values_list("message_id", flat=True)
    assert set(unread) == {first.message_id, inside.message_id}
    conversation.refresh_from_db()
    assert conversation.unread_count == 2


def begun(account: Account) -> set[str]:
    return set(
        Message.objects.filter(account=account, topic=F("message_id")).values_list("message_id", flat=True)
    )


def rebuilt(account: Account) -> set[str]:
    """What begins a topic once the account's messages were restored from the archive."""
    Message.objects.filter(account=account).delete()
    rebuild.rebuild(account)
    return begun(account)


def test_nobody_who_is_blocked_begins_a_topic(alice: Account, bob: Account, write: Write) -> None:
    first = write(alice, [bob], NAME)
    hand_over(bob, seal(first)[bob.did])
    archive.archive([first], now=timezone.now())
    write(alice, [bob], "so that he is known")
    blocking.block(alice, bob.did, timezone.now())
    answer = write(bob, [alice], "the sea", topic=first.message_id)
    hand_over(alice, seal(answer)[alice.did])
    for now_begun in (begun, rebuilt):
        assert now_begun(alice) == set()
        assert texts_of(alice, first.message_id) == [NAME]
    blocking.unblock(alice, bob.did)
    for now_begun in (begun, rebuilt):
        assert now_begun(alice) == {first.message_id}
        assert listed(alice) == [(NAME, 2)]
    # What they wrote before they were blocked begins none either, unless somebody else answered as well.
    blocking.block(alice, bob.did, timezone.now())
    assert (begun(alice), rebuilt(alice)) == (set(), set())
    blocking.unblock(alice, bob.did)
    own = write(alice, [bob], "the lake", topic=first.message_id)
    seal(own)
    archive.archive([Message.objects.get(pk=own.pk)], now=timezone.now())
    blocking.block(alice, bob.did, timezone.now())
    assert begun(alice) == rebuilt(alice) == {first.message_id}


def test_nobody_begins_a_topic_before_their_signature_was_checked(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(alice, [bob], NAME)
    hand_over(bob, seal(first)[bob.did])
    archive.archive([first], now=timezone.now())
    answer = write(bob, [alice], "the sea", topic=first.message_id)
    envelopes = seal(answer)[alice.did]
    unchecked = trust.Verdict(Message.Trust.UNCHECKED, "signer-unreachable")
    with monkeypatch.context() as patched:
        patched.setattr(trust, "check", lambda *_: unchecked)
        hand_over(alice, envelopes)
        came = Message.objects.get(account=alice, message_id=answer.message_id)
        assert came.trust == Message.Trust.UNCHECKED
        for now_begun in (begun, rebuilt):
            assert now_begun(alice) == set()
            assert listed(alice) == []
            entries = threads.thread(alice, Conversation.objects.get(account=alice)).entries
            assert [entry.topic for entry in entries] == [None, None]
    trust.recheck(Message.objects.get(account=alice, message_id=answer.message_id))
    for now_begun in (begun, rebuilt):
        assert now_begun(alice) == {first.message_id}
        assert listed(alice) == [(NAME, 2)]
