"""Groups that somebody left: nothing of them is shown or told until they come back, and nothing is lost."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.agent import kept_client
from accounts.models import Account
from crypto_agent.client import Expires, NewGroupUpdate, NewMessage
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.other_client import OtherClient
from tests.webmail.strangers import arrives, titles
from webmail import (
    acknowledging,
    blocking,
    conversation_settings,
    conversations,
    events,
    exported_settings,
    keeping_back,
    left_groups,
    message_state,
    pending,
    queues,
    rebuild,
    search_index,
    titled_conversations,
    trust,
)
from webmail.conversations import list_conversations
from webmail.draft_content import DraftContent
from webmail.models import Acknowledgement, Conversation, Message, PendingMessage
from webmail.outgoing import send_message
from webmail.push import notices
from webmail.threads import thread


def texts(account: Account, conversation: Conversation) -> list[str]:
    conversation.refresh_from_db()
    return [
        "".join(segment.text for segment in entry.segments) or entry.event
        for entry in thread(account, conversation).entries
    ]


@pytest.fixture
def group(alice: Account, bob: Account, carol: Account, write: Write) -> Conversation:
    """Alice's group with Bob and Carol, in which she wrote and has read everything."""
    conversation = write(alice, [bob, carol], "Here we are").conversation
    seal(Message.objects.get(account=alice))
    return conversation


@pytest.fixture
def as_web(people: dict[str, Account], settings: Settings) -> None:
    """What is done here is done by pages."""
    settings.AGENT_CALLER = "web"
    kept_client.cache_clear()


def leave(account: Account, conversation: Conversation) -> None:
    left_groups.leave(account, conversation, now=timezone.now())
    conversation.refresh_from_db()


def archived(account: Account) -> list[tuple[str, bool]]:
    rows = list_conversations(account, filter="archived").rows
    return [(row.preview, row.left) for row in rows]


def test_what_is_written_in_a_left_group_is_put_away_and_there_when_they_come_back(
    alice: Account,
    bob: Account,
    carol: Account,
    group: Conversation,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leave(alice, group)
    woken: list[int] = []
    told: list[object] = []
    monkeypatch.setattr(notices, "any_browser", lambda _account: True)
    monkeypatch.setattr(notices, "something_came", woken.append)
    monkeypatch.setattr(events, "conversations_changed", lambda account, _changed: told.append(account))

    arrives(write, bob, [alice, carol], "Do you still read this?")
    rename = NewMessage(group_update=NewGroupUpdate(title="Without Alice"))
    hand_over(alice, seal(send_message(bob, [alice.did, carol.did], rename, str(uuid4())))[alice.did])

    assert titles(alice) == []
    assert archived(alice) == [("Here we are", True)]
    assert texts(alice, group) == ["Here we are"]
    assert (group.unread_count, conversations.unread_messages(alice)) == (0, 0)
    assert (woken, told) == ([], [])
    assert not Acknowledgement.objects.filter(message__account=alice).exists()
    search_index.index_waiting(alice, now=timezone.now())
    put_away = Message.objects.get(account=alice, aside=Message.Aside.LEFT)
    assert put_away.indexed_at is None

    left_groups.come_back(alice, group, now=timezone.now())
    assert titles(alice) == ["Do you still read this?"]
    assert archived(alice) == []
    assert texts(alice, group) == [
        "Here we are",
        "Do you still read this?",
        "Bob named this group “Without Alice”",
    ]
    search_index.index_waiting(alice, now=timezone.now())
    put_away.refresh_from_db()
    assert put_away.indexed_at is not None
    arrives(write, bob, [alice, carol], "Welcome back")
    assert titles(alice) == ["Welcome back"]


def test_what_was_on_its_way_while_they_left_does_not_bring_the_group_back(
    alice: Account, bob: Account, carol: Account, group: Conversation, write: Write
) -> None:
    on_its_way = write(bob, [alice, carol], "Just before")
    leave(alice, group)
    hand_over(alice, seal(on_its_way)[alice.did])
    assert titles(alice) == []
    assert texts(alice, group) == ["Here we are"]


def test_what_disappears_after_reading_begins_to_when_they_come_back(
    alice: Account, bob: Account, carol: Account, group: Conversation, write: Write
) -> None:
    leave(alice, group)
    found = arrives(write, bob, [alice, carol], "For an hour", expires=Expires(True, 3600))
    assert found.expires_at is None
    left_groups.come_back(alice, group, now=timezone.now() - timedelta(hours=2))
    found.refresh_from_db()
    assert found.shown
    assert found.expires_at is not None
    assert timedelta(minutes=59) < found.expires_at - timezone.now() <= timedelta(hours=1)


def test_take_backs_and_edits_of_what_they_see_still_count(
    alice: Account, bob: Account, carol: Account, group: Conversation, write: Write
) -> None:
    said = arrives(write, bob, [alice, carol], "A slip of the tongue")
    leave(alice, group)
    take_back = NewMessage(takes_back=True, replaces=said.message_id)
    hand_over(alice, seal(send_message(bob, [alice.did, carol.did], take_back, str(uuid4())))[alice.did])
    assert "A slip of the tongue" not in texts(alice, group)


def test_whoever_writes_from_another_device_has_come_back_but_not_by_what_they_wrote_before(
    alice: Account, bob: Account, carol: Account, group: Conversation
) -> None:
    from crypto_agent.atsms.content import text_part

    before = OtherClient.of(alice)
    before.publish()
    try:
        parting = before.write([bob, carol, alice], [text_part("I am off")])
        leave(alice, group)
        for envelope in parting:
            hand_over(alice, [envelope])
        assert titles(alice) == []
        later = before.write([bob, carol, alice], [text_part("Hello again")])
        for envelope in later:
            hand_over(alice, [envelope])
        assert titles(alice) == ["Hello again"]
    finally:
        before.withdraw()


def test_what_they_are_not_known_to_have_written_brings_nothing_back_until_they_are(
    alice: Account,
    bob: Account,
    carol: Account,
    group: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from crypto_agent.atsms.content import text_part

    elsewhere = OtherClient.of(alice)
    elsewhere.publish()
    try:
        leave(alice, group)
        unchecked = trust.Verdict(Message.Trust.UNCHECKED, "signer-unreachable")
        with monkeypatch.context() as away:
            away.setattr(trust, "check", lambda *_, **_more: unchecked)
            hand_over(alice, elsewhere.write([bob, carol, alice], [text_part("Or so they say")]))
        assert titles(alice) == []
        trust.recheck(Message.objects.get(account=alice, trust=Message.Trust.UNCHECKED))
        assert titles(alice) == ["Or so they say"]
    finally:
        elsewhere.withdraw()


def test_what_comes_with_their_own_return_after_it_is_news(
    alice: Account, bob: Account, carol: Account, group: Conversation, write: Write
) -> None:
    from crypto_agent.atsms.content import text_part

    elsewhere = OtherClient.of(alice)
    elsewhere.publish()
    try:
        leave(alice, group)
        envelopes = seal(write(bob, [alice, carol], "Meanwhile"))[alice.did]
        envelopes += elsewhere.write([bob, carol, alice], [text_part("Hello again")])
        envelopes += seal(write(bob, [alice, carol], "Welcome back"))[alice.did]
        hand_over(alice, envelopes)
    finally:
        elsewhere.withdraw()
    assert texts(alice, group) == ["Here we are", "Meanwhile", "Hello again", "Welcome back"]
    unread = Message.objects.filter(account=alice, unread=True).select_related("conversation")
    assert [message.sender_did for message in unread] == [bob.did]
    assert group.unread_count == 1
    assert titles(alice) == ["Welcome back"]


def test_a_page_that_stayed_open_brings_its_writer_back(
    alice: Account, bob: Account, carol: Account, group: Conversation, write: Write
) -> None:
    leave(alice, group)
    arrives(write, bob, [alice, carol], "Meanwhile")
    write(alice, [bob, carol], "Wait, I am here")
    assert titles(alice) == ["Wait, I am here"]
    assert texts(alice, group) == ["Here we are", "Meanwhile", "Wait, I am here"]


def test_receipts_that_waited_are_not_sent_from_a_group_that_was_left(
    alice: Account, bob: Account, carol: Account, group: Conversation, write: Write
) -> None:
    leave(alice, group)
    arrives(write, bob, [alice, carol], "Seen?")
    assert acknowledging.send_due(group.pk, now=timezone.now() + timedelta(minutes=1)) == 0


def test_blocking_and_leaving_keep_out_of_each_others_way(
    alice: Account, bob: Account, carol: Account, group: Conversation, write: Write
) -> None:
    leave(alice, group)
    arrives(write, bob, [alice, carol], "Of Bob, after leaving")
    arrives(write, carol, [alice, bob], "Of Carol, after leaving")
    blocking.block(alice, bob.did, timezone.now())
    arrives(write, bob, [alice, carol], "Of Bob, blocked")
    blocking.unblock(alice, bob.did)
    assert texts(alice, group) == ["Here we are"]
    assert archived(alice) == [("Here we are", True)]
    blocking.block(alice, bob.did, timezone.now())
    left_groups.come_back(alice, group, now=timezone.now())
    assert texts(alice, group) == ["Here we are", "Of Carol, after leaving"]
    blocking.unblock(alice, bob.did)
    assert "Of Bob, after leaving" in texts(alice, group)


def test_a_rebuild_and_an_import_keep_the_group_left(
    alice: Account, bob: Account, carol: Account, group: Conversation, write: Write
) -> None:
    leave(alice, group)
    arrives(write, bob, [alice, carol], "After leaving")
    kept = list(message_state.packed(exported_settings.settings_of(alice)))
    Message.objects.filter(account=alice, direction=Message.Direction.IN).delete()
    rebuild.rebuild(alice)
    assert texts(alice, group) == ["Here we are"]

    # As another installation has it, to which the settings come after the messages.
    left_groups.come_back(alice, group, now=timezone.now())
    Conversation.objects.filter(pk=group.pk).update(settings_changed_at=None)
    assert texts(alice, group) == ["Here we are", "After leaving"]
    for part in kept:
        exported_settings.take_settings(alice, part)
    assert texts(alice, group) == ["Here we are"]
    assert archived(alice) == [("Here we are", True)]


def test_pages_leave_with_words_or_without_and_come_back(
    alice: Account, group: Conversation, at_alices: Client
) -> None:
    people = reverse("conversation-people", args=[group.conversation_id])
    leaving = reverse("conversation-leave", args=[group.conversation_id])
    conversation = reverse("conversation", args=[group.conversation_id])
    page = at_alices.get(people).content.decode()
    assert "Leave this conversation" in page
    assert "They can go on writing to you" in page

    def post(address: str, **fields: str) -> object:
        token = at_alices.cookies["csrf"].value
        return at_alices.post(address, {"csrfmiddlewaretoken": token, **fields})

    answer = post(leaving, do="tell", words=" ", token=str(uuid4()))
    assert "Write something first" in answer.content.decode()  # type: ignore[attr-defined]
    group.refresh_from_db()
    assert group.left_at is None

    post(leaving, do="tell", words="I am off.", token=str(uuid4()))
    assert texts(alice, group) == ["Here we are", "I am off."]
    assert group.left_at is not None
    page = at_alices.get(conversation).content.decode()
    assert "You left this conversation" in page
    assert 'name="text"' not in page
    assert "Come back" in at_alices.get(people).content.decode()
    assert "You left this conversation" in at_alices.get("/?filter=archived").content.decode()
    assert [each.id for each in titled_conversations.titled(alice)] == []

    answer = post(
        reverse("conversation-settings", args=[group.conversation_id]), do="unarchive", next=conversation
    )
    assert answer["Location"] == conversation  # type: ignore[index]
    group.refresh_from_db()
    assert (group.left_at, group.archived_at) == (None, None)
    assert 'name="text"' in at_alices.get(conversation).content.decode()


def test_the_page_says_that_the_last_words_disappear_as_what_is_written_there(
    group: Conversation, at_alices: Client
) -> None:
    people = reverse("conversation-people", args=[group.conversation_id])
    says = "What you write disappears 1 day after reading."
    assert says not in at_alices.get(people).content.decode()
    Conversation.objects.filter(pk=group.pk).update(expires_after=86_400)
    assert says in at_alices.get(people).content.decode()


def scheduled(account: Account, group: Conversation, text: str, now: datetime) -> PendingMessage:
    content, at = DraftContent(text), now + timedelta(hours=1)
    return keeping_back.schedule(account, group.participants, content, str(uuid4()), at, now=now)


def test_what_was_scheduled_waits_for_whoever_left_since(
    alice: Account, group: Conversation, at_alices: Client, as_web: None
) -> None:
    now = timezone.now() - timedelta(seconds=5)
    row = scheduled(alice, group, "See you there", now)
    leave(alice, group)
    assert pending.release(row.pk, now=row.release_at) is None
    group.refresh_from_db()
    assert group.left_at is not None
    for page in (reverse("scheduled"), reverse("conversation", args=[group.conversation_id])):
        assert "Waits until you come back" in at_alices.get(page).content.decode()
    left_groups.come_back(alice, group, now=timezone.now())
    row.refresh_from_db()
    assert "Waits until you come back" not in at_alices.get(reverse("scheduled")).content.decode()
    assert pending.release(row.pk, now=row.release_at) is not None
    assert texts(alice, group) == ["Here we are", "See you there"]


def test_what_was_put_off_waits_for_whoever_left_again(
    alice: Account, group: Conversation, as_web: None
) -> None:
    now = timezone.now() - timedelta(hours=3)
    row = scheduled(alice, group, "See you there", now)
    left_groups.leave(alice, group, now=now + timedelta(minutes=30))
    assert pending.release(row.pk, now=row.release_at) is None
    group.refresh_from_db()
    left_groups.come_back(alice, group, now=now + timedelta(minutes=70))
    left_groups.leave(alice, group, now=now + timedelta(minutes=80))
    assert pending.release(row.pk, now=timezone.now()) is None
    group.refresh_from_db()
    assert group.left_at is not None
    assert texts(alice, group) == ["Here we are"]


def test_what_was_put_off_goes_out_when_they_come_back(
    alice: Account,
    group: Conversation,
    as_web: None,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    now = timezone.now() - timedelta(hours=3)
    row = scheduled(alice, group, "See you there", now)
    tomorrow = scheduled(alice, group, "Not yet", timezone.now() + timedelta(hours=24))
    leave(alice, group)
    assert pending.release(row.pk, now=timezone.now()) is None
    given: list[tuple[str, int]] = []
    monkeypatch.setattr(queues, "give", lambda task, key, **_more: given.append((task, key)))
    with django_capture_on_commit_callbacks(execute=True):
        left_groups.come_back(alice, group, now=timezone.now())
    assert given == [(queues.RELEASE, row.pk)]
    assert pending.release(row.pk, now=timezone.now()) is not None
    assert pending.release(tomorrow.pk, now=timezone.now()) is None
    assert texts(alice, group) == ["Here we are", "See you there"]


def test_another_time_for_what_was_scheduled_is_a_way_of_coming_back(
    alice: Account, group: Conversation, as_web: None
) -> None:
    row = scheduled(alice, group, "See you there", timezone.now() - timedelta(seconds=5))
    leave(alice, group)
    later = row.release_at + timedelta(hours=1)
    pending.change_time(alice, row.pk, later, now=timezone.now())
    assert pending.release(row.pk, now=later) is not None
    group.refresh_from_db()
    assert group.left_at is None


def test_where_a_left_group_goes_on_is_told_nobody_there(
    alice: Account, bob: Account, group: Conversation, as_web: None
) -> None:
    now = timezone.now() - timedelta(seconds=5)
    row = keeping_back.schedule(
        alice,
        [bob.did],
        DraftContent("The two of us", people=(bob.did,), told="I go on without Carol."),
        str(uuid4()),
        now + timedelta(hours=1),
        former=group,
        now=now,
    )
    leave(alice, group)
    assert pending.release(row.pk, now=row.release_at) is not None
    assert texts(alice, group) == ["Here we are"]
    assert group.left_at is not None


def test_a_conversation_of_two_is_not_left(
    alice: Account, bob: Account, at_alices: Client, write: Write
) -> None:
    with_bob = write(alice, [bob], "The two of us").conversation
    page = at_alices.get(reverse("conversation-people", args=[with_bob.conversation_id]))
    assert "Leave this conversation" not in page.content.decode()
    leaving = reverse("conversation-leave", args=[with_bob.conversation_id])
    assert at_alices.post(leaving).status_code == 404


def test_what_was_put_off_goes_out_when_an_import_brings_the_group_back(
    alice: Account,
    group: Conversation,
    as_web: None,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    row = scheduled(alice, group, "See you there", timezone.now() - timedelta(hours=3))
    leave(alice, group)
    assert pending.release(row.pk, now=timezone.now()) is None
    Conversation.objects.filter(pk=group.pk).update(left_at=None, archived_at=None)
    exported = [dict(each) for each in conversation_settings.settings_json(alice)]
    Conversation.objects.filter(pk=group.pk).update(left_at=timezone.now(), settings_changed_at=None)
    given: list[tuple[str, int]] = []
    monkeypatch.setattr(queues, "give", lambda task, key, **_more: given.append((task, key)))
    with django_capture_on_commit_callbacks(execute=True):
        conversation_settings.take_settings(alice, exported)
    assert given == [(queues.RELEASE, row.pk)]
    assert pending.release(row.pk, now=timezone.now()) is not None
